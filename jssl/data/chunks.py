"""Rows of an array or of a memory map, a chunk at a time, in float64."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from jssl.host_arithmetic import host_float64

CHUNK_BYTES = 2**24
"""Size of a chunk in float64 by default."""


def rows(z: Any, chunk: int | None = None) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the start and each chunk of rows in float64, not to be written into.

    Example:
        >>> [(at, part.tolist()) for at, part in rows(np.arange(3)[:, None], 2)]
        [(0, [[0.0], [1.0]]), (2, [[2.0]])]
    """
    size = max(1, CHUNK_BYTES // (8 * max(1, z.shape[1]))) if chunk is None else chunk
    for start in range(0, len(z), size):
        yield start, host_float64("embeddings", z[start : start + size])
