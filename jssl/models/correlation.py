r"""Correlations of inputs as signed gaps, accurate where inputs are nearly equal or opposite.

The signed gap of two inputs is

    1 - cos(angle) up to a right angle,    -1 - cos(angle), which is negative, beyond.

Its absolute value tells the angle from 0 or from pi, with all digits near both. With unit vectors
u, v and any vector m,

    1 - u . v = |u - m|^2 / 2 + |v - m|^2 / 2 - (u - m) . (v - m).

m is the mean direction: inputs that share a large mean, as images do, then lose no digits to it.
The product still has an error of a few eps times these lengths, so the angle of two nearly equal
inputs, the square root of twice the gap, would have half of the digits. Below `near(dtype)` the gap
is therefore computed from the difference, |u - v|^2 / 2, which leaves an error of a few eps in the
angle; that of nearly opposite inputs is computed from the sum, -|u + v|^2 / 2.

All functions work on NumPy arrays, in NumPy, and on JAX arrays.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

_CHUNK = 2**21  # numbers in a chunk of differences
_CANDIDATES = 4  # for each row and column, near pairs that are gathered; where more, all are


def namespace(*arrays: Any) -> Any:
    """Return `numpy` for NumPy arrays, and `jax.numpy` where any of them is a JAX array.

    Example:
        >>> namespace(np.ones(1)).__name__, namespace(np.ones(1), jnp.ones(1)).__name__
        ('numpy', 'jax.numpy')
    """
    return jnp if any(isinstance(a, jax.Array) for a in arrays) else np


def near(dtype: Any) -> float:
    """Return the size below which a signed gap is computed from differences or sums.

    Above it, the error of a product, some four eps, moves the angle by 1e-12 in float64 and 1e-6
    in float32.
    """
    return 1e-6 if np.finfo(dtype).bits > 32 else 1 / 64


def unit_rows(x: Any) -> tuple[Any, Any]:
    """Return the rows divided by their lengths, and the lengths; rows of zeros stay zeros.

    Example:
        >>> unit, length = unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]]))
        >>> unit.tolist(), length.tolist()
        ([[0.6, 0.8], [0.0, 0.0]], [5.0, 0.0])

    Args:
        x: (n, in).

    Returns:
        (n, in) and (n,), in the dtype of x. Neither overflows where x does not.
    """
    xp = namespace(x)
    largest = xp.max(xp.abs(x), axis=1, keepdims=True, initial=0)
    largest = xp.where(largest > 0, largest, 1)
    scaled = x / largest
    square = xp.sum(scaled**2, axis=1, keepdims=True)
    length = safe_root(square)
    return scaled / xp.where(length > 0, length, 1), (largest * length)[:, 0]


def safe_root(x: Any) -> Any:
    """Return the square root of x >= 0, with derivative 0 at 0."""
    if isinstance(x, np.ndarray):
        return np.sqrt(x)
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1)), 0)


class Directions(NamedTuple):
    """Directions of inputs, from a common centre.

    Attributes:
        offset: (n, in) u - m.
        half: (n,) |u - m|^2 / 2 + (1 - |u|^2) / 2; the second term is 0 but for rows of zeros.
        centre: (in,) m.
    """

    offset: Any
    half: Any
    centre: Any


def directions(unit: Any, centre: Any) -> Directions:
    """Return rows from `unit_rows` as offsets from a centre (in,), the same for both sides."""
    offset = unit - centre
    xp = namespace(unit)
    absent = xp.all(unit == 0, axis=1)
    return Directions(offset, (xp.sum(offset * offset, axis=1) + absent) / 2, centre)


def gaps(first: Directions, second: Directions) -> Any:
    """Return the signed gaps between rows.

    Example:
        >>> unit = unit_rows(np.array([[1.0, 0.0], [1.0, 1e-9], [-2.0, 2e-9], [0.0, 0.0]]))[0]
        >>> of = directions(unit, unit.mean(0))
        >>> gaps(of._replace(offset=of.offset[:1], half=of.half[:1]), of).round(19).tolist()
        [[0.0, 5e-19, -5e-19, 1.0]]

    Args:
        first: n1 directions.
        second: n2, from the same centre.

    Returns:
        (n1, n2) in [-1, 1], up to rounding at both ends; never 0 for opposite rows.
    """
    if namespace(*first, *second) is np:
        return gaps_of_product(first.offset @ second.offset.T, first, second)
    product = jnp.matmul(first.offset, second.offset.T, precision="highest")
    return _compensated(first.half[:, None] + second.half - product, first, second)


def gaps_of_product(product: np.ndarray, first: Directions, second: Directions) -> np.ndarray:
    """Return `gaps` from the product of the offsets (n1, n2), in NumPy."""
    gap = np.subtract(second.half, product)
    gap += first.half[:, None]
    is_far = gap > 1
    if is_far.any():
        gap -= np.multiply(is_far, 2, dtype=gap.dtype)
        close = np.abs(gap) < near(gap.dtype)
    else:
        close = gap < near(gap.dtype)
    # NumPy searches a flat array many times faster than one of two dimensions
    rows, columns = np.divmod(np.flatnonzero(close), gap.shape[1])
    chunk = max(_CHUNK // first.offset.shape[1], 1)
    for start in range(0, len(rows), chunk):
        at = rows[start : start + chunk], columns[start : start + chunk]
        gap[at] = _exact(first, second, *at, is_far[at])
    return gap


def _exact(first: Directions, second: Directions, row: Any, column: Any, is_far: Any) -> Any:
    """Return signed gaps (...) of chosen pairs from differences and sums of their directions."""
    xp = namespace(*first)
    dtype = first.offset.dtype
    sign = xp.where(is_far, -1, 1).astype(dtype)[..., None]
    apart = first.offset[row] - sign * second.offset[column] + (1 - sign) * first.centre
    size = xp.sum(apart * apart, axis=-1) / 2
    return xp.where(is_far, -xp.maximum(size, np.finfo(dtype).tiny), size)


def _compensated(gap: jax.Array, first: Directions, second: Directions) -> jax.Array:
    """Return signed gaps from gaps in [0, 2], close ones from differences; can be jitted.

    The close pairs are gathered into a list of fixed length. Where it is too short, as for inputs
    on a line, all pairs are computed so.
    """
    n1, n2 = gap.shape
    is_far = gap > 1
    gap = jnp.where(is_far, gap - 2, gap)
    is_close = jnp.abs(gap) < near(gap.dtype)
    size = min(_CANDIDATES * (n1 + n2), n1 * n2)

    def some(gap: jax.Array) -> jax.Array:
        rows, columns = jnp.nonzero(is_close, size=size, fill_value=n1)
        pairs = jnp.minimum(rows, n1 - 1), jnp.minimum(columns, n2 - 1)
        chunk = max(min(_CHUNK // first.offset.shape[1], size), 1)
        values = jax.lax.map(
            lambda pair: _exact(first, second, *pair), (*pairs, is_far[pairs]), batch_size=chunk
        )
        return gap.at[rows, columns].set(values, mode="drop")

    def every(gap: jax.Array) -> jax.Array:
        def row(at: tuple[jax.Array, jax.Array]) -> jax.Array:
            return _exact(first, second, at[0], slice(None), at[1])

        return jnp.where(is_close, jax.lax.map(row, (jnp.arange(n1), is_far)), gap)

    return jax.lax.cond(jnp.sum(is_close) <= size, some, every, gap)
