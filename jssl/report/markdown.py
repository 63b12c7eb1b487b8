"""The claims of a report.json as tables in Markdown."""

from collections.abc import Iterable, Mapping
from typing import Any

from jssl.report.html import number

SIGNS = {"=": "", "<=": "≤ ", ">=": "≥ "}


def claims_table(claims: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the lines of a table with one claim on each line.

    Example:
        >>> record = {"statement": "small", "relation": "<=", "predicted": 1.0, "measured": 0.5,
        ...           "tolerance": 0.0, "passed": True}
        >>> print(claims_table([record])[-1])
        | small | ≤ 1 | 0.5 | – | ✓ |

    Args:
        claims: objects of the list `claims` of a report.json.
    """
    head = ["| claim | predicted | measured | tolerance | |", "|---|--:|--:|--:|---|"]
    return [*head, *map(_row, claims)]


def _row(claim: Mapping[str, Any]) -> str:
    statement = claim["statement"].replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;")
    tolerance = (
        number(claim["tolerance"]) if claim["tolerance"] or claim["relation"] == "=" else "–"
    )
    predicted = SIGNS[claim["relation"]] + number(claim["predicted"])
    verdict = "✓" if claim["passed"] else "**✗ fails**"
    return f"| {statement} | {predicted} | {number(claim['measured'])} | {tolerance} | {verdict} |"
