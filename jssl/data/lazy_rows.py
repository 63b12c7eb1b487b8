"""Embeddings that are read when they are used: several files as one array, pooled tokens.

A `LazyRows` has the shape and dtype of a matrix (n, dim). It is read by slices of rows, by sorted
positions of rows, or by slices of columns, and only what is asked for is held in memory.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jssl.errors import InputError

BLOCK_BYTES = 2**26
"""Size of a block of rows that is read at once where rows are not contiguous."""

POOLS = ("mean", "cls", "none")
"""How (n, tokens, dim) becomes rows: their mean, the first token, or each token as a row."""


class LazyRows:
    """A matrix (n, dim) whose rows are read on demand.

    Example:
        >>> z = LazyRows((3, 1), np.dtype(float), lambda low, high: np.arange(low, high)[:, None])
        >>> z[1:].tolist(), z[np.array([0, 2])].tolist(), len(z)
        ([[1], [2]], [[0], [2]], 3)

    Args:
        shape: (n, dim).
        dtype: of the values.
        read: (low, high) -> the rows from low to high.
        take: sorted positions -> those rows; None to read the range in blocks.
    """

    ndim = 2

    def __init__(
        self,
        shape: tuple[int, int],
        dtype: np.dtype,
        read: Callable[[int, int], np.ndarray],
        take: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        self.shape, self.dtype, self._read, self._take = shape, dtype, read, take

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        if isinstance(index, tuple):
            chosen, columns = index
            if chosen != slice(None):
                return self[chosen][:, columns]
            return np.concatenate([part[:, columns] for part in self._blocks()])
        if isinstance(index, slice):
            low, high, step = index.indices(len(self))
            return self._read(low, max(low, high))[::step]
        chosen = np.asarray(index)
        if not chosen.ndim:
            return self._read(int(chosen), int(chosen) + 1)[0]
        if chosen.dtype == bool:
            chosen = np.flatnonzero(chosen)
        order = np.argsort(chosen, kind="stable")
        found = (self._take or self._taken)(chosen[order])
        result = np.empty_like(found)
        result[order] = found
        return result

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self._read(0, len(self)), dtype)

    def _blocks(self) -> Any:
        size = max(1, BLOCK_BYTES // max(1, self.shape[1] * self.dtype.itemsize))
        for low in range(0, len(self), size):
            yield self._read(low, min(low + size, len(self)))

    def _taken(self, chosen: np.ndarray) -> np.ndarray:
        found, low = [self._read(0, 0)], 0
        for block in self._blocks():
            here = chosen[(chosen >= low) & (chosen < low + len(block))]
            found.append(block[here - low])
            low += len(block)
        return np.concatenate(found)


def stacked(parts: Sequence[Any]) -> Any:
    """Return arrays (n_i, dim) as one of all their rows, which are not copied.

    Example:
        >>> both = stacked([np.zeros((2, 1)), np.ones((3, 1))])
        >>> both.shape, both[1:3].tolist(), both[np.array([0, 4])].tolist()
        ((5, 1), [[0.0], [1.0]], [[0.0], [1.0]])

    Args:
        parts: arrays, memory maps or LazyRows of equal dim; other dtypes become a common one.
    """
    if len(parts) == 1:
        return parts[0]
    starts = np.cumsum([0, *map(len, parts)])
    dtype = parts[0].dtype
    if any(part.dtype != dtype for part in parts):
        dtype = np.result_type(np.float32, *(_plain(part.dtype) for part in parts))

    def pieces(bounds: Callable[[int, int, int], Any]) -> np.ndarray:
        found = [np.empty((0, parts[0].shape[1]), dtype)]
        for i, part in enumerate(parts):
            where = bounds(i, int(starts[i]), int(starts[i + 1]))
            if where is not None:
                found.append(np.asarray(part[where]).astype(dtype, copy=False))
        return found[1] if len(found) == 2 else np.concatenate(found)

    def read(low: int, high: int) -> np.ndarray:
        def bounds(_: int, first: int, end: int) -> slice | None:
            here = max(low, first), min(high, end)
            return slice(here[0] - first, here[1] - first) if here[0] < here[1] else None

        return pieces(bounds)

    def take(chosen: np.ndarray) -> np.ndarray:
        at = np.searchsorted(chosen, starts)

        def bounds(i: int, first: int, _: int) -> np.ndarray | None:
            return chosen[at[i] : at[i + 1]] - first if at[i] < at[i + 1] else None

        return pieces(bounds)

    return LazyRows((int(starts[-1]), parts[0].shape[1]), dtype, read, take)


def by_columns(z: np.ndarray) -> Any:
    """Return a matrix that is stored by columns, read in blocks of many rows of each column.

    Example:
        >>> by_columns(np.asfortranarray(np.eye(3)))[1:].tolist()
        [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]

    One block is kept in memory, so that rows in order read each part of the file once.

    Args:
        z: (n, dim) memory map in Fortran's order; others are returned unchanged.
    """
    if z.ndim != 2 or not z.flags.f_contiguous or z.flags.c_contiguous:
        return z
    size = max(1, BLOCK_BYTES // (z.shape[1] * z.dtype.itemsize))
    kept: dict[int, np.ndarray] = {}

    def block(number: int) -> np.ndarray:
        if number not in kept:
            kept.clear()
            kept[number] = np.ascontiguousarray(z[number * size : (number + 1) * size])
        return kept[number]

    def read(low: int, high: int) -> np.ndarray:
        if low >= high:
            return np.empty((0, z.shape[1]), z.dtype)
        parts = []
        for number in range(low // size, (high - 1) // size + 1):
            start = number * size
            parts.append(block(number)[max(low - start, 0) : high - start])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def take(chosen: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(z.T[:, chosen].T)  # column after column

    return LazyRows((len(z), z.shape[1]), z.dtype, read, take)


def pooled(name: str, z: Any, pool: str | None) -> Any:
    """Return (n, tokens, dim) as rows; a matrix (n, dim) is returned unchanged.

    Example:
        >>> pooled("z", np.arange(8.0).reshape(2, 2, 2), "mean")[:].tolist()
        [[1.0, 2.0], [5.0, 6.0]]

    Args:
        name: what the array is called in a message.
        z: array or memory map.
        pool: one of `POOLS`; None where there are no tokens.

    Raises:
        InputError: for tokens without `pool`, or no tokens.
    """
    if z.ndim != 3:
        return z
    n, tokens, dim = z.shape
    if pool is None:
        message = (
            f"{name} is {z.shape}: rows, tokens, dimensions; pass --pool mean (of the tokens), "
            "--pool cls (the first token) or --pool none (each token is a row)"
        )
        raise InputError(message)
    if pool not in POOLS:
        message = f"pool must be {', '.join(POOLS)}; got {pool}"
        raise InputError(message)
    if not tokens:
        message = f"{name} is {z.shape}: no token to pool; save at least one for each row"
        raise InputError(message)
    if pool == "cls":
        return LazyRows(
            (n, dim),
            z.dtype,
            lambda low, high: np.ascontiguousarray(z[low:high, 0]),
            lambda chosen: np.ascontiguousarray(z[:, 0][chosen]),
        )
    if pool == "none":

        def rows(low: int, high: int) -> np.ndarray:
            first = low // tokens
            part = np.asarray(z[first : -(-high // tokens)]).reshape(-1, dim)
            return part[low - first * tokens : high - first * tokens]

        return LazyRows((n * tokens, dim), z.dtype, rows)
    dtype = np.result_type(_plain(z.dtype), np.float32)

    def mean(part: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", over="ignore"):  # the checks of the rows say so
            return np.asarray(part).astype(dtype, copy=False).mean(1)

    return LazyRows(
        (n, dim), dtype, lambda low, high: mean(z[low:high]), lambda chosen: mean(z[chosen])
    )


def _plain(dtype: np.dtype) -> np.dtype:
    """Return the dtype, or float32 for those that NumPy does not know, such as bfloat16."""
    return np.dtype(np.float32) if dtype.isbuiltin == 2 or dtype.kind == "V" else dtype
