"""The claims of a report.json as tables in Markdown."""

from collections.abc import Iterable, Mapping
from typing import Any

from jssl.report.html import number

MARKS = {"holds": "✓", "undecided": "**? undecided**", "fails": "**✗ fails**"}
SIGNS = {"=": "", "<=": "≤ ", ">=": "≥ "}


def claims_table(claims: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the lines of a table with one claim on each line.

    Example:
        >>> record = {"statement": "small", "relation": "<=", "predicted": 1.0, "measured": 0.5,
        ...           "tolerance": 0.0, "verdict": "holds", "nearest_rival": "large",
        ...           "rivals": [{"name": "large", "value": 3.0}]}
        >>> print(claims_table([record])[-1])
        | small | ≤ 1 | 0.5 | – | 3 (large) | ✓ |

    Args:
        claims: objects of the list `claims` of a report.json.
    """
    names = "| claim | predicted | measured | tolerance | nearest rival | |"
    return [names, "|---|--:|--:|--:|---|---|", *map(_row, claims)]


def _row(claim: Mapping[str, Any]) -> str:
    statement = claim["statement"].replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;")
    tolerance = (
        number(claim["tolerance"]) if claim["tolerance"] or claim["relation"] == "=" else "–"
    )
    predicted = SIGNS[claim["relation"]] + number(claim["predicted"])
    cells = (
        statement,
        predicted,
        number(claim["measured"]),
        tolerance,
        _nearest(claim),
        MARKS[claim["verdict"]],
    )
    return f"| {' | '.join(cells)} |"


def _nearest(claim: Mapping[str, Any]) -> str:
    values = {rival["name"]: rival["value"] for rival in claim["rivals"]}
    name = claim["nearest_rival"]
    return "none" if name is None else f"{number(values[name])} ({name})".replace("|", "\\|")
