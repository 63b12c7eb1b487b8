"""Tables of .csv and .tsv files, as lightly, pandas and the projector of TensorBoard write them.

lightly writes the columns filenames, embedding_0, embedding_1, ..., labels. The projector reads
tensors.tsv, numbers without names of columns, and metadata.tsv, labels: one column without a name,
or several with names.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from functools import partial
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from jssl.data.readers import Contents, Entry, require_library
from jssl.data.readers.text_cells import MISSING, fault_of, is_read, numbers_of, shown
from jssl.data.readers.text_layout import Layout, layout_of
from jssl.data.readers.text_source import numbered_rows, rows_of
from jssl.data.spool import spooled
from jssl.errors import InputError

NUMBERS = "columns of numbers"
"""Name of the matrix of all columns of numbers that are not labels."""

_LINES = 4096
_TAIL = 2**16


def contents(path: Path) -> Contents:
    """Return the columns of numbers as one matrix, and each other column by its name.

    Raises:
        InputError: for an empty file, what is no text, and a file that ends within a row.
    """
    layout = layout_of(path)
    _require_whole(layout)
    found = {}
    for i, name in enumerate(layout.names):
        if i in layout.lists:
            read: Callable[[], Any] = partial(_lists, layout, i)
            with closing(_rows(layout)) as rows:
                values = numbers_of(next(rows)[1][i])
            shape = (None, None if values is None else len(values))
            found[name or f"column {i}"] = Entry(shape, "lists of numbers", read, layout.notes)
        elif i not in (*layout.numbers, *layout.indices):
            read = partial(_column, layout, i)
            found[name or f"column {i}"] = Entry((None,), "column", read, layout.notes)
    if layout.numbers:
        shape, read = (None, len(layout.numbers)), partial(_matrix, layout)
        names = tuple(layout.names[i] for i in layout.numbers) if layout.header else ()
        found[NUMBERS] = Entry(shape, "numbers", read, layout.notes, names)
    return found


def _require_whole(layout: Layout) -> None:
    """Raise an error for a file that ends without a line break and with too few values in a row.

    A row that was cut within its last value cannot be told from a whole one. Rows in UTF-16 and
    those of several lines are counted when they are read.
    """
    path, line_break = layout.source.path, layout.source.line_break
    last, size = b"", path.stat().st_size
    if line_break is None:
        return
    with path.open("rb") as file:
        while size and line_break not in last:
            step = min(size, _TAIL)
            size -= step
            file.seek(size)
            last = file.read(step) + last
    text = last.rpartition(line_break)[2].decode(errors="replace")
    if '"' in text:
        return
    row: list[str] = next(rows_of([text], layout.separator), [])
    columns = len(layout.names)
    empty = layout.number_last and row[-1:] == [""]
    if row and (len(row) < columns or empty):
        held = f"{len(row) - empty} of {columns} values"
        message = f"{path} ends within a row, after {held}; write it again"
        raise InputError(message)


def _rows(layout: Layout) -> Generator[tuple[int, list[str]], None, None]:
    """Yield the number of the line of each row, and its cells; raise where they are uneven.

    Empty lines are left out, but in a table of one column they are missing cells. Its last line may
    be empty.
    """
    path, columns = layout.source.path, len(layout.names)
    single, empty = columns == 1, None
    with layout.source.open(layout.skip, errors="replace") as text:
        for line, row in numbered_rows(path, text, layout.separator, layout.skip, blank=single):
            if empty is not None:
                message = f"{path}: line {empty:,} is empty; write its value, or remove the line"
                raise InputError(message)
            if single and not "".join(row).strip() and row != [""]:
                empty = line
                continue
            if len(row) != columns:
                short = f"{len(row):,} of {columns:,} cells"
                long = f"{len(row):,} cells, and the first line {columns:,}"
                held = short if len(row) < columns else long
                message = f"{path}: line {line:,} has {held}; complete it or leave it out"
                raise InputError(message)
            yield line, row


def _require_even(layout: Layout) -> None:
    """Raise an error for the first line with more or fewer cells than the first one.

    Separators are counted, which is fast; cells are read only where a line is quoted or differs.
    """
    source, separator, columns = layout.source, layout.separator.encode(), len(layout.names)
    if source.line_break == b"\n" and separator != b" ":
        with source.path.open("rb") as file:
            if all(
                (line.count(separator) == columns - 1 if line.strip() else columns > 1)
                and b'"' not in line
                for line in islice(file, layout.skip, None)
            ):
                return
    with closing(_rows(layout)) as rows:
        for _ in rows:
            pass


def _tables(layout: Layout, dtypes: dict[int, Any]) -> Generator[Any, None, None]:
    """Yield tables of some columns, as numbers or words; a cell that is no number raises."""
    path = layout.source.path
    pandas = require_library("pandas", path)
    _require_even(layout)
    words = set(dtypes.values()) == {str}
    try:
        with (
            layout.source.open(layout.skip) as text,
            pandas.read_csv(
                text,
                sep=layout.separator,
                decimal=layout.decimal,
                skipinitialspace=layout.separator == " ",
                header=None,
                usecols=list(dtypes),
                dtype=dtypes,
                chunksize=_LINES,
                keep_default_na=not words,
            ) as tables,
        ):
            yield from tables
    except UnicodeDecodeError as error:
        message = f"{path} is not text in UTF-8 ({error.reason}); save it as text in UTF-8"
        raise InputError(message) from error
    except ValueError as error:
        if not words:
            _require_numbers(layout)
        raise error


def _require_numbers(layout: Layout) -> None:
    """Raise an error for the first cell of the matrix that is not read as a number."""
    with closing(_rows(layout)) as rows:
        for line, row in rows:
            for i in layout.numbers:
                if not is_read(row[i], layout.decimal):
                    where = f"{layout.source.path}: line {line:,}, {layout.column(i)}"
                    message = f"{where}: {fault_of(row[i], layout.decimal)}"
                    raise InputError(message)


def _matrix(layout: Layout) -> Any:
    numbers, empty = list(layout.numbers), list(layout.empty)
    dtypes = dict.fromkeys(numbers, np.float64) | dict.fromkeys(empty, str)

    def pieces() -> Iterator[np.ndarray]:
        with closing(_tables(layout, dtypes)) as tables:
            for table in tables:
                if empty and table[empty].notna().any(axis=None):
                    _refuse_late_values(layout)
                values = table[numbers].to_numpy(np.float64)
                if not np.isfinite(values).all():
                    _refuse_not_finite(layout)
                yield values

    return spooled(str(layout.source.path), pieces())


def _refuse_not_finite(layout: Layout) -> None:
    """Raise an error for the first cell of the matrix that holds no finite number."""
    with closing(_rows(layout)) as rows:
        for line, row in rows:
            for i in layout.numbers:
                if row[i] in MISSING or not isfinite(float(row[i].replace(layout.decimal, "."))):
                    says = f"{shown(row[i])} is not a finite number" if row[i] else "it is empty"
                    message = (
                        f"{layout.source.path}: line {line:,}, {layout.column(i)}: {says}; write a "
                        "number, or leave the row out"
                    )
                    raise InputError(message)


def _refuse_late_values(layout: Layout) -> None:
    """Raise an error for the first value in a column whose first cells are empty."""
    with closing(_rows(layout)) as rows:
        for line, row in rows:
            i = next((i for i in layout.empty if row[i] not in MISSING), None)
            if i is not None:
                message = (
                    f"{layout.source.path}: line {line:,}, {layout.column(i)}: {shown(row[i])} "
                    "stands below empty cells; fill these or remove the column"
                )
                raise InputError(message)


def _lists(layout: Layout, column: int) -> Any:
    """Return a column of lists of numbers of equal length as an array."""

    def pieces() -> Iterator[np.ndarray]:
        with closing(_rows(layout)) as rows:
            first, values = None, []
            for line, row in rows:
                values.append(_list_of(layout, column, line, row[column]))
                first = first or (line, len(values[0]))
                _require_length(layout, column, first, (line, len(values[-1])))
                if len(values) == _LINES:
                    yield np.stack(values)
                    values = []
            if values:
                yield np.stack(values)

    return spooled(str(layout.source.path), pieces())


def _list_of(layout: Layout, column: int, line: int, cell: str) -> np.ndarray:
    values = numbers_of(cell)
    if values is None:
        where = f"{layout.source.path}: line {line:,}, {layout.column(column)}"
        message = f"{where}: {_fault_of_list(cell)}"
        raise InputError(message)
    return values


def _require_length(
    layout: Layout, column: int, first: tuple[int, int], at: tuple[int, int]
) -> None:
    """Raise an error for a list of another length than the first; each is (line, length)."""
    if at[1] != first[1]:
        message = (
            f"{layout.source.path}: line {at[0]:,}, {layout.column(column)}: the list has "
            f"{at[1]:,} numbers, and that of line {first[0]:,} has {first[1]:,}; give all rows the "
            "same number"
        )
        raise InputError(message)


def _fault_of_list(cell: str) -> str:
    if "..." in cell:
        return "the list was shortened with '...' when it was written; save it with numpy.save"
    return f"{shown(cell)} is not a list such as [0.1, 0.2]; write one in each row"


def _column(layout: Layout, column: int) -> list[Any]:
    found = [
        value for table in _tables(layout, {column: str}) for value in table.iloc[:, 0].tolist()
    ]
    if all(value.lstrip("-").isdigit() for value in found):
        return [int(value) for value in found]
    return found
