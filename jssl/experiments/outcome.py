"""What an experiment is given and what it hands back."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from jssl.types import Claim

Scale = Literal["quick", "paper", "large"]


def no_progress(description: str, share: float) -> None:
    """Report nothing."""
    del description, share


class Settings(NamedTuple):
    """How an experiment is run.

    Attributes:
        scale: `quick` (minutes on two cores), `paper` (the paper's sizes) or `large`.
        seed: the root seed of every random draw.
        progress: `progress(description, share)`, share of the experiment done in [0, 1].
    """

    scale: Scale = "quick"
    seed: int = 0
    progress: Callable[[str, float], None] = no_progress


class Figure(NamedTuple):
    """A figure of a report.

    Attributes:
        name: file-like name, unique in its paper.
        title: one line.
        description: what is to be seen, also the alternative text.
        figure: a matplotlib Figure.
    """

    name: str
    title: str
    description: str
    figure: Any


class Part(NamedTuple):
    """One study's claims and figures.

    Attributes:
        claims: every claim, judged.
        figures: what it drew.
        remarks: what was seen and is no claim.
    """

    claims: list[Claim]
    figures: list[Figure]
    remarks: tuple[str, ...] = ()


class Outcome(NamedTuple):
    """What an experiment found.

    Attributes:
        claims: every claim, judged.
        figures: the figures of its report.
        settings: name -> value of what was run (sizes, learning rates), for the report.
        remarks: what was seen and is no claim: negative results, what was not run and why.
    """

    claims: tuple[Claim, ...]
    figures: tuple[Figure, ...] = ()
    settings: Mapping[str, Any] = {}
    remarks: tuple[str, ...] = ()
