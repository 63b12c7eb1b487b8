"""Datasets of HDF5 files, AnnData's .h5ad among them; contiguous ones are mapped."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jssl.data.readers import SPARSE, Contents, Entry, require_library, unread
from jssl.data.spool import spooled

_PIECE_BYTES = 2**24


def contents(path: Path) -> Contents:
    """Return the datasets of a file by their paths, such as obsm/X_pca.

    A categorical column of AnnData, a group of codes and categories, is one entry; sparse matrices
    are listed and refused when read.
    """
    h5py = require_library("h5py", path)
    file = h5py.File(path, "r")
    found: dict[str, Entry] = {}

    def visit(name: str, item: Any) -> None:
        if any(name.startswith(f"{group}/") for group in found):
            return
        if isinstance(item, h5py.Group):
            if {"codes", "categories"} <= set(item):
                read = partial(_categories, item)
                found[name] = Entry(item["codes"].shape, "categories", read)
            elif {"data", "indices", "indptr"} <= set(item):
                shape = tuple(int(size) for size in item.attrs.get("shape", ()))
                found[name] = Entry(shape, SPARSE, partial(_sparse, path, name))
        elif item.shape is not None and (item.shape or item.dtype.kind != "O"):
            dtype = "string" if item.dtype.kind == "O" else str(item.dtype)
            found[name] = Entry(item.shape, dtype, partial(_dataset, path, name, item))

    file.visititems(visit)
    return found


def _dataset(path: Path, name: str, data: Any) -> Any:
    if data.dtype.kind == "O":
        return [x.decode(errors="replace") if isinstance(x, bytes) else x for x in data[()]]
    offset = data.id.get_offset()
    if offset is not None and data.size and data.dtype.kind in "fiu":
        return np.memmap(path, data.dtype, "r", offset, data.shape)
    if data.ndim < 2:
        return data[()]
    return spooled(f"{path}: {name}", _pieces(data))


def _pieces(data: Any) -> Iterator[np.ndarray]:
    row = max(1, data.size // max(1, len(data)) * data.dtype.itemsize)
    chunk = data.chunks[0] if data.chunks else 1
    size = max(1, _PIECE_BYTES // row // chunk) * chunk
    for low in range(0, len(data), size):
        yield data[low : low + size]


def _categories(group: Any) -> np.ndarray:
    names = [x.decode() if isinstance(x, bytes) else x for x in group["categories"][()].tolist()]
    codes = group["codes"][()]
    table = np.array([*names, None], object)
    return table[codes]  # the code of a missing value is -1, the last entry


def _sparse(path: Path, name: str) -> Any:
    raise unread(path, name, SPARSE)
