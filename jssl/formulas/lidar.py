"""LiDAR from covariances: `jssl.diagnostics.lidar` has the definitions."""

from typing import Any

from jssl.formulas.algebra import eigenvalues
from jssl.formulas.ranks import entropy_rank
from jssl.host_arithmetic import ROUNDING

RIDGE = 1e-4
"""Ridge in units of the mean variance of a coordinate, between and within samples together."""


def lidar(between: Any, within: Any, ridge: Any, xp: Any) -> Any:
    """Return LiDAR, as `diagnostics.lidar_from_covariances`.

    Example:
        >>> import numpy as np
        >>> print(lidar(np.eye(3), np.eye(3), RIDGE, np).round(3))
        3.0

    Args:
        between: (..., dim, dim) covariance of the samples' means.
        within: (..., dim, dim) covariance of views around them, without the ridge.
        ridge: > 0, in units of the mean diagonal element of both together; at least the rounding
            error of the within covariance is added, so that nothing is singular.
        xp: `numpy` or `jax.numpy`.

    Returns:
        (...), 0 where the between covariance is 0, NaN where a value is not finite.
    """
    dim = between.shape[-1]
    rounding = ROUNDING * xp.finfo(within.dtype).eps
    scale, other = _largest(between, xp), _largest(within, xp)
    scale = xp.where(scale < other, other, scale)
    finite = xp.all(xp.isfinite(between + within), axis=(-2, -1)) & xp.isfinite(scale)
    scale = xp.where(finite & (scale > 0), scale, 1)[..., None, None]
    zero = xp.zeros_like(between)
    between = xp.where(finite[..., None, None], between / scale, zero)
    within = xp.where(finite[..., None, None], within / scale, zero)
    trace = xp.sum(_diagonal(between, xp) + _diagonal(within, xp), axis=-1)
    values, vectors = xp.linalg.eigh(within)
    least, floor = rounding * values[..., -1], ridge * trace / dim
    floor = xp.where(floor < least, least, floor)
    weights = xp.where(values < 0, 0, values) + xp.where(floor > 0, floor, 1)[..., None]
    rotated = vectors.mT @ between @ vectors
    half = weights**-0.5
    both = rotated * half[..., :, None] * half[..., None, :]
    found = eigenvalues((both + both.mT) / 2, xp)
    found = xp.where(found <= rounding * xp.max(found, axis=-1, keepdims=True), 0, found)
    return xp.where(finite, entropy_rank(found, False, xp), xp.nan)


def _diagonal(matrix: Any, xp: Any) -> Any:
    return xp.linalg.diagonal(matrix)


def _largest(matrix: Any, xp: Any) -> Any:
    return xp.max(xp.abs(_diagonal(matrix, xp)), axis=-1)
