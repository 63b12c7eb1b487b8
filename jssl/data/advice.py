"""Why an array is no matrix of real numbers, in plain words, and what to pass instead."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jssl.errors import InputError, shown

_KINDS = {
    "c": ("complex numbers", "make columns of both parts, numpy.hstack([z.real, z.imag])"),
    "M": ("dates", "leave them out, or make numbers of them, such as z.astype('int64')"),
    "m": ("durations", "leave them out, or make numbers of them, such as z.astype('int64')"),
    **dict.fromkeys("UST", ("strings", "if they are written numbers, use z.astype('float32')")),
}
"""Kind of a dtype -> what NumPy stores in it, and how to make real numbers of it."""

_SHOWN = 6


def words_of(dtype: np.dtype) -> tuple[str, str]:
    """Return what values of a dtype are that are no real numbers, and how to make numbers of them.

    Example:
        >>> words_of(np.dtype("complex64"))[0]
        'complex numbers (complex64)'
    """
    words, remedy = _KINDS.get(dtype.kind, (None, "save an array of numbers"))
    return (str(dtype) if words is None else f"{words} ({dtype})"), remedy


def refuse_fields(name: str, z: Any) -> None:
    """Raise an error for a structured array, one of named fields.

    Example:
        >>> refuse_fields("z", np.zeros(3, [("a", float), ("b", float), ("c", "U3")]))
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: z is a structured array of the fields a, b, c; make a matrix of ...

    Args:
        name: what the array is called.
        z: an array.

    Raises:
        InputError: for a structured array.
    """
    fields = z.dtype.names
    if fields is None:
        return
    numbers = [field for field in fields if z.dtype[field].kind in "fiub"]
    more = f" and {len(fields) - _SHOWN:,} more" if len(fields) > _SHOWN else ""
    chosen = "z" if len(numbers) == len(fields) else f"z[{numbers[:_SHOWN]}]"
    remedy = f"numpy.lib.recfunctions.structured_to_unstructured({chosen})"
    advice = f"make a matrix of them with {remedy}" if numbers else "none holds numbers"
    held = ", ".join(fields[:_SHOWN]) + more
    message = f"{name} is a structured array of the fields {held}; {advice}"
    raise InputError(message)


def shape_advice(shape: tuple[int, ...]) -> str:
    """Return what to do about an array that is not (n, dim), as the end of a message.

    Example:
        >>> shape_advice((300,))
        ': pass one row for each sample, such as z.reshape(-1, dim)'
    """
    if not shape:
        return ": pass an array of one row for each sample"
    if 0 in shape[1:]:
        return ": it has no columns; save at least one"
    if len(shape) == 1:
        return ": pass one row for each sample, such as z.reshape(-1, dim)"
    if len(shape) == 3:
        return ": average the tokens, such as z.mean(1) of (n, tokens, dim)"
    if len(shape) > 3:
        inner = ", ".join(map(str, range(2, len(shape))))
        return f": pool the inner axes, such as z.mean(({inner})), or use z.reshape(len(z), -1)"
    return ""


def refuse_no_array(name: str, value: Any, readable: tuple[str, ...]) -> None:
    """Raise an error for a path, a dictionary or None where an array is expected.

    Example:
        >>> refuse_no_array("embeddings", {"z": [[1.0]]}, ())
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: embeddings is a dict and no array; pass one of its arrays, ...

    Args:
        name: what the array is called.
        value: anything.
        readable: suffixes of the files that are read; a string with one of them is a path.

    Raises:
        InputError: for these.
    """
    if value is None:
        message = f"{name} is None and no array; pass an array (n, dim)"
        raise InputError(message)
    if isinstance(value, Mapping):
        key = next(iter(value), None)
        such = "" if key is None else f", such as {name}[{shown(key)}]"
        message = f"{name} is a {type(value).__name__} and no array; pass one of its arrays{such}"
        raise InputError(message)
    text = isinstance(value, str) and Path(value).suffix.lower() in readable
    if text or isinstance(value, os.PathLike):
        path = os.fspath(value)
        read = (
            f"numpy.load({shown(path)})"
            if str(path).endswith(".npy")
            else f"jssl.data.read_embeddings({shown(path)}).z"
        )
        command = f", or run the command jssl diagnose {path}" if name == "embeddings" else ""
        message = f"{name} is a path and no array; read it with {read}{command}"
        raise InputError(message)
