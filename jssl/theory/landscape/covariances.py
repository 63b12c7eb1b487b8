"""Checks of covariances, which may be given as numbers, variances or matrices."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jssl.data.checks import host_value
from jssl.errors import InputError
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


def known_covariance(name: str, value: Any, dim: int | None = None) -> Any:
    """Return `covariance` on the host where its value is known: nothing to compile."""
    matrix = known_symmetric(name, value, dim)
    known = host_value(matrix)
    if known is not None and not _is_semi_definite(known):
        least = np.linalg.eigvalsh(known)[0]
        message = f"{name} must be positive semi-definite; its smallest eigenvalue is {least:.3g}"
        raise InputError(message)
    return matrix


def known_symmetric(name: str, value: Any, dim: int | None) -> Any:
    """Return a checked symmetric matrix (d, d), on the host where its value is known."""
    given = jnp.asarray(value)
    if not jnp.issubdtype(given.dtype, jnp.floating):
        given = given.astype(float)
    known = host_value(given)
    xp: Any = jnp if known is None else np
    matrix: Any = given if known is None else known
    if matrix.ndim == 0 and dim is not None:
        matrix = xp.full((dim,), matrix)
    if matrix.ndim == 1:
        matrix = xp.diag(matrix)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        message = f"{name} must be variances (d,) or a matrix (d, d); got shape {jnp.shape(value)}"
        raise InputError(message)
    if dim is not None and len(matrix) != dim:
        message = f"{name} is {len(matrix)}-dimensional but the data have {dim} dimensions"
        raise InputError(message)
    if known is not None:
        if not np.isfinite(matrix).all():
            message = f"{name} has values that are not finite; drop or repair them"
            raise InputError(message)
        asymmetry = np.abs(matrix - matrix.T).max()
        if asymmetry > 1e3 * np.finfo(matrix.dtype).eps * np.abs(matrix).max():
            message = f"{name} must be symmetric; it differs from its transpose by {asymmetry:.3g}"
            raise InputError(message)
    return (matrix + matrix.T) / 2


def _is_semi_definite(matrix: np.ndarray) -> bool:
    """Return whether a Cholesky factor exists up to rounding: cheaper than eigenvalues."""
    slack = 10 * len(matrix) * np.finfo(matrix.dtype).eps * np.abs(matrix).max(initial=0)
    try:
        np.linalg.cholesky(matrix + (slack or 1.0) * np.eye(len(matrix), dtype=matrix.dtype))
    except np.linalg.LinAlgError:
        return False
    return True
