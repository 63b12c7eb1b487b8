"""Host-side checks of hyperparameters that let traced values pass."""

import math
import operator
from collections.abc import Iterable
from typing import Any

from jssl.errors import InputError, printable, shown, unknown_name
from jssl.host_arithmetic import host_value, not_numbers


def require_range(name: str, value: Any, low: float, high: float = math.inf) -> None:
    """Raise unless low <= value <= high; a traced value passes.

    Example:
        >>> require_range("std", -1.0, 0)
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: std must be a number of at least 0; got -1.0

    Args:
        name: what the value is called in the message.
        value: a number or array; every entry is checked.
        low: the least allowed value.
        high: the greatest allowed value.

    Raises:
        InputError: for a value outside the range, NaN included.
    """
    try:
        known = host_value(value)
    except ValueError as error:  # lists of unequal lengths
        raise not_numbers(name, shown(value)) from error
    if known is None:
        return
    if known.dtype.kind == "f":
        known = known.astype(float, copy=False)  # the bounds may not fit in half precision
    if known.dtype.kind not in "iuf" or not ((known >= low) & (known <= high)).all():
        message = f"{name} must be a number{_range(low, high)}; got {_text(value)}"
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
        message = f"{name} must be a whole number{_range(low, high)}; got {_text(value)}"
        raise InputError(message)
    return count


DEEPEST = 256
"""Largest number of layers L in the theory of JEPA and of a masked autoencoder.

Its times go as w_0^{1-2L}: at 256 layers those of a start below 1/4 exceed float64, and the
quadrature in those of a masked autoencoder is right to 1e-6.
"""


def require_layers(depth: Any) -> int:
    """Return a number of layers L as an int; raise unless it is a whole number in [1, 256].

    Example:
        >>> require_layers(0)
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: depth must be a whole number in [1, 256]; got 0

    Args:
        depth: L.

    Raises:
        InputError: for anything else.
    """
    return require_count("depth", depth, high=DEEPEST)


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
    if not isinstance(name, str) or name not in names:
        error = unknown_name(kind, name, names)
        raise error


def _range(low: float, high: float) -> str:
    """Return a range in words.

    Example:
        >>> _range(1, 4), _range(5, math.inf), _range(-math.inf, math.inf)
        (' in [1, 4]', ' of at least 5', '')
    """
    if high == math.inf:
        return "" if low == -math.inf else f" of at least {_bound(low)}"
    return f" in [{_bound(low)}, {_bound(high)}]"


def _bound(value: float) -> str:
    """Return a bound with all digits of a whole number that is exact.

    Example:
        >>> _bound(2**32 - 1), _bound(0.5), _bound(1e60)
        ('4294967295', '0.5', '1e+60')
    """
    return str(int(value)) if abs(value) < 2**53 and value == int(value) else f"{value:g}"


def _text(value: Any) -> str:
    """Return a value as a message shows it; a whole number may have thousands of digits."""
    return shown(value) if isinstance(value, int | str) else printable(str(value))
