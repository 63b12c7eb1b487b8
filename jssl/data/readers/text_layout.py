"""How a table of text is written: its separator, decimal sign, header and index, from a sample.

pandas writes a header of 0, 1, 2, ... for columns without names, and its index as a first column
without a name. Both would be read as numbers. What is left out is said in a note. The sample is the
first lines of a file; what is concluded from them is checked again where the rows are read, or the
note says that it holds for the first lines.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jssl.data.readers import LABELS
from jssl.data.readers.text_cells import WHOLE, is_list, is_missing, is_quantity, shown
from jssl.data.readers.text_header import header_of
from jssl.data.readers.text_separator import SEPARATORS, decimal_of, separator_of, usual_separator
from jssl.data.readers.text_source import Source, first_lines, numbered_rows, source_of
from jssl.errors import InputError

_INDICES = ("id", "index", "idx", "row_id", "sample_id")
"""Names of columns that number the rows."""
_DIGITS = re.compile(r"\d+")


class Layout(NamedTuple):
    """How a table is written.

    Attributes:
        source: the file.
        skip: how many lines stand above the first row: comments and a header.
        separator: of the cells.
        decimal: sign, a point or a comma.
        header: whether the columns have names.
        names: of the columns; their positions where there are none.
        numbers: positions of the columns that are the matrix.
        lists: positions of the columns of lists of numbers.
        indices: positions of columns that number the rows, which are left out.
        empty: positions of columns that are empty in the sample, which are left out.
        number_last: whether the last column holds numbers.
        notes: what was chosen without being asked for.
    """

    source: Source
    skip: int
    separator: str
    decimal: str
    header: bool
    names: tuple[str, ...]
    numbers: tuple[int, ...]
    lists: tuple[int, ...]
    indices: tuple[int, ...]
    empty: tuple[int, ...]
    number_last: bool
    notes: tuple[str, ...]

    def column(self, i: int) -> str:
        """Return what a column is called in messages."""
        return f"column {self.names[i]}" if self.header and self.names[i] else f"cell {i + 1}"


class _Kinds(NamedTuple):
    """Positions of the columns whose cells in the sample are numbers, lists, nothing or mixed."""

    numbers: list[int]
    lists: list[int]
    empty: list[int]
    mixed: list[int]


def layout_of(path: Path) -> Layout:
    r"""Return how a table is written, from its first lines.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "z.csv")
        ...     _ = path.write_text("id,a,b\n1,0.5,1.5\n2,2.5,3.5\n")
        ...     layout = layout_of(path)
        >>> layout.numbers, layout.indices
        ((1, 2), (0,))

    Raises:
        InputError: for an empty file, what is no text, decimal points beside decimal commas, and
            separators between thousands.
    """
    source = source_of(path)
    comments, lines, whole = first_lines(source)
    if not any(line.strip() for line in lines):
        message = f"{path} is empty; write rows of numbers to it, or leave it out"
        raise InputError(message)
    separator = separator_of(path, lines)
    numbered = list(numbered_rows(path, lines, separator, len(comments), whole))
    rows = [row for _, row in numbered]
    decimal = decimal_of(path, rows, separator)
    kinds = _kinds(rows)
    header, notes = header_of(path, rows, sorted(kinds.numbers + kinds.lists))
    skip = len(comments)
    if header:
        skip, rows = _lines_above(numbered), rows[1:]
    first = numbered[0][1]
    names = tuple(map(str.strip, first)) if header else tuple(map(str, range(len(first))))
    if comments:
        commented = None if header else _commented_names(comments[-1], separator, len(names))
        notes.append(_note_on_comments(path, len(comments), named=commented is not None))
        header, names = header or commented is not None, commented or names
    notes += _notes_on_separators(path, separator, decimal)
    if separator == "," and (not header or len(names) == 1):
        notes += _note_on_two_columns(path, rows, len(names))
    indices, of_indices = _indices(path, names, header, rows, kinds.numbers)
    numbers = _embedding(names, [i for i in kinds.numbers if i not in indices])
    notes += of_indices + _notes_on_columns(path, names, header, rows, kinds, numbers)
    last = len(names) - 1 in kinds.numbers
    return Layout(
        source,
        skip,
        separator,
        decimal,
        header,
        names,
        numbers,
        tuple(kinds.lists),
        indices,
        tuple(kinds.empty),
        last,
        tuple(notes),
    )


def _lines_above(numbered: Sequence[tuple[int, list[str]]]) -> int:
    """Return how many lines stand above the first row, which is empty where a cell is missing."""
    line, first = numbered[0]
    return line + first[0].count("\n") if len(first) == 1 else numbered[1][0] - 1


def _kinds(rows: Sequence[Sequence[str]]) -> _Kinds:
    """Return what the columns hold below the first line, which may be a header.

    A column is one of numbers where half of its cells are, so that the others are found to be bad
    when it is read. One column of words and whole numbers that begins with a word is one of labels.
    """
    below = rows[1:] or rows
    kinds = _Kinds([], [], [], [])
    for i in range(len(rows[0])):
        cells = [row[i] for row in below if i < len(row) and not is_missing(row[i])]
        count = sum(map(is_quantity, cells))
        most = 2 * count >= len(cells)
        if most and len(rows[0]) == 1:
            decimals = any(is_quantity(cell) and not WHOLE.fullmatch(cell) for cell in cells)
            most = decimals or is_quantity(cells[0])
        if not cells:
            kinds.empty.extend([i] if rows[0][i].strip().lower() not in LABELS else [])
        elif all(map(is_list, cells)):
            kinds.lists.append(i)
        elif most:
            kinds.numbers.append(i)
        elif count:
            kinds.mixed.append(i)
    return kinds


def _commented_names(line: str, separator: str, columns: int) -> tuple[str, ...] | None:
    """Return the names of the columns in a comment, as numpy.savetxt writes them, or None."""
    cells = [cell.strip() for cell in line.lstrip("# ").strip("\r\n").split(separator)]
    fits = len(cells) == columns > 1 and not any(map(is_quantity, cells)) and all(cells)
    return tuple(cells) if fits else None


def _note_on_comments(path: Path, count: int, *, named: bool) -> str:
    if named:
        return f"Line {count:,} of {path}, which begins with #, holds the names of its columns."
    if count == 1:
        return f"The first line of {path} is a comment and was left out."
    return f"The first {count:,} lines of {path} are comments and were left out."


def _notes_on_separators(path: Path, separator: str, decimal: str) -> list[str]:
    notes = []
    if separator != usual_separator(path):
        notes.append(f"{path} is read with {SEPARATORS[separator]} between its columns.")
    if decimal == ",":
        notes.append(f"{path} is read with decimal commas.")
    return notes


def _note_on_two_columns(path: Path, rows: Sequence[Sequence[str]], columns: int) -> list[str]:
    """Return a note on two columns of whole numbers, which may be one with decimal commas.

    No whole number is written with a 0 before it, as the decimals of 1,05 are.
    """
    if not rows or not all(
        len(r) == 2 and WHOLE.fullmatch(r[0]) and _DIGITS.fullmatch(r[1]) for r in rows
    ):
        return []
    zero = next((row for row in rows if row[1].startswith("0") and len(row[1]) > 1), None)
    if zero is not None or columns == 1:
        message = (
            f"{path} holds one column of numbers with decimal commas, such as "
            f"{','.join(zero or rows[0])}; write them with points"
        )
        raise InputError(message)
    return [
        f"{path} is read as two columns of whole numbers. If its commas are decimal signs, write "
        "points."
    ]


def _indices(
    path: Path,
    names: Sequence[str],
    header: bool,
    rows: Sequence[Sequence[str]],
    numeric: Sequence[int],
) -> tuple[tuple[int, ...], list[str]]:
    """Return the columns that number the rows and are left out, and notes on those that may.

    The evidence is the name and the whole numbers of the sample, of which no two are equal; later
    lines are not looked at.
    """
    indices: list[int] = []
    notes: list[str] = []
    columns = {
        i: [row[i] for row in rows if i < len(row) and not is_missing(row[i])] for i in numeric
    }
    whole = [i for i, cells in columns.items() if cells and all(map(WHOLE.fullmatch, cells))]
    for i in whole if len(names) > 1 else []:
        cells, name = columns[i], names[i]
        unnamed = (not name and i == 0) or name.startswith("Unnamed: ")
        if (unnamed or name.lower() in _INDICES) and len(set(cells)) == len(cells):
            indices.append(i)
            notes.append(_note_on_index(path, i, "" if unnamed else name, len(cells)))
        elif name.lower() in (*_INDICES, "row") or (
            _counts_up(cells)
            and (len(whole) < len(columns) or (i == 0 and float(cells[0]) in (0, 1)))
        ):
            called = f"'{name}'" if header else f"{i + 1}"
            known = not header or name.lower() in _INDICES
            notes.append(
                f"Column {called} of {path} holds {', '.join(map(str.strip, cells[:3]))}, ... in "
                f"its first {len(cells):,} rows and is a coordinate. If it numbers the rows, "
                + ("remove it." if known else "call it id or remove it.")
            )
    return tuple(indices), notes


def _note_on_index(path: Path, i: int, name: str, rows: int) -> str:
    if name:
        return (
            f"Column '{name}' of {path} numbers the rows (the whole numbers of the first {rows:,} "
            "all differ) and was left out. If it is a coordinate, give it another name."
        )
    return (
        f"{'The first column' if i == 0 else f'Column {i + 1}'} of {path} has no name and holds "
        "whole numbers, as the index that pandas writes; it was left out. If it is a coordinate, "
        "give it a name."
    )


def _counts_up(cells: Sequence[str]) -> bool:
    values = [int(float(cell)) for cell in cells]
    return len(values) > 2 and values == list(range(values[0], values[0] + len(values)))


def _notes_on_columns(
    path: Path,
    names: Sequence[str],
    header: bool,
    rows: Sequence[Sequence[str]],
    kinds: _Kinds,
    numbers: Sequence[int],
) -> list[str]:
    """Return notes on columns that are left out though they may have been meant as numbers."""
    notes: list[str] = []
    called_emb = {i for i, name in enumerate(names) if name.lower().startswith("emb")}
    meant = set(range(len(names)))
    if called_emb & {*numbers, *kinds.lists}:
        meant = called_emb
    for i in sorted(meant.intersection(kinds.empty)):
        called = f"'{names[i]}'" if header and names[i] else f"{i + 1}"
        notes.append(
            f"Column {called} of {path} is empty in the first {len(rows):,} rows and was left out."
        )
    for i in sorted(meant.intersection(kinds.mixed)):
        if names[i].lower() not in LABELS and len(names) > 1:
            cells = [row[i] for row in rows if i < len(row) and not is_missing(row[i])]
            number = next(cell for cell in cells if is_quantity(cell))
            called = f"'{names[i]}'" if header else f"{i + 1}"
            word = next(cell for cell in cells if not is_quantity(cell))
            notes.append(
                f"Column {called} of {path} holds words and numbers ({shown(word)} and "
                f"{shown(number)}) and is no coordinate."
            )
    return notes


def _embedding(names: Sequence[str], numeric: Sequence[int]) -> tuple[int, ...]:
    """Return the columns of the matrix: those called emb..., else all numbers but the labels."""
    lower = [name.lower() for name in names]
    labels = set(LABELS) - ({"y"} if "x" in lower else set())
    numbers = [i for i in numeric if lower[i] not in labels]
    return tuple([i for i in numbers if lower[i].startswith("emb")] or numbers)
