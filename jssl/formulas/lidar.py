"""LiDAR from covariances: `jssl.diagnostics.lidar` has the definitions."""

from collections.abc import Callable
from typing import Any

from jssl.formulas.ranks import entropy_rank
from jssl.host_arithmetic import ROUNDING


def lidar(
    between: Any, within: Any, ridge: Any, solve_lower: Callable[[Any, Any], Any], xp: Any
) -> Any:
    """Return LiDAR, as `diagnostics.lidar_from_covariances`.

    Example:
        >>> import numpy as np
        >>> print(lidar(np.eye(3), np.eye(3), np.array(1e-4), np.linalg.solve, np).round(3))
        3.0

    Args:
        between: (..., dim, dim) covariance of the samples' means.
        within: (..., dim, dim) covariance of views around them, without the ridge.
        ridge: (...) > 0. NumPy raises where it leaves the within covariance singular.
        solve_lower: (L, b) -> L^{-1} b of lower triangular matrices L.
        xp: `numpy` or `jax.numpy`.
    """
    dim = between.shape[-1]
    rounding = ROUNDING * xp.finfo(within.dtype).eps
    size = xp.maximum(_largest(within, xp), ridge)
    ridge, within = ridge / size, within / size[..., None, None]
    scale = _largest(between, xp)
    between = between / xp.where(scale == 0, 1, scale)[..., None, None]
    whole = within + ridge[..., None, None] * xp.eye(dim, dtype=within.dtype)
    factor = xp.linalg.cholesky(whole)
    pivots = xp.diagonal(factor, axis1=-2, axis2=-1) ** 2
    regular = (pivots > rounding * xp.diagonal(whole, axis1=-2, axis2=-1)).all(-1)
    half = solve_lower(factor, between)
    both = solve_lower(factor, half.mT)
    finite = xp.isfinite(both).all((-2, -1))
    values = xp.linalg.eigvalsh((both + both.mT) / 2)
    values = xp.where(values <= rounding * values.max(-1, keepdims=True), 0, values)
    return xp.where(regular & finite, entropy_rank(values, False, xp), xp.nan)


def _largest(matrix: Any, xp: Any) -> Any:
    return xp.max(xp.abs(xp.diagonal(matrix, axis1=-2, axis2=-1)), -1)
