"""The two objectives, by name, and the checks that their formulas share."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jssl.data.checks import require_layers, require_name
from jssl.errors import InputError, shown
from jssl.host_arithmetic import host_value, not_numbers
from jssl.types import Array

OBJECTIVES = ("jepa", "mae")
"""The target: the encoder's own output, held constant ("jepa"), or the target view ("mae")."""


def check_setting(depth: Any, objective: str) -> int:
    """Return the depth as an int; raise unless it is 1 to 256 and the objective is known.

    Example:
        >>> check_setting(0, "jepa")
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: depth must be a whole number in [1, 256]; got 0

    Args:
        depth: number of layers L, 1 to 256, of the encoder.
        objective: a name in `OBJECTIVES`.

    Raises:
        InputError: for a depth out of range or an unknown objective.
    """
    require_name("objective", objective, OBJECTIVES)
    return require_layers(depth)


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
            if name.startswith(("covariance", "coefficient")):
                what = "covariance" if name.startswith("cov") else "regression coefficient"
                message += (
                    f". A mode whose {what} is not positive is not learned from an aligned start: "
                    "its layers and predictor shrink to zero"
                )
            raise InputError(message)


def require_not_negative(**values: Any) -> None:
    """Raise unless every value is a finite number of at least 0; traced values pass.

    Example:
        >>> require_not_negative(decay=np.inf)
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: decay must be a number of at least 0 that is finite; got inf

    Raises:
        InputError: for a value that is negative or not finite.
    """
    for name, value in values.items():
        known = _numbers(name, value)
        if known is not None and not ((known >= 0) & (known < np.inf)).all():
            message = f"{name} must be a number of at least 0 that is finite; got {value}"
            raise InputError(message)


def require_finite(**values: Any) -> None:
    """Raise unless every value is a finite number; traced values pass.

    Example:
        >>> require_finite(coefficient=np.nan)
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: coefficient must be a number that is finite; got nan

    Raises:
        InputError: for a value that is not finite.
    """
    for name, value in values.items():
        known = _numbers(name, value)
        if known is not None and not np.isfinite(known).all():
            message = f"{name} must be a number that is finite; got {value}"
            raise InputError(message)


def require_start_below(start: Any, level: Any, what: str) -> None:
    """Raise unless every start is below a level; traced values pass.

    Example:
        >>> require_start_below(0.6, 0.4, "share x coefficient")
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: start must be below share x coefficient = 0.4; got 0.6

    Args:
        start: (...) w_0.
        level: (...) of the same shape.
        what: the level is called in the message.

    Raises:
        InputError: for a start at the level or above.
    """
    known, levels = host_value(start), host_value(level)
    if known is None or levels is None or (known < levels).all():
        return
    first = np.unravel_index(np.argmin(known < levels), known.shape)
    message = f"start must be below {what} = {levels[first]:.6g}; got {known[first]:.6g}"
    raise InputError(message)


def require_variance(covariance: Any, coefficient: Any) -> None:
    """Raise unless lambda / rho is a variance, at least 0 and finite; traced values pass.

    Example:
        >>> require_variance(1.0, -0.8)
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: coefficient must not be 0 and must have the sign of covariance: ...

    Args:
        covariance: (...) lambda.
        coefficient: (...) rho of the same shape.

    Raises:
        InputError: for a coefficient that is 0 or of another sign than the covariance.
    """
    lam, rho = host_value(covariance), host_value(coefficient)
    if lam is None or rho is None:
        return
    if not ((rho != 0) & (np.sign(lam) * np.sign(rho) >= 0)).all():
        message = (
            "coefficient must not be 0 and must have the sign of covariance: their ratio is the "
            f"variance of the context; got {shown(rho.tolist())} and {shown(lam.tolist())}"
        )
        raise InputError(message)


def require_modes(covariances: Any, coefficients: Any, least: int = 1) -> None:
    """Raise unless both are (k,) positive numbers, k >= `least`; traced values pass.

    Example:
        >>> require_modes([1.0, 0.5], [0.4])
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: covariances and coefficients must both be (k,), k >= 1; got (2,)...

    Raises:
        InputError: for anything else.
    """
    require_positive(covariances=covariances, coefficients=coefficients)
    shapes = np.shape(covariances), np.shape(coefficients)
    if len(shapes[0]) != 1 or shapes[0] != shapes[1] or shapes[0][0] < least:
        message = (
            f"covariances and coefficients must both be (k,), k >= {least}; got {shapes[0]} and "
            f"{shapes[1]}"
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
    if known is not None and known.dtype.kind not in "iuf":
        raise not_numbers(name, shown(value))
    return known
