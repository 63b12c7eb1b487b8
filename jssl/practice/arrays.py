"""Embeddings and labels of JAX, NumPy, PyTorch or a file, checked, as NumPy arrays.

Files are memory-mapped: nothing is read before it is needed, and then a chunk at a time.
"""

from pathlib import Path
from typing import Any

import numpy as np

from jssl.data.archives import load_arrays, read_headers
from jssl.diagnostics.streaming import rows
from jssl.errors import InputError

MOST = 16_384
"""The largest min(rows, columns) whose spectrum is computed: 2 GiB of float64."""


def to_numpy(name: str, value: Any) -> np.ndarray:
    """Return an array of any of the libraries as NumPy's, without a copy where there need be none.

    Example:
        >>> to_numpy("embeddings", [[1.0, 2.0]]).shape
        (1, 2)

    Args:
        name: what it is called in a message.
        value: a NumPy or JAX array, a PyTorch tensor (on any device, with or without gradient), or
            nested lists.

    Raises:
        InputError: for what NumPy cannot hold.
    """
    try:
        if hasattr(value, "detach"):
            value = value.detach().cpu()
            value = value.float() if "bfloat16" in str(value.dtype) else value
        array = value if isinstance(value, np.ndarray) else np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        message = f"{name} cannot become a NumPy array ({_line(error)})"
        raise InputError(message) from error
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def read_array(path: str | Path) -> np.ndarray:
    """Return the array of a .npy file, memory-mapped, or the only one of an .npz.

    Example:
        >>> read_array("absent.npy")
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: no file absent.npy; check the path

    Raises:
        InputError: for a missing, damaged or foreign file, one with pickled objects, an .npz of
            several arrays, or one that does not fit into the free memory.
    """
    headers = read_headers(path)
    if len(headers) != 1:
        held = ", ".join(f"{key} {header.shape}" for key, header in headers.items()) or "nothing"
        message = f"{path} holds {held}; save the one array meant with numpy.save"
        raise InputError(message)
    return next(iter(load_arrays(path).values()))


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Return all arrays of an .npz by name, or the one of a .npy, memory-mapped.

    Example:
        >>> read_arrays("absent.npz")
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: no file absent.npz; check the path

    Raises:
        InputError: for a missing, damaged or foreign file, one with pickled objects, or an .npz
            that does not fit into the free memory.
    """
    return load_arrays(path)


def check_embeddings(name: str, z: np.ndarray) -> np.ndarray:
    """Return embeddings (n, dim) unchanged, or say what is wrong with them.

    Example:
        >>> check_embeddings("embeddings", np.array([[1.0], [np.nan], [np.inf]]))
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: embeddings has 2 rows with values that are not finite, at 1, 2; ...

    Raises:
        InputError: for another rank or dtype, fewer than two rows, rows with values that are not
            finite (their number and first positions), or more than can be decomposed.
    """
    if z.ndim != 2 or len(z) < 2 or not z.shape[1]:
        message = f"{name} must be (n, dim) with n >= 2; got shape {z.shape}"
        raise InputError(message)
    if z.dtype.kind != "f":
        message = f"{name} must be floating point; convert {z.dtype} to float32 first"
        raise InputError(message)
    if min(z.shape) > MOST:
        message = (
            f"{name} is {z.shape}: the spectrum of more than {MOST:,} dimensions does not fit; "
            "project to fewer first"
        )
        raise InputError(message)
    found = [start + np.flatnonzero(~np.isfinite(part).all(1)) for start, part in rows(z)]
    bad = np.concatenate(found)
    if len(bad):
        where = ", ".join(map(str, bad[:5].tolist())) + (", ..." if len(bad) > 5 else "")
        what = "row" if len(bad) == 1 else "rows"
        message = (
            f"{name} has {len(bad):,} {what} with values that are not finite, at {where}; "
            "drop or repair them"
        )
        raise InputError(message)
    return z


def check_labels(labels: np.ndarray, count: int) -> np.ndarray:
    """Return labels as integers from 0; any integers, booleans or strings name classes.

    Example:
        >>> check_labels(np.array(["cat", "dog", "cat"]), 3).tolist()
        [0, 1, 0]

    Raises:
        InputError: for another shape or kind, or a single class.
    """
    if labels.ndim != 1 or len(labels) != count:
        message = f"labels must be one for each of the {count:,} rows; got shape {labels.shape}"
        raise InputError(message)
    if labels.dtype.kind not in "iubUS":
        message = f"labels must be integers or strings; got {labels.dtype}"
        raise InputError(message)
    names, classes = np.unique(labels, return_inverse=True)
    if len(names) < 2:
        message = f"labels name one class alone, {names[0]}; a probe needs two or more"
        raise InputError(message)
    return classes


def _line(error: object) -> str:
    return " ".join(str(error).split()).rstrip(".")[:160]
