"""Arguments and results of an experiment."""

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
        """Return a NumPy generator for one stream of random numbers.

        Draws on the host compile no program, unlike draws from a JAX key.

        Example:
            >>> draws = Settings(seed=1).generator(3)
            >>> draws.normal() == Settings(seed=1).generator(3).normal() != draws.normal()
            True
        """
        return np.random.default_rng((self.seed, *stream))

    def keys(self, count: int, *stream: int) -> Array:
        """Return `count` independent keys for one stream, drawn on the host.

        Example:
            >>> Settings(seed=1).keys(3, 0).shape
            (3,)
        """
        bits = self.generator(*stream).integers(2**32, size=(count, 2), dtype=np.uint32)
        return jax.random.wrap_key_data(jnp.asarray(bits), impl="threefry2x32")


class Part(NamedTuple):
    """One study's claims and figures.

    Attributes:
        claims: every claim, with its verdict.
        figures: its figures.
        remarks: observations that are not claims, in complete sentences.
    """

    claims: list[Claim]
    figures: list[Figure]
    remarks: tuple[str, ...] = ()


class Experiment(NamedTuple):
    """The studies of a paper at a scale. They are independent and may run in parallel.

    Attributes:
        studies: name -> `study(settings) -> Part`, in the order of the report.
        settings: name -> value (sizes, learning rates), for the report.
        remarks: on the paper as a whole: what is not run, and why.
    """

    studies: Mapping[str, Callable[[Settings], Part]]
    settings: Mapping[str, Any] = {}
    remarks: tuple[str, ...] = ()


class Outcome(NamedTuple):
    """Results of all studies of a paper.

    Attributes:
        claims: every claim, with its verdict.
        figures: the figures of its report.
        settings: name -> value (sizes, learning rates), for the report.
        remarks: observations that are not claims: negative results, what was not run and why.
    """

    claims: tuple[Claim, ...]
    figures: tuple[Figure, ...] = ()
    settings: Mapping[str, Any] = {}
    remarks: tuple[str, ...] = ()


def gather(experiment: Experiment, parts: Sequence[Part]) -> Outcome:
    """Return the results of all studies of an experiment together.

    Example:
        >>> part = Part([], [], ("One run diverged.",))
        >>> gather(Experiment({"demo": lambda settings: part}), [part]).remarks
        ('One run diverged.',)

    Args:
        experiment: the studies.
        parts: the result of each study, in the order of the studies.
    """
    return Outcome(
        tuple(claim for part in parts for claim in part.claims),
        tuple(figure for part in parts for figure in part.figures),
        experiment.settings,
        (*(remark for part in parts for remark in part.remarks), *experiment.remarks),
    )
