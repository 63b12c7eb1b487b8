"""Tensors of .safetensors files, read by slices; those of float8, which NumPy lacks, are mapped."""

import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jssl.data.lazy_rows import LazyRows
from jssl.data.readers import Contents, Entry, require_library
from jssl.errors import InputError

_FLOAT8 = {"F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "F8_E8M0": "float8_e8m0fnu"}
"""What the format calls a type of 8 bits -> what ml_dtypes calls it."""

_PACKED = ("F4", "F6_")
"""How the types begin whose values are not whole bytes; F64 is none of them."""


def contents(path: Path) -> Contents:
    """Return the tensors of a file by name."""
    library = require_library("safetensors", path)
    file = library.safe_open(path, "np")
    found = {}
    for name in file.keys():  # noqa: SIM118  # it is no dictionary
        part = file.get_slice(name)
        shape, kind = tuple(part.get_shape()), part.get_dtype()
        if kind in _FLOAT8:
            read = partial(_mapped, path, name, shape, _FLOAT8[kind])
        elif kind.startswith(_PACKED):
            read = partial(_packed, path, name, kind)
        else:
            if kind == "BF16":
                import ml_dtypes  # noqa: F401  (safetensors then finds the type in NumPy)
            read = partial(_read, file, name, shape)
        found[name] = Entry(shape, _FLOAT8.get(kind, kind.lower()), read)
    return found


def _read(file: Any, name: str, shape: tuple[int, ...]) -> Any:
    if len(shape) != 2:
        return file.get_tensor(name)
    part = file.get_slice(name)
    dtype: np.dtype = part[0:1].dtype
    return LazyRows(shape, dtype, lambda low, high: part[low:high])


def _mapped(path: Path, name: str, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Return a tensor of one byte for each value, by its place in the file.

    The file begins with the length of its header, 8 bytes, and the header, JSON; the places that it
    names are counted from its end. The library has checked them.
    """
    import ml_dtypes

    kind = np.dtype(getattr(ml_dtypes, dtype))
    if not math.prod(shape):
        return np.empty(shape, kind)
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        begin = json.loads(file.read(length))[name]["data_offsets"][0]
    return np.memmap(path, np.uint8, "r", 8 + length + begin, shape).view(kind)


def _packed(path: Path, name: str, kind: str) -> Any:
    message = f"{path}: {name} is {kind}, whose values are not whole bytes; save it as float32"
    raise InputError(message)
