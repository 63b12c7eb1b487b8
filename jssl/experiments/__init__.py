"""A paper's claims, run and judged.

`PAPERS` names every experiment and the module whose `run(settings) -> Outcome` performs it.
"""

import importlib
from collections.abc import Callable

from jssl.errors import unknown_name
from jssl.experiments.outcome import Figure, Outcome, Scale, Settings

PAPERS = {
    "stepwise": "jssl.experiments.stepwise",
    "grassmann": "jssl.experiments.grassmann",
    "learnability": "jssl.experiments.learnability",
    "landscape": "jssl.experiments.landscape",
    "width": "jssl.experiments.width",
    "deep": "jssl.experiments.deep",
}

__all__ = ["PAPERS", "Figure", "Outcome", "Scale", "Settings", "experiment"]


def experiment(name: str) -> Callable[[Settings], Outcome]:
    """Return the experiment of a paper, `run(settings) -> Outcome`.

    Example:
        >>> experiment("stepwize")
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: unknown paper 'stepwize'; did you mean 'stepwise'? known: ...

    Raises:
        InputError: for a name that is not registered.
    """
    if name not in PAPERS:
        raise unknown_name(kind="paper", name=name, known=PAPERS)
    return importlib.import_module(PAPERS[name]).run
