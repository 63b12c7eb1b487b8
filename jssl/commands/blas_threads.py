"""Whether BLAS should use one thread: its threads spin while they wait for each other.

A pass over rows is thousands of products of about a millisecond each. On a machine that runs other
programs as well, each of them then waits for a second thread to be scheduled: with two threads on
two busy cores, 2,000,000 rows of 64 dimensions took 17 processor seconds instead of 1.3. The
variable that limits the threads is read when NumPy is imported, so that the shapes are read from
the headers of .npy files here, with the standard library only.
"""

import ast
import glob
import math
import os
from collections.abc import Sequence

MOST_WORK = 2**36
"""Multiplications up to which one thread is used: about one second on one core."""

SMALL_BYTES = 2**24
"""Bytes of files of other formats up to which one thread is used."""

_SAMPLE = 10_000  # rows that are compared pair by pair, as in `jssl.diagnosis.diagnosis`


def is_small(paths: Sequence[str | os.PathLike[str]], *, exact: bool = False) -> bool:
    """Return whether the diagnosis of files takes so little work that one thread is best.

    Example:
        >>> is_small(["absent.npy"])
        True

    Args:
        paths: files, folders and patterns. Those that cannot be read do not count.
        exact: whether all pairs of rows are compared.
    """
    files = [file for path in paths for file in _files(os.fspath(path))]
    shapes = [_shape(file) for file in files]
    known = [shape for shape in shapes if shape is not None]
    rest = [file for file, shape in zip(files, shapes, strict=True) if shape is None]
    if sum(map(os.path.getsize, rest)) > SMALL_BYTES:
        return False
    count, dim = sum(rows for rows, _ in known), max((dim for _, dim in known), default=0)
    pairs = count if exact else min(count, _SAMPLE)
    return (count * dim + pairs**2 / 2) * dim <= MOST_WORK


def _files(path: str) -> list[str]:
    """Return the files that a path, folder or pattern names."""
    path = os.path.expanduser(path)
    inside = os.path.join(glob.escape(path), "*")
    found = glob.glob(inside if os.path.isdir(path) else path)
    return [file for file in dict.fromkeys([path, *found]) if os.path.isfile(file)]


def _shape(file: str) -> tuple[int, int] | None:
    """Return rows and columns of a .npy file by its header; None for any other file."""
    try:
        with open(file, "rb") as opened:
            magic = opened.read(8)
            if magic[:6] != b"\x93NUMPY":
                return None
            size = int.from_bytes(opened.read(2 if magic[6] == 1 else 4), "little")
            shape = ast.literal_eval(opened.read(min(size, 2**16)).decode("latin1"))["shape"]
            return math.prod(shape[:-1]), int(shape[-1])
    except (OSError, ValueError, SyntaxError, TypeError, LookupError, MemoryError, RecursionError):
        return None
