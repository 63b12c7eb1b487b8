"""Has an encoder collapsed? `jssl.diagnostics.verdict` has the definitions."""

import functools
import math
import operator
from typing import Any, NamedTuple

from jssl.formulas.ranks import entropy_rank

KINDS = ("none", "dimensional", "complete", "undefined")
"""Names of `Verdict.kind`."""

STATES = ("none", "dimensional", "near one point", "complete", "undefined")
"""What a verdict says first, by severity."""

TOLERANCE = 1e-6
"""Share of the largest variance at or below which a direction is numerically empty."""

POINT = 1e-6
"""Variance, as a share of the mean square, at or below which all rows are nearly one point.

Rows then differ by a thousandth of their size, about the rounding of half precision. Biases give
the rows of an untrained network an offset that is up to a hundred times as large as their
differences, which still tell them apart once their mean is subtracted.
"""

CONSTANT = 0.005
"""1 less the mean cosine at or below which all rows have nearly one direction.

It is the variance of the rows scaled to length 1. Where the variance of the rows themselves is this
share of the mean square, they are near one point: after training that is a collapse (`near_point`),
but the biases of an untrained network do the same.
"""

ANGLES = 0.1
"""Variance of the rows scaled to length 1, as a share of that of the rows, up to which only their
lengths differ. Both are shares of a mean square."""

LINE = 0.985
"""Share of the variance in one direction at which rows of one direction differ in length only."""

FEW = 1.2
"""Effective directions at or below which a collapse is dimensional, whatever the effective rank.

1.2 is 91 % of the variance in one direction, where the others share the rest evenly.
"""

DIMENSIONAL = ((FEW, math.inf), (1.4, 2.0), (2.25, 1.3), (3.0, 0.5))
"""Pairs of limits, of which one suffices: (effective directions, effective rank).

The effective rank is in units of sqrt(possible), and a collapse only up to half of the possible.
One direction beside p - 1 weak ones, all equal, has the effective rank 2 sqrt(p - 1) where its
singular value equals the sum of the others. More directions than in any pair are no collapse,
however low the rank, as of clear classes. The numbers are calibrated.
"""


class Thresholds(NamedTuple):
    """The thresholds of a verdict.

    Attributes:
        tolerance: share of the largest variance at which a direction is numerically empty.
        point: share of the mean square at which all rows are nearly one point.
        constant: 1 less the mean cosine at which all rows have nearly one direction.
        dimensional: pairs (effective directions, effective rank in units of sqrt(possible)); a
            collapse is dimensional where both are at most those of one pair.
        line: share of the variance in one direction at which rows of one direction are a complete
            collapse.
    """

    tolerance: float = TOLERANCE
    point: float = POINT
    constant: float = CONSTANT
    dimensional: tuple[tuple[float, float], ...] = DIMENSIONAL
    line: float = LINE


class Verdict(NamedTuple):
    """Which collapse, and the quantities that decide it.

    Attributes:
        kind: (...) 0 to 3: an index of `KINDS`; 3, undefined, where a value is not finite.
        rank: (...) numerical rank: directions above the tolerance; 0 where all rows are nearly one
            point, -1 if undefined.
        possible: how many there can be, min(n - 1, dim).
        spread: (...) variance as a share of the mean square, in [0, 1]; NaN if undefined.
        directional: (...) the same of the rows scaled to length 1, which is 1 less the mean cosine
            of two rows; NaN if unknown.
        leading: (...) share of the variance in the leading direction; NaN if undefined, 0 without
            variance.
        directions: (...) effective directions, from 1 to possible: the participation ratio, with
            the bias of few rows removed; NaN if undefined, 0 without variance.
        effective_rank: (...) exp of the entropy of the singular values; NaN if undefined, 0 without
            variance.
    """

    kind: Any
    rank: Any
    possible: int
    spread: Any
    directional: Any
    leading: Any
    directions: Any
    effective_rank: Any


def within(seen: Verdict, directions: float, rank: float) -> Any:
    """Return whether the effective directions and the effective rank are at most those of a pair.

    Without a limit on the rank, three times as many directions have to be possible.
    """
    few = seen.directions <= directions
    if math.isinf(rank):
        return few & (seen.possible >= 3 * directions)
    return few & (seen.effective_rank <= rank_limit(seen.possible, rank))


def rank_limit(possible: int, rank: float) -> float:
    """Return the effective rank at or below which a collapse is dimensional; at most half.

    Example:
        >>> rank_limit(100, 1.3), rank_limit(4, 1.3)
        (13.0, 2.0)
    """
    return min(rank * math.sqrt(possible), possible / 2)


def near_point(seen: Verdict, thresholds: Thresholds) -> Any:
    """Return whether rows that are no complete collapse are near one point nevertheless.

    After training this is a collapse to a point. Embeddings of an untrained network with biases are
    near one point as well, and nothing in the embeddings separates the two.
    """
    return (seen.kind < KINDS.index("complete")) & (seen.spread <= thresholds.constant)


def state_of(seen: Verdict, thresholds: Thresholds) -> str:
    """Return the name of one verdict's kind, or "near one point" where that is said first."""
    return STATES[2] if bool(near_point(seen, thresholds)) else KINDS[int(seen.kind)]


def one_direction(seen: Verdict, thresholds: Thresholds) -> Any:
    """Return whether all rows have one direction, and only their lengths differ."""
    line = (seen.directional <= thresholds.constant) & (seen.leading >= thresholds.line)
    return line & (seen.directional <= ANGLES * seen.spread)


def effective_directions(eigenvalues: Any, points: int, xp: Any) -> Any:
    """Return the participation ratio with the bias of few rows removed; 0 without variance.

    Example:
        >>> import numpy as np
        >>> z = np.random.default_rng(0).normal(size=(101, 100))
        >>> values = np.linalg.eigvalsh(np.cov(z.T))[::-1]
        >>> print(round(float(effective_directions(values, 101, np)) / 100, 1))
        1.0

    For Gaussian rows with covariance Sigma, the covariance S of n rows has
    E tr S^2 = (1 + 1/m) tr Sigma^2 + (tr Sigma)^2 / m with m = n - 1: isotropic rows have a
    participation ratio of about n dim / (n + dim) and not dim (Marchenko and Pastur). Solved for
    tr Sigma^2 without bias (Srivastava 2005):

        tr Sigma^2 = m^2 / ((m - 1) (m + 2)) (tr S^2 - (tr S)^2 / m)

    Args:
        eigenvalues: (..., k) of a covariance; its divisor does not matter.
        points: n, two or more.
        xp: `numpy` or `jax.numpy`.

    Returns:
        (...) from 1 to min(n - 1, k). For two rows, which say nothing, 1.
    """
    possible = min(points - 1, eigenvalues.shape[-1])
    m = points - 1
    top = xp.max(xp.abs(eigenvalues), axis=-1)
    shares = xp.where(eigenvalues < 0, 0, eigenvalues) / xp.where(top == 0, 1, top)[..., None]
    total, squares = xp.sum(shares, axis=-1), xp.sum(shares**2, axis=-1)
    if m > 1:
        squares = m * m / ((m - 1) * (m + 2)) * (squares - total**2 / m)
    least = total**2 / possible
    squares = xp.where(squares < least, least, squares)
    directions = total**2 / xp.where(top == 0, 1, squares)
    return xp.where(top == 0, 0, xp.where(directions < 1, 1, directions))


def verdict(
    eigenvalues: Any,
    mean_square: Any,
    points: int,
    thresholds: Thresholds,
    xp: Any,
    directional: Any = None,
) -> Verdict:
    """Return whether embeddings have collapsed, as `diagnostics.collapse_verdict`.

    Example:
        >>> import numpy as np
        >>> seen = verdict(np.array([1.0, 0.1, *[1e-9] * 8]), np.array(2.0), 100, Thresholds(), np)
        >>> KINDS[int(seen.kind)], int(seen.rank), round(float(seen.directions), 1)
        ('dimensional', 2, 1.2)

    Args:
        eigenvalues: (..., dim) of the covariance, descending.
        mean_square: (...) mean |z|^2, not centred.
        points: n, two or more.
        thresholds: of the verdict.
        xp: `numpy` or `jax.numpy`.
        directional: (...) 1 less the mean cosine of two rows; None where it is unknown.
    """
    possible = min(points - 1, eigenvalues.shape[-1])
    known = xp.all(xp.isfinite(eigenvalues), axis=-1) & xp.isfinite(mean_square)
    top = xp.max(xp.abs(eigenvalues), axis=-1)
    unit = xp.where(top == 0, 1, top)  # sums of shares of it do not overflow
    shares = eigenvalues / unit[..., None]
    variance = xp.sum(xp.where(shares < 0, 0, shares), axis=-1)
    square = mean_square / unit
    square = xp.where(square < variance, variance, square)
    spread = variance / xp.where(square == 0, 1, square)
    leading = xp.max(shares, axis=-1) / xp.where(variance == 0, 1, variance)
    angles = spread * xp.nan if directional is None else directional + 0 * spread
    rank = xp.count_nonzero(shares > thresholds.tolerance, axis=-1)
    directions = effective_directions(eigenvalues, points, xp)
    of_entropy = entropy_rank(eigenvalues, True, xp)
    seen = Verdict(None, rank, possible, spread, angles, leading, directions, of_entropy)
    seen = seen._replace(rank=xp.where(spread <= thresholds.point, 0, rank))
    return Verdict(
        xp.where(known, kind_of(seen, thresholds, xp), KINDS.index("undefined")),
        xp.where(known, seen.rank, -1),
        possible,
        *(xp.where(known, each, xp.nan) for each in seen[3:]),
    )


def kind_of(seen: Verdict, thresholds: Thresholds, xp: Any) -> Any:
    """Return the kind, 0 to 2, that follows from the quantities of a verdict."""
    point = (seen.spread <= thresholds.point) | one_direction(seen, thresholds)
    partial = functools.reduce(operator.or_, (within(seen, *p) for p in thresholds.dimensional))
    return xp.where(point, 2, xp.where(partial, 1, 0))
