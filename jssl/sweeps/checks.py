"""Values against the types of a schema: one line on what is wrong, and the list of all keys.

The library msgspec decides whether a value is of a type; what a type allows is said here in words,
for the errors and for the documentation alike.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np
from msgspec import NODEFAULT, UNSET, inspect

from jssl.errors import InputError, shown, unknown_name
from jssl.sweeps.schema import FLOAT32_MAX, FLOAT_MAX


class Key(NamedTuple):
    """A key of a table.

    Attributes:
        name: of the key.
        allowed: what it may hold, in words.
        default: what it is if left out, in words; empty where nothing is.
        meaning: what it does.
    """

    name: str
    allowed: str
    default: str
    meaning: str


def check_value(kind: Any, value: Any, what: str) -> None:
    """Raise unless a value is of a type of the schema.

    Example:
        >>> from jssl.sweeps.schema import Count
        >>> check_value(Count, 1.5, "width of [problem]")
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: width of [problem] must be a whole number from 1 to 2147483647;
        got 1.5

    Args:
        kind: a type that msgspec knows, with its range.
        value: anything; NumPy numbers and arrays count as those of Python.
        what: what the value is called in the message.

    Raises:
        InputError: for a value of another type or out of range.
    """
    try:
        msgspec.convert(plain(value), kind, strict=True)
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
        >>> from jssl.sweeps.schema import Layout
        >>> check_table(Layout, {"segmnt": 3}, "key of [layout]", place=" of [layout]")
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: unknown key of [layout] 'segmnt'; did you mean 'segment'? known: ...

    Args:
        struct: a table of the schema.
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


def plain(value: Any) -> Any:
    """Return a value with NumPy and JAX numbers and arrays as those of Python.

    Example:
        >>> plain((np.int64(3), np.array([1.5])))
        [3, [1.5]]
    """
    if isinstance(value, str | bytes | Mapping):
        return value
    if isinstance(value, np.generic) or (hasattr(value, "dtype") and hasattr(value, "tolist")):
        return value.tolist()
    if isinstance(value, list | tuple | range):
        return [plain(item) for item in value]
    return value


def keys_of(struct: type[msgspec.Struct], defaults: Mapping[str, Any] | None = None) -> list[Key]:
    """Return the keys of a table for its documentation.

    Example:
        >>> from jssl.sweeps.schema import Layout
        >>> keys_of(Layout)[0][:3]
        ('chunk_seconds', 'a number above 0 and at most 1e+09', '20.0')

    Args:
        struct: a table of the schema.
        defaults: key -> default where the struct itself states none.
    """
    known = defaults or {}
    found = []
    for field in msgspec.structs.fields(struct):
        default = known.get(field.name, field.default)
        if field.default_factory is not NODEFAULT:
            default = field.default_factory()
        silent = any(default is empty for empty in (NODEFAULT, UNSET, None))
        found.append(
            Key(
                field.name,
                allowed(field.type),
                "" if silent else _literal(default),
                meaning(field.type),
            )
        )
    return found


def markdown(keys: Iterable[Key]) -> str:
    """Return keys as a table in Markdown.

    Example:
        >>> print(markdown([Key("seed", "a whole number", "0", "root seed")]))
        | key | what it may hold | default | meaning |
        |---|---|---|---|
        | `seed` | a whole number | `0` | root seed |
    """
    lines = ["| key | what it may hold | default | meaning |", "|---|---|---|---|"]
    for key in keys:
        default = f"`{key.default}`" if key.default else ""
        lines.append(f"| `{key.name}` | {key.allowed} | {default} | {key.meaning} |")
    return "\n".join(lines)


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


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
