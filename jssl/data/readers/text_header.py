"""Whether the first line of a table of text is a header.

pandas writes a header of 0, 1, 2, ... for columns without names. It would be read as numbers.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from jssl.data.readers import LABELS
from jssl.data.readers.text_cells import WHOLE, is_list, is_missing, is_number, shown
from jssl.errors import InputError

_NAME = re.compile(r"[^\W\d]")


def header_of(
    path: Path, rows: Sequence[Sequence[str]], numeric: Sequence[int]
) -> tuple[bool, list[str]]:
    """Return whether the first line is a header, and a note where it could be read otherwise.

    Example:
        >>> header_of(Path("z.csv"), [["a", "b"], ["1.5", "2.5"]], [0, 1])
        (True, [])

    Args:
        path: of the file, for messages.
        rows: the first ones.
        numeric: positions of the columns of numbers and of lists of numbers.

    Raises:
        InputError: for a header without rows, and a line that is neither a header nor a row.
    """
    first, below = rows[0], rows[1:]
    if not below:
        return _only_line(path, first), []
    if len(first) == 1 and not numeric:
        return _header_of_labels(path, first[0], [row[0] for row in below])
    if not numeric:
        return True, []
    empty = not first[0].strip() and len(first) > 1
    cells = [first[i].strip() for i in numeric if not (empty and i == 0)]
    labelled = any(name.strip().lower() in LABELS for name in first)
    given = [cell for cell in cells if not is_missing(cell)]
    words = [cell for cell in given if not (is_number(cell) or is_list(cell))]
    if labelled or len(words) == len(given) > 0:
        return True, []
    values = [[row[i] for i in numeric if i < len(row)] for row in below]
    if words:
        return True, [_mixed(path, given, words, values)]
    if empty and _count(cells) is not None:
        return True, []
    if empty and _is_run(cells) and not _is_whole(values):
        said = f"The first line of {path} is {cells[0]} to {cells[-1]} without a number above the "
        return True, [said + "first column. It is a header and was left out."]
    return _header_of_numbers(path, cells, values, others=len(first) - len(numeric))


def _only_line(path: Path, first: Sequence[str]) -> bool:
    """Return False for a row; raise for a header that stands alone."""
    if any(is_number(cell) or is_list(cell) for cell in first) or len(first) == 1:
        return False
    names = ", ".join(map(shown, first[:3])) + ", ..." * (len(first) > 3)
    message = f"{path} holds a header ({names}) and no rows; write them below it"
    raise InputError(message)


def _header_of_labels(path: Path, first: str, below: Sequence[str]) -> tuple[bool, list[str]]:
    """Return whether the first line of one column of words is the name of the column."""
    named = first.strip().lower() in (*LABELS, "0") and first not in below
    return named, [f"The first line of {path}, '{first.strip()}', is a header."] if named else []


def _mixed(
    path: Path, cells: Sequence[str], words: Sequence[str], below: Sequence[Sequence[str]]
) -> str:
    """Return the note on a header of words and numbers; raise where it may be a row.

    It is a header where its words are names and its numbers count the columns, or are whole over
    numbers that are not.
    """
    numbers = [cell for cell in cells if is_number(cell) or is_list(cell)]
    counts = numbers == [str(i) for i in range(len(numbers))]
    decimals = all(map(WHOLE.fullmatch, numbers)) and not _is_whole(below)
    if all(map(_NAME.match, words)) and (counts or decimals):
        return (
            f"The first line of {path}, with {shown(numbers[0])} and {shown(words[0])}, is a "
            "header and was left out. If it is a row, replace its words by numbers."
        )
    message = (
        f"{path}: line 1 holds {shown(words[0])} beside numbers such as {shown(numbers[0])}; if it "
        "is a row, write a number there or leave the row out; if it is a header, write words only"
    )
    raise InputError(message)


def _is_whole(below: Sequence[Sequence[str]]) -> bool:
    return all(WHOLE.fullmatch(cell) or is_missing(cell) for row in below for cell in row)


def _count(cells: Sequence[str]) -> str | None:
    """Return the first of cells that count by one, as 0, 1, 2 or, as pandas may, 0.0, 1.0, 2.0."""
    for first, form in (("0", "{}"), ("1", "{}"), ("0.0", "{}.0")):
        if list(cells) == [form.format(i + int(first[0])) for i in range(len(cells))]:
            return first
    return None


def _header_of_numbers(
    path: Path, cells: Sequence[str], below: Sequence[Sequence[str]], others: int
) -> tuple[bool, list[str]]:
    """Return whether a line of numbers is a header, and a note, with so many columns of words."""
    what = f"The first line of {path} is {cells[0]}" + f" to {cells[-1]}" * (len(cells) > 1)
    start, whole = _count(cells), _is_whole(below)
    header = [
        f"{what}, as a header that numbers the columns (pandas writes it from 0), and was left "
        "out. If it is a row, write a header above it."
    ]
    if start is None or (start != "0" and len(cells) < 3):
        notes = []
        if others:
            notes = [f"{path} has no header: its first line holds numbers where the others do."]
        if not whole and _is_run(cells):
            notes.append(
                f"{what} in equal steps and was read as a row, though other lines hold decimals; "
                "if it is a header, remove it or write words."
            )
        return False, notes
    if others and len(cells) > 2:
        return True, header if whole else []
    if whole and len(cells) == 1 and not others:  # as labels are
        return False, []
    if whole:
        return False, [
            f"{what} and was read as a row, because the other lines are whole numbers too; if it "
            "is a header, remove it."
        ]
    return True, header


def _is_run(cells: Sequence[str]) -> bool:
    """Return whether cells are whole numbers at equal distances; two are where it is one."""
    if not all(map(WHOLE.fullmatch, cells)) or len(cells) < 2:
        return False
    values = [int(float(cell)) for cell in cells]
    steps = {after - before for before, after in pairwise(values)}
    return len(steps) == 1 and (steps == {1} if len(cells) == 2 else steps != {0})
