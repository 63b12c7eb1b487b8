"""The values of an axis as they come from a user: checked, plain, without duplicates."""

import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from jssl.errors import InputError


def axis_values(name: str, given: Any) -> tuple[Any, ...]:
    """Return the plain values of an axis; raise InputError unless it is a list of some."""
    if isinstance(given, str | Mapping) or not isinstance(given, Iterable):
        message = f"axis '{name}' must be a list of values; got {given!r}"
        raise InputError(message)
    values = plain_values(list(given.tolist() if isinstance(given, np.ndarray) else given), name)
    if not values:
        message = f"axis '{name}' is empty; give at least one value or leave it out"
        raise InputError(message)
    return values


def plain_values(values: Sequence[Any], name: str) -> tuple[Any, ...]:
    """Return Python values, numbers all floats where one of them is, lists as tuples."""
    plain = [v.item() if isinstance(v, np.generic) else v for v in values]
    plain = [tuple(v) if isinstance(v, list) else v for v in plain]
    if any(isinstance(v, float) for v in plain):
        plain = [float(v) if isinstance(v, int) and not isinstance(v, bool) else v for v in plain]
    if any(isinstance(v, float) and not math.isfinite(v) for v in plain):
        message = f"axis '{name}' holds a number that is not finite: {plain}"
        raise InputError(message)
    return tuple(plain)


def refuse_duplicates(what: str, values: Sequence[Any]) -> None:
    """Raise InputError where a value comes twice."""
    try:
        seen: dict[Any, int] = {}
        for position, value in enumerate(values):
            if seen.setdefault((type(value), value), position) != position:
                message = f"{what} holds {value!r} twice; leave one out"
                raise InputError(message)
    except TypeError as error:
        message = f"{what} holds a value that cannot be compared ({error}); name it by a string"
        raise InputError(message) from error


def seed_count(given: Any) -> int:
    """Return the number of seeds; raise InputError unless it is at least 1."""
    if isinstance(given, bool) or not isinstance(given, numbers.Integral) or given < 1:
        message = f"axis 'seed' is a number of seeds, at least 1; got {given!r}"
        raise InputError(message)
    return int(given)


def check_width(values: Iterable[Any]) -> None:
    """Raise InputError unless all are whole numbers of at least 1."""
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            message = f"axis 'width' holds whole numbers of at least 1; got {value!r}"
            raise InputError(message)
