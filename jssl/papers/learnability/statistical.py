"""Claims on random samples: two-sided tests at level 1e-4 with the errors of both samples."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import scipy.stats

from jssl.papers import claims
from jssl.papers.outcome import Settings
from jssl.types import Claim, Rival

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
    "quick": Sizes(48, 128, 256),
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
    rivals: Sequence[Rival] = (),
) -> Claim:
    """Claim that two samples have the same mean, or that a sample has a given mean.

    Example:
        >>> import numpy as np
        >>> values = np.array([0.49, 0.51, 0.5, 0.5, 0.5])
        >>> rivals = (Rival("the mean is zero", 0.0),)
        >>> same_mean("demo/mean", "The mean is one half.", 0.5, values, rivals=rivals).passed
        True

    Args:
        name: of the claim.
        statement: one sentence of at most 25 words.
        predicted: a sample of independent draws, or the mean itself.
        measured: a sample of independent draws, one for each seed.
        source: of the claim.
        bias: part of the tolerance for what the theory neglects.
        details: further sentences; the origin of the tolerance is added.
        rivals: other means.
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
        rivals=rivals,
        standard_error=variance**0.5,
    )


def same_distribution(
    name: str,
    statement: str,
    predicted: np.ndarray,
    measured: np.ndarray,
    details: str = "",
    rivals: Mapping[str, np.ndarray] | None = None,
) -> Claim:
    """Claim that two samples have the same distribution, by the test of Kolmogorov and Smirnov.

    Example:
        >>> import numpy as np
        >>> first, other = np.arange(20.0), {"half as large": np.arange(20.0) / 2 - 15}
        >>> same_distribution("demo/two", "They agree.", first, first + 0.5, rivals=other).passed
        True

    Args:
        name: of the claim.
        statement: one sentence of at most 25 words.
        predicted: a sample of independent draws.
        measured: another sample.
        details: further sentences; the origin of the bound is added.
        rivals: name -> a sample of another theory, which the same test must reject.
    """
    origin = (
        f"The measured value is the p-value of the Kolmogorov-Smirnov test of {len(measured)} "
        f"measured and {len(predicted)} predicted values. The bound is the level of the test; the "
        "p-values of rival predictions are below it."
    )
    return claims.at_least(
        name,
        statement,
        SOURCE,
        LEVEL,
        _p_value(predicted, measured),
        details=f"{details} {origin}".strip(),
        rivals=[Rival(n, _p_value(other, measured)) for n, other in (rivals or {}).items()],
    )


def _p_value(predicted: np.ndarray, measured: np.ndarray) -> float:
    method = "exact" if max(len(predicted), len(measured)) <= 500 else "asymp"
    return float(scipy.stats.ks_2samp(predicted, measured, method=method).pvalue)


def same_share(
    name: str,
    statement: str,
    predicted: np.ndarray | float,
    measured: np.ndarray,
    details: str = "",
    rivals: Sequence[Rival] = (),
) -> Claim:
    """Claim that the share of true values has a given probability, by the binomial distribution.

    Example:
        >>> import numpy as np
        >>> tosses, never = np.arange(400) % 2 == 0, (Rival("never heads", 0.0),)
        >>> same_share("demo/coin", "The coin is fair.", 0.5, tosses, rivals=never).passed
        True

    Args:
        name: of the claim.
        statement: one sentence of at most 25 words.
        predicted: a sample of independent boolean values, or the probability itself.
        measured: a sample of independent boolean values, one for each seed.
        details: further sentences; the origin of the tolerance is added.
        rivals: other probabilities.
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
        rivals=rivals,
        standard_error=(p_for_law * (1 - p_for_law) / seeds + extra) ** 0.5,
    )
