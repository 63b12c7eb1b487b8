"""Sums, products and decompositions of arrays of NumPy, JAX and PyTorch, with one meaning.

What the array API lacks, or where libraries differ: matrix products in full precision,
decompositions of matrices that are not finite, and loops over blocks of rows.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from jssl.formulas.libraries import is_jax, is_torch


def counting(first: int, last: int, like: Any, xp: Any) -> Any:
    """Return the whole numbers from first to last, in the dtype and on the device of an array.

    Example:
        >>> counting(1, 3, np.ones(1), np).tolist()
        [1.0, 2.0, 3.0]
    """
    where = {"device": like.device} if is_torch(xp) else {}
    return xp.arange(first, last + 1, dtype=like.dtype, **where)


def identity(size: int, like: Any, xp: Any) -> Any:
    """Return the identity matrix, in the dtype and on the device of an array.

    Example:
        >>> identity(2, np.ones(1), np).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    where = {"device": like.device} if is_torch(xp) else {}
    return xp.eye(size, dtype=like.dtype, **where)


def constant(x: Any, xp: Any) -> Any:
    """Return an array without its derivative.

    Example:
        >>> constant(np.ones(1), np)
        array([1.])
    """
    if is_torch(xp):
        return x.detach()
    if is_jax(xp):
        import jax

        return jax.lax.stop_gradient(x)
    return x


def matmul(a: Any, b: Any, xp: Any) -> Any:
    """Return the matrix product in full precision.

    Example:
        >>> matmul(np.eye(2), np.ones((2, 1)), np).tolist()
        [[1.0], [1.0]]

    An accelerator's own default under JAX rounds float32 first. PyTorch's default is full
    precision; a choice of the caller (`torch.set_float32_matmul_precision`) is followed.
    """
    return xp.matmul(a, b, precision="highest") if is_jax(xp) else xp.matmul(a, b)


def dot(a: Any, b: Any, xp: Any) -> Any:
    """Return the matrix product, in full precision unless JAX is configured otherwise.

    Example:
        >>> dot(np.eye(2), np.ones((2, 1)), np).tolist()
        [[1.0], [1.0]]
    """
    if is_jax(xp):
        from jssl.arithmetic import dot as of_jax

        return of_jax(a, b)
    return xp.matmul(a, b)


def mean(x: Any, xp: Any, axis: int | None = None) -> Any:
    """Return the mean over one axis, or over all; divides first, so that the sum cannot overflow.

    Example:
        >>> print(mean(np.full(4, 2e38, np.float32), np))
        2e+38
    """
    count = int(np.prod(x.shape)) if axis is None else x.shape[axis]
    return xp.sum(x / count, axis=axis)


def centred(z: Any, xp: Any) -> Any:
    """Return rows (..., n, dim) minus their mean; rows that are all equal become exactly zero.

    Example:
        >>> print(centred(np.full((3, 2), 0.1), np).max())
        0.0
    """
    shifted = z - z[..., :1, :]
    return shifted - mean(shifted, xp, -2)[..., None, :]


def unit(z: Any, xp: Any) -> Any:
    """Return rows of norm one; a zero row stays zero, with gradient zero.

    Example:
        >>> unit(np.array([[3e-30, 4e-30], [0.0, 0.0]]), np).round(3).tolist()
        [[0.6, 0.8], [0.0, 0.0]]
    """
    largest = constant(xp.max(xp.abs(z), axis=-1, keepdims=True), xp)
    zero = largest == 0  # not `largest > 0`, which is false for NaN as well
    scaled = xp.where(zero, 1, z) / xp.where(zero, 1, largest)
    norm = xp.sqrt(xp.sum(scaled**2, axis=-1, keepdims=True))
    return xp.where(zero, 0, scaled / norm)


def log_mean_exp(x: Any, count: int, xp: Any) -> Any:
    """Return the logarithm of the sum of exponentials over the last axis, divided by a number.

    Example:
        >>> float(log_mean_exp(np.array([1.0, 1.0, -np.inf]), 2, np))
        1.0

    Args:
        x: (..., n); -inf leaves an entry out.
        count: number that divides the sum.
        xp: array namespace.
    """
    top = constant(xp.max(x, axis=-1, keepdims=True), xp)
    top = xp.where(xp.isfinite(top), top, 0)
    return xp.log(xp.sum(xp.exp(x - top), axis=-1) / count) + top[..., 0]


def over_rows(function: Callable[..., Any], arrays: tuple[Any, ...], block: int, xp: Any) -> Any:
    """Return a function of every row, in blocks.

    Example:
        >>> over_rows(lambda x: x.sum(-1), (np.eye(3),), 2, np).tolist()
        [1.0, 1.0, 1.0]

    Args:
        function: of one entry of each array, or of several along a new first axis.
        arrays: of equal length.
        block: entries at a time.
        xp: array namespace. Where PyTorch records gradients, all blocks are kept.
    """
    if is_jax(xp):
        import jax

        return jax.lax.map(lambda row: function(*row), arrays, batch_size=block)
    count = arrays[0].shape[0]
    parts = [function(*(a[i : i + block] for a in arrays)) for i in range(0, count, block)]
    return parts[0] if len(parts) == 1 else xp.concat(parts, axis=0)


def eigenvalues(matrix: Any, xp: Any) -> Any:
    """Return the ascending eigenvalues of symmetric matrices; NaN where one is not finite.

    Example:
        >>> eigenvalues(np.array([[[2.0]], [[np.nan]]]), np).tolist()
        [[2.0], [nan]]
    """
    finite, safe = _finite(matrix, xp)
    return xp.where(finite[..., 0], xp.linalg.eigvalsh(safe), xp.nan)


def singular_values(z: Any, xp: Any) -> Any:
    """Return the descending singular values; NaN where a value is not finite.

    Example:
        >>> singular_values(np.diag([1.0, 2.0]), np).tolist()
        [2.0, 1.0]
    """
    finite, safe = _finite(z, xp)
    if is_jax(xp):  # its svdvals allocates n x n numbers that are not used
        values = xp.linalg.svd(safe, full_matrices=False, compute_uv=False)
    else:
        values = xp.linalg.svdvals(safe)
    return xp.where(finite[..., 0], values, xp.nan)


def solve(matrix: Any, b: Any, xp: Any) -> Any:
    """Return the solution of linear systems with one matrix; not finite where it is singular.

    Example:
        >>> solve(np.array([[2.0]]), np.array([[1.0]]), np).tolist()
        [[0.5]]
    """
    if is_jax(xp):
        return xp.linalg.solve(matrix, b)
    if is_torch(xp):
        import torch

        solution, failed = torch.linalg.solve_ex(matrix, b)
        return xp.where((failed == 0)[..., None, None], solution, xp.nan)
    return _each(np.linalg.solve, matrix, b)


def _each(function: Callable[..., np.ndarray], *arrays: np.ndarray) -> np.ndarray:
    """Apply a function of NumPy's linear algebra; NaN for the matrices on which it raises."""
    try:
        return function(*arrays)
    except np.linalg.LinAlgError:
        result = np.full(arrays[-1].shape, np.nan, arrays[-1].dtype)
        for index in np.ndindex(arrays[0].shape[:-2]):
            try:
                result[index] = function(*(a[index] for a in arrays))
            except np.linalg.LinAlgError:
                continue
        return result


def _finite(matrix: Any, xp: Any) -> tuple[Any, Any]:
    """Return which matrices (..., 1, 1) are finite, and the matrices with zeros for the others.

    LAPACK as NumPy and PyTorch call it raises an error where a value is not finite.
    """
    finite = xp.all(xp.isfinite(matrix), axis=(-2, -1), keepdims=True)
    return finite, xp.where(finite, matrix, 0)
