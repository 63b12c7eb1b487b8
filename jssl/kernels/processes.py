"""Products that several processes compute together, each its share, under `jax.distributed`.

Every process makes the same call. Process 0 alone decides: it runs the algorithm, and the others
serve its products until it says that it has ended. Hosts that round differently could not decide
together, since they would take other blocks, or another number of them. All that is exchanged are
sums over the processes: of parts of a product, or of one array and zeros.
"""

import io
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jssl.errors import InputError

Tick = Callable[[float], None]
Multiply = Callable[..., np.ndarray]
"""`multiply(v, tick=None) -> K v`."""
Found = TypeVar("Found", bound=tuple[Any, ...])

_PRODUCT, _FOUND, _REFUSED, _STOPPED = range(4)


class Product(Protocol):
    """The part of K v that this process computes: `jssl.kernels.tiles.KernelProduct`."""

    size: int
    dtype: Any

    def __call__(self, v: Any, tick: Tick | None = None) -> np.ndarray:
        """Return (size, columns) whose sum over the processes is K v."""


def share() -> tuple[int, int]:
    """Return (index, count) of this process.

    Example:
        >>> share()
        (0, 1)
    """
    return jax.process_index(), jax.process_count()


def total(part: np.ndarray) -> np.ndarray:
    """Return the sum over the processes of arrays of one shape and dtype.

    Example:
        >>> total(np.arange(3)).tolist()
        [0, 1, 2]
    """
    if jax.process_count() == 1:
        return part
    mesh, add = _sum()
    own = jax.device_put(part[None], mesh.devices[jax.process_index()])
    split = NamedSharding(mesh, PartitionSpec(mesh.axis_names[0]))
    parts = jax.make_array_from_single_device_arrays((mesh.size, *part.shape), split, [own])
    return np.asarray(add(parts).addressable_data(0))


def require_same(digest: bytes, numbers: np.ndarray) -> None:
    """Raise on every process where one was given other work than process 0.

    Args:
        digest: of what must be the same, of one length.
        numbers: (k,) that must be the same up to rounding.

    Raises:
        InputError: they are not.
    """
    if jax.process_count() == 1:
        return
    digests = _gathered(np.frombuffer(digest, np.uint8))
    values = _gathered(np.asarray(numbers, np.float32))
    far = ~np.isclose(values, values[0], rtol=1e-3, atol=0, equal_nan=True)
    others = np.flatnonzero((digests != digests[0]).any(1) | far.any(1))
    if len(others):
        message = (
            f"process {others[0]} was given other pairs, another model, or another kind, dim, "
            "width or tile than process 0: under jax.distributed all make the same call"
        )
        raise InputError(message)


def led(
    product: Product, compute: Callable[[Multiply], Found], kind: Callable[..., Found]
) -> Found:
    """Return `compute(multiply)` of process 0 on every process.

    Args:
        product: the part of this process.
        compute: called on process 0 alone; its products are those of all processes.
        kind: what `compute` returns, a NamedTuple of arrays.

    Raises:
        InputError: that of `compute`, on every process.
        RuntimeError: on all others, where process 0 ends with another exception.
    """
    if jax.process_count() == 1:
        return compute(product)
    if jax.process_index():
        return kind(*map(jnp.asarray, _serve(product)))

    def multiply(v: Any, tick: Tick | None = None) -> np.ndarray:
        _announce(_PRODUCT, v.shape[1])
        v = total(np.asarray(v, product.dtype))
        try:
            part = product(v, tick)
        except BaseException:
            total(np.zeros_like(v))  # the others are waiting for it
            raise
        return total(part)

    try:
        found = compute(multiply)
    except InputError as error:
        _send(_REFUSED, str(error).encode())
        raise
    except BaseException as error:
        _send(_STOPPED, f"{type(error).__name__} {error}".strip().encode())
        raise
    held = io.BytesIO()
    np.savez(held, *map(np.asarray, found))
    _send(_FOUND, held.getvalue())
    return found


def _serve(product: Product) -> list[np.ndarray]:
    """Compute parts of products until process 0 ends; return the arrays that it found."""
    while True:
        what, length = map(int, total(np.zeros(2, np.int32)))
        if what == _PRODUCT:
            total(product(total(np.zeros((product.size, length), product.dtype))))
            continue
        told = total(np.zeros(length, np.uint8)).tobytes()
        if what == _FOUND:
            with np.load(io.BytesIO(told)) as held:
                return [held[name] for name in held.files]
        if what == _REFUSED:
            raise InputError(told.decode())
        message = f"process 0 stopped: {told.decode()}"
        raise RuntimeError(message)


def _send(what: int, told: bytes) -> None:
    _announce(what, len(told))
    total(np.frombuffer(told, np.uint8))


def _announce(what: int, length: int) -> None:
    total(np.array([what, length], np.int32))


def _gathered(row: np.ndarray) -> np.ndarray:
    index, count = share()
    rows = np.zeros((count, *row.shape), row.dtype)
    rows[index] = row
    return total(rows)


@lru_cache(maxsize=1)
def _sum() -> tuple[Mesh, Callable[[jax.Array], jax.Array]]:
    """Return a mesh of one device of every process, and the sum over it."""
    first = {device.process_index: device for device in reversed(jax.devices())}
    mesh = Mesh(np.array([first[index] for index in sorted(first)]), ("process",))

    def add(parts: jax.Array) -> jax.Array:
        return jnp.sum(parts, axis=0, dtype=parts.dtype)

    return mesh, jax.jit(add, out_shardings=NamedSharding(mesh, PartitionSpec()))
