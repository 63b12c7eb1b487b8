"""One exponent in the width from many exponents: a meta-analysis with random effects.

Exponent i of a finite range of widths is y_i = p + u_i + e_i. The u_i, of variance tau^2, are the
next orders in 1 / width, which differ between architectures and quantities; the e_i are the errors
over seeds, with covariance V, since the quantities of a network share its seeds. With weights w_i,
w = sum w_i, mean m = sum w_i y_i / w and S = V + tau^2 I,

    E sum w_i (y_i - m)^2 = sum w_i S_ii - sum w_i w_j S_ij / w

gives tau^2 for w_i = 1 / V_ii, as of DerSimonian and Laird (1986), here with correlated errors.
The pooled exponent is m for w_i = 1 / S_ii. Its squared error, sum w_i w_j S_ij / w^2, is
multiplied by the ratio of the two sides of the equation, if it exceeds 1, and quantiles are those
of Student's t (Hartung and Knapp 2001).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtrit

from jssl.papers.claims import close
from jssl.papers.rivals import powers
from jssl.types import Claim

SOURCE = "Simon et al. 2023, section 5; Fleissner et al. 2024, arXiv 2411.11176"
LEVEL = 1e-4
"""Probability that a claim which is true fails, two-sided."""


class Pooled(NamedTuple):
    """A pooled exponent.

    Attributes:
        exponent: weighted mean of the exponents.
        error: its standard error.
        between: tau, the standard deviation between exponents that their errors do not explain.
        degrees: degrees of freedom of Student's t, the number of exponents less 1.
    """

    exponent: float
    error: float
    between: float
    degrees: int

    def half_width(self, level: float) -> float:
        """Return the half width of the interval that is missed with probability `level`.

        Example:
            >>> print(round(Pooled(-0.5, 0.01, 0.0, 11).half_width(0.05), 4))
            0.022
        """
        return float(stdtrit(self.degrees, 1 - level / 2)) * self.error


def pooled_exponent(slopes: Any) -> Pooled:
    """Return the pooled exponent of the slopes of each seed.

    Example:
        >>> seeds = np.random.default_rng(0).normal(-0.5, 0.1, (8, 100))
        >>> pooled_exponent(seeds).error < 0.01 < pooled_exponent(seeds + np.eye(8, 1)).error
        True

    Args:
        slopes: (exponents, seeds) slope of the logarithm of a distance over the logarithm of the
            width, two exponents or more. The seeds are shared by all exponents.
    """
    slopes = np.asarray(slopes, np.float64)
    count, seeds = slopes.shape
    y, errors = slopes.mean(1), np.cov(slopes) / seeds
    weights = 1 / np.diag(errors)
    surplus = _scatter(weights, y) - _expected(weights, errors)
    variance = max(0.0, surplus / _expected(weights, np.eye(count)))
    total = errors + variance * np.eye(count)
    weights = 1 / np.diag(total)
    ratio = max(1.0, _scatter(weights, y) / _expected(weights, total))
    error = np.sqrt(ratio * (weights @ total @ weights)) / weights.sum()
    mean = np.average(y, weights=weights)
    return Pooled(float(mean), float(error), float(np.sqrt(variance)), count - 1)


def seed_slopes(widths: Sequence[int], values: np.ndarray) -> np.ndarray:
    """Return (seeds,) the slope of log value over log width of each seed.

    Example:
        >>> print(seed_slopes((4, 16), np.array([[2.0, 4.0], [1.0, 1.0]])).round(6))
        [-0.5 -1. ]

    Args:
        widths: (n,) two or more that differ.
        values: (n, seeds) positive.
    """
    return np.polyfit(np.log(widths), np.log(values), 1)[0]


def pooled_claim(distances: Sequence[tuple[Sequence[int], np.ndarray]]) -> Claim:
    """Return the claim on the common exponent of distances to the infinite-width kernel model.

    Args:
        distances: (widths, values) for each architecture and quantity, values (widths, seeds) as of
            `seed_slopes`.
    """
    fit = pooled_exponent([seed_slopes(widths, values) for widths, values in distances])
    return close(
        "width/pooled-exponent",
        "Over all architectures and quantities, the distance to the infinite-width kernel model "
        "decreases as width^(-1/2).",
        SOURCE,
        -0.5,
        fit.exponent,
        fit.half_width(LEVEL),
        details=f"The measured value is the common exponent of {len(distances)} distances, in "
        "function values, learned subspace and half times. Each exponent is the mean over seeds "
        "of the slope of log distance over log width. They differ by random effects, which stand "
        f"for the next orders in 1 / width and have standard deviation {fit.between:.3f}. The "
        f"tolerance is the half width of the interval of level {LEVEL:g} by Hartung and Knapp, "
        f"with Student's t of {fit.degrees} degrees of freedom.",
        rivals=powers(0, -0.25, -1),
        standard_error=fit.error,
    )


def _scatter(weights: np.ndarray, y: np.ndarray) -> float:
    return float(weights @ (y - np.average(y, weights=weights)) ** 2)


def _expected(weights: np.ndarray, covariance: np.ndarray) -> float:
    """Return the mean of the scatter of values with this covariance and equal means."""
    mean = weights @ covariance @ weights / weights.sum()
    return float(weights @ np.diag(covariance) - mean)
