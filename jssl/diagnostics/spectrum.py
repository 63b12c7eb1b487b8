"""Spectra of embeddings: which dimensions are there.

    C = (1/2n) sum_i [z_i z'_i^T + z'_i z_i^T]        cross-correlation of two views (S-1)
    Sigma_z = (1/n) sum_i (z_i - mean)(z_i - mean)^T   covariance
    effective rank = exp(-sum_j p_j log p_j),  p = singular values / their sum  (RankMe)

A constant embedding has no variance: its centred effective rank is 0, complete collapse. All
functions map over leading axes, compute and return in float32 at least, and give NaN where a value
is not finite.
"""

import jax.numpy as jnp

from jssl.arithmetic import centred, dot, rows, working
from jssl.diagnostics.ranks import rank_of_rows
from jssl.errors import InputError
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

    Raises:
        InputError: for views of different shapes, or values that are not real numbers.

    References:
        Simon et al. 2023, arXiv 2303.15438, eq. (1).
    """
    za, zb = working(za=rows("za", za), zb=rows("zb", zb))
    if za.shape != zb.shape:
        message = f"views must match; got {za.shape} and {zb.shape}"
        raise InputError(message)
    half = dot(za.mT, zb / za.shape[-2])
    return (half + half.mT) / 2


def covariance(z: Array, *, centre: bool = True) -> Array:
    """Return the (..., dim, dim) covariance of embeddings z (..., n, dim), divided by n.

    Example:
        >>> print(covariance(jnp.array([[1.0], [3.0]])))
        [[1.]]

    Args:
        z: (..., n, dim) embeddings.
        centre: subtract the mean; False for the second moment.

    Raises:
        InputError: for another shape, or values that are not real numbers.
    """
    z = rows("embeddings", z)
    if centre:
        z = centred(z)
    return dot(z.mT, z / z.shape[-2])


def spectrum(matrix: Array) -> Array:
    """Return the eigenvalues of symmetric matrices (..., dim, dim), descending.

    Example:
        >>> print(spectrum(jnp.diag(jnp.array([1.0, 3.0, -2.0]))))
        [ 3.  1. -2.]

    All are NaN where an entry is not finite. An eigenvalue of 0 comes out as rounding error of
    either sign, up to a few eps of the largest.

    Raises:
        InputError: for matrices that are not square, or values that are not real numbers.
    """
    (matrix,) = working(matrix=matrix)
    if matrix.ndim < 2 or matrix.shape[-1] != matrix.shape[-2] or not matrix.shape[-1]:
        message = f"a spectrum needs square matrices (..., dim, dim); got shape {matrix.shape}"
        raise InputError(message)
    finite = jnp.isfinite(matrix).all((-2, -1))[..., None]
    return jnp.where(finite, jnp.linalg.eigvalsh(matrix)[..., ::-1], jnp.nan)


def effective_rank(z: Array, *, centre: bool = True) -> Array:
    """Return the effective rank of embeddings; without centring it is RankMe.

    Example:
        >>> print(effective_rank(jnp.eye(4), centre=False), effective_rank(jnp.ones((4, 3))))
        4.0 0.0

    exp of the Shannon entropy of the normalised **singular values** of z, between 1 and
    min(n, dim), at most min(n - 1, dim) after centring; 0 where every singular value vanishes,
    which is complete collapse. Singular values below 16 eps |z|_F, of embeddings that are not
    centred, are rounding error and count as 0.

    Args:
        z: (..., n, dim) embeddings.
        centre: subtract the mean first, so that a constant embedding has rank 0.

    Raises:
        InputError: for another shape, or values that are not real numbers.

    References:
        Roy and Vetterli 2007; RankMe, Garrido et al. 2023, arXiv 2210.02885.
    """
    return rank_of_rows(rows("embeddings", z), centre)
