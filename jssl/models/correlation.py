r"""Correlations of inputs as gaps, 1 - cos(angle), accurate where inputs nearly agree.

With unit vectors u, v and any vector m, the gap is

    1 - u . v = |u - m|^2 / 2 + |v - m|^2 / 2 - (u - m) . (v - m).

m is the mean direction: inputs that share a large mean, as images do, then lose no digits to it.
The product still has an error of a few eps times these lengths, so the angle of two nearly equal
inputs, the square root of twice the gap, would have half of the digits. Below `near(dtype)` the gap
is therefore computed from the difference, |u - v|^2 / 2, which leaves an error of a few eps in the
angle.

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
    """Return the gap below which a gap is computed from differences.

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
    """

    offset: Any
    half: Any


def directions(unit: Any, centre: Any) -> Directions:
    """Return rows from `unit_rows` as offsets from a centre (in,), the same for both sides."""
    offset = unit - centre
    xp = namespace(unit)
    absent = xp.all(unit == 0, axis=1)
    return Directions(offset, (xp.sum(offset * offset, axis=1) + absent) / 2)


def gaps(first: Directions, second: Directions) -> Any:
    """Return 1 - cosine of the angles between rows.

    Example:
        >>> unit = unit_rows(np.array([[1.0, 0.0], [1.0, 1e-9], [-2.0, 0.0], [0.0, 0.0]]))[0]
        >>> of = directions(unit, unit.mean(0))
        >>> gaps(Directions(of.offset[:1], of.half[:1]), of).round(19).tolist()
        [[0.0, 5e-19, 2.0, 1.0]]

    Args:
        first: n1 directions.
        second: n2, from the same centre.

    Returns:
        (n1, n2) in [0, 2], up to rounding at 2.
    """
    if namespace(*first, *second) is np:
        return gaps_of_product(first.offset @ second.offset.T, first, second)
    product = jnp.matmul(first.offset, second.offset.T, precision="highest")
    gap = first.half[:, None] + second.half - product
    return _compensated(gap, first.offset, second.offset)


def gaps_of_product(product: np.ndarray, first: Directions, second: Directions) -> np.ndarray:
    """Return `gaps` from the product of the offsets (n1, n2), in NumPy."""
    gap = np.subtract(second.half, product)
    gap += first.half[:, None]
    # NumPy searches a flat array many times faster than one of two dimensions
    rows, columns = np.divmod(np.flatnonzero(gap < near(gap.dtype)), gap.shape[1])
    chunk = max(_CHUNK // first.offset.shape[1], 1)
    for start in range(0, len(rows), chunk):
        at = rows[start : start + chunk], columns[start : start + chunk]
        difference = first.offset[at[0]] - second.offset[at[1]]
        gap[at] = np.einsum("ij,ij->i", difference, difference) / 2
    return gap


def _compensated(gap: jax.Array, unit1: jax.Array, unit2: jax.Array) -> jax.Array:
    """Return the gaps with those of near pairs from differences; can be jitted.

    The pairs are gathered into a list of fixed length. Where it is too short, as for inputs on a
    line, every difference is computed.
    """
    n1, n2 = gap.shape
    is_near = gap < near(gap.dtype)
    size = min(_CANDIDATES * (n1 + n2), n1 * n2)

    def from_difference(pair: jax.Array) -> jax.Array:
        difference = unit1[pair[0]] - unit2[pair[1]]
        return jnp.sum(difference * difference) / 2

    def some(gap: jax.Array) -> jax.Array:
        rows, columns = jnp.nonzero(is_near, size=size, fill_value=n1)
        pairs = jnp.stack([jnp.minimum(rows, n1 - 1), jnp.minimum(columns, n2 - 1)], axis=1)
        chunk = max(min(_CHUNK // unit1.shape[1], size), 1)
        values = jax.lax.map(from_difference, pairs, batch_size=chunk)
        return gap.at[rows, columns].set(values, mode="drop")

    def every(gap: jax.Array) -> jax.Array:
        def row(unit: jax.Array) -> jax.Array:
            return jnp.sum((unit - unit2) ** 2, axis=1) / 2

        return jnp.where(is_near, jax.lax.map(row, unit1), gap)

    return jax.lax.cond(jnp.sum(is_near) <= size, some, every, gap)
