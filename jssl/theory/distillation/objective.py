"""The two objectives, by name, and the checks that their formulas share."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jssl.data.checks import host_value, require_count, require_name
from jssl.errors import InputError, shown
from jssl.host_arithmetic import not_numbers
from jssl.types import Array

OBJECTIVES = ("jepa", "mae")
"""The target: the encoder's own output, held constant ("jepa"), or the target view ("mae")."""


def check_setting(depth: Any, objective: str) -> int:
    """Return the depth as an int; raise unless it is at least 1 and the objective is known.

    Example:
        >>> check_setting(0, "jepa")
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: depth must be a whole number in [1, inf]; got 0

    Args:
        depth: number of layers L of the encoder.
        objective: a name in `OBJECTIVES`.

    Raises:
        InputError: for a depth below 1 or an unknown objective.
    """
    require_name("objective", objective, OBJECTIVES)
    return require_count("depth", depth)


def require_positive(**values: Any) -> None:
    """Raise unless every value is a positive finite number; traced values pass.

    Example:
        >>> require_positive(start=-1.0)
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: start must be positive and finite; got -1.0

    Raises:
        InputError: for a value that is zero, negative or not finite.
    """
    for name, value in values.items():
        known = _numbers(name, value)
        if known is not None and not ((known > 0) & (known < jnp.inf)).all():
            message = f"{name} must be positive and finite; got {value}"
            if name.startswith("covariance"):
                message += (
                    ". A mode whose covariance is not positive is not learned from an aligned start"
                )
            raise InputError(message)


def require_share(share: Any) -> None:
    """Raise unless 0 < share < 1; a traced value passes.

    Example:
        >>> require_share(1.0)
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: share must lie between 0 and 1, both excluded; got 1.0

    Raises:
        InputError: for a share outside the range.
    """
    known = _numbers("share", share)
    if known is not None and not ((known > 0) & (known < 1)).all():
        message = f"share must lie between 0 and 1, both excluded; got {share}"
        raise InputError(message)


def arrays(*values: Any) -> tuple[Array, ...]:
    """Return numbers as arrays of one floating dtype, broadcast against one another.

    Example:
        >>> [x.shape for x in arrays(1, [0.5, 0.3])]
        [(2,), (2,)]

    Raises:
        InputError: for anything but real numbers, or shapes that do not fit together.
    """
    for value in values:
        _numbers("every argument", value)
    values = tuple(x if hasattr(x, "dtype") else np.asarray(x, float) for x in values)
    shapes = [np.shape(x) for x in values]
    try:
        np.broadcast_shapes(*shapes)
    except ValueError as error:
        message = f"the shapes of the arguments do not fit together: {', '.join(map(str, shapes))}"
        raise InputError(message) from error
    dtype = jnp.result_type(float, *(x for x in values if np.ndim(x)))
    return tuple(jnp.broadcast_arrays(*(jnp.asarray(value, dtype) for value in values)))


def _numbers(name: str, value: Any) -> np.ndarray | None:
    """Return real numbers as a NumPy array, or None where they are traced."""
    try:
        known = host_value(value)
    except ValueError as error:  # lists of unequal lengths
        raise not_numbers(name, shown(value)) from error
    if known is not None and known.dtype.kind in "cOSUmM":
        raise not_numbers(name, shown(value))
    return known
