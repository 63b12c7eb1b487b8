"""How a stochastic claim is judged: at 1e-4 two-sided, with the standard error of both sides."""

import math
from typing import NamedTuple

import numpy as np
import scipy.stats

from jssl.papers.claims import at_most, close
from jssl.papers.outcome import Settings
from jssl.types import Claim

LEVEL = 1e-4
SOURCE = "Yang et al. 2023, arXiv 2401.03214"


class Sizes(NamedTuple):
    """How many seeds a study runs.

    Attributes:
        seeds: of a simulation.
        predicted: of the averaged dynamics that predict it, on data of their own.
        cheap: of runs that cost next to nothing.
    """

    seeds: int
    predicted: int
    cheap: int


SIZES = {
    "quick": Sizes(20, 128, 256),
    "paper": Sizes(1000, 2000, 4000),
    "large": Sizes(10_000, 10_000, 20_000),
}


def sizes(settings: Settings) -> Sizes:
    """Return the numbers of seeds of a scale."""
    return SIZES[settings.scale]


def quantile(seeds: int) -> float:
    """Return the two-sided quantile of Student's t for a mean over that many seeds."""
    return float(scipy.stats.t.ppf(1 - LEVEL / 2, seeds - 1))


def same_mean(
    name: str,
    statement: str,
    predicted: np.ndarray | float,
    measured: np.ndarray,
    source: str = SOURCE,
    bias: float = 0.0,
) -> Claim:
    """Claim that two samples have one mean, or that a sample has a given one.

    Example:
        >>> import numpy as np
        >>> same_mean("demo/mean", "one half", 0.5, np.array([0.4, 0.6, 0.5])).passed
        True

    Args:
        name: of the claim.
        statement: what is claimed.
        predicted: a sample of independent draws, or the mean itself.
        measured: a sample of independent draws, one a seed.
        source: of the claim.
        bias: what the theory leaves out, added to the tolerance.
    """
    predicted, measured = np.atleast_1d(predicted), np.asarray(measured)
    variance = measured.var(ddof=1) / len(measured)
    if len(predicted) > 1:
        variance += predicted.var(ddof=1) / len(predicted)
    tolerance = quantile(len(measured)) * variance**0.5 + bias
    return close(name, statement, source, predicted.mean(), measured.mean(), tolerance)


def same_distribution(
    name: str, statement: str, predicted: np.ndarray, measured: np.ndarray
) -> Claim:
    """Claim that two samples are of one distribution, by Kolmogorov and Smirnov's distance.

    Example:
        >>> import numpy as np
        >>> same_distribution("demo/two", "alike", np.arange(9.0), np.arange(9.0) + 0.5).passed
        True

    The bound is that of Dvoretzky, Kiefer and Wolfowitz (Massart's constant) for each sample, with
    half the level each, so it holds at any size.

    Args:
        name: of the claim.
        statement: what is claimed.
        predicted: a sample of independent draws.
        measured: another.
    """
    distance = scipy.stats.ks_2samp(predicted, measured, method="asymp").statistic
    reach = math.sqrt(math.log(4 / LEVEL) / 2)
    bound = reach * (len(predicted) ** -0.5 + len(measured) ** -0.5)
    return at_most(name, statement, SOURCE, bound, float(distance))


def same_share(
    name: str, statement: str, predicted: np.ndarray | float, measured: np.ndarray
) -> Claim:
    """Claim that a share of seeds is the predicted one, by the binomial law.

    Example:
        >>> import numpy as np
        >>> same_share("demo/coin", "fair", 0.5, np.array([True, False, True])).passed
        True

    Args:
        name: of the claim.
        statement: what is claimed.
        predicted: a sample of independent verdicts, or the probability itself.
        measured: a sample of independent verdicts, one a seed.
    """
    predicted, measured = np.atleast_1d(predicted), np.asarray(measured)
    p, seeds = float(predicted.mean()), len(measured)
    if len(predicted) > 1:  # the pooled share carries the error of the prediction as well
        p_pooled = (predicted.sum() + measured.sum()) / (len(predicted) + seeds)
        extra = p_pooled * (1 - p_pooled) / len(predicted)
        p_for_law = p_pooled
    else:
        extra, p_for_law = 0.0, p
    law = scipy.stats.binom(seeds, p_for_law)
    reach = max(p_for_law - law.ppf(LEVEL / 2) / seeds, law.isf(LEVEL / 2) / seeds - p_for_law)
    tolerance = (reach**2 + (quantile(10_000) ** 2) * extra) ** 0.5
    return close(name, statement, SOURCE, p, measured.mean(), tolerance)
