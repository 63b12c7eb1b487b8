"""From axes and points to the dimensions of the result; every value is checked.

Values become plain Python values: numbers are all floats where one of them is, lists are tuples.
Values that are equal in the precision of the runs are refused, as are names that two dimensions
share.
"""

import itertools
import math
import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence, Set, Sized
from typing import Any

import numpy as np

from jssl.errors import InputError, shown, unknown_name
from jssl.record_steps import MAX_STEP
from jssl.sweeps.arrays import Dimension, check_axes, check_name
from jssl.sweeps.study import Study

SEED = "seed"
WIDTH = "width"
MOST_VALUES = 1_000_000
"""Greatest number of values of one axis."""
MOST_SEEDS = 2**32
"""Greatest number of seeds: run i starts from fold_in(key, i), where i has 32 bits."""


def dimensions_of(study: Study) -> tuple[Dimension, ...]:
    """Return the dimensions of a study's axes and points, all but the seeds.

    Example:
        >>> from jssl.sweeps.study import make_study
        >>> axes = {"width": [8, 16], "rate": [0.1, 0.2], "seed": 3}
        >>> found = dimensions_of(make_study(print, axes, [0, 1], zip=[["width", "rate"]]))
        >>> print([(d.name, d.size) for d in found])
        [('width_rate', 2)]

    Raises:
        InputError: for an empty or duplicate field, a name that is taken, or a bad value.
    """
    axes = study.axes

    def dtype_of(name: str) -> Any:
        return np.float64 if name in study.static else np.dtype(study.dtype)

    if not isinstance(axes, Mapping):
        message = f"axes must be a table of field -> values; got {shown(axes)}"
        raise InputError(message)
    for name in axes:
        if not isinstance(name, str):
            check_name("axis", name)
    values = {
        name: _axis_values(name, given, dtype_of(name))
        for name, given in axes.items()
        if name != SEED
    }
    found = [*_zipped(values, study.zip, dtype_of)]
    if study.points is not None:
        found.append(_points(study.points, values, dtype_of))
    check_axes((d.name, d.fields) for d in found)
    _check_width(v for d in found for v in d.fields.get(WIDTH, ()))
    return tuple(found)


def seed_count(given: Any) -> int:
    """Return the number of seeds of a study, from 1 to 2**32, or raise InputError."""
    whole = isinstance(given, numbers.Integral) and not isinstance(given, bool)
    if not whole or given < 1:
        message = f"axis 'seed' is a number of seeds, at least 1; got {shown(given)}"
        raise InputError(message)
    if given > MOST_SEEDS:
        message = f"axis 'seed' is a number of seeds, at most {MOST_SEEDS}; got {shown(given)}"
        raise InputError(message)
    return int(given)


def plain_values(values: Sequence[Any], what: str, dtype: Any = np.float64) -> tuple[Any, ...]:
    """Return Python values, numbers all floats where one of them is, lists as tuples.

    Args:
        values: of one axis.
        what: what they are called in the message.
        dtype: of the runs, in whose range every float must be.

    Raises:
        InputError: for a number that is not finite or out of the dtype's range.
    """
    plain = [_plain(v) for v in values]
    for value in plain:
        _check_numbers(what, value, dtype)
    if any(isinstance(v, float) for v in plain):
        plain = [float(v) if isinstance(v, int) and not isinstance(v, bool) else v for v in plain]
    return tuple(plain)


def _refuse_duplicates(what: str, values: Sequence[Any], dtype: Any = np.float64) -> None:
    """Raise InputError where a value occurs twice, or two floats are one number of the dtype.

    Example:
        >>> _refuse_duplicates("axis 'rate'", [0.1, 0.1 + 1e-9], np.float32)
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: axis 'rate' contains 0.1 and 0.100000001, which are equal in
        float32; leave one out, or run in float64
    """
    try:
        seen: dict[Any, int] = {}
        for position, value in enumerate(values):
            first = seen.setdefault(_rounded(value, dtype), position)
            if first != position:
                if values[first] == value:
                    message = f"{what} contains {shown(value)} twice; leave one out"
                else:
                    message = (
                        f"{what} contains {shown(values[first])} and {shown(value)}, which are "
                        f"equal in {np.dtype(dtype).name}; leave one out, or run in float64"
                    )
                raise InputError(message)
    except TypeError as error:
        message = (
            f"{what} contains a value that cannot be compared ({error}); use numbers, strings, "
            "true or false, or lists of those"
        )
        raise InputError(message) from error


def _axis_values(name: str, given: Any, dtype: Any = np.float64) -> tuple[Any, ...]:
    """Return the plain values of an axis; raise InputError unless it is a non-empty list.

    Example:
        >>> _axis_values("rate", np.array([1, 2]))
        (1, 2)
        >>> _axis_values("rate", [1, 0.5])
        (1.0, 0.5)

    Args:
        name: of the axis.
        given: an ordered collection.
        dtype: of the runs, in whose range every float must be.
    """
    if isinstance(given, str | bytes | Mapping | Set) or not isinstance(given, Iterable):
        message = f"axis {shown(name)} must be a list of values; got {shown(given)}"
        raise InputError(message)
    if getattr(given, "shape", None) == ():
        message = f"axis {shown(name)} must be a list of values; got the one value {given}"
        raise InputError(message)
    count = len(given) if isinstance(given, Sized) else 0
    listed = [] if count > MOST_VALUES else list(itertools.islice(given, MOST_VALUES + 1))
    if count > MOST_VALUES or len(listed) > MOST_VALUES:
        message = f"axis {shown(name)} has more than {MOST_VALUES:,} values; give fewer"
        raise InputError(message)
    if not listed:
        message = f"axis {shown(name)} is empty; give at least one value or leave it out"
        raise InputError(message)
    return plain_values(listed, f"axis {shown(name)}", dtype)


def _zipped(
    values: Mapping[str, tuple[Any, ...]],
    zipped: Sequence[Sequence[str]],
    dtype_of: Callable[[str], Any],
) -> Iterable[Dimension]:
    together = {}
    for group in zipped:
        if not group:
            message = "zip contains a group without an axis; name the axes or leave it out"
            raise InputError(message)
        for name in group:
            if name not in values:
                raise unknown_name(kind="zipped axis", name=name, known=values)
            if name in together:
                message = f"axis '{name}' is in two zips; name it once"
                raise InputError(message)
            together[name] = tuple(group)
        lengths = {name: len(values[name]) for name in group}
        if len(set(lengths.values())) != 1:
            message = f"zipped axes must have equal lengths; got {lengths}"
            raise InputError(message)
    done = set()
    for name in values:
        group = together.get(name, (name,))
        if group not in done:
            done.add(group)
            what = f"axis '{name}'" if len(group) == 1 else f"the zip of {', '.join(group)}"
            rows = list(zip(*(values[member] for member in group), strict=True))
            dtype = max((dtype_of(member) for member in group), key=lambda d: np.dtype(d).itemsize)
            _refuse_duplicates(what, values[name] if len(group) == 1 else rows, dtype)
            yield Dimension("_".join(group), {member: values[member] for member in group})


def _points(
    points: Sequence[Mapping[str, Any]],
    values: Mapping[str, tuple[Any, ...]],
    dtype_of: Callable[[str], Any],
) -> Dimension:
    if not points:
        message = "points is empty; give at least one point or leave it out"
        raise InputError(message)
    for position, point in enumerate(points):
        if not isinstance(point, Mapping):
            message = f"point {position} must be a table of fields; got {shown(point)}"
            raise InputError(message)
    names = tuple(points[0])
    for position, point in enumerate(points):
        if set(point) != set(names):
            message = (
                f"point {position} has fields {shown(sorted(map(str, point)))} and point 0 "
                f"{shown(sorted(map(str, names)))}: every point needs the same fields"
            )
            raise InputError(message)
    both = [name for name in names if name in values]
    if both or not names:
        message = (
            f"{shown(both[0])} is an axis and a field of points; leave one out"
            if both
            else "a point needs at least one field"
        )
        raise InputError(message)
    columns = {
        name: plain_values(
            [p[name] for p in points], f"field {shown(name)} of points", dtype_of(name)
        )
        for name in names
    }
    dtype = max((dtype_of(name) for name in names), key=lambda d: np.dtype(d).itemsize)
    what = f"points ({shown(', '.join(map(str, names)))[1:-1]})"
    _refuse_duplicates(what, list(zip(*columns.values(), strict=True)), dtype)
    return Dimension("point", columns)


def _check_width(values: Iterable[Any]) -> None:
    """Raise InputError unless all are whole numbers from 1 to 2**31 - 1."""
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            message = (
                f"values of axis 'width' must be whole numbers of at least 1; got {shown(value)}"
            )
            raise InputError(message)
        if value > MAX_STEP:
            message = f"values of axis 'width' must be at most {MAX_STEP}; got {shown(value)}"
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
            message = f"{what} contains a number that is not finite: {value}"
            raise InputError(message)
        limits = np.finfo(dtype)
        # Python's floats: compared with NumPy's float32 they would be rounded to it first.
        if abs(value) > float(limits.max) or 0 < abs(value) < float(limits.tiny):
            message = (
                f"{what} contains {value}, which is out of the range of {limits.dtype}; scale the "
                "problem, or run in float64"
            )
            raise InputError(message)
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        message = f"{what} contains {shown(value)}, beyond 64 bits; use a smaller number"
        raise InputError(message)


def _rounded(value: Any, dtype: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_rounded(item, dtype) for item in value)
    return (type(value), np.dtype(dtype).type(value).item() if type(value) is float else value)
