"""Rows of an array or of a memory map, a chunk at a time, in float64."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from jssl.data.half import is_half, widen
from jssl.host_arithmetic import host_float64

CHUNK_BYTES = 2**24
"""Size of a chunk in float64 by default."""

STRIP_BYTES = 2**20
"""Size of rows in float64 that stay in the cache between operations."""


def rows(z: Any, chunk: int | None = None) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the start and each chunk of rows in float64, not to be written into.

    Example:
        >>> [(at, part.tolist()) for at, part in rows(np.arange(3)[:, None], 2)]
        [(0, [[0.0], [1.0]]), (2, [[2.0]])]
    """
    for start, part in stored_rows(z, chunk):
        if isinstance(part, np.ndarray) and is_half(part.dtype):
            wide = np.empty(part.shape)
            widen(part, wide)
            yield start, wide
        else:
            yield start, host_float64("embeddings", part)


def strips(z: Any) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the start and each chunk of rows in float64, small enough to stay in the cache.

    Example:
        >>> [(at, part.shape) for at, part in strips(np.zeros((3, 2**17 - 1)))]
        [(0, (1, 131071)), (1, (1, 131071)), (2, (1, 131071))]
    """
    for start, part in stored_rows(z):
        for low, strip in rows(part, max(1, STRIP_BYTES // (8 * max(1, z.shape[1])))):
            yield start + low, strip


def stored_rows(z: Any, chunk: int | None = None) -> Iterator[tuple[int, Any]]:
    """Yield the start and each chunk of rows as they are stored, not to be written into.

    Example:
        >>> [(at, part.dtype.name) for at, part in stored_rows(np.zeros((3, 1), np.int8), 2)]
        [(0, 'int8'), (2, 'int8')]
    """
    size = max(1, CHUNK_BYTES // (8 * max(1, z.shape[1]))) if chunk is None else chunk
    for start in range(0, len(z), size):
        yield start, z[start : start + size]
