r"""Has an encoder collapsed? None, dimensional or complete, by two named thresholds.

    undefined     a value is not finite

    complete      trace(covariance) <= constant x trace(second moment): all points nearly one
    dimensional   eigenvalue_j <= tolerance x eigenvalue_1 for some of the dimensions there can be
    none          otherwise

n points span at most min(n - 1, dim) dimensions after centring: fewer points than dimensions are
no collapse. Dimensional collapse as in Jing, Vincent, LeCun, Tian 2022, arXiv 2110.09348.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from jssl.arithmetic import working
from jssl.data.checks import require_count, require_range
from jssl.errors import InputError
from jssl.types import Array

KINDS = ("none", "dimensional", "complete", "undefined")
"""Names of `Verdict.kind`."""


class Verdict(NamedTuple):
    """Which collapse, and by how much.

    Attributes:
        kind: (...) 0 to 3: an index of `KINDS`; 3, undefined, where a value is not finite.
        rank: (...) dimensions above the tolerance; 0 for a complete collapse, -1 if undefined.
        possible: how many there can be, min(n - 1, dim).
        spread: (...) variance as a share of the mean square, in [0, 1]; NaN if undefined.
    """

    kind: Array
    rank: Array
    possible: int
    spread: Array


def collapse_verdict(
    eigenvalues: Array,
    mean_square: Any,
    points: int,
    *,
    tolerance: float = 1e-6,
    constant: float = 1e-4,
) -> Verdict:
    """Return whether embeddings have collapsed, from the eigenvalues of their covariance.

    Example:
        >>> seen = collapse_verdict(jnp.array([1.0, 0.5, 0.0]), 2.0, points=100)
        >>> KINDS[int(seen.kind)], int(seen.rank), seen.possible
        ('dimensional', 2, 3)

    Args:
        eigenvalues: (..., dim) of the covariance, descending.
        mean_square: (...) mean |z|^2, not centred.
        points: n, static.
        tolerance: a dimension counts as lost where its variance is at most this share of the
            largest: by default a thousandth of its standard deviation.
        constant: a collapse is complete where the variance is at most this share of the mean
            square: by default points lie within a hundredth of their distance from the origin.

    Returns:
        Verdict.

    Raises:
        InputError: for thresholds outside [0, 1), fewer than two points, no eigenvalues, or values
            that are not real numbers.
    """
    (values,) = working(eigenvalues=eigenvalues)
    (square,) = working(mean_square=mean_square)
    if not values.ndim or not values.shape[-1]:
        message = f"eigenvalues must be (..., dim) with dim >= 1; got shape {values.shape}"
        raise InputError(message)
    for name, value in (("tolerance", tolerance), ("constant", constant)):
        require_range(name, value, 0, 1 - 1e-12)
    possible = min(require_count("points", points, low=2) - 1, values.shape[-1])
    known = jnp.isfinite(values).all(-1) & jnp.isfinite(square)
    top = jnp.max(jnp.abs(values), -1)
    unit = jnp.where(top == 0, 1, top)  # sums of shares of it do not overflow
    shares = values / unit[..., None]
    variance = jnp.sum(jnp.maximum(shares, 0), -1)
    square = jnp.maximum(square.astype(values.dtype) / unit, variance)
    spread = variance / jnp.where(square == 0, 1, square)
    complete = spread <= constant
    rank = jnp.where(complete, 0, jnp.sum(shares > tolerance, -1))
    kind = jnp.where(complete, 2, jnp.where(rank < possible, 1, 0))
    return Verdict(
        jnp.where(known, kind, KINDS.index("undefined")),
        jnp.where(known, rank, -1),
        possible,
        jnp.where(known, spread, jnp.nan),
    )
