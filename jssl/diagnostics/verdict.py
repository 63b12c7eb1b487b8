r"""Has an encoder collapsed? None, dimensional or complete, by two named thresholds.

    complete      trace(covariance) <= constant x trace(second moment): all points nearly one
    dimensional   eigenvalue_j <= tolerance x eigenvalue_1 for some of the dimensions there can be
    none          otherwise

n points span at most min(n - 1, dim) dimensions after centring: fewer points than dimensions are
no collapse. Dimensional collapse as in Jing, Vincent, LeCun, Tian 2022, arXiv 2110.09348.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from jssl.data.checks import require_count, require_range
from jssl.types import Array

KINDS = ("none", "dimensional", "complete")
"""Names of `Verdict.kind`."""


class Verdict(NamedTuple):
    """Which collapse, and by how much.

    Attributes:
        kind: (...) 0, 1 or 2: an index of `KINDS`.
        rank: (...) dimensions above the tolerance; 0 for a complete collapse.
        possible: how many there can be, min(n - 1, dim).
        spread: (...) variance as a share of the mean square, in [0, 1].
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
        InputError: for thresholds outside [0, 1) or fewer than two points.
    """
    for name, value in (("tolerance", tolerance), ("constant", constant)):
        require_range(name, value, 0, 1 - 1e-12)
    possible = min(require_count("points", points, low=2) - 1, eigenvalues.shape[-1])
    variance = jnp.sum(jnp.maximum(eigenvalues, 0), -1)
    square = jnp.maximum(jnp.asarray(mean_square, variance.dtype), variance)
    spread = variance / jnp.where(square > 0, square, 1)
    complete = spread <= constant
    top = jnp.max(eigenvalues, -1, keepdims=True)
    rank = jnp.where(complete, 0, jnp.sum(eigenvalues > tolerance * top, -1))
    kind = jnp.where(complete, 2, jnp.where(rank < possible, 1, 0))
    return Verdict(kind, rank, possible, spread)
