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
    """Results of one study.

    Attributes:
        claims: every claim, with its verdict.
        figures: of the study. Where there are several, each names the claims that it shows.
        summary: observations that are not claims, in complete sentences.
    """

    claims: Sequence[Claim]
    figures: Sequence[Figure]
    summary: tuple[str, ...] = ()


class Experiment(NamedTuple):
    """The studies of a paper at a scale. They are independent and may run in parallel.

    Attributes:
        studies: name -> `study(settings) -> Part`, in the order of the report.
        settings: name -> value (sizes, learning rates), for the report.
        caveats: limits of the results as a whole, for example what is not run and why.
    """

    studies: Mapping[str, Callable[[Settings], Part]]
    settings: Mapping[str, Any] = {}
    caveats: tuple[str, ...] = ()


class Outcome(NamedTuple):
    """Results of all studies of a paper.

    Attributes:
        parts: name of the study -> its results, in the order of the report.
        settings: name -> value (sizes, learning rates), for the report.
        caveats: limits of the results as a whole, for example what was not run and why.
    """

    parts: Mapping[str, Part]
    settings: Mapping[str, Any] = {}
    caveats: tuple[str, ...] = ()

    @property
    def claims(self) -> tuple[Claim, ...]:
        """The claims of all studies."""
        return tuple(claim for part in self.parts.values() for claim in part.claims)

    @property
    def figures(self) -> tuple[Figure, ...]:
        """The figures of all studies."""
        return tuple(figure for part in self.parts.values() for figure in part.figures)

    @property
    def summary(self) -> tuple[str, ...]:
        """The observations of all studies that are not claims."""
        return tuple(sentence for part in self.parts.values() for sentence in part.summary)


def gather(experiment: Experiment, parts: Sequence[Part]) -> Outcome:
    """Return the results of all studies of an experiment together.

    Example:
        >>> part = Part([], [], ("One run diverged.",))
        >>> gather(Experiment({"demo": lambda settings: part}), [part]).summary
        ('One run diverged.',)

    Args:
        experiment: the studies.
        parts: the result of each study, in the order of the studies.
    """
    named = dict(zip(experiment.studies, parts, strict=True))
    return Outcome(named, experiment.settings, experiment.caveats)
