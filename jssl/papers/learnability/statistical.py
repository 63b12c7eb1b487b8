"""Claims on random samples: two-sided tests at level 1e-4 with the errors of both samples."""

import math
from typing import NamedTuple

import numpy as np
import scipy.stats

from jssl.papers import claims
from jssl.papers.outcome import Settings
from jssl.types import Claim

LEVEL = 1e-4
SOURCE = "Yang et al. 2023, arXiv 2401.03214"


class Sizes(NamedTuple):
    """Numbers of seeds.

    Attributes:
        seeds: of a simulation.
        predicted: of the noise-averaged dynamics that predict it, on separate data.
        cheap: of short simulations.
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
    """Return the two-sided quantile of Student's t distribution for a mean over this many seeds."""
    return float(scipy.stats.t.ppf(1 - LEVEL / 2, seeds - 1))


def same_mean(
    name: str,
    statement: str,
    predicted: np.ndarray | float,
    measured: np.ndarray,
    source: str = SOURCE,
    bias: float = 0.0,
    details: str = "",
) -> Claim:
    """Claim that two samples have the same mean, or that a sample has a given mean.

    Example:
        >>> import numpy as np
        >>> values = np.array([0.4, 0.6, 0.5])
        >>> same_mean("demo/mean", "The mean is one half.", 0.5, values).passed
        True

    Args:
        name: of the claim.
        statement: one sentence of at most 25 words.
        predicted: a sample of independent draws, or the mean itself.
        measured: a sample of independent draws, one for each seed.
        source: of the claim.
        bias: part of the tolerance for what the theory neglects.
        details: further sentences; the origin of the tolerance is added.
    """
    predicted, measured = np.atleast_1d(predicted), np.asarray(measured)
    variance = measured.var(ddof=1) / len(measured)
    if len(predicted) > 1:
        variance += predicted.var(ddof=1) / len(predicted)
    tolerance = quantile(len(measured)) * variance**0.5 + bias
    errors = f"{quantile(len(measured)):.1f} standard errors"
    if len(predicted) > 1:
        errors += " of the difference"
    origin = (
        f"The tolerance is {errors}, a two-sided test at level {LEVEL:g} with {len(measured)} seeds"
    )
    origin += f", plus {bias:.2g} for what the theory neglects." if bias else "."
    return claims.close(
        name,
        statement,
        source,
        predicted.mean(),
        measured.mean(),
        tolerance,
        details=f"{details} {origin}".strip(),
    )


def same_distribution(
    name: str,
    statement: str,
    predicted: np.ndarray,
    measured: np.ndarray,
    details: str = "",
) -> Claim:
    """Claim that two samples have the same distribution, by the Kolmogorov-Smirnov distance.

    Example:
        >>> import numpy as np
        >>> first = np.arange(9.0)
        >>> same_distribution("demo/two", "The samples agree.", first, first + 0.5).passed
        True

    The bound is that of Dvoretzky, Kiefer and Wolfowitz with the constant of Massart, applied to
    each sample at half the level. It holds at any size.

    Args:
        name: of the claim.
        statement: one sentence of at most 25 words.
        predicted: a sample of independent draws.
        measured: another sample.
        details: further sentences; the origin of the bound is added.
    """
    distance = scipy.stats.ks_2samp(predicted, measured, method="asymp").statistic
    reach = math.sqrt(math.log(4 / LEVEL) / 2)
    bound = reach * (len(predicted) ** -0.5 + len(measured) ** -0.5)
    origin = (
        f"The measured value is the Kolmogorov-Smirnov distance of {len(measured)} measured and "
        f"{len(predicted)} predicted values. The bound is that of Dvoretzky, Kiefer and Wolfowitz "
        f"at level {LEVEL:g}."
    )
    return claims.at_most(
        name,
        statement,
        SOURCE,
        bound,
        float(distance),
        details=f"{details} {origin}".strip(),
    )


def same_share(
    name: str,
    statement: str,
    predicted: np.ndarray | float,
    measured: np.ndarray,
    details: str = "",
) -> Claim:
    """Claim that the share of true values has a given probability, by the binomial distribution.

    Example:
        >>> import numpy as np
        >>> tosses = np.array([True, False, True])
        >>> same_share("demo/coin", "The coin is fair.", 0.5, tosses).passed
        True

    Args:
        name: of the claim.
        statement: one sentence of at most 25 words.
        predicted: a sample of independent boolean values, or the probability itself.
        measured: a sample of independent boolean values, one for each seed.
        details: further sentences; the origin of the tolerance is added.
    """
    predicted, measured = np.atleast_1d(predicted), np.asarray(measured)
    p, seeds = float(predicted.mean()), len(measured)
    if len(predicted) > 1:  # the pooled share includes the error of the prediction
        p_pooled = (predicted.sum() + measured.sum()) / (len(predicted) + seeds)
        extra = p_pooled * (1 - p_pooled) / len(predicted)
        p_for_law = p_pooled
    else:
        extra, p_for_law = 0.0, p
    law = scipy.stats.binom(seeds, p_for_law)
    reach = max(p_for_law - law.ppf(LEVEL / 2) / seeds, law.isf(LEVEL / 2) / seeds - p_for_law)
    tolerance = (reach**2 + (quantile(10_000) ** 2) * extra) ** 0.5
    origin = (
        f"The tolerance is that of the binomial distribution at level {LEVEL:g} with {seeds} seeds"
    )
    origin += " and includes the error of the prediction." if len(predicted) > 1 else "."
    return claims.close(
        name,
        statement,
        SOURCE,
        p,
        measured.mean(),
        tolerance,
        details=f"{details} {origin}".strip(),
    )
