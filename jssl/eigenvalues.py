"""Eigenvalues in a record: the program returns the matrix, and the host computes its eigenvalues.

On the CPU, JAX decomposes matrices with LAPACK. Under jaxlib 0.10, batched LAPACK calls in programs
that run at the same time on several CPU devices may deadlock. An observable
therefore returns `EigenvaluesOf(matrix)`: `jssl.simulate` and `jssl.run` decompose it inside their
program, a sweep does so on the host in double precision.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.diagnostics.spectrum import spectrum
from jssl.types import Array

BLOCK = 2**22
"""Matrix entries that the host decomposes at a time, which bounds its copies."""


class EigenvaluesOf(NamedTuple):
    """An observable whose value is the eigenvalues of a symmetric matrix, descending.

    Example:
        >>> asked = EigenvaluesOf(jnp.diag(jnp.array([1.0, 3.0])))
        >>> print(decompose({"eigenvalues": asked})["eigenvalues"])
        [3. 1.]

    Attributes:
        matrix: (..., dim, dim) symmetric or Hermitian.
    """

    matrix: Array


def decompose(record: Any) -> Any:
    """Return a record with every `EigenvaluesOf` replaced by its (..., dim) eigenvalues.

    Example:
        >>> record = decompose({"norm": 2.0, "modes": EigenvaluesOf(jnp.eye(2))})
        >>> print(record["modes"], record["norm"])
        [1. 1.] 2.0

    Args:
        record: a pytree of arrays, which may be traced, and of `EigenvaluesOf`.
    """
    return jax.tree.map(
        lambda leaf: spectrum(leaf.matrix) if _asks(leaf) else leaf, record, is_leaf=_asks
    )


def decompose_on_host(value: Any) -> np.ndarray:
    """Return an observable as a NumPy array; an `EigenvaluesOf` is decomposed in double precision.

    Example:
        >>> matrices = np.stack([np.diag([1.0, 3.0]), np.full((2, 2), np.nan)])
        >>> print(decompose_on_host(EigenvaluesOf(matrices)))
        [[ 3.  1.]
         [nan nan]]

    Args:
        value: an array, or `EigenvaluesOf` of (..., dim, dim) matrices.

    Returns:
        The array, or (..., dim) eigenvalues, descending, in the real dtype of the matrices; NaN
        for a matrix with an entry that is not finite.
    """
    if not _asks(value):
        return np.asarray(value)
    matrix = np.asarray(value.matrix)
    dim = matrix.shape[-1]
    wide = np.complex128 if jnp.issubdtype(matrix.dtype, jnp.complexfloating) else np.float64
    flat = matrix.reshape(-1, dim, dim)
    values = np.full(flat.shape[:-1], np.nan)
    each = max(1, BLOCK // dim**2)
    for first in range(0, len(flat), each):
        piece = flat[first : first + each].astype(wide)
        piece = (piece + piece.conj().swapaxes(-1, -2)) / 2
        finite = np.isfinite(piece).all((-1, -2))
        values[first : first + each][finite] = np.linalg.eigvalsh(piece[finite])[..., ::-1]
    return values.reshape(matrix.shape[:-1]).astype(_real(matrix.dtype))


def decomposed_shape(value: Any) -> jax.ShapeDtypeStruct:
    """Return the shape and dtype that `decompose_on_host` gives.

    Example:
        >>> asked = EigenvaluesOf(jax.ShapeDtypeStruct((7, 2, 2), jnp.float32))
        >>> print(decomposed_shape(asked))
        ShapeDtypeStruct(shape=(7, 2), dtype=float32)
    """
    if not _asks(value):
        return value
    return jax.ShapeDtypeStruct(value.matrix.shape[:-1], _real(value.matrix.dtype))


def _asks(value: Any) -> bool:
    return isinstance(value, EigenvaluesOf)


def _real(dtype: Any) -> np.dtype:
    """Return the dtype of the real part of numbers of a dtype."""
    return np.zeros((), dtype).real.dtype
