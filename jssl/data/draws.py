"""Standard normals from an unrolled threefry generator, for losses and data that draw every step.

On a CPU, `jax.random.normal` runs the twenty rounds of threefry as a loop with a pass over memory
for each round. Unrolled rounds are fused with the operations that follow, and both words that they
give are used. The random bits are those of `jax.extend.random.threefry_2x32`; the numbers differ
from those of `jax.random.normal`.

References:
    Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl.data.checks import require_count
from jssl.errors import InputError
from jssl.keys import require_key, require_threefry
from jssl.types import Array

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def normals(key: Array, shape: int | tuple[int, ...], dtype: Any = jnp.float32) -> Array:
    """Return standard normals that depend only on the key and their number.

    Example:
        >>> import jax
        >>> draw = normals(jax.random.key(0), 10_000)
        >>> bool(abs(draw.mean()) < 0.05), bool(abs(draw.var() - 1) < 0.08)
        (True, True)

    They are the inverse error function at the midpoints of 2^23 (float32) or 2^53 (float64) equal
    cells.

    Args:
        key: a typed threefry key.
        shape: of the draws, static.
        dtype: float32 or float64; where 64 bits are off, both are float32.

    Returns:
        Draws of that shape. They can be jitted, and mapped over keys.

    Raises:
        InputError: if the key is not one typed threefry key, a size is no whole number, or the
            dtype is another.
    """
    require_threefry(require_key(key))
    sizes = (shape,) if np.ndim(shape) == 0 else tuple(shape)  # type: ignore[arg-type]
    sizes = tuple(require_count("a size of the shape", size, low=0) for size in sizes)
    count = math.prod(sizes)
    if jnp.dtype(dtype) not in (jnp.float32, jnp.float64):
        message = f"normals are float32 or float64; got {jnp.dtype(dtype).name}"
        raise InputError(message)
    dtype = jax.dtypes.canonicalize_dtype(dtype)  # float32 where 64 bits are off
    wide = dtype == jnp.float64
    first, second = threefry(key, count if wide else (count + 1) // 2)
    if wide:
        cell = (first >> 5).astype(dtype) * 2.0**26 + (second >> 6).astype(dtype)
        uniform = (cell + 0.5) * 2.0**-52 - 1
    else:
        words = jnp.concatenate([first, second])[:count]
        uniform = (2 * (words >> 9).astype(dtype) + 1) * 2.0**-23 - 1
    return math.sqrt(2) * jax.lax.erf_inv(uniform).reshape(sizes)


def threefry(key: Array, blocks: int) -> tuple[Array, Array]:
    """Return the two words of threefry-2x32-20 for the counters (i, 0), i < blocks.

    Example:
        >>> import jax
        >>> threefry(jax.random.key(0), 3)[0].dtype.name
        'uint32'

    Args:
        key: a typed threefry key.
        blocks: number of counters, static.

    Returns:
        Two (blocks,) arrays of uint32.
    """
    low, high = jax.random.key_data(key)
    schedule = (low, high, low ^ high ^ jnp.uint32(0x1BD11BDA))
    a = jnp.arange(blocks, dtype=jnp.uint32) + low
    b = jnp.broadcast_to(high, (blocks,))
    for i in range(5):
        for turn in _ROTATIONS[i % 2]:
            a = a + b
            b = a ^ ((b << turn) | (b >> (32 - turn)))
        a = a + schedule[(i + 1) % 3]
        b = b + schedule[(i + 2) % 3] + jnp.uint32(i + 1)
    return a, b
