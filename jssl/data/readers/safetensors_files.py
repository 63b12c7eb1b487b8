"""Tensors of .safetensors files, read by slices."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jssl.data.lazy_rows import LazyRows
from jssl.data.readers import Contents, Entry, require_library


def contents(path: Path) -> Contents:
    """Return the tensors of a file by name."""
    library = require_library("safetensors", path)
    file = library.safe_open(path, "np")
    found = {}
    for name in file.keys():  # noqa: SIM118  # it is no dictionary
        part = file.get_slice(name)
        shape = tuple(part.get_shape())
        found[name] = Entry(shape, part.get_dtype().lower(), partial(_read, file, name, shape))
    return found


def _read(file: Any, name: str, shape: tuple[int, ...]) -> Any:
    if len(shape) != 2:
        return file.get_tensor(name)
    part = file.get_slice(name)
    dtype: np.dtype = part[0:1].dtype
    return LazyRows(shape, dtype, lambda low, high: part[low:high])
