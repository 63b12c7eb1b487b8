r"""Similarity of two embeddings: linear CKA, plain and debiased, and the overlap of subspaces.

    CKA = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)),    K = A A^T,  L = B B^T

    plain      HSIC = |A^T B|_F^2 for centred A, B
    debiased   n (n - 3) HSIC = tr(K' L') + (1 K' 1)(1 L' 1) / ((n-1)(n-2)) - 2 (1 K' L' 1) / (n-2),
               K', L' with their diagonals set to zero

    overlap = |P_A P_B|_F^2 / d,   P_A, P_B the projectors on the column spaces of (n, d) matrices

CKA is computed from products of features, n d^2 operations and no n x n matrix. Sources: Kornblith,
Norouzi, Lee, Hinton 2019, arXiv 1905.00414; the unbiased HSIC is Song et al. 2012's. All compute
and return in float32 at least, and give NaN where a value is not finite.
"""

from functools import partial

import jax
import jax.numpy as jnp

from jssl.arithmetic import centred, rows, working
from jssl.data.checks import require_count
from jssl.diagnostics.subspaces import leading_components
from jssl.errors import InputError
from jssl.host_arithmetic import ROUNDING
from jssl.types import Array

_dot = partial(jnp.matmul, precision="highest")


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
        InputError: for different numbers of points, fewer than two (four when debiased), or values
            that are not real numbers.

    References:
        Kornblith et al. 2019, arXiv 1905.00414, eq. 5; Song et al. 2012, JMLR 13, eq. 5.
    """
    least = 4 if debiased else 2
    a, b = working(a=rows("a", a), b=rows("b", b))
    if a.shape[-2] != b.shape[-2] or a.shape[-2] < least:
        message = (
            f"two embeddings of the same {'four' if debiased else 'two'} or more points are needed,"
            f" (n, dim) and (n, other); got {a.shape} and {b.shape}"
        )
        raise InputError(message)
    return _cka(a, b, debiased)


def subspace_overlap(a: Array, b: Array, *, leading: int | None = None) -> Array:
    """Return the agreement of the column spaces of two matrices, between 0 and 1.

    Example:
        >>> print(subspace_overlap(jnp.eye(4)[:, :2], jnp.eye(4)[:, 1:3]))
        0.5

    ||P_A P_B||_F^2 / d with P the orthogonal projectors, d the number of columns: the mean squared
    cosine of the principal angles. Two random d-dimensional subspaces of R^n agree by d/n.

    The value depends on the spans only, and so does its gradient: equal singular values within
    the leading components, or among the others, do no harm. With `leading` two things have no
    gradient: components of zero variance count as 0, a step that does not appear in the gradient;
    and where the variances of the last leading component and of the next agree to rounding error
    the span itself is not defined, and value and gradient are NaN.

    Args:
        a: (..., n, d) embeddings of n points (or d directions in R^n), of full column rank.
        b: (..., n, d), the other embedding.
        leading: compare the spans of so many leading principal components of the centred
            embeddings instead; then ranks need not be full, nor dimensions equal, and random ones
            agree by leading / (n - 1). Static.

    Returns:
        (...). Without `leading`, NaN where a column depends on others to rounding error.

    Raises:
        InputError: for more leading components than there can be, different numbers of rows,
            without `leading` other shapes or fewer rows than columns, or values that are not real
            numbers.

    References:
        Simon et al. 2023, arXiv 2303.15438, section on the NTK after training.
    """
    a, b = working(a=rows("a", a), b=rows("b", b))
    if a.shape[-2] != b.shape[-2]:
        message = f"both need a row for each of the same points; got {a.shape} and {b.shape}"
        raise InputError(message)
    if leading is None:
        if a.shape[-1] != b.shape[-1] or a.shape[-1] > a.shape[-2]:
            message = (
                "column spaces need two matrices (n, d) with n >= d; "
                f"got {a.shape} and {b.shape}: pass leading=..."
            )
            raise InputError(message)
        return _overlap(*(_column_basis(x) for x in (a, b)))
    most = min(a.shape[-2] - 1, a.shape[-1], b.shape[-1])
    leading = require_count("leading", leading, high=most)
    return _overlap(*(leading_components(x, leading) for x in (a, b)))


def _overlap(first: Array, second: Array) -> Array:
    return jnp.sum(_dot(first.mT, second) ** 2, (-2, -1)) / first.shape[-1]


def _column_basis(x: Array) -> Array:
    """Return an orthonormal basis of the columns; NaN where one depends on those before it."""
    largest = jnp.max(jnp.abs(x), -2, keepdims=True)
    scaled = x / jnp.where(largest == 0, 1, largest)
    basis, upper = jnp.linalg.qr(scaled)
    left = jnp.abs(jnp.diagonal(upper, axis1=-2, axis2=-1))
    floor = ROUNDING * jnp.finfo(x.dtype).eps * jnp.linalg.norm(scaled, axis=-2)
    independent = (left > floor).all(-1) & jnp.isfinite(x).all((-2, -1))
    return jnp.where(independent[..., None, None], basis, jnp.nan)


@partial(jax.jit, static_argnames="debiased")
def _cka(a: Array, b: Array, debiased: bool) -> Array:
    a, b = _standard(a), _standard(b)
    hsic = _unbiased if debiased else _plain
    return hsic(a, b) / (jnp.sqrt(hsic(a, a)) * jnp.sqrt(hsic(b, b)))


def _standard(a: Array) -> Array:
    """Centre, and scale so that no product overflows; a constant embedding becomes zero."""
    largest = jnp.max(jnp.abs(a), (-2, -1), keepdims=True)
    moved = centred(a)
    rounding = 4 * jnp.finfo(moved.dtype).eps * largest
    size = jnp.max(jnp.abs(moved), (-2, -1), keepdims=True)
    return jnp.where(size <= rounding, 0, moved / jnp.where(size == 0, 1, size))


def _plain(a: Array, b: Array) -> Array:
    """Return HSIC over n^2, so that no number of points overflows."""
    return jnp.sum(_dot(a.mT, b / a.shape[-2]) ** 2, (-2, -1))


def _unbiased(a: Array, b: Array) -> Array:
    """Return the unbiased HSIC times (n - 3) / n: every sum is a mean over the points."""
    n = float(a.shape[-2])  # as an integer, (n - 1)(n - 2) leaves int32 from 46,343 rows on
    own = [jnp.sum(x**2, -1) for x in (a, b)]
    sums = [_dot(x, x.sum(-2)[..., None] / n)[..., 0] for x in (a, b)]
    means = [s - k / n for s, k in zip(sums, own, strict=True)]  # of K' and L' over a row
    trace = _plain(a, b) - jnp.sum(own[0] * own[1] / n, -1) / n
    both = jnp.sum(means[0] / n, -1) * jnp.sum(means[1] / n, -1) * (n / (n - 1)) * (n / (n - 2))
    return trace + both - 2 * jnp.sum(means[0] * means[1] / n, -1) * (n / (n - 2))
