"""Checks of covariances, which may be given as numbers, variances or matrices.

Where its values are known, a matrix stays a NumPy array of the precision in which it was given:
JAX would round it to float32 outside `jssl.precision.float64`. Traced matrices stay JAX arrays.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl.errors import InputError, shown
from jssl.host_arithmetic import host_float64, host_value, not_numbers, without_mask
from jssl.types import Array


def covariance(name: str, value: Any, dim: int | None = None) -> Array:
    """Return a number, variances (d,) or a matrix as a checked covariance (d, d).

    Example:
        >>> covariance("data_cov", [[1.0, 2.0], [2.0, 1.0]])
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: data_cov must be positive semi-definite; its smallest ...

    Raises:
        InputError: for another shape, a matrix that is not symmetric, or not positive
            semi-definite up to rounding. Traced values are not checked.
    """
    return jnp.asarray(known_covariance(name, value, dim))


def host_covariance(name: str, value: Any, dim: int | None = None) -> np.ndarray:
    """Return a checked covariance (d, d) in float64, for functions on the host.

    Example:
        >>> print(host_covariance("context", [1e300, 1.0]).max())
        1e+300

    Raises:
        InputError: as `covariance`, and for traced values.
    """
    return host_float64(name, known_covariance(name, value, dim, host=True))


def known_covariance(name: str, value: Any, dim: int | None = None, *, host: bool = False) -> Any:
    """Return `covariance` on the host where its value is known: nothing to compile.

    Example:
        >>> print(known_covariance("noise", 0.5, 2))
        [[0.5 0. ]
         [0.  0.5]]

    Args:
        name: what the matrix is called in a message.
        value: a number, (d,) or (d, d).
        dim: d, if it is known.
        host: whether the matrix stays on the host; else it has to fit in the dtype of JAX.
    """
    matrix = known_symmetric(name, value, dim, host=host)
    known = host_value(matrix)
    if known is not None and not _is_semi_definite(known):
        least = np.linalg.eigvalsh(known)[0]
        message = f"{name} must be positive semi-definite; its smallest eigenvalue is {least:.3g}"
        raise InputError(message)
    return matrix


def known_symmetric(name: str, value: Any, dim: int | None, *, host: bool = False) -> Any:
    """Return a checked symmetric matrix (d, d), on the host where its value is known.

    Example:
        >>> known_symmetric("signal", [1.0, -1e-10], 2)[1, 1].item()
        -1e-10

    Args:
        name: what the matrix is called in a message.
        value: a number, (d,) or (d, d).
        dim: d, if it is known.
        host: as in `known_covariance`.
    """
    matrix = _given(name, value)
    known, shape = isinstance(matrix, np.ndarray), np.shape(matrix)
    xp: Any = np if known else jnp
    if matrix.ndim == 0 and dim is not None:
        matrix = xp.full((dim,), matrix)
    if matrix.ndim == 1:
        matrix = xp.diag(matrix)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        message = f"{name} must be variances (d,) or a matrix (d, d); got shape {shape}"
        raise InputError(message)
    if dim is not None and len(matrix) != dim:
        message = f"{name} is {len(matrix)}-dimensional but the data have {dim} dimensions"
        raise InputError(message)
    if known:
        _require_finite(name, matrix, host)
        asymmetry = 2 * np.abs(matrix / 2 - matrix.T / 2).max()
        if asymmetry > 1e3 * _eps(matrix) * np.abs(matrix).max():
            message = f"{name} must be symmetric; it differs from its transpose by {asymmetry:.3g}"
            raise InputError(message)
    return matrix / 2 + matrix.T / 2  # the sum of both may exceed the largest number


def _given(name: str, value: Any) -> Any:
    """Return real numbers as a floating NumPy array, or as a JAX array where they are traced."""
    value = without_mask(name, value)
    try:
        known = host_value(value)
    except ValueError as error:  # lists of unequal lengths
        raise not_numbers(name, shown(value)) from error
    if known is None:
        given = jnp.asarray(value)
        return given if jnp.issubdtype(given.dtype, jnp.floating) else given.astype(float)
    if known.dtype in (np.float32, np.float64):
        return known
    return host_float64(name, known)


def _require_finite(name: str, matrix: np.ndarray, host: bool) -> None:
    if not np.isfinite(matrix).all():
        message = f"{name} has values that are not finite; drop or repair them"
        raise InputError(message)
    largest = np.finfo(jax.dtypes.canonicalize_dtype(matrix.dtype))
    if not host and not np.abs(matrix).max() <= largest.max:
        message = (
            f"{name} has values above {largest.max:.1e}, the largest number of {largest.dtype}; "
            "take another unit, or work inside jssl.precision.float64()"
        )
        raise InputError(message)


def _eps(matrix: np.ndarray) -> float:
    """Return the rounding that is allowed: that of JAX's dtype, in which it may be computed."""
    return float(np.finfo(jax.dtypes.canonicalize_dtype(matrix.dtype)).eps)


def _is_semi_definite(matrix: np.ndarray) -> bool:
    """Return whether a Cholesky factor exists up to rounding: cheaper than eigenvalues."""
    slack = 10 * len(matrix) * _eps(matrix) * np.abs(matrix).max(initial=0)
    try:
        np.linalg.cholesky(matrix + (slack or 1.0) * np.eye(len(matrix), dtype=matrix.dtype))
    except np.linalg.LinAlgError:
        return False
    return True
