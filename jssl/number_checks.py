"""Checks of the numbers that theories on the host take; traced values are not accepted here."""

import math
from typing import Any

import numpy as np

from jssl.errors import InputError, shown
from jssl.host_arithmetic import host_float64, not_numbers, refuse_traced


def require_number(
    name: str,
    value: Any,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    above: float = -math.inf,
    below: float = math.inf,
) -> float:
    """Return one finite real number as a float, or say what is wrong with it.

    Example:
        >>> require_number("width", 2, above=0)
        2.0
        >>> require_number("width", "two", above=0)
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: width must be a number above 0; got 'two'

    Args:
        name: what the value is called in the message.
        value: the number.
        low: the least allowed value.
        high: the greatest allowed value.
        above: a bound that is itself excluded.
        below: a bound that is itself excluded.

    Raises:
        InputError: for anything else, NaN and infinity included.
    """
    number = _float(value)
    if number is None:
        refuse_traced(name, value)
    if number is None or not (low <= number <= high and above < number < below):
        bounds = (
            (low, f"at least {low:g}"),
            (above, f"above {above:g}"),
            (high, f"at most {high:g}"),
            (below, f"below {below:g}"),
        )
        range_ = " and ".join(text for bound, text in bounds if math.isfinite(bound))
        kind = f"number {range_}" if range_ else "finite number"
        message = f"{name} must be a {kind}; got {shown(value)}"
        raise InputError(message)
    return number


def require_flag(name: str, value: Any) -> bool:
    """Return True or False, or say what is wrong with the value.

    Example:
        >>> require_flag("unbiased", "x")
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: unbiased must be True or False; got 'x'

    Args:
        name: what the value is called in the message.
        value: a bool of Python or of NumPy; it is static, so a traced one is refused.

    Raises:
        InputError: for anything else.
    """
    if not isinstance(value, bool | np.bool_):
        message = f"{name} must be True or False; got {shown(value)}"
        raise InputError(message)
    return bool(value)


def real_array(name: str, value: Any) -> Any:
    """Return an array of NumPy or of JAX, traced or not, that holds real numbers.

    Example:
        >>> real_array("alpha", [1, 2])
        array([1., 2.])

    Raises:
        InputError: for anything else.
    """
    import jax

    if not isinstance(value, jax.Array):
        return host_float64(name, value)
    if not (jax.numpy.issubdtype(value.dtype, jax.numpy.number) and value.dtype.kind != "c"):
        raise not_numbers(name, str(value.dtype))
    return value


def _float(value: Any) -> float | None:
    """Return a finite real number, or None for anything else."""
    if isinstance(value, bool | np.bool_):
        return None
    try:
        array = host_float64("", value)
    except InputError:
        return None
    number = float(array) if array.ndim == 0 else math.nan
    return number if math.isfinite(number) else None
