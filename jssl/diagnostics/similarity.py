r"""Do two encoders say the same? Linear CKA, plain and debiased, and the overlap of subspaces.

    CKA = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)),    K = A A^T,  L = B B^T

    plain      HSIC = |A^T B|_F^2 for centred A, B
    debiased   n (n - 3) HSIC = tr(K' L') + (1 K' 1)(1 L' 1) / ((n-1)(n-2)) - 2 (1 K' L' 1) / (n-2),
               K', L' with their diagonals set to zero

    overlap = |P_A P_B|_F^2 / d,   P_A, P_B the projectors on the column spaces of (n, d) matrices

CKA is computed from products of features, n d^2 operations and no n x n matrix. Sources: Kornblith,
Norouzi, Lee, Hinton 2019, arXiv 1905.00414; the unbiased HSIC is Song et al. 2012's.
"""

from functools import partial

import jax
import jax.numpy as jnp

from jssl.data.checks import require_count
from jssl.errors import InputError
from jssl.types import Array


def cka(a: Array, b: Array, *, debiased: bool = False) -> Array:
    """Return the linear centred kernel alignment of two embeddings of the same points.

    Example:
        >>> a = jnp.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -2.0]])
        >>> print(cka(a, 3 * a[:, ::-1] + 1).round(4))
        1.0

    1 for embeddings equal up to rotation, shift and scale, 0 for unrelated ones when n is large.
    With n not far above the dimensions the plain form is high for any two embeddings; the debiased
    one is 0 on average for unrelated ones, and may be negative. NaN where one is constant.

    Args:
        a: (..., n, dim) embeddings of n points.
        b: (..., n, other) embeddings of the same points; another dimension is allowed.
        debiased: use the unbiased estimate, n >= 4.

    Returns:
        (...).

    Raises:
        InputError: for different numbers of points, or fewer than four when debiased.

    References:
        Kornblith et al. 2019, arXiv 1905.00414, eq. 5; Song et al. 2012, JMLR 13, eq. 5.
    """
    n = jnp.shape(a)[-2] if jnp.ndim(a) > 1 else 0
    if jnp.ndim(b) < 2 or jnp.shape(b)[-2] != n or n < (4 if debiased else 2):
        message = (
            f"two embeddings of the same {'four' if debiased else 'two'} or more points are needed,"
            f" (n, dim) and (n, other); got {jnp.shape(a)} and {jnp.shape(b)}"
        )
        raise InputError(message)
    return _cka(a, b, debiased)


@partial(jax.jit, static_argnames="debiased")
def _cka(a: Array, b: Array, debiased: bool) -> Array:
    a, b = _standard(a), _standard(b)
    hsic = _unbiased if debiased else _plain
    return hsic(a, b) / jnp.sqrt(hsic(a, a) * hsic(b, b))


def subspace_overlap(a: Array, b: Array, *, leading: int | None = None) -> Array:
    """Return the agreement of the column spaces of two matrices, between 0 and 1.

    Example:
        >>> print(subspace_overlap(jnp.eye(4)[:, :2], jnp.eye(4)[:, 1:3]))
        0.5

    ||P_A P_B||_F^2 / d with P the orthogonal projectors, d the number of columns: the mean squared
    cosine of the principal angles. Two random d-dimensional subspaces of R^n agree by d/n.

    Args:
        a: (..., n, d) embeddings of n points (or d directions in R^n), of full column rank.
        b: (..., n, d) likewise.
        leading: compare the spans of so many leading principal components of the centred
            embeddings instead; then ranks need not be full, nor dimensions equal, and random ones
            agree by leading / (n - 1). Static.

    Raises:
        InputError: for more leading components than there can be.

    References:
        Simon et al. 2023, arXiv 2303.15438, section on the NTK after training.
    """
    if leading is None:
        qa, qb = jnp.linalg.qr(a)[0], jnp.linalg.qr(b)[0]
    else:
        most = min(a.shape[-2] - 1, a.shape[-1], b.shape[-1])
        leading = require_count("leading", leading, high=most)
        qa, qb = (_principal(x)[..., :leading] for x in (a, b))
    return jnp.sum((qa.mT @ qb) ** 2, (-2, -1)) / qa.shape[-1]


def _principal(z: Array) -> Array:
    """Return the left singular vectors of the centred embeddings, those of zero variance as 0."""
    vectors, values, _ = jnp.linalg.svd(z - z.mean(-2, keepdims=True), full_matrices=False)
    floor = max(z.shape[-2:]) * jnp.finfo(values.dtype).eps * jnp.linalg.norm(z, axis=(-2, -1))
    return jnp.where((values > floor[..., None])[..., None, :], vectors, 0)


def _standard(a: Array) -> Array:
    """Centre, and scale so that no product overflows; a constant embedding becomes zero."""
    largest = jnp.max(jnp.abs(a), (-2, -1), keepdims=True)
    shifted = a - a[..., :1, :]
    centred = shifted - shifted.mean(-2, keepdims=True)
    rounding = 4 * jnp.finfo(centred.dtype).eps * largest
    size = jnp.max(jnp.abs(centred), (-2, -1), keepdims=True)
    return jnp.where(size > rounding, centred / jnp.where(size > 0, size, 1), 0)


def _product(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision="highest")


def _plain(a: Array, b: Array) -> Array:
    return jnp.sum(_product(a.mT, b) ** 2, (-2, -1))


def _unbiased(a: Array, b: Array) -> Array:
    n = a.shape[-2]
    own = [jnp.sum(x**2, -1) for x in (a, b)]
    rows = [_product(x, x.sum(-2)[..., None])[..., 0] - k for x, k in zip((a, b), own, strict=True)]
    trace = _plain(a, b) - jnp.sum(own[0] * own[1], -1)
    means = rows[0].sum(-1) * rows[1].sum(-1) / ((n - 1) * (n - 2))
    return trace + means - 2 * jnp.sum(rows[0] * rows[1], -1) / (n - 2)
