"""Spectra of embeddings: which dimensions are there.

    C = (1/2n) sum_i [z_i z'_i^T + z'_i z_i^T]        cross-correlation of two views (S-1)
    Sigma_z = (1/n) sum_i (z_i - mean)(z_i - mean)^T   covariance
    effective rank = exp(-sum_j p_j log p_j),  p = singular values / their sum  (RankMe)

A constant embedding has no variance: its centred effective rank is 0, complete collapse. All
functions map over leading axes.
"""

import jax.numpy as jnp

from jssl.diagnostics.ranks import entropy_rank
from jssl.types import Array


def cross_correlation(za: Array, zb: Array) -> Array:
    """Return the symmetrised cross-correlation C of two views' embeddings.

    Example:
        >>> print(cross_correlation(jnp.eye(2), jnp.eye(2)))
        [[0.5 0. ]
         [0.  0.5]]

    C = (za^T zb + zb^T za) / 2n, neither centred nor normalised; its eigenvalues may be negative.

    Args:
        za: (..., n, dim) embeddings of the first views.
        zb: (..., n, dim) embeddings of the second views.

    Returns:
        (..., dim, dim) symmetric.

    References:
        Simon et al. 2023, arXiv 2303.15438, eq. (1).
    """
    half = za.mT @ zb / za.shape[-2]
    return (half + half.mT) / 2


def covariance(z: Array, *, centre: bool = True) -> Array:
    """Return the (..., dim, dim) covariance of embeddings z (..., n, dim), divided by n.

    Example:
        >>> print(covariance(jnp.array([[1.0], [3.0]])))
        [[1.]]

    Args:
        z: (..., n, dim) embeddings.
        centre: subtract the mean; False for the second moment.
    """
    if centre:
        z = z - z.mean(axis=-2, keepdims=True)
    return z.mT @ z / z.shape[-2]


def spectrum(matrix: Array) -> Array:
    """Return the eigenvalues of symmetric matrices (..., dim, dim), descending.

    Example:
        >>> print(spectrum(jnp.diag(jnp.array([1.0, 3.0, -2.0]))))
        [ 3.  1. -2.]
    """
    return jnp.linalg.eigvalsh(matrix)[..., ::-1]


def effective_rank(z: Array, *, centre: bool = True) -> Array:
    """Return the effective rank (RankMe) of embeddings.

    Example:
        >>> print(effective_rank(jnp.eye(4), centre=False), effective_rank(jnp.ones((4, 3))))
        4.0 0.0

    exp of the Shannon entropy of the normalised **singular values** of z, between 1 and
    min(n, dim), at most min(n - 1, dim) after centring; 0 where every singular value vanishes,
    which is complete collapse.

    Args:
        z: (..., n, dim) embeddings.
        centre: subtract the mean first, so that a constant embedding has rank 0.

    References:
        Roy and Vetterli 2007; RankMe, Garrido et al. 2023, arXiv 2210.02885.
    """
    centred = z - z.mean(axis=-2, keepdims=True) if centre else z
    values = jnp.linalg.svd(centred, compute_uv=False)
    epsilon = jnp.finfo(values.dtype).eps * max(z.shape[-2:])
    floor = epsilon * jnp.linalg.norm(z, axis=(-2, -1))[..., None]
    return entropy_rank(jnp.where(values > floor, values, 0))
