"""A paper's claims, run and judged.

`PAPERS` names every paper and the module whose `plan(settings) -> Experiment` says what is run.
"""

import importlib
import traceback
from collections.abc import Callable

from jssl.errors import InputError, unknown_name
from jssl.papers.claims import at_most
from jssl.papers.outcome import (
    Experiment,
    Outcome,
    Part,
    Scale,
    Settings,
    gather,
)
from jssl.precision import float64

PAPERS = {
    "stepwise": "jssl.papers.stepwise",
    "grassmann": "jssl.papers.grassmann",
    "learnability": "jssl.papers.learnability",
    "landscape": "jssl.papers.landscape",
    "width": "jssl.papers.width",
    "deep": "jssl.papers.deep",
}

__all__ = [
    "PAPERS",
    "Experiment",
    "Outcome",
    "Part",
    "Scale",
    "Settings",
    "endure",
    "experiment",
    "gather",
    "run",
]


def experiment(name: str, settings: Settings | None = None) -> Experiment:
    """Return what is run for a paper.

    Example:
        >>> experiment("stepwize")
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: unknown paper 'stepwize'; did you mean 'stepwise'? known: ...

    Args:
        name: of the paper.
        settings: scale and seed; `quick` and 0 by default.

    Raises:
        InputError: for a name that is not registered.
    """
    if name not in PAPERS:
        raise unknown_name(kind="paper", name=name, known=PAPERS)
    plan = importlib.import_module(PAPERS[name]).plan
    found: Experiment = plan(Settings() if settings is None else settings)
    return found


def perform(name: str, study: str, settings: Settings) -> Part:
    """Run one study of a paper, in float64 where it asks for no other.

    Args:
        name: of the paper.
        study: of the paper's studies.
        settings: scale, seed and progress of this study.
    """
    with float64():
        return experiment(name, settings).studies[study](settings)


def endure(name: str, study: str, settings: Settings) -> Part:
    """Run one study as `perform` does; one that breaks off is a claim that fails.

    So a long run keeps what its other studies found. The traceback goes to standard error.

    Args:
        name: of the paper.
        study: of the paper's studies.
        settings: scale, seed and progress of this study.

    Raises:
        InputError: where the study refuses what it was given.
    """
    try:
        return perform(name, study, settings)
    except InputError:
        raise
    except Exception as error:
        traceback.print_exc()
        what = f"{study} broke off: {type(error).__name__}: {error}"
        short = study.lower().replace(",", "").replace(" ", "-")
        ended = at_most(f"{name}/ended-{short}", what, "every study must come to its end", 0, 1)
        return Part([ended], [], (what,))


def run(
    name: str,
    settings: Settings | None = None,
    one: Callable[[str, str, Settings], Part] = perform,
) -> Outcome:
    """Run the studies of a paper one after the other, and judge their claims.

    Args:
        name: of the paper.
        settings: scale, seed and progress; `quick` and 0 by default.
        one: runs a study; `endure` goes on with the others where one breaks off.

    Raises:
        InputError: for a name that is not registered.
    """
    chosen = Settings() if settings is None else settings
    found = experiment(name, chosen)
    parts = []
    for index, study in enumerate(found.studies):

        def progress(description: str, share: float, index: int = index) -> None:
            chosen.progress(description, (index + share) / len(found.studies))

        progress(study, 0.0)
        parts.append(one(name, study, chosen._replace(progress=progress)))
    chosen.progress("done", 1.0)
    return gather(found, parts)
