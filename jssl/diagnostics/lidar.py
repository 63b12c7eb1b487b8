r"""LiDAR: over how many dimensions the means of samples differ, in units of what views differ.

With views z_ij of sample i, mean m_i over its views and m over all,

    between = mean_i (m_i - m)(m_i - m)^T,   within = mean_ij (z_ij - m_i)(z_ij - m_i)^T + ridge I
    LiDAR   = entropy rank of the eigenvalues of within^{-1/2} between within^{-1/2}

Source: Thilak et al. 2023, arXiv 2312.04000.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jssl.arithmetic import centred, mean, working
from jssl.data.checks import require_range
from jssl.errors import InputError
from jssl.formulas import lidar as formulas
from jssl.types import Array


def lidar(clouds: Array, *, ridge: float = 1e-4) -> Array:
    """Return LiDAR of embeddings of several views of each sample.

    Example:
        >>> import jax
        >>> clouds = jax.random.normal(jax.random.key(0), (50, 1, 3)) * jnp.ones((50, 4, 1))
        >>> print(bool(lidar(clouds) > 2.5), lidar(jnp.ones((50, 4, 3))))
        True 0.0

    Between 1 and min(samples - 1, dim); high is good between encoders that separate samples. 0
    where the means of all samples agree to rounding error.

    With many samples, a dimension of variance s between samples and w between views of one sample
    has the eigenvalue (s + w / views) / (w (1 - 1 / views) + ridge), a dimension of pure noise
    about 1 / (views - 1): means over few views vary too. The rank depends on ratios of eigenvalues
    only. So noise dimensions count little beside dimensions whose views agree well, s / w far above
    1 / views, and unlike in RankMe their size does not matter. But embeddings that are noise
    throughout have equal eigenvalues and a LiDAR near dim, however many views there are: read LiDAR
    together with the `alignment` of views or a probe.

    Args:
        clouds: (..., samples, views, dim), two or more of each.
        ridge: added to the within covariance, > 0, in the squared units of the embeddings (the
            paper's 1e-4 for embeddings of order one).

    Returns:
        (...) in the dtype of the embeddings, at least float32. NaN where a value is not finite, or
        where the within covariance is singular and the ridge is below its rounding error.

    Raises:
        InputError: for fewer than two samples or views, a ridge that is not positive, or values
            that are not real numbers.

    References:
        Thilak, Huang, Saremi, Dinh, Goh, Nakkiran, Susskind, Littwin 2023, arXiv 2312.04000, eq. 5.
    """
    (clouds,) = working(clouds=clouds)
    if clouds.ndim < 3 or min(clouds.shape[-3:-1]) < 2 or not clouds.shape[-1]:
        message = f"LiDAR needs (samples, views, dim), two or more views; got {clouds.shape}"
        raise InputError(message)
    return _of_clouds(clouds, _checked(ridge, clouds.dtype))


def lidar_from_covariances(between: Array, within: Array, *, ridge: float = 1e-4) -> Array:
    """Return LiDAR from the covariance of the samples' means and that of views around them.

    Example:
        >>> print(f"{lidar_from_covariances(jnp.eye(3), jnp.eye(3)):.3f}")
        3.000

    Args:
        between: (..., dim, dim).
        within: (..., dim, dim), without the ridge.
        ridge: > 0.

    Returns:
        (...) as `lidar`.

    Raises:
        InputError: for matrices that are not square or of different shapes, a ridge that is not
            positive, or values that are not real numbers.
    """
    between, within = working(between=between, within=within)
    shape = between.shape
    if len(shape) < 2 or shape[-1] != shape[-2] or not shape[-1] or within.shape != shape:
        message = f"both covariances must be (..., dim, dim); got {shape} and {within.shape}"
        raise InputError(message)
    return _lidar(between, within, _checked(ridge, between.dtype))


def _checked(ridge: Any, dtype: Any) -> Array:
    require_range("ridge", ridge, float(jnp.finfo(dtype).tiny))
    return jnp.asarray(ridge, dtype)


@jax.jit
def _of_clouds(clouds: Array, ridge: Array) -> Array:
    """Both covariances from numbers of order one, so that no square leaves the dtype."""
    largest = jnp.max(jnp.abs(clouds), (-3, -2, -1), keepdims=True)
    shifted = clouds - clouds[..., :1, :]  # so that equal views have no variance at all
    offsets = mean(shifted, -2)
    noise = shifted - offsets[..., None, :]
    apart = centred(clouds[..., 0, :] + offsets)
    size = jnp.max(jnp.abs(apart), (-2, -1), keepdims=True)
    rounding = 4 * jnp.finfo(clouds.dtype).eps * largest[..., 0]
    apart = jnp.where(size <= rounding, 0, apart / jnp.where(size == 0, 1, size))
    unit = jnp.maximum(jnp.max(jnp.abs(noise), (-3, -2, -1), keepdims=True), jnp.sqrt(ridge))
    noise = (noise / unit).reshape(*clouds.shape[:-3], -1, clouds.shape[-1])
    between, within = (_second_moment(x) for x in (apart, noise))
    return _lidar(between, within, (jnp.sqrt(ridge) / unit[..., 0, 0, 0]) ** 2)


@jax.jit
def _lidar(between: Array, within: Array, ridge: Array) -> Array:
    return formulas.lidar(between, within, ridge, _solve_lower, jnp)


def _solve_lower(factor: Array, b: Array) -> Array:
    return jax.lax.linalg.triangular_solve(factor, b, left_side=True, lower=True)


def _second_moment(x: Array) -> Array:
    return jnp.matmul(x.mT, x / x.shape[-2], precision="highest")
