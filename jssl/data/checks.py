"""Host-side checks of hyperparameters that let traced values pass."""

import math
import operator
from collections.abc import Iterable
from typing import Any

import numpy as np

from jssl.errors import InputError, printable, shown, unknown_name


def host_value(value: Any) -> np.ndarray | None:
    """Return the value as a NumPy array, or None where it is traced.

    Example:
        >>> float(host_value(0.5))
        0.5
        >>> import jax
        >>> jax.jit(lambda x: 0 if host_value(x) is None else 1)(0.5).item()
        0
    """
    try:
        return np.asarray(value)
    except TypeError as error:
        import jax  # only here: checks of numbers on the host do not need it

        if isinstance(error, jax.errors.TracerArrayConversionError):
            return None
        raise


def require_range(name: str, value: Any, low: float, high: float = math.inf) -> None:
    """Raise unless low <= value <= high; a traced value passes.

    Example:
        >>> require_range("std", -1.0, 0)
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: std must be a number in [0, inf]; got -1.0

    Args:
        name: what the value is called in the message.
        value: a number or array; every entry is checked.
        low: the least allowed value.
        high: the greatest allowed value.

    Raises:
        InputError: for a value outside the range, NaN included.
    """
    known = host_value(value)
    if known is None:
        return
    if known.dtype.kind not in "iuf" or not ((known >= low) & (known <= high)).all():
        message = f"{name} must be a number in [{low:g}, {high:g}]; got {_text(value)}"
        raise InputError(message)


def require_count(name: str, value: Any, low: int = 1, high: float = math.inf) -> int:
    """Return the value as an int; raise unless it is a whole number from low to high.

    Example:
        >>> require_count("n", 3)
        3
        >>> require_count("batch", 5, high=4)
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: batch must be a whole number in [1, 4]; got 5

    Args:
        name: what the value is called in the message.
        value: a static integer; sizes are part of a program's shape and cannot be traced.
        low: the least allowed value.
        high: the greatest allowed value.

    Raises:
        InputError: for anything else.
    """
    try:
        count = operator.index(value)
    except TypeError:  # as those of traced values are
        count = None
    if count is None or isinstance(value, bool) or not low <= count <= high:
        message = f"{name} must be a whole number in [{low}, {high:g}]; got {_text(value)}"
        raise InputError(message)
    return count


def require_name(kind: str, name: str, known: Iterable[str]) -> None:
    """Raise unless the name is known.

    Example:
        >>> require_name("split", "tests", ["test", "train"])
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: unknown split 'tests'; did you mean 'test'? known: test, train

    Args:
        kind: what is named.
        name: the name given.
        known: the names there are.

    Raises:
        InputError: for a name that is not known.
    """
    names = tuple(known)
    if name not in names:
        error = unknown_name(kind, name, names)
        raise error


def _text(value: Any) -> str:
    """Return a value as a message shows it; a whole number may have thousands of digits."""
    return shown(value) if isinstance(value, int) else printable(str(value))
