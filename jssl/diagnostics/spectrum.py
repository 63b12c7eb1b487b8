"""Spectra of embeddings: which dimensions are there.

    C = (1/2n) sum_i [z_i z'_i^T + z'_i z_i^T]        cross-correlation of two views (S-1)
    Sigma_z = (1/n) sum_i (z_i - mean)(z_i - mean)^T   covariance
    effective rank = exp(-sum_j p_j log p_j),  p = singular values / their sum  (RankMe)

A constant embedding has no variance: its centred effective rank is 0, complete collapse. All
functions map over leading axes, compute and return in float32 at least, and give NaN where a value
is not finite.
"""

from __future__ import annotations

from jssl.diagnostics.ranks import rank_of_rows
from jssl.errors import InputError
from jssl.formulas.algebra import centred, dot, eigenvalues
from jssl.formulas.libraries import Array, pair_of_rows, quietly, rows, working


def cross_correlation(za: Array, zb: Array) -> Array:
    """Return the symmetrised cross-correlation C of two views' embeddings.

    Example:
        >>> import numpy as np
        >>> print(cross_correlation(np.eye(2), np.eye(2)))
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
    xp, za, zb = pair_of_rows(za=za, zb=zb)
    if za.shape != zb.shape:
        message = f"views must match; got {tuple(za.shape)} and {tuple(zb.shape)}"
        raise InputError(message)
    with quietly(xp):
        half = dot(za.mT, zb / za.shape[-2], xp)
        return (half + half.mT) / 2


def covariance(z: Array, *, centre: bool = True) -> Array:
    """Return the (..., dim, dim) covariance of embeddings z (..., n, dim), divided by n.

    Example:
        >>> import numpy as np
        >>> print(covariance(np.array([[1.0], [3.0]])))
        [[1.]]

    Args:
        z: (..., n, dim) embeddings.
        centre: subtract the mean; False for the second moment.

    Raises:
        InputError: for another shape, or values that are not real numbers.
    """
    xp, z = rows("embeddings", z)
    with quietly(xp):
        if centre:
            z = centred(z, xp)
        return dot(z.mT, z / z.shape[-2], xp)


def spectrum(matrix: Array) -> Array:
    """Return the eigenvalues of symmetric matrices (..., dim, dim), descending.

    Example:
        >>> import numpy as np
        >>> print(spectrum(np.diag(np.array([1.0, 3.0, -2.0]))))
        [ 3.  1. -2.]

    All are NaN where an entry is not finite. An eigenvalue of 0 comes out as rounding error of
    either sign, up to a few eps of the largest.

    Raises:
        InputError: for matrices that are not square, or values that are not real numbers.
    """
    xp, matrix = working(matrix=matrix)
    if matrix.ndim < 2 or matrix.shape[-1] != matrix.shape[-2] or not matrix.shape[-1]:
        shape = tuple(matrix.shape)
        message = f"a spectrum needs square matrices (..., dim, dim); got shape {shape}"
        raise InputError(message)
    with quietly(xp):
        return xp.flip(eigenvalues(matrix, xp), axis=-1)


def effective_rank(z: Array, *, centre: bool = True) -> Array:
    """Return the effective rank of embeddings; without centring it is RankMe.

    Example:
        >>> import numpy as np
        >>> print(effective_rank(np.eye(4), centre=False), effective_rank(np.ones((4, 3))))
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
    xp, z = rows("embeddings", z)
    return rank_of_rows(z, centre=centre, xp=xp)
