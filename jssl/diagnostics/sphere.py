r"""Embeddings on the unit sphere: how close positive pairs are, how evenly all points lie.

    alignment  = mean_i |u_i - u'_i|^power
    uniformity = log mean_{i != j} exp(-sharpness |u_i - u_j|^2),      u = z / |z|

A row of zeros has no direction and stays zero. Source: Wang and Isola 2020, arXiv 2005.10242.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jssl.data.checks import require_count, require_range
from jssl.errors import InputError
from jssl.types import Array


class Measured(NamedTuple):
    """A mean over a sample, with its standard error.

    Attributes:
        value: ().
        error: () standard error over draws of the sample.
    """

    value: Array
    error: Array


def unit(z: Array) -> Array:
    """Return rows of length 1; rows of zeros stay zero.

    Example:
        >>> print(unit(jnp.array([[3.0, 4.0], [0.0, 0.0]])))
        [[0.6 0.8]
         [0.  0. ]]
    """
    largest = jnp.max(jnp.abs(z), -1, keepdims=True)
    scaled = z / jnp.where(largest > 0, largest, 1)
    norm = jnp.linalg.norm(scaled, axis=-1, keepdims=True)
    return scaled / jnp.where(norm > 0, norm, 1)


def alignment(za: Array, zb: Array, *, power: float = 2.0) -> Measured:
    """Return the mean distance of positive pairs on the unit sphere, to a power.

    Example:
        >>> z = jnp.array([[1.0, 0.0], [0.0, 2.0]])
        >>> print(alignment(z, z).value, alignment(z, -z).value)
        0.0 4.0

    Between 0 (views agree) and 2^power; about 2 for unrelated views at power 2. Low is good, unless
    everything has collapsed to one point, which `uniformity` shows.

    Args:
        za: (..., n, dim) embeddings of the first views.
        zb: (..., n, dim) of the second.
        power: of the distance, > 0.

    Returns:
        Measured, each (...).

    Raises:
        InputError: for views of different shapes or a negative power.

    References:
        Wang and Isola 2020, arXiv 2005.10242, eq. 6.
    """
    require_range("power", power, 0)
    if jnp.shape(za) != jnp.shape(zb):
        message = f"views must match; got {jnp.shape(za)} and {jnp.shape(zb)}"
        raise InputError(message)
    return _alignment(za, zb, jnp.asarray(power, jnp.result_type(za, zb)))


@jax.jit
def _alignment(za: Array, zb: Array, power: Array) -> Measured:
    square = jnp.sum((unit(za) - unit(zb)) ** 2, -1)
    terms = jnp.where(square > 0, jnp.where(square > 0, square, 1) ** (power / 2), 0)
    n = terms.shape[-1]
    return Measured(terms.mean(-1), terms.std(-1, ddof=1) / jnp.sqrt(n))


@partial(jax.jit, static_argnames="block")
def _neighbourhoods(z: Array, sharpness: Array, block: int) -> Array:
    """Return mean_{j != i} exp(-sharpness |u_i - u_j|^2) of every row, in blocks of rows."""
    u = unit(z)
    squares = jnp.sum(u**2, -1)

    def row(point: tuple[Array, Array]) -> Array:
        apart = point[1] + squares - 2 * jnp.matmul(u, point[0], precision="highest")
        return jnp.sum(jnp.exp(-sharpness * jnp.maximum(apart, 0))) - 1

    return jax.lax.map(row, (u, squares), batch_size=block) / (len(u) - 1)


def uniformity(z: Array, *, sharpness: float = 2.0, block: int = 512) -> Measured:
    """Return how evenly embeddings lie on the unit sphere.

    Example:
        >>> z = jnp.array([[1.0, 0.0], [-1.0, 0.0]])
        >>> print(f"{uniformity(z).value:.3f} {uniformity(jnp.ones((5, 3))).value:.3f}")
        -8.000 0.000

    0 for a constant embedding (complete collapse) and low is good: -2 sharpness n / (n - 1) is the
    least value there is, about -4 for many evenly spread points in many dimensions. Unlike the
    paper's estimate the pair of a point with itself is left out. The error is that of a mean over
    pairs, 2 / sqrt(n) times the spread of a point's mean over the others.

    Args:
        z: (n, dim) embeddings, n >= 2; map over more with vmap.
        sharpness: t of the Gaussian potential, > 0.
        block: rows at a time; the program holds (block, n) numbers.

    Returns:
        Measured.

    Raises:
        InputError: for fewer than two rows or numbers out of range.

    References:
        Wang and Isola 2020, arXiv 2005.10242, eq. 7.
    """
    require_range("sharpness", sharpness, 0)
    block = require_count("block", block)
    if z.ndim != 2 or len(z) < 2:
        message = f"embeddings must be (n, dim) with n >= 2; got shape {z.shape}"
        raise InputError(message)
    rows = _neighbourhoods(z, jnp.asarray(sharpness, z.dtype), min(block, len(z)))
    mean = rows.mean()
    error = 2 * rows.std() / jnp.sqrt(jnp.asarray(len(z), z.dtype)) / mean
    return Measured(jnp.log(mean), error)
