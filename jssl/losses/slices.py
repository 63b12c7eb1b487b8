"""Random directions, and the mean of a statistic of the projections, in blocks of directions.

Value and gradient are summed block by block: no array has samples x slices entries, and what is
kept for the backward pass is one gradient of the size of the embeddings.
"""

import functools
import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl.arithmetic import dot
from jssl.errors import InputError
from jssl.keys import require_key
from jssl.losses.characteristic import GRIDS, statistic, statistic_and_slope
from jssl.memory import require_memory
from jssl.types import Array

BLOCK_ELEMENTS = 2**15
"""Projections, samples x slices, that are computed at a time."""


def directions(key: Array | None, dim: int, slices: Any, dtype: Any = "float32") -> Array:
    """Return (slices, dim) unit vectors, uniform on the sphere.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> print(jnp.linalg.norm(directions(jax.random.key(0), 3, 2), axis=1).round(5))
        [1. 1.]

    Args:
        key: a typed key; None is `jax.random.key(0)`.
        dim: dimension >= 1 of the embeddings.
        slices: number of vectors, >= 1.
        dtype: of the vectors. The draw itself is in float32, so that every dtype has the same.

    Raises:
        InputError: if dim or slices is below 1, for a key that is not typed, or for more directions
            than memory holds.
    """
    slices, dim = _count("slices", slices), _count("dim", dim)
    require_memory(f"{slices:,} directions", 8.0 * slices * dim, "take fewer slices")
    if key is not None:
        require_key(key)
    if key is None:
        a = jnp.asarray(_usual_normals(slices, dim), dtype)
    else:
        a = jax.random.normal(key, (slices, dim), "float32").astype(dtype)
    return a / jnp.linalg.norm(a, axis=1, keepdims=True)


def _count(name: str, number: Any) -> int:
    try:
        count = operator.index(number)
    except TypeError:
        count = 0
    if isinstance(number, bool) or count < 1:
        message = f"{name} must be a whole number >= 1; got {number!r}"
        raise InputError(message)
    return count


@functools.lru_cache(maxsize=8)
def _usual_normals(slices: int, dim: int) -> np.ndarray:
    """Return the normals of `jax.random.key(0)`, the same bits in every program."""
    with jax.ensure_compile_time_eval():
        return np.asarray(jax.random.normal(jax.random.key(0), (slices, dim), "float32"))


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def sliced(z: Array, a: Array, grid: str, unbiased: bool) -> Array:
    """Return the mean over directions of the statistic T of the projections.

    Example:
        >>> print(sliced(jnp.zeros((10, 2)), jnp.eye(2), "exact", False).round(4))
        4.0892

    Args:
        z: (n, dim) embeddings.
        a: (slices, dim) unit vectors; the derivative with respect to them is not defined.
        grid: a key of `jssl.losses.characteristic.GRIDS`.
        unbiased: whether the pairs of a sample with itself are left out.
    """
    blocks, left = _blocks(a, len(z), grid)

    def add(total: Array, block: Array) -> tuple[Array, None]:
        return total + jnp.sum(statistic(dot(block, z.T), grid, unbiased=unbiased)), None

    total = jnp.zeros((), z.dtype)
    if len(blocks):
        total, _ = jax.lax.scan(add, total, blocks)
    if len(left):
        total, _ = add(total, left)
    return total / len(a)


@sliced.defjvp
def _jvp(
    grid: str, unbiased: bool, primals: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[Array, Array]:
    """Sum values and gradients block by block, so that no array has samples x slices entries."""
    z, a = primals
    blocks, left = _blocks(a, len(z), grid)

    def add(sums: tuple[Array, Array], block: Array) -> tuple[tuple[Array, Array], None]:
        values, slopes = statistic_and_slope(dot(block, z.T), grid, unbiased=unbiased)
        return (sums[0] + jnp.sum(values), sums[1] + dot(slopes.T, block)), None

    sums = jnp.zeros((), z.dtype), jnp.zeros_like(z)
    if len(blocks):
        sums, _ = jax.lax.scan(add, sums, blocks)
    if len(left):
        sums, _ = add(sums, left)
    return sums[0] / len(a), jnp.sum(sums[1] / len(a) * tangents[0])


def _blocks(a: Array, samples: int, grid: str) -> tuple[Array, Array]:
    """Return the directions as (blocks, size, dim), and those left over."""
    pairs = samples if GRIDS[grid] is None else 1
    size = min(len(a), max(1, BLOCK_ELEMENTS // (samples * pairs)))
    whole = len(a) // size * size
    return a[:whole].reshape(-1, size, a.shape[1]), a[whole:]
