"""Arrays that are decoded in pieces: kept in memory while small, in a temporary file otherwise."""

import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from typing import IO

import numpy as np

from jssl.errors import InputError
from jssl.memory import free_disk

MEMORY_BYTES = 2**28
"""Bytes of decoded values above which they are written to a temporary file."""


class NoRows(InputError):
    """An array that holds no rows: nothing is wrong with it where others hold some."""


def spooled(name: str, parts: Iterable[np.ndarray]) -> np.ndarray:
    """Return the concatenation of parts along their first axis.

    Example:
        >>> spooled("z", [np.zeros((1, 2)), np.ones((2, 2))]).tolist()
        [[0.0, 0.0], [1.0, 1.0], [1.0, 1.0]]

    Compressed files, tables and text cannot be mapped into memory. They are decoded once; more
    than `MEMORY_BYTES` go to a file in the system's folder for temporary files (TMPDIR), which
    disappears with the process.

    Args:
        name: what is read, for messages.
        parts: arrays of one dtype and equal trailing axes; they may be read lazily.

    Raises:
        NoRows: for no parts.
        InputError: for parts of other shapes or dtypes, and where the disk is full.
    """
    with ExitStack() as stack:
        return _spooled(name, parts, stack)


def _spooled(name: str, parts: Iterable[np.ndarray], stack: ExitStack) -> np.ndarray:
    held: list[np.ndarray] = []
    size, file, count = 0, None, 0
    for part in parts:
        if held and (part.shape[1:] != held[0].shape[1:] or part.dtype != held[0].dtype):
            message = (
                f"{name}: its rows are {held[0].shape[1:]} {held[0].dtype} up to row {count:,} and "
                f"{part.shape[1:]} {part.dtype} after it"
            )
            raise InputError(message)
        size, count = size + part.nbytes, count + len(part)
        if file is None:
            held.append(part)
            if size > MEMORY_BYTES:
                file = tempfile.TemporaryFile(prefix="jssl-")  # noqa: SIM115
                stack.enter_context(file)
                for earlier in held:
                    _write(name, file, earlier)
                held = [held[0][:0]]
        else:
            _write(name, file, part)
    if not held:
        message = f"{name} holds no rows"
        raise NoRows(message)
    if file is None:
        return held[0] if len(held) == 1 else np.concatenate(held)
    file.flush()  # the map outlives the file object
    return np.memmap(file, held[0].dtype, "r", shape=(count, *held[0].shape[1:]))


def _write(name: str, file: IO[bytes], part: np.ndarray) -> None:
    folder = tempfile.gettempdir()
    if part.nbytes > free_disk(folder):
        message = (
            f"{name}, unpacked, does not fit into {folder}; set TMPDIR to a folder with more room, "
            "or save the array with numpy.save"
        )
        raise InputError(message)
    file.write(np.ascontiguousarray(part).data.cast("B") if part.size else b"")
