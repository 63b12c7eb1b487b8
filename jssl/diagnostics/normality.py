r"""How isotropic and how Gaussian embeddings are, as one number.

    V = mean_{i != j} e^{-b |z_i - z_j|^2 / 2} + (1 + 2b)^{-K/2}
        - 2 (1 + b)^{-K/2} mean_i e^{-b |z_i|^2 / (2 (1 + b))},   b = 2/K

is the unbiased form of the statistic BHEP. Its mean is 0 for rows N(0, I), for every number of
rows, and that of an infinite sample otherwise. The diagnostic is V over its value at collapse.
"""

from functools import partial

import jax
import jax.numpy as jnp

from jssl.arithmetic import centred, mean, rows
from jssl.data.checks import require_count
from jssl.formulas.normality import distance, neighbourhoods, usual_width
from jssl.formulas.sphere import Measured
from jssl.types import Array


def gaussian_distance(z: Array, *, standardise: bool = True, block: int = 512) -> Measured:
    """Return how far embeddings are from an isotropic Gaussian.

    Example:
        >>> z = jax.random.normal(jax.random.key(0), (2000, 4))
        >>> near, square, lost = (gaussian_distance(x) for x in (2 * z, z**2, z * (z[:1] > 9)))
        >>> print(bool(abs(near.value) < 0.005), bool(square.value > 0.05), lost.value.round(4))
        True True 1.0

    0 for an isotropic Gaussian, 1 for a constant embedding. It may be negative by chance, by about
    the error. A spectrum that is not flat and a shape that is not Gaussian both raise it.

    Args:
        z: (n, dim) embeddings, n >= 2.
        standardise: whether the rows are centred and divided by one number, the root of their mean
            variance. Without it they are compared with N(0, I), the target of `losses.sigreg` and
            `losses.bhep`; the mean is then exactly 0 for rows N(0, I).
        block: rows at a time.

    Returns:
        Measured: the value and its standard error over draws of the rows; with `standardise` the
        error includes the effect of the fitted mean and scale, at most of order 1/n.

    Raises:
        InputError: for fewer than two rows, or values that are not real numbers.

    References:
        Henze and Wagner 1997; arXiv 2511.08544 for the target.
    """
    require_count("block", block)
    z = rows("z", z, least=2)
    if z.ndim != 2:
        return jax.vmap(partial(gaussian_distance, standardise=standardise, block=block))(z)
    return _gaussian_distance(z, standardise, block)


@partial(jax.jit, static_argnums=(1, 2))
def _gaussian_distance(z: Array, standardise: bool, block: int) -> Measured:
    if standardise:
        z = centred(z)
        size = jnp.max(jnp.abs(z))
        z = z / jnp.where(size == 0, 1, size)  # squares then stay within the dtype
        scale = jnp.sqrt(mean(z**2))
        z = z / jnp.where(scale == 0, 1, scale)
    n, dim = z.shape
    width = usual_width(dim)
    shifted = centred(z)  # distances do not change, and lose fewer digits
    lengths = jnp.sum(shifted**2, 1)

    def row(point: tuple[Array, Array, Array]) -> Array:
        inner = jnp.matmul(shifted, point[0], precision="highest")
        near = neighbourhoods(inner, point[1], lengths, width, jnp)
        return jnp.sum(jnp.where(jnp.arange(n) == point[2], 0, near)) / (n - 1)

    pairs = jax.lax.map(row, (shifted, lengths, jnp.arange(n)), batch_size=block)
    pairs = pairs + 0 * mean(z)  # infinite rows give NaN
    return distance(pairs, jnp.sum(z**2, 1), dim, width, standardise, jnp)
