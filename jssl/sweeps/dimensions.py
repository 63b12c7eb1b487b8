"""The dimensions of a sweep's result: its axes, those that run together, and explicit points."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jssl.errors import InputError, shown, unknown_name
from jssl.sweeps.names import check_axes, check_name
from jssl.sweeps.values import axis_values, plain_values, refuse_duplicates

SEED = "seed"


class Dimension(NamedTuple):
    """One dimension of the result: an axis, several zipped axes, or a list of points.

    Attributes:
        name: what the dimension is called.
        fields: argument of `make_problem` -> its value at each position.
    """

    name: str
    fields: Mapping[str, tuple[Any, ...]]

    @property
    def size(self) -> int:
        """Return the number of positions."""
        return len(next(iter(self.fields.values())))


def dimensions_of(
    axes: Mapping[str, Any],
    points: Sequence[Mapping[str, Any]] | None,
    zipped: Sequence[Sequence[str]],
    dtype_of: Any,
) -> tuple[Dimension, ...]:
    """Return every dimension but the seeds, or say what is wrong with the axes.

    Example:
        >>> axes = {"width": [8, 16], "rate": [0.1, 0.2], "seed": 3}
        >>> found = dimensions_of(axes, None, [["width", "rate"]], lambda name: np.float64)
        >>> print([(d.name, d.size) for d in found])
        [('width_rate', 2)]

    Args:
        axes: field -> values; `seed` is left out.
        points: explicit points, one dimension `point`.
        zipped: groups of axes of equal length that run along one dimension.
        dtype_of: `dtype_of(field)` is the dtype that has to hold the floats of a field.

    Raises:
        InputError: for an empty or duplicate field, a name that is taken, or a bad value.
    """
    if not isinstance(axes, Mapping):
        message = f"axes must be a table of field -> values; got {shown(axes)}"
        raise InputError(message)
    for name in axes:
        if not isinstance(name, str):
            check_name("axis", name)
    values = {
        name: axis_values(name, given, dtype_of(name))
        for name, given in axes.items()
        if name != SEED
    }
    found = [*_zip(values, zipped, dtype_of)]
    if points is not None:
        found.append(_points(points, values, dtype_of))
    check_axes((d.name, d.fields) for d in found)
    return tuple(found)


def _zip(
    values: Mapping[str, tuple[Any, ...]],
    zipped: Sequence[Sequence[str]],
    dtype_of: Any,
) -> Iterable[Dimension]:
    together = {}
    for group in zipped:
        if not group:
            message = "zip holds a group without an axis; name the axes or leave it out"
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
            refuse_duplicates(what, values[name] if len(group) == 1 else rows, dtype)
            yield Dimension("_".join(group), {member: values[member] for member in group})


def _points(
    points: Sequence[Mapping[str, Any]],
    values: Mapping[str, tuple[Any, ...]],
    dtype_of: Any,
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
    refuse_duplicates(what, list(zip(*columns.values(), strict=True)), dtype)
    return Dimension("point", columns)
