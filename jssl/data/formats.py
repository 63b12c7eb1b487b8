"""Readers of published image formats: IDX, CIFAR batches, STL-10 binaries.

All readers use the disk only, check the files, and return the stored arrays without scaling.
"""

import gzip
import io
import math
import pathlib
import pickle
import tarfile
import zlib
from typing import Any

import numpy as np

from jssl.data.checks import require_name
from jssl.errors import InputError
from jssl.memory import require_memory
from jssl.paths import expanded

_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_BATCHES = {"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)}
_PIXELS = 3 * 32 * 32
_STL10_SIDE = 96
STL10_SPLITS = ("test", "train", "unlabeled")


def read_idx(path: str | pathlib.Path) -> np.ndarray:
    """Return the array of an IDX file, plain or gzipped.

    Example:
        >>> read_idx("absent-idx3-ubyte")
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: no file absent-idx3-ubyte; check the path

    Magic: two zero bytes, a type code, the number of axes; then the sizes as big-endian uint32 and
    the payload.

    Args:
        path: the file; gzip is recognised by its content.

    Returns:
        The array in native byte order.

    Raises:
        InputError: for a missing, truncated or foreign file, or one that claims more than the free
            memory.
    """
    path = expanded(path)
    if not path.is_file():
        message = f"no file {path}; check the path"
        raise InputError(message)
    try:
        return _read_idx(path)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        message = f"{path} is truncated or damaged ({error}); download it again"
        raise InputError(message) from None
    except OSError as error:
        raise _refused(path, error) from error


def read_cifar10(path: str | pathlib.Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return CIFAR-10 images and labels from any of its published layouts.

    Example:
        >>> read_cifar10("absent", "train")
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: no CIFAR-10 at absent; pass the folder of batches or its .tar.gz

    Pickled batches are read by an unpickler that can build only NumPy arrays;
    archives are read in memory and never extracted.

    Args:
        path: folder of `data_batch_1` ... `test_batch` (pickled, or binary with `.bin`), or a tar
            archive of one.
        split: "train" or "test".

    Returns:
        Images (n, 32, 32, 3) uint8 and labels (n,) uint8.

    Raises:
        InputError: for missing batches or damaged files.
    """
    require_name("split", split, _BATCHES)
    path = expanded(path)
    wanted = [name + suffix for name in _BATCHES[split] for suffix in ("", ".bin")]
    files = _members(path, wanted)
    suffix = ".bin" if any(name.endswith(".bin") for name in files) else ""
    missing = [name + suffix for name in _BATCHES[split] if name + suffix not in files]
    if missing:
        message = f"{path} lacks {', '.join(missing)}; download the archive again"
        raise InputError(message)
    decode = _binary_batch if suffix else _pickled_batch
    batches = [decode(f"{path}: {n + suffix}", files[n + suffix]) for n in _BATCHES[split]]
    pixels, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels


def read_stl10(
    folder: str | pathlib.Path, split: str, count: int | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return STL-10 images, and labels where the split has them, from its binary files.

    Example:
        >>> read_stl10("absent", "train")
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: no file absent/train_X.bin; pass the folder of STL-10's .bin files

    An image is three planes of 96 x 96 bytes, each column by column. The images are mapped from the
    file: of the 100,000 unlabeled ones (2.8 GB) only the requested ones are read.

    Args:
        folder: that of `train_X.bin`, `train_y.bin`, `test_X.bin` ..., unpacked.
        split: "train" (5,000), "test" (8,000) or "unlabeled" (100,000).
        count: number of images, from the first on; None for all.

    Returns:
        Images (n, 96, 96, 3) uint8, and labels (n,) from 0, or None for "unlabeled".

    Raises:
        InputError: for missing or damaged files.
    """
    require_name("split", split, STL10_SPLITS)
    folder = expanded(folder)
    pixels = folder / f"{split}_X.bin"
    image = 3 * _STL10_SIDE**2
    if not pixels.is_file():
        message = f"no file {pixels}; pass the folder of STL-10's .bin files"
        raise InputError(message)
    size = pixels.stat().st_size
    if not size or size % image:
        message = f"{pixels} has {size} bytes, not a whole number of images; download it again"
        raise InputError(message)
    stored = np.memmap(pixels, np.uint8, "r", shape=(size // image, 3, _STL10_SIDE, _STL10_SIDE))
    chosen = stored[:count]
    require_memory(f"{pixels}, as float32,", 5 * chosen.size, "pass a smaller count")
    x = np.ascontiguousarray(chosen.transpose(0, 3, 2, 1))
    if split == "unlabeled":
        return x, None
    names = folder / f"{split}_y.bin"
    labels = np.fromfile(names, np.uint8) if names.is_file() else np.zeros(0, np.uint8)
    if len(labels) != len(stored) or labels.min() < 1:
        message = f"{names} lacks labels 1 ... 10 for {len(stored)} images; download it again"
        raise InputError(message)
    return x, labels[:count] - 1


def _read_idx(path: pathlib.Path) -> np.ndarray:
    """Return the array of an IDX file, after comparing its size with its header."""
    with path.open("rb") as plain:
        packed = plain.read(2) == b"\x1f\x8b"
    with gzip.open(path) if packed else path.open("rb") as file:
        magic = file.read(4)
        ndim = magic[3] if len(magic) > 3 else 0
        sizes = file.read(4 * ndim)
        if magic[:2] != b"\0\0" or len(sizes) < 4 * ndim or not ndim or magic[2] not in _IDX_TYPES:
            seen = magic.hex() or "missing"
            message = f"{path} is not an IDX file (magic {seen}); download it again"
            raise InputError(message)
        shape = tuple(int(size) for size in np.frombuffer(sizes, ">u4"))
        dtype = np.dtype(_IDX_TYPES[magic[2]])
        expected = math.prod(shape) * dtype.itemsize
        held = None if packed else path.stat().st_size - file.tell()
        if held is None or held == expected:
            require_memory(
                f"{path}, by its header,", 2 * expected, "check that it is the right file"
            )
            payload = file.read(expected)
            more = len(file.read(1))
            held = len(payload) + more
    if held != expected:
        message = (
            f"{path} is truncated or damaged: {held} bytes of data, but its header states "
            f"{expected}; download it again"
        )
        raise InputError(message)
    return np.frombuffer(payload, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _members(path: pathlib.Path, wanted: list[str]) -> dict[str, bytes]:
    if path.is_dir():
        there = [path / name for name in wanted if (path / name).is_file()]
        _require_room(path, sum(file.stat().st_size for file in there))
        return {file.name: file.read_bytes() for file in there}
    if not path.is_file():
        message = f"no CIFAR-10 at {path}; pass the folder of batches or its .tar.gz"
        raise InputError(message)
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = pathlib.PurePosixPath(member.name).name
                if name in wanted and (stream := archive.extractfile(member)):
                    _require_room(path, member.size + sum(map(len, found.values())))
                    found[name] = stream.read()
    except PermissionError as error:
        raise _refused(path, error) from error
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        message = f"{path} is truncated or not a tar archive ({error}); download it again"
        raise InputError(message) from None
    return found


def _refused(path: pathlib.Path, error: OSError) -> InputError:
    reason = (error.strerror or str(error)).lower()
    return InputError(f"cannot read {path} ({reason}); check its permissions")


def _require_room(path: pathlib.Path, size: int) -> None:
    """Raise an error if batches do not fit into memory, twice as large while they are decoded."""
    require_memory(f"{path}, by its sizes,", 2 * size, "check that it is the right file")


def _binary_batch(source: str, data: bytes) -> tuple[np.ndarray, np.ndarray]:
    if not data or len(data) % (1 + _PIXELS):
        message = f"{source} has {len(data)} bytes, not a whole number of images; download it again"
        raise InputError(message)
    rows = np.frombuffer(data, np.uint8).reshape(-1, 1 + _PIXELS)
    return rows[:, 1:], rows[:, 0]


# What a pickled ndarray names, under NumPy 1's and NumPy 2's module names.
_REBUILD = np.empty(0).__reduce__()[0]
_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _REBUILD,
    ("numpy._core.multiarray", "_reconstruct"): _REBUILD,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            message = f"it requires {module}.{name}"
            raise pickle.UnpicklingError(message)
        return _ALLOWED[module, name]


def _pickled_batch(source: str, data: bytes) -> tuple[np.ndarray, np.ndarray]:
    try:
        batch = _ArrayUnpickler(io.BytesIO(data), encoding="bytes").load()
        pixels, labels = batch[b"data"], np.asarray(batch[b"labels"])
    except Exception as error:  # a damaged pickle may raise anything
        reason = f"{type(error).__name__}: {error}"
        message = f"{source} is not a CIFAR-10 batch ({reason}); download the archive again"
        raise InputError(message) from None
    if (
        not isinstance(pixels, np.ndarray)
        or pixels.dtype != np.uint8
        or pixels.shape != (labels.size, _PIXELS)
        or labels.ndim != 1
        or labels.dtype.kind not in "iu"
    ):
        message = (
            f"{source} does not contain images and a label for each; download the archive again"
        )
        raise InputError(message)
    return pixels, labels.astype(np.uint8)
