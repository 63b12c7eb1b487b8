"""Tables of .csv and .tsv files, as lightly and the projector of TensorBoard write them.

lightly writes the columns filenames, embedding_0, embedding_1, ..., labels. The projector reads
tensors.tsv, numbers without names of columns, and metadata.tsv, labels: one column without a name,
or several with names.
"""

import csv
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jssl.data.readers import Contents, Entry, require_library
from jssl.data.spool import spooled
from jssl.errors import InputError

NUMBERS = "columns of numbers"
"""Name of the matrix of all columns of numbers that are not labels."""

_LINES = 4096
_TAIL = 2**16
_LABELS = ("label", "labels", "class", "target", "targets")


def contents(path: Path) -> Contents:
    """Return the columns of numbers as one matrix, and each other column by its name.

    Raises:
        InputError: for an empty file, and one that ends within a row.
    """
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        lines = csv.reader(file, delimiter=separator)
        first, second = next(lines, []), next(lines, [])
    if not first:
        message = f"{path} is empty"
        raise InputError(message)
    named = not all(map(_is_number, first)) and (len(first) > 1 or _is_number((second or [""])[0]))
    names = first if named else [str(i) for i in range(len(first))]
    example = second if named else first
    _require_whole(path, separator, len(names), bool(example) and _is_number(example[-1]))
    numbers = [
        i
        for i, (name, value) in enumerate(zip(names, example, strict=False))
        if _is_number(value) and name.lower() not in _LABELS
    ]
    embedding = [i for i in numbers if names[i].lower().startswith("emb")]
    numbers = embedding or numbers
    found = {
        name: Entry((None,), "column", partial(_column, path, separator, named, i))
        for i, name in enumerate(names)
        if i not in numbers
    }
    if numbers:
        read = partial(_matrix, path, separator, named, numbers)
        found[NUMBERS] = Entry((None, len(numbers)), "numbers", read)
    return found


def _require_whole(path: Path, separator: str, columns: int, number_last: bool) -> None:
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
    row = next(csv.reader([text], delimiter=separator), [])
    empty = number_last and row[-1:] == [""]
    if row and (len(row) < columns or empty):
        held = f"{len(row) - empty} of {columns} values"
        message = f"{path} ends within a row, after {held}; write it again"
        raise InputError(message)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _tables(path: Path, separator: str, named: bool, columns: list[int], dtype: Any) -> Any:
    pandas = require_library("pandas", path)
    return pandas.read_csv(
        path,
        sep=separator,
        header=0 if named else None,
        usecols=columns,
        dtype=dtype,
        chunksize=_LINES,
        keep_default_na=dtype is not str,
        encoding="utf-8-sig",
    )


def _matrix(path: Path, separator: str, named: bool, columns: list[int]) -> Any:
    def pieces() -> Iterator[np.ndarray]:
        with _tables(path, separator, named, columns, np.float64) as tables:
            for table in tables:
                yield table.to_numpy(np.float64)

    return spooled(str(path), pieces())


def _column(path: Path, separator: str, named: bool, column: int) -> list[Any]:
    with _tables(path, separator, named, [column], str) as tables:
        found = [value for table in tables for value in table.iloc[:, 0].tolist()]
    if all(value.lstrip("-").isdigit() for value in found):
        return [int(value) for value in found]
    return found
