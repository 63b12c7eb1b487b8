"""Arrays of .npy and .npz files; members of an archive are mapped or unpacked in pieces."""

import math
import struct
import zipfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jssl.data.archives import Header, load_arrays, read_headers
from jssl.data.lazy_rows import by_columns
from jssl.data.readers import OBJECTS, Contents, Entry, unread
from jssl.data.spool import spooled
from jssl.errors import InputError

PIECE_BYTES = 2**24
"""Bytes of an archive member that are unpacked at once."""


def contents(path: Path) -> Contents:
    """Return the arrays of an .npz by name, or the one of a .npy; its first bytes decide.

    Arrays of Python objects beside others are listed, and refused when read.

    Raises:
        InputError: for a file that holds nothing else, a damaged one, and a sparse matrix of SciPy.
    """
    headers = read_headers(path, objects=True)
    _refuse_sparse(path, headers)
    with path.open("rb") as file:
        archive = file.read(2) == b"PK"
    read = _member if archive else _mapped
    return {
        name: Entry(header.shape, OBJECTS, partial(_objects, path, name))
        if header.dtype.hasobject
        else Entry(header.shape, str(header.dtype), partial(read, path, name, header))
        for name, header in headers.items()
    }


def _refuse_sparse(path: Path, headers: Mapping[str, Header]) -> None:
    """Raise an error for the arrays that SciPy writes for a sparse matrix."""
    kind = headers.get("format")
    if {"data", "shape"} <= set(headers) and kind and not kind.shape and kind.dtype.kind in "SU":
        message = (
            f"{path} holds a sparse matrix of SciPy; save it as a dense one, "
            "numpy.save(path, scipy.sparse.load_npz(path).toarray())"
        )
        raise InputError(message)


def _objects(path: Path, name: str) -> Any:
    raise unread(path, name, OBJECTS)


def _mapped(path: Path, name: str, _: Header) -> Any:
    return by_columns(load_arrays(path)[name])


def _member(path: Path, name: str, header: Header) -> Any:
    """Return an array of an archive: mapped where it is stored as it is, unpacked otherwise."""
    if header.bytes <= PIECE_BYTES or not header.shape:
        return load_arrays(path, [name])[name]
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(f"{name}.npy")
    order, start = _layout(path, info)
    if info.compress_type == zipfile.ZIP_STORED:
        with path.open("rb") as file:
            file.seek(info.header_offset + 26)
            lengths = struct.unpack("<HH", file.read(4))
        offset = info.header_offset + 30 + sum(lengths) + start
        mapped = np.memmap(path, header.dtype, "r", offset, header.shape, order)
        return by_columns(mapped)
    if order == "F":  # cannot be unpacked by rows
        return load_arrays(path, [name])[name]
    return spooled(f"{path}: {name}", _pieces(path, info, header, start))


def _layout(path: Path, info: zipfile.ZipInfo) -> tuple[Any, int]:
    """Return the order of an array in an archive and the length of its header."""
    with zipfile.ZipFile(path) as archive, archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0
        read = np.lib.format.read_array_header_2_0 if version == (2, 0) else read
        _, fortran, _ = read(file)
        return ("F" if fortran else "C"), file.tell()


def _pieces(path: Path, info: zipfile.ZipInfo, header: Header, start: int) -> Iterator[np.ndarray]:
    row = math.prod(header.shape[1:]) * header.dtype.itemsize
    size = max(1, PIECE_BYTES // max(1, row))
    with zipfile.ZipFile(path) as archive, archive.open(info) as file:
        file.read(start)
        for low in range(0, header.shape[0], size):
            count = min(size, header.shape[0] - low)
            part = np.frombuffer(file.read(count * row), header.dtype)
            yield part.reshape(count, *header.shape[1:])
