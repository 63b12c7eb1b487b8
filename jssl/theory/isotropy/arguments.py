"""Checks of what functions of isotropic regularisers are given: names, widths, eigenvalues."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl.data.checks import require_count
from jssl.errors import InputError, unknown_name
from jssl.host_arithmetic import host_value
from jssl.number_checks import real_array, require_number

REGULARISERS = ("bhep", "sigreg")
LARGEST = 1e100
"""Largest eigenvalue of a covariance."""
_DIMS = 2**53
_WIDTHS = 1e-6, 1e30  # below it the slope of `sigreg` is a difference of nearly equal numbers


def usual_width(regulariser: str, dim: int, width: float | None = None) -> float:
    """Return b: the given one, or 1 for `sigreg` and 2/K for `bhep`.

    Example:
        >>> usual_width("bhep", 8), usual_width("sigreg", 8), usual_width("bhep", 8, 1.0)
        (0.25, 1.0, 1.0)

    Raises:
        InputError: for an unknown regulariser, K outside 1 to 2^53, or a width outside 1e-6 to
            1e30.
    """
    if not isinstance(regulariser, str) or regulariser not in REGULARISERS:
        raise unknown_name(kind="regulariser", name=regulariser, known=REGULARISERS)
    dim = require_count("dim", require_count("dim", dim), high=_DIMS)
    if width is None:
        return 2 / dim if regulariser == "bhep" else 1.0
    require_number("width", width, above=0)
    return require_number("width", width, low=_WIDTHS[0], high=_WIDTHS[1])


def spectrum(values: Any, name: str = "eigenvalues", largest: float = LARGEST) -> tuple[Any, Any]:
    """Return eigenvalues as an array, and the namespace of its library (NumPy or JAX)."""
    array = real_array(name, values)
    xp: Any = jnp if isinstance(array, jax.Array) else np
    if array.ndim != 1 or not len(array):
        message = f"{name} must be an array (K,) with K >= 1; got shape {array.shape}"
        raise InputError(message)
    known = host_value(array)
    if known is not None:
        allowed = (known >= 0) & (known.astype(np.float64) <= largest)
        if not allowed.all():
            message = f"{name} must be finite and >= 0, at most {largest:g}; got "
            raise InputError(message + f"{known[~allowed][0]}")
    return array, xp
