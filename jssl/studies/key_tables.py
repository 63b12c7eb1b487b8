"""The keys of a study as tables for the documentation."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec import NODEFAULT, UNSET

from jssl.value_checks import allowed, meaning


class Key(NamedTuple):
    """A key of a table.

    Attributes:
        name: of the key.
        allowed: type and range, in words.
        default: the default, in words; empty where there is none.
        meaning: what the key does.
    """

    name: str
    allowed: str
    default: str
    meaning: str


def keys_of(struct: type[msgspec.Struct], defaults: Mapping[str, Any] | None = None) -> list[Key]:
    """Return the keys of a table for its documentation.

    Example:
        >>> from jssl.sweeps.study import Layout
        >>> keys_of(Layout)[0][:3]
        ('chunk_seconds', 'a number above 0 and at most 1e+09', '20.0')

    Args:
        struct: the types of the keys.
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
        | key | type and range | default | meaning |
        |---|---|---|---|
        | `seed` | a whole number | `0` | root seed |
    """
    lines = ["| key | type and range | default | meaning |", "|---|---|---|---|"]
    for key in keys:
        default = f"`{key.default}`" if key.default else ""
        lines.append(f"| `{key.name}` | {key.allowed} | {default} | {key.meaning} |")
    return "\n".join(lines)


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
