"""Values against msgspec types: a message of one line where a value does not fit.

The library msgspec decides whether a value is of a type. `allowed` describes a type in words, for
the messages and for the documentation.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from msgspec import inspect

from jssl.errors import InputError, shown, unknown_name

FLOAT_MAX = 1.7976931348623157e308
"""Greatest float64."""
FLOAT32_MAX = 3.4028234663852886e38
"""Greatest float32."""


def check_value(kind: Any, value: Any, what: str) -> None:
    """Raise unless a value is of a type.

    Example:
        >>> check_value(list[int], [1.5], "width of [problem]")
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: width of [problem] must be a list of whole numbers; got [1.5]

    Args:
        kind: a type that msgspec knows, with its range.
        value: anything; NumPy numbers and arrays count as those of Python.
        what: what the value is called in the message.

    Raises:
        InputError: for a value of another type or out of range.
    """
    try:
        msgspec.convert(_python_value(value), kind, strict=True)
    except msgspec.ValidationError:
        message = f"{what} must be {allowed(kind)}; got {shown(value)}"
        raise InputError(message) from None


def check_table(
    struct: type[msgspec.Struct],
    table: Mapping[str, Any],
    what: str,
    *,
    place: str = "",
    elsewhere: Mapping[str, str] | None = None,
) -> None:
    """Raise unless a table has the keys of a struct, each with a value of its type.

    Example:
        >>> class Layout(msgspec.Struct):
        ...     segment: int = 1
        >>> check_table(Layout, {"segmnt": 3}, "key of [layout]", place=" of [layout]")
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: unknown key of [layout] 'segmnt'; did you mean 'segment'? known: ...

    Args:
        struct: the types of the keys.
        table: key -> value.
        what: what a key is called in the message on an unknown one.
        place: what follows a key's name in the other messages.
        elsewhere: key of another table -> where it belongs.

    Raises:
        InputError: for an unknown or missing key, or a value of another type or out of range.
    """
    fields = {field.name: field for field in msgspec.structs.fields(struct)}
    for name in table:
        if name not in fields and name in (elsewhere or {}):
            message = f"{what} '{name}' is misplaced: it belongs {(elsewhere or {})[name]}"
            raise InputError(message)
        if name not in fields:
            raise unknown_name(kind=what, name=name, known=fields)
    for name, field in fields.items():
        if name in table:
            check_value(field.type, table[name], f"{name}{place}")
        elif field.required:
            example = f'{name} = "..."' if "string" in allowed(field.type) else f"{name} = ..."
            message = f"{name}{place} is missing ({meaning(field.type)}): add a line {example}"
            raise InputError(message)


def meaning(kind: Any) -> str:
    """Return the description of a key's type."""
    found = inspect.type_info(kind)
    return str((getattr(found, "extra_json_schema", None) or {}).get("description", ""))


def allowed(kind: Any) -> str:
    """Return what a type allows, in words.

    Example:
        >>> from typing import Annotated
        >>> from msgspec import Meta
        >>> print(allowed(Annotated[int, Meta(ge=1)] | list[str]))
        a whole number of at least 1, or a list of strings
    """
    return _words(inspect.type_info(kind))


def _words(info: Any, many: bool = False) -> str:
    if isinstance(info, inspect.Metadata):
        return _words(info.type, many)
    if isinstance(info, inspect.UnionType):
        parts = [t for t in info.types if not isinstance(t, inspect.NoneType)]
        words = [_words(part, many) for part in parts]
        return ", or ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)
    if isinstance(info, inspect.LiteralType):
        return " or ".join(f'"{value}"' for value in info.values)
    if isinstance(info, inspect.BoolType):
        return "true or false"
    if isinstance(info, inspect.IntType):
        return ("whole numbers" if many else "a whole number") + _range(info)
    if isinstance(info, inspect.FloatType):
        finite = "finite " if info.le == FLOAT_MAX else ""
        return (f"{finite}numbers" if many else f"a {finite}number") + _range(info)
    if isinstance(info, inspect.ListType):
        most = f" with at most {info.max_length} entries" if info.max_length else ""
        full = "non-empty " if info.min_length else ""
        start = f"{full}lists of " if many else f"a {full}list of "
        return start + _words(info.item_type, many=True) + most
    if isinstance(info, inspect.DictType):
        if isinstance(info.value_type, inspect.AnyType):
            return "tables" if many else "a table"
        start = "tables of " if many else "a table of "
        return start + _words(info.value_type, many=True)
    full = "non-empty " if getattr(info, "min_length", None) else ""
    return f"{full}strings" if many else f"a {full}string"


def _range(info: Any) -> str:
    """Return the range of a number; bounds that only say what the dtype holds become words."""
    most = {2**63 - 1: "", FLOAT_MAX: "", FLOAT32_MAX: " that float32 can hold"}
    low = None if info.ge is not None and -info.ge in (2**63, *most) else info.ge
    high, holds = (None, most[info.le]) if info.le in most else (info.le, "")
    if low is not None and high is not None:
        return f" from {_number(low)} to {_number(high)}"
    bounds = (("above", info.gt), ("of at least", low), ("below", info.lt), ("at most", high))
    parts = [f"{word} {_number(limit)}" for word, limit in bounds if limit is not None]
    return (f" {' and '.join(parts)}" if parts else "") + holds


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


def _python_value(value: Any) -> Any:
    """Return a value with NumPy and JAX numbers and arrays as those of Python."""
    if isinstance(value, str | bytes | Mapping):
        return value
    if isinstance(value, np.generic) or (hasattr(value, "dtype") and hasattr(value, "tolist")):
        return value.tolist()
    if isinstance(value, list | tuple | range):
        return [_python_value(item) for item in value]
    return value
