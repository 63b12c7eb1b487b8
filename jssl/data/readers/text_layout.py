"""How a table of text is written: its separator, decimal sign, header and index, from a sample.

pandas writes a header of 0, 1, 2, ... for columns without names, and its index as a first column
without a name. Both would be read as numbers. What is left out is said in a note.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from jssl.errors import InputError

LABELS = ("labels", "label", "y", "targets", "target", "classes", "class")
"""Names of arrays and columns of labels, the first ones before the others.

A column called y holds labels only where no other is called x.
"""

_SAMPLE = 32
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", " ": "spaces"}
_COMMA = re.compile(r"\s*[+-]?\d+,\d+([eE][+-]?\d+)?\s*")
_GROUPED = re.compile(r"\s*[+-]?\d{1,3}((,\d{3})+\.\d*|(,\d{3}){2,}|(\.\d{3})+,\d*)\s*")
"""A number with separators between thousands: 1,234.5 or 1,234,567 or 1.234,5."""
_THOUSANDS = re.compile(r"\s*[+-]?[1-9]\d{0,2},\d{3}\s*")
"""A number such as 1,234, which is one with a decimal comma as well."""
_INTEGER = re.compile(r"\s*[+-]?\d+\s*")
_MISSING = ("", "na", "n/a", "null", "none", "<na>")


class Layout(NamedTuple):
    """How a table is written.

    Attributes:
        separator: of the cells.
        decimal: sign, a point or a comma.
        header: whether the first line holds the names of the columns.
        names: of the columns; their positions where there is no header.
        numbers: positions of the columns that are the matrix.
        indexed: whether the first column is an index that is left out.
        number_last: whether the last column holds numbers.
        notes: what was chosen without being asked for.
    """

    separator: str
    decimal: str
    header: bool
    names: tuple[str, ...]
    numbers: tuple[int, ...]
    indexed: bool
    number_last: bool
    notes: tuple[str, ...]


def layout_of(path: Path) -> Layout:
    """Return how a table is written, from its first lines.

    Raises:
        InputError: for an empty file, decimal points beside decimal commas, and separators between
            thousands.
    """
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        lines = list(islice(file, _SAMPLE))
    usual = "\t" if path.suffix.lower() == ".tsv" else ","
    separator = _separator(lines, usual)
    rows = [row for row in rows_of(lines, separator) if row]
    if not rows:
        message = f"{path} is empty"
        raise InputError(message)
    decimal = _decimal(path, rows)
    numeric = _numeric_columns(rows)
    header, notes = _header(path, rows, numeric)
    names = tuple(rows[0]) if header else tuple(map(str, range(len(rows[0]))))
    index = header and _is_index(names, rows[1:], numeric)
    numbers = _embedding(names, [i for i in numeric if not (index and i == 0)])
    if separator != usual:
        notes.append(f"{path} is read with {_SEPARATORS[separator]} between its columns.")
    if decimal == ",":
        notes.append(f"{path} is read with decimal commas.")
    if index:
        notes.append(
            f"The first column of {path} has no name and holds whole numbers, as the index that "
            "pandas writes; it was left out. If it is a coordinate, give it a name."
        )
    last = len(names) - 1 in numeric
    return Layout(separator, decimal, header, names, numbers, index, last, tuple(notes))


def rows_of(lines: Iterable[str], separator: str) -> Any:
    """Return a reader of the rows of lines; several spaces are one separator."""
    return csv.reader(lines, delimiter=separator, skipinitialspace=separator == " ")


def _separator(lines: Sequence[str], usual: str) -> str:
    """Return the separator that gives the most numbers, and the usual one where none is better."""
    text = "".join(lines)
    others = [each for each in _SEPARATORS if each != usual and each in text]
    best, most = usual, _score(lines, usual)
    for each in others:
        score = _score(lines, each)
        if score > most:
            best, most = each, score
    if best == usual == "," and usual not in text and not most:
        even = [each for each in others if each != " " and _is_even(lines, each)]
        best = even[0] if len(even) == 1 else best
    return best


def _score(lines: Sequence[str], separator: str) -> int:
    """Return the count of cells that are numbers, less those in which another separator is left."""
    score, rows = 0, list(rows_of(lines, separator))
    if separator == " " and not all(map(_is_number, (cell for row in rows[1:] for cell in row))):
        return -len("".join(lines))  # words
    for row in rows:
        for cell in row:
            if _is_number(cell) or _GROUPED.fullmatch(cell):
                score += len(row) > 1
            elif any(other in cell for other in ",;\t" if other != separator):
                score -= any(map(str.isdigit, cell))
    return score


def _is_even(lines: Sequence[str], separator: str) -> bool:
    widths = {len(row) for row in rows_of(lines, separator) if row}
    return len(widths) == 1 and min(widths) > 1


def _decimal(path: Path, rows: Sequence[Sequence[str]]) -> str:
    """Return the decimal sign; raise where it is not the same in all cells, or not known."""
    cells = [cell for row in rows for cell in row]
    commas = [cell.strip() for cell in cells if _COMMA.fullmatch(cell)]
    points = next((cell.strip() for cell in cells if "." in cell and _is_number(cell)), None)
    grouped = next((cell.strip() for cell in cells if _GROUPED.fullmatch(cell)), None)
    found = None
    if grouped is not None:
        found = f"numbers with separators between thousands ({grouped}); write them without"
    elif commas and points is not None:
        found = f"numbers with decimal points ({points}) and with commas ({commas[0]}); write all "
        found += "of them with points"
    elif commas and all(map(_THOUSANDS.fullmatch, commas)):
        found = f"numbers such as {commas[0]}, whose comma may be a decimal sign or stand between "
        found += "thousands; write them with a decimal point, or without the comma"
    if found is not None:
        message = f"{path} holds {found}"
        raise InputError(message)
    return "," if commas else "."


def _numeric_columns(rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the columns whose first value below the first line is a number."""
    below = rows[1:] or rows
    found = []
    for i in range(len(rows[0])):
        values = (row[i] for row in below if i < len(row))
        first = next((v for v in values if v.strip().lower() not in _MISSING), None)
        if first is not None and _is_number(first):
            found.append(i)
    return found


def _header(
    path: Path, rows: Sequence[Sequence[str]], numeric: Sequence[int]
) -> tuple[bool, list[str]]:
    """Return whether the first line is a header, and a note where it could be read otherwise."""
    first, below = rows[0], rows[1:]
    if not below:
        return not all(map(_is_number, first)), []
    if len(first) == 1 and not numeric:
        return _header_of_labels(path, first[0], [row[0] for row in below])
    if not numeric:
        return True, []
    empty = not first[0].strip() and len(first) > 1
    cells = [first[i].strip() for i in numeric if not (empty and i == 0)]
    if any(not _is_number(cell) and cell.lower() not in _MISSING for cell in cells):
        return True, []
    wordy = len(numeric) < len(first)
    counts = [[str(i + start) for i in range(len(cells))] for start in (0, 1)]
    if ((empty or wordy) and cells in counts) or any(n.strip().lower() in LABELS for n in first):
        return True, []
    if cells not in counts[: 1 + (len(cells) > 2)]:
        note = f"{path} has no header: its first line holds numbers where the others do."
        return False, [note] if wordy else []
    what = f"The first line of {path} is {cells[0]}" + f" to {cells[-1]}" * (len(cells) > 1)
    whole = all(_INTEGER.fullmatch(cell) for row in below for cell in row)
    if whole and len(first) == 1:  # as labels are
        return False, []
    if whole:
        return False, [
            f"{what} and was read as a row, because the other lines are whole numbers too; if it "
            "is a header, remove it."
        ]
    return True, [
        f"{what}, as a header that numbers the columns (pandas writes it from 0), and was left "
        "out. If it is a row, write it with decimal points."
    ]


def _header_of_labels(path: Path, first: str, below: Sequence[str]) -> tuple[bool, list[str]]:
    """Return whether the first line of one column of words is the name of the column."""
    named = first.strip().lower() in (*LABELS, "0") and first not in below
    return named, [f"The first line of {path}, '{first.strip()}', is a header."] if named else []


def _is_index(names: Sequence[str], below: Sequence[Sequence[str]], numeric: Sequence[int]) -> bool:
    """Return whether the first of several columns is an index: whole numbers without a name."""
    unnamed = not names[0].strip() or names[0].startswith("Unnamed: ")
    values = [row[0] for row in below]
    whole = bool(values) and all(map(_INTEGER.fullmatch, values))
    return unnamed and whole and len(set(values)) == len(values) and len(names) > 1 and 0 in numeric


def _embedding(names: Sequence[str], numeric: Sequence[int]) -> tuple[int, ...]:
    """Return the columns of the matrix: those called emb..., else all numbers but the labels."""
    lower = [name.lower() for name in names]
    labels = set(LABELS) - ({"y"} if "x" in lower else set())
    numbers = [i for i in numeric if lower[i] not in labels]
    return tuple([i for i in numbers if lower[i].startswith("emb")] or numbers)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return _COMMA.fullmatch(text) is not None
    return True
