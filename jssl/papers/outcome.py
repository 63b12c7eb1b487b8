"""What an experiment is given and what it hands back."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.report.figure import Figure
from jssl.types import Array, Claim

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

    def generator(self, *stream: int) -> np.random.Generator:
        """Return the host's draws of a stream; draws of a key compile a program for each shape.

        Example:
            >>> draws = Settings(seed=1).generator(3)
            >>> draws.normal() == Settings(seed=1).generator(3).normal() != draws.normal()
            True
        """
        return np.random.default_rng((self.seed, *stream))

    def keys(self, count: int, *stream: int) -> Array:
        """Return independent keys (count,) of a stream, drawn on the host.

        Example:
            >>> Settings(seed=1).keys(3, 0).shape
            (3,)
        """
        bits = self.generator(*stream).integers(2**32, size=(count, 2), dtype=np.uint32)
        return jax.random.wrap_key_data(jnp.asarray(bits), impl="threefry2x32")


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


class Experiment(NamedTuple):
    """The studies of a paper at a scale; none needs another, so that they may run side by side.

    Attributes:
        studies: name -> `study(settings) -> Part`, in the order of the report.
        settings: name -> value of what is run (sizes, learning rates), for the report.
        remarks: what is said of the whole: what is not run and why.
    """

    studies: Mapping[str, Callable[[Settings], Part]]
    settings: Mapping[str, Any] = {}
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


def gather(experiment: Experiment, parts: Sequence[Part]) -> Outcome:
    """Return what the studies of an experiment found together.

    Example:
        >>> nothing = Part([], [], ("nothing was seen",))
        >>> gather(Experiment({"a look": lambda settings: nothing}), [nothing]).remarks
        ('nothing was seen',)

    Args:
        experiment: the studies.
        parts: what each found, in their order.
    """
    return Outcome(
        tuple(claim for part in parts for claim in part.claims),
        tuple(figure for part in parts for figure in part.figures),
        experiment.settings,
        (*(remark for part in parts for remark in part.remarks), *experiment.remarks),
    )
