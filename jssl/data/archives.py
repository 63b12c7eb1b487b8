"""Arrays of .npy and .npz files, checked by their headers before any memory is taken.

Headers are checked before data are read: an array that would have more bytes than its file or
archive member, or more than the free memory, is refused.
"""

import math
import os
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jssl.data.checks import require_name
from jssl.errors import InputError
from jssl.memory import require_memory
from jssl.paths import expanded

_METHODS = {
    zipfile.ZIP_STORED: "stored",
    zipfile.ZIP_DEFLATED: "deflate",
    zipfile.ZIP_BZIP2: "bzip2",
    zipfile.ZIP_LZMA: "lzma",
}
_NPY, _ZIP = b"\x93NUMPY", b"PK"
_SAVE = "write it with numpy.save or numpy.savez, without objects"
_NO_OBJECTS = (
    "write it with numpy.save or numpy.savez, without objects: strings as numpy.array(x, dtype=str)"
)
_TORCH = "load it with torch.load and save each tensor with numpy.save(path, tensor.numpy())"


class Header(NamedTuple):
    """The header of an array in a file.

    Attributes:
        shape: of the array.
        dtype: of its entries.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def bytes(self) -> int:
        """Return the size of the array."""
        return math.prod(self.shape) * self.dtype.itemsize


class _Refusal(Exception):
    """What is wrong with a file, and what to do about it."""

    def __init__(self, reason: str, remedy: str = _SAVE) -> None:
        super().__init__(reason)
        self.remedy = remedy


def read_headers(path: str | os.PathLike[str], *, objects: bool = False) -> dict[str, Header]:
    """Return the headers of the arrays in an .npz or .npy file, without reading their contents.

    Example:
        >>> read_headers("absent.npz")
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: no file absent.npz; check the path

    Args:
        path: the file; its type is detected from its first bytes, not from its name.
        objects: whether an .npz may hold arrays of Python objects beside others.

    Returns:
        Name -> header; the one array of a .npy file is called as the file.

    Raises:
        InputError: for a missing, damaged, encrypted or foreign file, or one with Python objects.
    """
    path = _found(path)
    try:
        headers = _headers(path)
        held = [header.dtype.hasobject for header in headers.values()]
        if any(held) and (all(held) or not objects):
            raise _of_objects()
        return headers
    except _Refusal as refusal:
        raise _unreadable(path, refusal) from refusal
    except OSError as error:
        raise _unreadable(path, _system(error)) from error


def load_arrays(
    path: str | os.PathLike[str], names: Iterable[str] | None = None
) -> dict[str, np.ndarray]:
    """Return arrays of an .npz by name, or the one of a .npy, memory-mapped.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(f"{folder}/two.npz", a=np.ones(2), b=np.zeros(3))
        ...     load_arrays(f"{folder}/two.npz", ["b"])
        {'b': array([0., 0., 0.])}

    Args:
        path: the file; its type is detected from its first bytes, not from its name.
        names: which arrays; None for all.

    Raises:
        InputError: as `read_headers`; for arrays of an .npz that do not fit into the free memory.
    """
    path = _found(path)
    headers = read_headers(path, objects=names is not None)
    wanted = list(headers if names is None else names)
    try:
        if any(headers[name].dtype.hasobject for name in wanted):
            raise _unreadable(path, _of_objects())
        if _start(path) == _NPY:
            empty = not headers[path.stem].bytes
            return {path.stem: np.load(path, "r" if not empty else None, allow_pickle=False)}
        total = sum(headers[name].bytes for name in wanted)
        require_memory(f"{path}, unpacked,", total, "save fewer rows, or its arrays as .npy")
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in wanted}
    except (InputError, MemoryError):
        raise
    except Exception as error:  # a damaged archive may raise anything
        raise _unreadable(path, _damaged(error)) from error


def read_npz(
    path: str | os.PathLike[str], images: str | None = None, labels: str | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the image array of an .npz file and its labels, if it has any.

    Example:
        >>> read_npz("absent.npz")
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: no file absent.npz; check the path

    Args:
        path: the file; pickled objects inside are refused.
        images: name of the images (n, h, w) or (n, h, w, c); None for the only array of 3 or 4
            axes.
        labels: name of the labels (n,); None for the only 1-d integer array of length n, or none.

    Raises:
        InputError: for a missing, damaged or ambiguous file, names that are not in it, and arrays
            that do not fit into the free memory.
    """
    path = expanded(path)
    headers = read_headers(path)
    candidates = [name for name, header in headers.items() if len(header.shape) in (3, 4)]
    x = _choose(path, "images", images, headers, candidates)
    count = headers[x].shape[:1]
    candidates = [n for n, y in headers.items() if y.shape == count and y.dtype.kind in "iu"]
    if labels is None and len(candidates) != 1:
        return load_arrays(path, [x])[x], None
    y = _choose(path, "labels", labels, headers, candidates)
    loaded = load_arrays(path, {x, y})
    return loaded[x], loaded[y]


def _found(path: str | os.PathLike[str]) -> Path:
    given = expanded(path)
    try:
        there = given.is_file()
    except OSError as error:
        raise _unreadable(given, _system(error)) from error
    if not there:
        message = f"no file {given}; check the path"
        raise InputError(message)
    return given


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        start = file.read(len(_NPY))
    return _ZIP if start.startswith(_ZIP) else start


def _headers(path: Path) -> dict[str, Header]:
    start = _start(path)
    if start == _ZIP:
        return _zip_headers(path)
    if start != _NPY:
        message = "it is neither a .npy nor an .npz file" if start else "it is empty"
        raise _Refusal(message)
    with path.open("rb") as file:
        header = _header(file, "its header")
        held = path.stat().st_size - file.tell()
    if header.dtype.hasobject:
        raise _of_objects()
    if held < header.bytes:
        message = f"it is shorter than its header states: {held} bytes of data, not {header.bytes}"
        raise _Refusal(message)
    return {path.stem: header}


def _zip_headers(path: Path) -> dict[str, Header]:
    found: dict[str, Header] = {}
    try:
        archive = zipfile.ZipFile(path)
    except OSError:
        raise
    except Exception as error:  # a damaged directory may raise anything
        raise _damaged(error) from error
    with archive:
        members = archive.infolist()
        if any(info.filename.endswith("data.pkl") for info in members):
            message = "it is a PyTorch file"
            raise _Refusal(message, _TORCH)
        for info in members:
            name = info.filename.removesuffix(".npy")
            if name == info.filename:
                message = f"it contains '{info.filename[:60]}', which is not an array"
                raise _Refusal(message)
            if name in found:
                message = f"it contains two arrays called '{name[:60]}'"
                raise _Refusal(message)
            found[name] = _member(archive, info, f"array '{name[:60]}'")
    return found


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, what: str) -> Header:
    """Return the header of an array in an archive, after checking its size."""
    if info.flag_bits & 1:
        message = f"{what} is encrypted"
        raise _Refusal(message, "unpack it with its password and write it with numpy.savez")
    if info.compress_type not in _METHODS:
        message = f"{what} is compressed by method {info.compress_type}, which is not known"
        raise _Refusal(message)
    try:
        with archive.open(info) as file:
            header = _header(file, f"the header of {what}")
            held = info.file_size - file.tell()
    except _Refusal:
        raise
    except Exception as error:  # damaged compressed data may raise anything
        raise _damaged(error, f"{what} is damaged") from error
    if header.bytes != held and not header.dtype.hasobject:  # objects are pickled
        message = f"{what} claims {header.bytes} bytes and has {held}"
        raise _Refusal(message)
    return header


def _header(file: Any, what: str) -> Header:
    """Return the header of an array, read at its beginning."""
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    try:
        shape, _, dtype = readers[np.lib.format.read_magic(file)](file)
        whole = tuple(int(size) for size in shape)
    except (OSError, zipfile.BadZipFile):
        raise
    except Exception as error:  # NumPy evaluates the header, which may contain anything
        message = f"{what} is not that of an array"
        raise _Refusal(message) from error
    if min(whole, default=0) < 0:
        message = f"{what} has the shape {shape}"
        raise _Refusal(message)
    return Header(whole, dtype)


def _of_objects() -> _Refusal:
    return _Refusal("it holds Python objects instead of numbers", _NO_OBJECTS)


def _damaged(error: Exception, what: str = "it is damaged") -> _Refusal:
    reason = " ".join(str(error).split()).rstrip(".")[:120]
    return _Refusal(f"{what}: {reason or type(error).__name__}")


def _system(error: OSError) -> _Refusal:
    return _Refusal((error.strerror or str(error)).lower(), "check its permissions")


def _unreadable(path: Path, refusal: _Refusal) -> InputError:
    return InputError(f"cannot read {path} ({refusal}); {refusal.remedy}")


def _choose(
    path: Path,
    what: str,
    name: str | None,
    arrays: Mapping[str, Header],
    candidates: list[str],
) -> str:
    if name is None and len(candidates) == 1:
        return candidates[0]
    if name is None:
        held = ", ".join(f"{key} {value.shape}" for key, value in arrays.items()) or "nothing"
        message = f"{path} contains {held}; pass {what}=NAME, or save that array only"
        raise InputError(message)
    require_name(f"array of {path.name}", name, arrays)
    if name not in candidates:
        message = f"{path}: {name} {arrays[name].shape} cannot be {what}; choose another array"
        raise InputError(message)
    return name
