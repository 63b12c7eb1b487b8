"""Tables of .csv and .tsv files, as lightly, pandas and the projector of TensorBoard write them.

lightly writes the columns filenames, embedding_0, embedding_1, ..., labels. The projector reads
tensors.tsv, numbers without names of columns, and metadata.tsv, labels: one column without a name,
or several with names.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jssl.data.readers import Contents, Entry, require_library
from jssl.data.readers.text_layout import Layout, layout_of, rows_of
from jssl.data.spool import spooled
from jssl.errors import InputError

NUMBERS = "columns of numbers"
"""Name of the matrix of all columns of numbers that are not labels."""

_LINES = 4096
_TAIL = 2**16


def contents(path: Path) -> Contents:
    """Return the columns of numbers as one matrix, and each other column by its name.

    Raises:
        InputError: for an empty file, and one that ends within a row.
    """
    layout = layout_of(path)
    _require_whole(path, layout)
    found = {}
    for i, name in enumerate(layout.names):
        if i not in layout.numbers and not (layout.indexed and i == 0):
            read = partial(_column, path, layout, i)
            found[name or f"column {i}"] = Entry((None,), "column", read, layout.notes)
    if layout.numbers:
        shape = (None, len(layout.numbers))
        found[NUMBERS] = Entry(shape, "numbers", partial(_matrix, path, layout), layout.notes)
    return found


def _require_whole(path: Path, layout: Layout) -> None:
    """Raise an error for a file that ends without a line break and with too few values in a row.

    A row that was cut within its last value cannot be told from a whole one.
    """
    last, size = b"", path.stat().st_size
    with path.open("rb") as file:
        while size and b"\n" not in last:
            step = min(size, _TAIL)
            size -= step
            file.seek(size)
            last = file.read(step) + last
    text = last.rpartition(b"\n")[2].decode(errors="replace")
    row: list[str] = next(rows_of([text], layout.separator), [])
    columns = len(layout.names)
    empty = layout.number_last and row[-1:] == [""]
    if row and (len(row) < columns or empty):
        held = f"{len(row) - empty} of {columns} values"
        message = f"{path} ends within a row, after {held}; write it again"
        raise InputError(message)


def _require_even(path: Path, layout: Layout) -> None:
    """Raise an error for the first line with more or fewer cells than the first one.

    Separators are counted, which is fast; cells are read only where a line is quoted or differs.
    """
    separator, columns = layout.separator.encode(), len(layout.names)
    with path.open("rb") as file:
        even = separator != b" " and all(
            (line.count(separator) == columns - 1 or not line.strip()) and b'"' not in line
            for line in file
        )
    if even:
        return
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as text:
        rows = rows_of(text, layout.separator)
        for row in rows:
            if row and len(row) != columns:
                short = f"{len(row):,} of {columns:,} cells"
                long = f"{len(row):,} cells, and the first line {columns:,}"
                held = short if len(row) < columns else long
                message = f"{path}: line {rows.line_num:,} has {held}; complete it or leave it out"
                raise InputError(message)


def _tables(path: Path, layout: Layout, columns: list[int], dtype: Any) -> Any:
    pandas = require_library("pandas", path)
    _require_even(path, layout)
    return pandas.read_csv(
        path,
        sep=layout.separator,
        decimal=layout.decimal,
        skipinitialspace=layout.separator == " ",
        header=0 if layout.header else None,
        usecols=columns,
        dtype=dtype,
        chunksize=_LINES,
        keep_default_na=dtype is not str,
        encoding="utf-8-sig",
    )


def _matrix(path: Path, layout: Layout) -> Any:
    def pieces() -> Iterator[np.ndarray]:
        with _tables(path, layout, list(layout.numbers), np.float64) as tables:
            for table in tables:
                yield table.to_numpy(np.float64)

    return spooled(str(path), pieces())


def _column(path: Path, layout: Layout, column: int) -> list[Any]:
    with _tables(path, layout, [column], str) as tables:
        found = [value for table in tables for value in table.iloc[:, 0].tolist()]
    if all(value.lstrip("-").isdigit() for value in found):
        return [int(value) for value in found]
    return found
