"""The values of an axis as they come from a user: checked, plain, without duplicates."""

import itertools
import math
import numbers
from collections.abc import Iterable, Mapping, Sequence, Set, Sized
from typing import Any

import numpy as np

from jssl.errors import InputError, shown
from jssl.sweeps.schema import LARGEST, MOST_SEEDS

MOST_VALUES = 1_000_000
"""Greatest number of values of one axis."""


def axis_values(name: str, given: Any, dtype: Any = np.float64) -> tuple[Any, ...]:
    """Return the plain values of an axis; raise InputError unless it is a list of some.

    Example:
        >>> axis_values("rate", np.array([1, 2]))
        (1, 2)
        >>> axis_values("rate", [1, 0.5])
        (1.0, 0.5)

    Args:
        name: of the axis.
        given: an ordered collection.
        dtype: of the runs, which has to hold every float.
    """
    if isinstance(given, str | bytes | Mapping | Set) or not isinstance(given, Iterable):
        message = f"axis {shown(name)} must be a list of values; got {shown(given)}"
        raise InputError(message)
    if getattr(given, "shape", None) == ():
        message = f"axis {shown(name)} must be a list of values; got the one value {given}"
        raise InputError(message)
    count = len(given) if isinstance(given, Sized) else 0
    held = [] if count > MOST_VALUES else list(itertools.islice(given, MOST_VALUES + 1))
    if count > MOST_VALUES or len(held) > MOST_VALUES:
        message = f"axis {shown(name)} holds more than {MOST_VALUES:,} values; give fewer"
        raise InputError(message)
    if not held:
        message = f"axis {shown(name)} is empty; give at least one value or leave it out"
        raise InputError(message)
    return plain_values(held, f"axis {shown(name)}", dtype)


def plain_values(values: Sequence[Any], what: str, dtype: Any = np.float64) -> tuple[Any, ...]:
    """Return Python values, numbers all floats where one of them is, lists as tuples.

    Args:
        values: of one axis.
        what: what they are called in the message.
        dtype: of the runs, which has to hold every float.

    Raises:
        InputError: for a number that is not finite or that the dtype does not hold.
    """
    plain = [_plain(v) for v in values]
    for value in plain:
        _check_numbers(what, value, dtype)
    if any(isinstance(v, float) for v in plain):
        plain = [float(v) if isinstance(v, int) and not isinstance(v, bool) else v for v in plain]
    return tuple(plain)


def refuse_duplicates(what: str, values: Sequence[Any], dtype: Any = np.float64) -> None:
    """Raise InputError where a value comes twice, or two floats are one number of the dtype.

    Example:
        >>> refuse_duplicates("axis 'rate'", [0.1, 0.1 + 1e-9], np.float32)
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: axis 'rate' holds 0.1 and 0.100000001, which are equal in float32;
        leave one out, or run in float64
    """
    try:
        seen: dict[Any, int] = {}
        for position, value in enumerate(values):
            first = seen.setdefault(_rounded(value, dtype), position)
            if first != position:
                if values[first] == value:
                    message = f"{what} holds {shown(value)} twice; leave one out"
                else:
                    message = (
                        f"{what} holds {shown(values[first])} and {shown(value)}, which are equal "
                        f"in {np.dtype(dtype).name}; leave one out, or run in float64"
                    )
                raise InputError(message)
    except TypeError as error:
        message = (
            f"{what} holds a value that cannot be compared ({error}); take numbers, strings, true "
            "or false, or lists of those"
        )
        raise InputError(message) from error


def seed_count(given: Any) -> int:
    """Return the number of seeds; raise InputError unless it is from 1 to 2**32."""
    whole = isinstance(given, numbers.Integral) and not isinstance(given, bool)
    if not whole or given < 1:
        message = f"axis 'seed' is a number of seeds, at least 1; got {shown(given)}"
        raise InputError(message)
    if given > MOST_SEEDS:
        message = f"axis 'seed' is a number of seeds, at most {MOST_SEEDS}; got {shown(given)}"
        raise InputError(message)
    return int(given)


def check_width(values: Iterable[Any]) -> None:
    """Raise InputError unless all are whole numbers from 1 to 2**31 - 1."""
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            message = f"axis 'width' holds whole numbers of at least 1; got {shown(value)}"
            raise InputError(message)
        if value > LARGEST:
            message = f"axis 'width' holds whole numbers of at most {LARGEST}; got {shown(value)}"
            raise InputError(message)


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_plain(item) for item in value)
    if isinstance(value, np.ndarray) or (hasattr(value, "dtype") and hasattr(value, "tolist")):
        return _plain(value.tolist()) if getattr(value, "shape", ()) else value.item()
    return value


def _check_numbers(what: str, value: Any, dtype: Any) -> None:
    if isinstance(value, tuple):
        for item in value:
            _check_numbers(what, item, dtype)
    elif isinstance(value, float):
        if not math.isfinite(value):
            message = f"{what} holds a number that is not finite: {value}"
            raise InputError(message)
        limits = np.finfo(dtype)
        # Python's floats: compared with NumPy's float32 they would be rounded to it first.
        if abs(value) > float(limits.max) or 0 < abs(value) < float(limits.tiny):
            message = (
                f"{what} holds {value}, which {limits.dtype} cannot hold; scale the problem, or "
                "run in float64"
            )
            raise InputError(message)
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        message = f"{what} holds {shown(value)}, beyond 64 bits; take a smaller number"
        raise InputError(message)


def _rounded(value: Any, dtype: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_rounded(item, dtype) for item in value)
    return (type(value), np.dtype(dtype).type(value).item() if type(value) is float else value)
