"""Columns of Parquet and Arrow tables: lists of numbers are rows, other columns are labels.

A table without lists may hold a matrix: all its columns of floating point numbers and decimals, or,
without these, all its columns of integers.

A Hugging Face data set that was saved to a folder is its .arrow files.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jssl.data.readers import LABELS, Contents, Entry, require_library
from jssl.data.spool import spooled
from jssl.errors import InputError

WIDE = "all columns of floating point numbers"
INTEGERS = "all columns of integers"
"""Names of the matrix whose columns are the columns of a table."""

_BATCH = 8192
_INDEX = "__index_level_"
"""How pandas calls the column of its index."""
_SHOWN = 3


def contents(path: Path) -> Contents:
    """Return the columns of a table by name, without reading them."""
    arrow = require_library("pyarrow", path)
    schema, batches, count = _open(arrow, path)
    found: dict[str, Entry] = {}
    fractions: list[str] = []
    integers: list[str] = []
    for field in schema:
        kind = _storage(field.type)
        if _is_list(arrow, kind):
            width = getattr(kind, "list_size", None)
            read = partial(_rows, path, field.name, batches)
            found[field.name] = Entry((count, width), f"list of {kind.value_type}", read)
        else:
            read = partial(_column, field.name, batches)
            found[field.name] = Entry((count,), str(kind), read)
            other = field.name.lower() in LABELS or field.name.startswith(_INDEX)
            if not other and (arrow.types.is_floating(kind) or arrow.types.is_decimal(kind)):
                fractions.append(field.name)
            elif not other and arrow.types.is_integer(kind):
                integers.append(field.name)
    if len(fractions) > 1:
        read = partial(_wide, path, fractions, batches, False)
        notes = _left_out(path, integers)
        found[WIDE] = Entry((count, len(fractions)), "columns", read, notes, tuple(fractions))
    elif len(integers) > 1 and not fractions and all(len(e.shape) == 1 for e in found.values()):
        read = partial(_wide, path, integers, batches, True)
        found[INTEGERS] = Entry((count, len(integers)), "columns", read, (), tuple(integers))
    return found


def _left_out(path: Path, integers: list[str]) -> tuple[str, ...]:
    """Return a note that names the columns of integers beside those of the embeddings."""
    if not integers:
        return ()
    names = ", ".join(f"'{name}'" for name in integers[:_SHOWN])
    more = f" and {len(integers) - _SHOWN:,} more" if len(integers) > _SHOWN else ""
    what, verb = ("column", "is") if len(integers) == 1 else ("columns", "are")
    line = f"The {what} of integers {names}{more} of {path} {verb} no part of the embeddings."
    return (line,)


def _open(arrow: Any, path: Path) -> tuple[Any, Callable[[list[str]], Iterator[Any]], int | None]:
    """Return the schema, a function from columns to batches, and the number of rows if known."""
    if path.suffix.lower() == ".parquet":
        parquet = require_library("pyarrow.parquet", path)
        file = parquet.ParquetFile(path)

        def batches(columns: list[str]) -> Iterator[Any]:
            chosen = [file.schema_arrow.get_field_index(name) for name in columns]
            for batch in file.iter_batches(_BATCH, columns=columns):
                yield batch if len(chosen) == batch.num_columns else batch.select(columns)

        return file.schema_arrow, batches, file.metadata.num_rows
    ipc = require_library("pyarrow.ipc", path)

    def reader() -> tuple[Any, Iterator[Any]]:
        source = arrow.memory_map(str(path))
        try:
            opened = ipc.open_file(source)
            numbers = range(opened.num_record_batches)
            return opened.schema, (opened.get_batch(i) for i in numbers)
        except arrow.ArrowInvalid:
            source.seek(0)
            stream = ipc.open_stream(source)
            return stream.schema, iter(stream)

    def selected(columns: list[str]) -> Iterator[Any]:
        for batch in reader()[1]:
            yield batch.select(columns)

    return reader()[0], selected, None


def _storage(kind: Any) -> Any:
    """Return the type of the values of an extension type, such as an array of Hugging Face."""
    return getattr(kind, "storage_type", kind)


def _is_list(arrow: Any, kind: Any) -> bool:
    types = arrow.types
    tests = (types.is_list, types.is_large_list, types.is_fixed_size_list)
    if not any(test(kind) for test in tests):
        return False
    inner = kind.value_type
    numeric = types.is_floating(inner) or types.is_integer(inner) or types.is_decimal(inner)
    return bool(numeric or _is_list(arrow, inner))


def _pieces(path: Path, name: str, batches: Any) -> Iterator[np.ndarray]:
    start = 0
    for batch in batches([name]):
        column = batch.column(0)
        yield _matrix(path, name, getattr(column, "storage", column), start)
        start += len(column)


def _rows(path: Path, name: str, batches: Any) -> Any:
    return spooled(f"{path}: {name}", _pieces(path, name, batches))


def _matrix(path: Path, name: str, column: Any, start: int) -> np.ndarray:
    """Return a column of lists of equal length as an array; nested lists have more axes."""
    _require_all(path, name, column, start)
    count = len(column)
    width = getattr(column.type, "list_size", None)
    if width is None:
        lengths = np.diff(column.offsets.to_numpy())
        if len(lengths) and (lengths != lengths[0]).any():
            row = start + int(np.flatnonzero(lengths != lengths[0])[0])
            message = (
                f"{path}: the lists of {name} differ in length: {lengths[0]} in row {start:,}, "
                f"{lengths[row - start]} in row {row:,} (rows are counted from 0); give all rows "
                "the same number, or leave such rows out"
            )
            raise InputError(message)
        width = int(lengths[0]) if len(lengths) else 0
    values = column.flatten()
    if hasattr(values.type, "value_type"):
        return _matrix(path, name, values, start).reshape(count, width, -1)
    if values.null_count:
        message = f"{path}: {name} has {values.null_count:,} missing numbers; leave such rows out"
        raise InputError(message)
    return _numbers(values).reshape(count, width)


def _numbers(column: Any) -> np.ndarray:
    """Return a column of numbers; decimals become float64."""
    if hasattr(column.type, "scale"):
        column = column.cast("float64")
    return column.to_numpy(zero_copy_only=False)


def _require_all(path: Path, name: str, column: Any, start: int) -> None:
    """Raise an error for the first missing value of a column."""
    if column.null_count:
        row = start + int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
        message = (
            f"{path}: row {row:,} of {name} is missing; leave such rows out (rows are counted from "
            "0)"
        )
        raise InputError(message)


def _column(name: str, batches: Any) -> Any:
    found: list[Any] = []
    for batch in batches([name]):
        found += batch.column(0).to_pylist()
    return found


def _wide(path: Path, names: list[str], batches: Any, whole: bool) -> Any:
    """Return columns of numbers as a matrix.

    A missing number becomes NaN; where the numbers are whole, which cannot be, it is an error.
    """

    def pieces() -> Iterator[np.ndarray]:
        start = 0
        for batch in batches(names):
            columns = [getattr(c, "storage", c) for c in map(batch.column, names)]
            for name, column in zip(names, columns, strict=True):
                if whole:
                    _require_all(path, name, column, start)
            yield np.stack([_numbers(column) for column in columns], 1)
            start += len(batch)

    return spooled(str(path), pieces())
