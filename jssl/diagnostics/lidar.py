r"""LiDAR: how many dimensions tell samples apart beyond what augmentation does to them.

With views z_ij of sample i, mean m_i over its views and m over all,

    between = mean_i (m_i - m)(m_i - m)^T,   within = mean_ij (z_ij - m_i)(z_ij - m_i)^T + ridge I
    LiDAR   = entropy rank of the eigenvalues of within^{-1/2} between within^{-1/2}

Source: Thilak et al. 2023, arXiv 2312.04000.
"""

import jax
import jax.numpy as jnp

from jssl.data.checks import require_range
from jssl.diagnostics.ranks import entropy_rank
from jssl.errors import InputError
from jssl.types import Array


def lidar(clouds: Array, *, ridge: float = 1e-4) -> Array:
    """Return LiDAR of embeddings of several views of each sample.

    Example:
        >>> import jax
        >>> clouds = jax.random.normal(jax.random.key(0), (50, 1, 3)) * jnp.ones((50, 4, 1))
        >>> print(bool(lidar(clouds) > 2.5), lidar(jnp.ones((50, 4, 3))))
        True 0.0

    Between 1 and min(samples - 1, dim), high is good; 0 where the samples cannot be told apart.
    Unlike RankMe it does not count noise dimensions, whose variance is the same within and between.

    Args:
        clouds: (..., samples, views, dim), two or more of each.
        ridge: added to the within covariance, > 0, in the squared units of the embeddings (the
            paper's 1e-4 for embeddings of order one).

    Returns:
        (...).

    Raises:
        InputError: for fewer than two samples or views, or a ridge that is not positive.

    References:
        Thilak, Huang, Saremi, Dinh, Goh, Nakkiran, Susskind, Littwin 2023, arXiv 2312.04000, eq. 5.
    """
    if clouds.ndim < 3 or min(clouds.shape[-3:-1]) < 2:
        message = f"LiDAR needs (samples, views, dim), two or more views; got {clouds.shape}"
        raise InputError(message)
    means = clouds.mean(-2)
    apart = means - means.mean(-2, keepdims=True)
    noise = (clouds - means[..., None, :]).reshape(*clouds.shape[:-3], -1, clouds.shape[-1])
    between, within = (
        jnp.matmul(x.mT, x, precision="highest") / x.shape[-2] for x in (apart, noise)
    )
    return lidar_from_covariances(between, within, ridge=ridge)


def lidar_from_covariances(between: Array, within: Array, *, ridge: float = 1e-4) -> Array:
    """Return LiDAR from the covariance of the samples' means and that of views around them.

    Example:
        >>> print(f"{lidar_from_covariances(jnp.eye(3), jnp.eye(3)):.3f}")
        3.000

    Args:
        between: (..., dim, dim).
        within: (..., dim, dim), without the ridge.
        ridge: > 0.

    Raises:
        InputError: for a ridge that is not positive.
    """
    require_range("ridge", ridge, float(jnp.finfo(between.dtype).tiny))
    return _lidar(between, within, jnp.asarray(ridge, between.dtype))


@jax.jit
def _lidar(between: Array, within: Array, ridge: Array) -> Array:
    dim = between.shape[-1]
    factor = jnp.linalg.cholesky(within + ridge * jnp.eye(dim, dtype=within.dtype))
    half = jax.lax.linalg.triangular_solve(factor, between, left_side=True, lower=True)
    whole = jax.lax.linalg.triangular_solve(factor, half.mT, left_side=True, lower=True)
    values = jnp.linalg.eigvalsh((whole + whole.mT) / 2)
    floor = dim * jnp.finfo(values.dtype).eps * values.max(-1, keepdims=True)
    return entropy_rank(jnp.where(values > floor, values, 0))
