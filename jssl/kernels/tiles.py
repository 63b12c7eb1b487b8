"""Products with an infinite-width kernel matrix that is never held.

Square tiles are computed, multiplied and thrown away, or kept where all of them are small together.
Only the tiles of the upper half are computed; each serves its mirror image as well. On the CPU,
tiles of dense networks are computed as `jssl.models.dense_kernel` does. Everything else, kernels of
other models and accelerators, is one program a tile, and the tiles are spread over the devices.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl.kernels.infinite import part_of
from jssl.models.correlation import Directions, directions, gaps_of_product, unit_rows
from jssl.models.dense_kernel import (
    KINDS,
    DenseKernel,
    evaluator,
    even_step,
    host_side,
    part_of_directions,
    part_of_side,
)
from jssl.models.layers import flatten
from jssl.types import Array, Model

Tick = Callable[[float], None]
"""Called after every tile with the share of the product that is done."""

TILE = {"cpu": 512}
"""Platform -> most rows and columns of a tile; 2048 on those not named: each is a program."""

KEPT = 2**29
"""Bytes up to which all tiles are kept from one product to the next: 16,000 inputs in float32."""

_PRODUCTS = 4  # times that a tile which is not kept is computed, to choose how
_PROBE = 3  # tiles that an estimate times, after one that compiles


class KernelProduct:
    """The function v -> k(Z, Z) v.

    Attributes:
        size: rows of Z.
        tiles: tiles of the upper half, those of this part.
        are_kept: whether the tiles of all parts are small enough to be kept.
        dtype: of the products.
    """

    def __init__(
        self,
        model: Model,
        views: np.ndarray | tuple[np.ndarray, ...],
        *,
        kind: str = "ntk",
        tile: int | None = None,
        devices: Sequence[jax.Device] | None = None,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        """Prepare the inputs.

        Args:
            model: a model with a kernel.
            views: (size, ...) Z, floating, at least float32; or its parts, in one dtype.
            kind: "ntk" or "nngp".
            tile: rows of a tile; None for about those of `TILE`, or fewer for few inputs.
            devices: of one platform; None for all of the default backend in this process.
            part: (index, count) for that part of the tiles; the products of all parts add up to
                k(Z, Z) v.
        """
        assert model.kernel is not None
        views = views if isinstance(views, tuple) else (views,)
        self.size = sum(map(len, views))
        devices = jax.local_devices() if devices is None else list(devices)
        most = TILE.get(devices[0].platform, 2048)
        self._tile = even_step(self.size, most) if tile is None else min(tile, self.size)
        starts = range(0, self.size, self._tile)
        every = [(i, j) for i in starts for j in starts if i <= j]
        self.dtype = views[0].dtype
        self.are_kept = len(every) * self._tile**2 * self.dtype.itemsize <= KEPT
        index, count = part
        first, last = (-(-len(every) * i // count) for i in (index, index + 1))
        self._pairs = every[first:last]
        self.tiles = len(self._pairs)
        given = views, KINDS.index(kind), self._tile
        self._parts: _HostTiles | _DeviceTiles
        on_cpu = devices[0].platform == "cpu"
        if on_cpu and isinstance(model.kernel, DenseKernel) and model.kernel.is_on_host():
            self._parts = _HostTiles(model.kernel, *given, self._pairs, self.are_kept)
        else:
            self._parts = _DeviceTiles(model.kernel, *given, self.are_kept, devices)

    def __call__(self, v: Any, tick: Tick | None = None) -> np.ndarray:
        """Return k(Z, Z) v for v (size, columns), or what this part adds to it, in NumPy."""
        padded = np.zeros((-(-self.size // self._tile) * self._tile, v.shape[1]), self.dtype)
        padded[: self.size] = v
        total = self._parts.product(self._pairs, padded, tick)
        return total[: self.size]

    def estimate(self, columns: int) -> float:
        """Return about how many seconds a product with that many columns takes.

        A few tiles are timed, after one that compiles.
        """
        padded = np.zeros((-(-self.size // self._tile) * self._tile, columns), self.dtype)
        self._parts.product(self._pairs[:1], padded, None)
        chosen = self._pairs[1 : 1 + _PROBE] or self._pairs
        started = time.perf_counter()
        self._parts.product(chosen, padded, None)
        return (time.perf_counter() - started) / len(chosen) * self.tiles


class _HostTiles:
    def __init__(
        self, kernel: DenseKernel, views: Any, index: int, tile: int, pairs: Any, is_kept: bool
    ) -> None:
        flat = [flatten(part, kernel.in_dim) for part in views]
        dtype, size = flat[0].dtype, sum(map(len, flat))
        rows = -(-size // tile) * tile
        offset, length = np.zeros((rows, kernel.in_dim), dtype), np.zeros(rows, dtype)
        np.concatenate(flat, out=offset[:size])
        # rows of padding: of length zero, far from all others, and their rows of v are zero
        half = np.full(rows, 0.5, dtype)
        parts = [slice(i, i + tile) for i in range(0, rows, tile)]
        for at in parts:
            offset[at], length[at] = unit_rows(offset[at])
        centre = (offset.sum(0, dtype=np.float64) / size).astype(dtype)
        for at in parts:
            inside = slice(at.start, min(at.stop, size))
            offset[inside], half[inside] = directions(offset[inside], centre)[:2]
        every, sides = Directions(offset, half, centre), host_side(kernel, length)
        self._inputs = [(part_of_directions(every, at), part_of_side(sides, at)) for at in parts]
        self._tile = tile
        entries = len(pairs) * tile**2 * (1 if is_kept else _PRODUCTS)
        self._evaluate = evaluator(kernel, dtype, (index,), entries=entries)
        self._product = np.empty((tile, tile), dtype)
        # in one array, which the system gets back as a whole
        self._kept = np.empty((len(pairs) if is_kept else 0, tile, tile), dtype)
        self._place: dict[tuple[int, int], int] = {}  # in `_kept`, of tiles that are known

    def product(self, pairs: Any, v: np.ndarray, tick: Tick | None) -> np.ndarray:
        total, step = np.zeros_like(v), self._tile
        for done, (i, j) in enumerate(pairs, start=1):
            rows, columns = slice(i, i + step), slice(j, j + step)
            block = self._block(i, j)
            total[rows] += block @ v[columns]
            if i != j:
                total[columns] += block.T @ v[rows]
            if tick is not None:
                tick(done / len(pairs))
        return total

    def _block(self, i: int, j: int) -> np.ndarray:
        place = self._place.get((i, j))
        if place is not None:
            return self._kept[place]
        (at1, side1), (at2, side2) = (self._inputs[start // self._tile] for start in (i, j))
        np.matmul(at1.offset, at2.offset.T, out=self._product)
        gap = gaps_of_product(self._product, at1, at2)
        block = np.asarray(self._evaluate(gap, side1, side2)[0])
        if i == j:
            block = (block + block.T) / 2
        if len(self._kept):
            place = self._place[i, j] = len(self._place)
            self._kept[place] = block
        return block


class _DeviceTiles:
    def __init__(
        self,
        kernel: Callable[[Array, Array], tuple[Array, Array]],
        views: tuple[np.ndarray, ...],
        index: int,
        tile: int,
        is_kept: bool,
        devices: Sequence[jax.Device],
    ) -> None:
        # the last row again, so that a kernel that divides by lengths stays finite
        whole = np.concatenate(views)
        padding = [(0, -len(whole) % tile)] + [(0, 0)] * (whole.ndim - 1)
        padded = np.pad(whole, padding, mode="edge")
        self._views = [jax.device_put(padded, device) for device in devices]
        self._devices, self._tile, self._is_kept = devices, tile, is_kept
        self._block = partial(_device_block, kernel, index, tile)
        self._kept: dict[tuple[int, int], Array] = {}
        self._device_of: dict[tuple[int, int], int] = {}  # one of `devices`, in turn

    def product(self, pairs: Any, v: np.ndarray, tick: Tick | None) -> np.ndarray:
        vectors = [jax.device_put(v, device) for device in self._devices]
        totals = [jnp.zeros_like(vector) for vector in vectors]
        for done, pair in enumerate(pairs, start=1):
            at = self._device_of.setdefault(pair, len(self._device_of) % len(self._devices))
            block = self._kept.get(pair)
            if block is None:
                block = self._block(self._views[at], *pair)
            if self._is_kept:
                self._kept[pair] = block
            totals[at] = _add(totals[at], block, vectors[at], *pair)
            if done % (4 * len(self._devices)) == 0:
                totals[at].block_until_ready()  # bounds the queue
            if tick is not None:
                tick(done / len(pairs))
        return sum((np.asarray(total) for total in totals), start=np.zeros_like(v))


def _rows(array: Array, start: Array, count: int) -> Array:
    return jax.lax.dynamic_slice_in_dim(array, start, count)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _device_block(
    kernel: Callable[[Array, Array], tuple[Array, Array]],
    index: int,
    tile: int,
    views: Array,
    i: Array,
    j: Array,
) -> Array:
    return part_of(kernel, index, _rows(views, i, tile), _rows(views, j, tile))


@partial(jax.jit, donate_argnums=0)
def _add(total: Array, block: Array, v: Array, i: Array, j: Array) -> Array:
    tile = len(block)

    def add(total: Array, start: Array, part: Array) -> Array:
        return jax.lax.dynamic_update_slice_in_dim(
            total, _rows(total, start, tile) + part, start, 0
        )

    with jax.default_matmul_precision("highest"):
        total = add(total, i, block @ _rows(v, j, tile))
        return add(total, j, jnp.where(i == j, 0, block.T @ _rows(v, i, tile)))
