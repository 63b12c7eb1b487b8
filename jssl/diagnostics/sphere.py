r"""Embeddings on the unit sphere: how close positive pairs are, how evenly all points lie.

    alignment  = mean_i |u_i - u'_i|^power
    uniformity = log mean_{i != j} exp(-sharpness |u_i - u_j|^2),      u = z / |z|

A row of zeros has no direction and stays zero; a value that is not finite makes the result NaN.
Both compute and return in float32 at least. Source: Wang and Isola 2020, arXiv 2005.10242.
"""

from functools import partial

import jax
import jax.numpy as jnp

from jssl.arithmetic import mean, rows, working
from jssl.data.checks import require_count, require_range
from jssl.errors import InputError
from jssl.formulas.sphere import Measured, potentials
from jssl.losses.common import unit
from jssl.types import Array


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
        InputError: for views of different shapes, a negative power, or values that are not real
            numbers.

    References:
        Wang and Isola 2020, arXiv 2005.10242, eq. 6.
    """
    require_range("power", power, 0)
    za, zb = working(za=rows("za", za), zb=rows("zb", zb))
    if za.shape != zb.shape:
        message = f"views must match; got {za.shape} and {zb.shape}"
        raise InputError(message)
    return _alignment(za, zb, jnp.asarray(power, za.dtype))


@jax.jit
def _alignment(za: Array, zb: Array, power: Array) -> Measured:
    square = jnp.sum((unit(za) - unit(zb)) ** 2, -1)
    agree = square == 0
    terms = jnp.where(agree, 0, jnp.where(agree, 1, square) ** (power / 2))
    error = jnp.std(terms, -1, ddof=1) / float(terms.shape[-1]) ** 0.5
    return Measured(mean(terms, -1), error)


@partial(jax.jit, static_argnames="block")
def _log_neighbourhoods(z: Array, sharpness: Array, block: int) -> Array:
    """Return log mean_{j != i} exp(-sharpness |u_i - u_j|^2) of every row, in blocks of rows."""
    u = unit(z)
    squares = jnp.sum(u**2, -1)
    index = jnp.arange(len(u))

    def row(point: tuple[Array, Array, Array]) -> Array:
        inner = jnp.matmul(u, point[0], precision="highest")
        logs = potentials(inner, point[1], squares, sharpness, jnp)
        return jax.nn.logsumexp(logs, where=index != point[2])

    sums = jax.lax.map(row, (u, squares, index), batch_size=block)
    return sums - jnp.log(jnp.asarray(len(u) - 1, u.dtype))


def uniformity(z: Array, *, sharpness: float = 2.0, block: int = 512) -> Measured:
    """Return how evenly embeddings lie on the unit sphere.

    Example:
        >>> z = jnp.array([[1.0, 0.0], [-1.0, 0.0]])
        >>> print(f"{uniformity(z).value:.3f} {uniformity(jnp.ones((5, 3))).value:.3f}")
        -8.000 0.000

    0 for a constant embedding (complete collapse) and low is good: -2 sharpness n / (n - 1) is the
    least value there is, about -4 for many evenly spread points in many dimensions. Unlike the
    paper's estimate the pair of a point with itself is left out. The error is that of a mean over
    pairs, 2 / sqrt(n) times the spread of a point's mean over the others. The sum is taken in
    logarithms, so that no sharpness underflows; the value is right to a few eps times the
    sharpness.

    Args:
        z: (n, dim) embeddings, n >= 2; map over more with vmap.
        sharpness: t of the Gaussian potential, 0 or more.
        block: rows at a time; the program needs (block, n) numbers.

    Returns:
        Measured.

    Raises:
        InputError: for fewer than two rows, numbers out of range, or values that are not real
            numbers.

    References:
        Wang and Isola 2020, arXiv 2005.10242, eq. 7.
    """
    require_range("sharpness", sharpness, 0)
    block = require_count("block", block)
    z = rows("embeddings", z, least=2)
    if z.ndim != 2:
        message = f"embeddings must be (n, dim), vmap over more; got shape {z.shape}"
        raise InputError(message)
    logs = _log_neighbourhoods(z, jnp.asarray(sharpness, z.dtype), min(block, len(z)))
    value = jax.nn.logsumexp(logs) - jnp.log(jnp.asarray(len(z), z.dtype))
    error = 2 * jnp.std(jnp.exp(logs - value)) / float(len(z)) ** 0.5
    return Measured(value, error)
