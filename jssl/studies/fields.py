"""Checks of the fields of a study's problem: those of `[problem]`, `[axes]` and `[[points]]`.

A field is given in one of the three places. Where the problem is given by names, each value must
have the type and range of its field.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import numpy as np

from jssl.errors import InputError, shown, unknown_name
from jssl.record_steps import MAX_STEP
from jssl.studies.schema import NamedProblem, StudyFile, Value
from jssl.sweeps.axes import plain_values
from jssl.sweeps.study import Layout, Until
from jssl.value_checks import check_table, check_value

TABLE_OF = {
    field.name: place
    for struct, place in (
        (NamedProblem, "in [problem], or as a list in [axes]"),
        (Layout, "in [layout]"),
        (Until, "in [until]"),
        (StudyFile, "before the first table"),
    )
    for field in msgspec.structs.fields(struct)
}
"""Key -> the table to which it belongs, as in a message."""


def check_fields(data: Mapping[str, Any], dtype: Any) -> None:
    """Raise unless every field of a study is in one place, and of its type and range.

    Example:
        >>> study = {"problem": {"dim": 2}, "axes": {"dim": [2, 4]}}
        >>> check_fields(study, "float32")
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: 'dim' is in [problem] and in [axes]; leave one out

    Args:
        data: the tables of a study: `problem`, `axes`, `points`.
        dtype: of the runs, in whose range every float must be.

    Raises:
        InputError: for a field in two places, an unknown one, or a value of another type or range.
    """
    problem, axes, points = (data.get(k) or {} for k in ("problem", "axes", "points"))
    for name in problem:
        for place, given in (("[axes]", axes), *(("[[points]]", p) for p in points)):
            if name in given:
                message = f"{shown(name)} is in [problem] and in {place}; leave one out"
                raise InputError(message)
    if "max_width" in problem:
        message = "max_width is set by the plan where widths are padded; leave it out of [problem]"
        raise InputError(message)
    if "make" in problem:
        for what, _, value in _values(axes, points):
            check_value(Value | list[Value], value, what)
        return
    what = "field of [problem]"
    check_table(NamedProblem, problem, what, place=" of [problem]", elsewhere=TABLE_OF)
    types = {field.name: field.type for field in msgspec.structs.fields(NamedProblem)}
    for name, value in problem.items():
        _check_number(name, value, f"{name} of [problem]", dtype)
    for what, name, value in _values(axes, points):
        if name not in types and name in TABLE_OF:
            message = f"axis '{name}' is misplaced: it belongs {TABLE_OF[name]}"
            raise InputError(message)
        if name not in types:
            raise unknown_name(kind="axis", name=name, known=[*types, "seed"])
        check_value(types[name], value, what)
        # The grid checks axes against the dtype of the runs.
        _check_number(name, value, what, np.float64)


def _check_number(name: str, value: Any, what: str, dtype: Any) -> None:
    plain_values([value], what, dtype)
    if isinstance(value, int) and abs(value) > MAX_STEP and name != "data_seed":
        message = f"{what} is too large for a whole number; write it with a point, {value:.1e}"
        raise InputError(message)


def _values(axes: Mapping[str, Any], points: Any) -> Iterator[tuple[str, str, Any]]:
    """Yield (what it is, field, value) of every value of the axes and the points."""
    for name, values in axes.items():
        if name == "seed":
            continue
        if not isinstance(values, list):
            message = f"axis {shown(name)} must be a list of values; got {shown(values)}"
            raise InputError(message)
        yield from ((f"a value of axis {shown(name)}", name, value) for value in values)
    for position, point in enumerate(points):
        for name, value in point.items():
            yield f"{shown(name)} of point {position}", name, value
