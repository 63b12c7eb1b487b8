"""The separator of the cells of a table of text, and its decimal sign."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from jssl.data.readers import LABELS
from jssl.data.readers.text_cells import COMMA, GROUPED, is_list, is_number, is_spaced
from jssl.data.readers.text_source import rows_of
from jssl.errors import InputError

SEPARATORS = {
    ",": "commas",
    ";": "semicolons",
    "\t": "tabs",
    "|": "vertical bars",
    " ": "spaces",
}

_THOUSANDS = re.compile(r"\s*[+-]?[1-9]\d{0,2}[,.]\d{3}\s*", re.ASCII)
"""A number such as 1,234, which is one with a decimal sign as well."""
_LIST = re.compile(r"(^|[,;|\t])\s*\[+\s*[+-]?[\d.]")
_TUPLE = re.compile(r"\s*\(+\s*[+-]?[\d.]+(e[+-]?\d+)?\s*", re.ASCII | re.IGNORECASE)
_INTEGER = re.compile(r"\s*[+-]?\d+\s*", re.ASCII)


def separator_of(path: Path, lines: Sequence[str]) -> str:
    """Return the separator that gives the most numbers, and the usual one where none is better.

    Example:
        >>> separator_of(Path("z.csv"), ["1;2", "3;4"])
        ';'

    Raises:
        InputError: where a list in brackets that is not quoted is cut.
    """
    usual = usual_separator(path)
    text = "".join(lines)
    others = [each for each in SEPARATORS if each != usual and each in text]
    best, most = usual, _score(lines, usual)
    for each in others:
        score = _score(lines, each)
        if score > most:
            best, most = each, score
    if best == usual == "," and usual not in text and not most:
        even = [each for each in others if each != " " and _is_even(lines, each)]
        best = even[0] if len(even) == 1 else best
    cut = next((cell for row in _rows(lines, best) for cell in row if _is_cut(cell)), None)
    if cut is not None:
        message = (
            f"{path} holds lists in brackets, such as one that begins {cut.strip()[:20]}, without "
            "quotation marks; remove the brackets"
        )
        raise InputError(message)
    return best


def usual_separator(path: Path) -> str:
    """Return the separator that the suffix of a file promises.

    Example:
        >>> usual_separator(Path("z.csv"))
        ','
    """
    return "\t" if path.suffix.lower() == ".tsv" else ","


def _rows(lines: Sequence[str], separator: str) -> list[list[str]]:
    try:
        return list(rows_of(lines, separator))
    except csv.Error:  # a cell that is too long
        return []


def _is_cut(cell: str) -> bool:
    """Return whether a list or tuple of numbers begins in a cell and does not end in it."""
    if _TUPLE.fullmatch(cell):
        return True
    return _LIST.search(cell) is not None and cell.count("[") > cell.count("]")


def _score(lines: Sequence[str], separator: str) -> int:
    """Return the count of cells that are numbers, less those in which another separator is left."""
    score, rows = 0, _rows(lines, separator)
    worst = -len("".join(lines))
    if separator == " " and (
        not all(map(is_number, (cell for row in rows[1:] for cell in row)))
        or _between_thousands(lines)
    ):
        return worst  # words, or 1 000
    for row in rows:
        for cell in row:
            if _is_cut(cell):
                return worst
            if is_number(cell) or is_list(cell) or GROUPED.fullmatch(cell):
                score += len(row) > 1
            elif any(other in cell for other in ",;\t|" if other != separator):
                score -= any(map(str.isdigit, cell))
    return score


def _between_thousands(lines: Sequence[str]) -> bool:
    """Return whether spaces stand between thousands of numbers that commas separate."""
    cells = [cell for row in _rows(lines[1:], ",") for cell in row]
    return any(map(is_spaced, cells)) and all(map(is_number, cells))


def _is_even(lines: Sequence[str], separator: str) -> bool:
    widths = {len(row) for row in _rows(lines, separator) if row}
    return len(widths) == 1 and min(widths) > 1


def decimal_of(path: Path, rows: Sequence[Sequence[str]], separator: str) -> str:
    """Return the decimal sign; raise where it is not the same in all cells, or not known.

    Example:
        >>> decimal_of(Path("z.csv"), [["a", "b"], ["1,5", "0,25"]], ";")
        ','

    Raises:
        InputError: for decimal points beside decimal commas, and separators between thousands.
    """
    cells = [cell for row in rows for cell in row]
    commas = [cell.strip() for cell in cells if COMMA.fullmatch(cell)]
    points = [cell.strip() for cell in cells if "." in cell and is_number(cell)]
    points = [cell for cell in points if not is_spaced(cell)]
    grouped = next((cell.strip() for cell in cells if GROUPED.fullmatch(cell)), None)
    found = None
    if grouped is not None:
        found = f"numbers with separators between thousands ({grouped}); write them without"
    elif commas and points:
        found = f"numbers with decimal points ({points[0]}) and with commas ({commas[0]}); write "
        found += "all of them with points"
    elif commas and all(map(_THOUSANDS.fullmatch, commas)):
        found = f"numbers such as {commas[0]}, whose comma may be a decimal sign or stand between "
        found += "thousands; write them with a decimal point, or without the comma"
    elif separator == ";" and _points_of_thousands(rows, points):
        found = f"numbers such as {points[0]} beside whole numbers, whose point may be a decimal "
        found += "sign or stand between thousands; write them with more decimals, or without the "
        found += "point"
    if found is not None:
        message = f"{path} holds {found}"
        raise InputError(message)
    return "," if commas else "."


def _points_of_thousands(rows: Sequence[Sequence[str]], points: Sequence[str]) -> bool:
    """Return whether all points may stand between thousands, and smaller numbers have none.

    The whole numbers of labels and of an index are no such numbers.
    """
    if not points or not all(map(_THOUSANDS.fullmatch, points)):
        return False
    names = [name.strip().lower() for name in rows[0]]
    others = [i for i, name in enumerate(names) if name and name not in (*LABELS, "id", "index")]
    below = [row[i] for row in rows[1:] for i in others if i < len(row)]
    return any(map(_INTEGER.fullmatch, below))
