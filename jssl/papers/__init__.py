"""Claims of papers, tested by simulation.

`PAPERS` maps each paper to the module whose `plan(settings) -> Experiment` lists its studies.
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
    "distillation": "jssl.papers.distillation",
    "isotropy": "jssl.papers.isotropy",
    "highdim": "jssl.papers.highdim",
    "samples": "jssl.papers.samples",
}

__all__ = [
    "PAPERS",
    "Experiment",
    "Outcome",
    "Part",
    "Scale",
    "Settings",
    "experiment",
    "gather",
    "run",
    "run_study",
    "run_study_or_record_failure",
]


def experiment(name: str, settings: Settings | None = None) -> Experiment:
    """Return the studies of a paper.

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
    studies: Experiment = plan(Settings() if settings is None else settings)
    return studies


def run_study(name: str, study: str, settings: Settings) -> Part:
    """Run one study of a paper, in float64 unless the study chooses another precision.

    Args:
        name: of the paper.
        study: name of one of the paper's studies.
        settings: scale, seed and progress of this study.
    """
    with float64():
        return experiment(name, settings).studies[study](settings)


def run_study_or_record_failure(name: str, study: str, settings: Settings) -> Part:
    """Run one study as `run_study` does; if it raises an error, return a claim that fails.

    The results of the other studies of a long run are thereby kept. The traceback is printed to
    standard error.

    Args:
        name: of the paper.
        study: name of one of the paper's studies.
        settings: scale, seed and progress of this study.

    Raises:
        InputError: if the study rejects its settings.
    """
    try:
        return run_study(name, study, settings)
    except InputError:
        raise
    except Exception as error:
        traceback.print_exc()
        short = study.lower().replace(",", "").replace(" ", "-")
        completed = at_most(
            f"{name}/ended-{short}",
            f"The study '{study}' completes without an error.",
            "Requirement of jssl",
            0,
            1,
            details=f"The study stopped with {type(error).__name__}: {error}",
        )
        sentence = f"The study '{study}' stopped with {type(error).__name__}: {error}"
        return Part([completed], [], (sentence,))


def run(
    name: str,
    settings: Settings | None = None,
    one: Callable[[str, str, Settings], Part] = run_study,
) -> Outcome:
    """Run the studies of a paper one after the other, and test their claims.

    Args:
        name: of the paper.
        settings: scale, seed and progress; `quick` and 0 by default.
        one: runs a study; `run_study_or_record_failure` continues with the other studies if one
            raises an error.

    Raises:
        InputError: for a name that is not registered.
    """
    chosen = Settings() if settings is None else settings
    plan = experiment(name, chosen)
    parts = []
    for index, study in enumerate(plan.studies):

        def progress(description: str, share: float, index: int = index) -> None:
            chosen.progress(description, (index + share) / len(plan.studies))

        progress(study, 0.0)
        parts.append(one(name, study, chosen._replace(progress=progress)))
    chosen.progress("done", 1.0)
    return gather(plan, parts)
