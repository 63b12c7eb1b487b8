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

from __future__ import annotations

from typing import Any

from jssl.data.checks import require_count
from jssl.diagnostics.subspaces import leading_components
from jssl.errors import InputError
from jssl.formulas import similarity as formulas
from jssl.formulas.algebra import matmul
from jssl.formulas.libraries import Array, compiled, pair_of_rows
from jssl.formulas.similarity import of_itself, plain_hsic, standard, unbiased_hsic
from jssl.formulas.sphere import Measured
from jssl.host_arithmetic import ROUNDING


def cka(a: Array, b: Array, *, debiased: bool = False) -> Array:
    """Return the linear centred kernel alignment of two embeddings of the same points.

    Example:
        >>> import numpy as np
        >>> a = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -2.0]])
        >>> print(cka(a, 3 * a[:, ::-1] + 1).round(4))
        1.0

    1 for embeddings equal up to rotation, shift and scale, 0 for unrelated ones when n is large.
    With n not far above the dimensions the plain form is high for any two embeddings; the debiased
    one is 0 on average for unrelated ones, and may be negative. NaN where one is constant; the
    debiased one also where all points but one are equal.

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
    xp, a, b = pair_of_rows(a=a, b=b)
    if a.shape[-2] != b.shape[-2] or a.shape[-2] < least:
        message = (
            f"two embeddings of the same {'four' if debiased else 'two'} or more points are needed,"
            f" (n, dim) and (n, other); got {tuple(a.shape)} and {tuple(b.shape)}"
        )
        raise InputError(message)
    return _cka(a, b, debiased=debiased, xp=xp)


def debiased_cka(a: Array, b: Array) -> Measured:
    """Return the debiased linear CKA of two embeddings of the same points, with its error.

    Example:
        >>> import numpy as np
        >>> a, b = np.random.default_rng(0).normal(size=(2, 300, 8))
        >>> alike, unrelated = debiased_cka(a, a + b), debiased_cka(a, b)
        >>> print(f"{alike.value:.2f} {alike.error:.2f} {abs(unrelated.value) < 0.05}")
        0.51 0.02 True

    The value is `cka(a, b, debiased=True)`. The error is that of the delete-one jackknife, with c_i
    the value without point i:

        error^2 = (n - 1) / n sum_i (c_i - mean c)^2

    All n values need n d^2 operations. Where the embeddings are unrelated, the statistic is
    degenerate and the error is too large, by a factor of sqrt(2), and of up to 2 where the
    dimensions are not far below n.

    Args:
        a: (..., n, dim) embeddings of n points, n >= 5.
        b: (..., n, other) embeddings of the same points.

    Returns:
        Measured, each (...): the value and its standard error over draws of the points. NaN where
        all points of an embedding but one are equal; the error also where all but two are.

    Raises:
        InputError: for different numbers of points, fewer than five, or values that are not real
            numbers.

    References:
        Song et al. 2012, JMLR 13, eq. 5; Efron and Stein 1981, Annals of Statistics 9.
    """
    xp, a, b = pair_of_rows(a=a, b=b)
    if a.shape[-2] != b.shape[-2] or a.shape[-2] < 5:
        shapes = f"{tuple(a.shape)} and {tuple(b.shape)}"
        message = f"two embeddings of the same five or more points are needed; got {shapes}"
        raise InputError(message)
    return _cka_and_error(a, b, xp=xp)


def subspace_overlap(a: Array, b: Array, *, leading: int | None = None) -> Array:
    """Return the agreement of the column spaces of two matrices, between 0 and 1.

    Example:
        >>> import numpy as np
        >>> print(subspace_overlap(np.eye(4)[:, :2], np.eye(4)[:, 1:3]))
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
    xp, a, b = pair_of_rows(a=a, b=b)
    if a.shape[-2] != b.shape[-2]:
        shapes = f"{tuple(a.shape)} and {tuple(b.shape)}"
        message = f"both need a row for each of the same points; got {shapes}"
        raise InputError(message)
    if leading is None:
        if a.shape[-1] != b.shape[-1] or a.shape[-1] > a.shape[-2]:
            message = (
                "column spaces need two matrices (n, d) with n >= d; "
                f"got {tuple(a.shape)} and {tuple(b.shape)}: pass leading=..."
            )
            raise InputError(message)
        return _columns(a, b, xp=xp)
    most = min(a.shape[-2] - 1, a.shape[-1], b.shape[-1])
    leading = require_count("leading", leading, high=most)
    return _leading(a, b, leading=leading, xp=xp)


def _overlap_of_columns(a: Any, b: Any, xp: Any) -> Any:
    return _overlap(_column_basis(a, xp), _column_basis(b, xp), xp)


def _overlap_of_leading(a: Any, b: Any, *, leading: int, xp: Any) -> Any:
    return _overlap(leading_components(a, leading, xp), leading_components(b, leading, xp), xp)


def _overlap(first: Any, second: Any, xp: Any) -> Any:
    return xp.sum(matmul(first.mT, second, xp) ** 2, axis=(-2, -1)) / first.shape[-1]


def _column_basis(x: Any, xp: Any) -> Any:
    """Return an orthonormal basis of the columns; NaN where one depends on those before it."""
    largest = xp.max(xp.abs(x), axis=-2, keepdims=True)
    scaled = x / xp.where(largest == 0, 1, largest)
    finite = xp.all(xp.isfinite(x), axis=(-2, -1))
    basis, upper = xp.linalg.qr(xp.where(finite[..., None, None], scaled, 0))
    left = xp.abs(xp.linalg.diagonal(upper))
    floor = ROUNDING * xp.finfo(x.dtype).eps * xp.linalg.vector_norm(scaled, axis=-2)
    independent = xp.all(left > floor, axis=-1) & finite
    return xp.where(independent[..., None, None], basis, xp.nan)


def _cka_of(a: Any, b: Any, *, debiased: bool, xp: Any) -> Any:
    a, b = standard(a, xp), standard(b, xp)
    if not debiased:
        own = [plain_hsic(z, z, xp) for z in (a, b)]
        return plain_hsic(a, b, xp) / (xp.sqrt(own[0]) * xp.sqrt(own[1]))
    lengths = [xp.sum(z**2, axis=-1) for z in (a, b)]
    own = [of_itself(z, length, xp) for z, length in zip((a, b), lengths, strict=True)]
    mixed = unbiased_hsic(plain_hsic(a, b, xp), lengths[0], lengths[1], xp)
    return mixed / (xp.sqrt(own[0]) * xp.sqrt(own[1]))


def _measured(a: Any, b: Any, xp: Any) -> Measured:
    return formulas.debiased_cka(formulas.prepared(a, xp), formulas.prepared(b, xp), xp)


_cka_and_error = compiled(_measured)
_cka = compiled(_cka_of, static=("debiased",))
_columns = compiled(_overlap_of_columns)
_leading = compiled(_overlap_of_leading, static=("leading",))
