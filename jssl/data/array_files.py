"""Embeddings of JAX, NumPy, PyTorch or a file, checked, as NumPy arrays.

Files are memory-mapped, so that data are read in chunks and when they are needed.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jssl.data.advice import refuse_fields, refuse_no_array, shape_advice, words_of
from jssl.data.archives import load_arrays, read_headers
from jssl.data.chunks import stored_rows
from jssl.data.lazy_rows import LazyRows
from jssl.data.readers import READERS
from jssl.errors import InputError
from jssl.host_arithmetic import host_float64, without_mask
from jssl.unreadable import refuse_unreadable

MOST = 16_384
"""The largest min(rows, columns) whose spectrum is computed: 2 GiB of float64."""

LARGEST = 1e60
"""The largest absolute value is at most this and at least its inverse: fourth powers are formed."""


def to_numpy(name: str, value: Any, *, lazy: bool = False) -> np.ndarray:
    """Return an array of any of these libraries as a NumPy array, without a copy where possible.

    Example:
        >>> to_numpy("embeddings", [[1.0, 2.0]]).shape
        (1, 2)

    Args:
        name: what it is called in a message.
        value: a NumPy or JAX array, a PyTorch tensor (on any device, with or without gradient), a
            table of pandas, or nested lists. NumPy saves bfloat16, and no
            other type, as 2-byte void (V2), which is therefore read as bfloat16.
        lazy: keep bfloat16 unchanged, so that a memory map is not copied; otherwise it becomes
            float32.

    Raises:
        InputError: for a path, a dictionary, None and what else cannot become an array, masked or
            sparse arrays, tensors without values that can be read, and 1-byte void, whose type is
            unknown.
    """
    if isinstance(value, LazyRows) and lazy:
        return value  # type: ignore[return-value]
    refuse_no_array(name, value, tuple(READERS))
    value = without_mask(name, value)
    refuse_unreadable(name, value)
    try:
        if hasattr(value, "detach"):
            value = value.detach().cpu().resolve_conj().resolve_neg()  # NumPy has no such views
            narrow = any(kind in str(value.dtype) for kind in ("bfloat16", "float8"))
            value = value.float() if narrow else value
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        message = f"{name} cannot become a NumPy array ({_line(error)})"
        raise InputError(message) from error
    if is_stored_bfloat16(array.dtype):
        import ml_dtypes

        array = array.view(ml_dtypes.bfloat16)
    elif array.dtype.kind == "V" and array.dtype.itemsize == 1 and array.dtype.names is None:
        array = _one_byte(name, array)
    of_numpy = array.dtype.isbuiltin != 2
    return array if of_numpy or lazy else array.astype(np.float32)


def is_stored_bfloat16(dtype: np.dtype) -> bool:
    """Return whether a dtype is 2-byte void, as which NumPy stores bfloat16.

    Example:
        >>> is_stored_bfloat16(np.dtype("V2")), is_stored_bfloat16(np.dtype("float16"))
        (True, False)
    """
    return dtype == np.dtype("V2")


def stored_as_void(given: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each array that is 2-byte void and was read as bfloat16.

    Example:
        >>> stored_as_void({"views": np.zeros(3, "V2"), "embeddings": np.zeros(3)})
        ['views is stored as 2-byte void (V2), as NumPy stores bfloat16, and was read as bfloat16']
    """
    return [
        f"{name} is stored as 2-byte void (V2), as NumPy stores bfloat16, and was read as bfloat16"
        for name, value in given.items()
        if isinstance(value, np.ndarray | LazyRows) and is_stored_bfloat16(value.dtype)
    ]


def _one_byte(name: str, array: np.ndarray) -> np.ndarray:
    """Return a 1-byte array whose type is known; raise an error for 1-byte void."""
    if array.dtype != np.dtype("V1"):
        return array
    message = (
        f"{name} is 1-byte void (V1), as which NumPy saves float8 and int4: its type is unknown; "
        "save it again with x.astype('float32'), pass --dtype, or "
        "numpy.load(path).view(ml_dtypes.float8_e4m3fn) from Python, with its dtype"
    )
    raise InputError(message)


def read_array(path: str | Path) -> np.ndarray:
    """Return the array of a .npy file, memory-mapped, or the only one of an .npz.

    Example:
        >>> read_array("absent.npy")
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: no file absent.npy; check the path

    Raises:
        InputError: for a missing or damaged file, one of another format, one with pickled objects,
            an .npz of several arrays, or one that does not fit into the free memory.
    """
    headers = read_headers(path)
    if len(headers) != 1:
        held = ", ".join(f"{key} {header.shape}" for key, header in headers.items()) or "nothing"
        message = f"{path} contains {held}; save one array with numpy.save"
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
        InputError: for a missing or damaged file, one of another format, one with pickled objects,
            or an .npz that does not fit into the free memory.
    """
    return load_arrays(path)


def check_embeddings(name: str, z: np.ndarray) -> np.ndarray:
    """Return embeddings (n, dim) with their values unchanged, after checking them.

    Example:
        >>> check_embeddings("embeddings", np.array([[1.0], [np.nan], [np.inf]]))
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: embeddings has 2 rows with values that are not finite, at 1, 2; ...

    Floating point of any width and integers are real numbers here; 2-byte void is bfloat16.

    Raises:
        InputError: for another rank or dtype, fewer than two rows, rows with values that are not
            finite (their number and first positions), values whose powers leave float64, or more
            than can be decomposed.
    """
    z = check_shape(name, to_numpy(name, z, lazy=True))
    check_values(name, z)
    return np.asarray(z) if len(z) < z.shape[1] else z  # its columns are read as well


def check_shape(name: str, z: np.ndarray) -> np.ndarray:
    """Return embeddings (n, dim) unchanged, after checking all but their values.

    Example:
        >>> check_shape("embeddings", np.array([[np.nan]]))
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: embeddings must be (n, dim) with n >= 2; got shape (1, 1)

    Raises:
        InputError: for another rank or dtype, fewer than two rows, or more than can be decomposed.
    """
    refuse_fields(name, z)
    if z.ndim != 2 or len(z) < 2 or not z.shape[1]:
        advice = shape_advice(z.shape)
        message = f"{name} must be (n, dim) with n >= 2; got shape {z.shape}{advice}"
        raise InputError(message)
    if z.dtype.kind not in "fiub" and not is_narrow_number(z.dtype):
        words, remedy = words_of(z.dtype)
        advice = "convert it first" if words == str(z.dtype) else remedy
        message = f"{name} must be floating point or integers; got {words}, {advice}"
        raise InputError(message)
    if min(z.shape) > MOST:
        message = (
            f"{name} is {z.shape}: the spectrum of more than {MOST:,} dimensions does not fit; "
            "project to fewer first"
        )
        raise InputError(message)
    return z


def is_narrow_number(dtype: np.dtype) -> bool:
    """Return whether a dtype that is not NumPy's own is a real number, such as bfloat16.

    Example:
        >>> is_narrow_number(np.dtype("V3"))
        False
    """
    if dtype.isbuiltin != 2:
        return False
    import ml_dtypes  # only here: NumPy's own dtypes do not need it

    for kind in (ml_dtypes.finfo, ml_dtypes.iinfo):
        try:
            kind(dtype)
        except (ValueError, TypeError):
            continue
        return True
    return False


def check_values(name: str, z: np.ndarray) -> None:
    """Check that values are finite and in range, chunk by chunk.

    Example:
        >>> check_values("embeddings", np.array([[1e99]]))
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: the largest value of embeddings is 1e+99: its powers do not ...

    Raises:
        InputError: for rows with values that are not finite (their number and first positions), or
            values whose powers leave float64.
    """
    found, largest = [], 0.0
    wide = z.dtype.kind == "f" and z.dtype.itemsize > 4  # others cannot leave the range below
    if z.dtype.kind in "iub":
        return
    for start, part in stored_rows(z):
        if not _all_finite(part):
            values = host_float64(name, part)
            found.append(start + np.flatnonzero(~np.isfinite(values).all(1)))
        elif wide:
            largest = max(largest, float(part.max()), -float(part.min()))
    if found:
        bad = np.concatenate(found)
        where = ", ".join(map(str, bad[:5].tolist())) + (", ..." if len(bad) > 5 else "")
        what = "row" if len(bad) == 1 else "rows"
        message = (
            f"{name} has {len(bad):,} {what} with values that are not finite, at {where}; "
            "drop or repair them (rows are counted from 0)"
        )
        raise InputError(message)
    if largest and not 1 / LARGEST <= largest <= LARGEST:
        message = (
            f"the largest value of {name} is {largest:.2g}: its powers do not fit in float64; "
            "divide by it first"
        )
        raise InputError(message)


_EXPONENT = 0x7C00


def _all_finite(part: np.ndarray) -> bool:
    if part.dtype == np.float16:  # by its bits: arithmetic in half precision is slow
        bits = part.view(np.uint16) & _EXPONENT
        return not (bits == _EXPONENT).any()
    return bool(np.isfinite(part).all())


def _line(error: object) -> str:
    return " ".join(str(error).split()).rstrip(".")[:160]
