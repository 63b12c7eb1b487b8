r"""How isotropic and how Gaussian embeddings are, as one number.

    V = mean_{i != j} e^{-b |z_i - z_j|^2 / 2} + (1 + 2b)^{-K/2}
        - 2 (1 + b)^{-K/2} mean_i e^{-b |z_i|^2 / (2 (1 + b))},   b = 2/K

is the unbiased form of the statistic BHEP. Its mean is 0 for rows N(0, I), for every number of
rows, and that of an infinite sample otherwise. The diagnostic is V over its value at collapse.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from jssl.data.checks import require_count
from jssl.formulas.algebra import centred, counting, matmul, mean, over_rows
from jssl.formulas.libraries import Array, compiled, is_jax, rows
from jssl.formulas.normality import distance, neighbourhoods, usual_width
from jssl.formulas.sphere import Measured


def gaussian_distance(z: Array, *, standardise: bool = True, block: int = 512) -> Measured:
    """Return how far embeddings are from an isotropic Gaussian.

    Example:
        >>> import numpy as np
        >>> z = np.random.default_rng(0).normal(size=(2000, 4))
        >>> near, square, lost = (gaussian_distance(x) for x in (2 * z, z**2, 0 * z))
        >>> print(bool(abs(near.value) < 0.005), bool(square.value > 0.05), lost.value.round(4))
        True True 1.0

    0 for an isotropic Gaussian, 1 for a constant embedding. It may be negative by chance, by about
    the error. A spectrum that is not flat and a shape that is not Gaussian both raise it.

    Args:
        z: (n, dim) embeddings, n >= 2; n >= 3 to `standardise`, but for equal rows.
        standardise: whether the rows are centred and divided by one number, the root of their mean
            variance. Without it they are compared with N(0, I), the target of `losses.sigreg` and
            `losses.bhep`; the mean is then exactly 0 for rows N(0, I).
        block: rows at a time.

    Returns:
        Measured: the value and its standard error over draws of the rows. With `standardise` the
        mean of the statistic for centred and scaled rows N(0, I) is subtracted, and the error is
        that with fitted mean and scale. The error is 0 for constant rows and NaN for two rows.
        Centred and scaled, two rows that differ are the same in every sample: the value is NaN.

    Raises:
        InputError: for fewer than two rows, or values that are not real numbers.

    References:
        Henze and Wagner 1997; arXiv 2511.08544 for the target.
    """
    require_count("block", block)
    xp, z = rows("z", z, least=2)
    options: dict[str, Any] = {"standardise": standardise, "block": block, "xp": xp}
    if z.ndim == 2:
        return _gaussian_distance(z, **options)
    if is_jax(xp):
        import jax

        return jax.vmap(partial(gaussian_distance, standardise=standardise, block=block))(z)
    found = [gaussian_distance(part, standardise=standardise, block=block) for part in z]
    return Measured(*(xp.stack(parts) for parts in zip(*found, strict=True)))


def _distance_of(z: Any, *, standardise: bool, block: int, xp: Any) -> Measured:
    fitted = 0.0
    if standardise:
        z = centred(z, xp)
        size = xp.max(xp.abs(z))
        z = z / xp.where(size == 0, 1, size)  # squares then stay within the dtype
        square = mean(z**2, xp)
        z = z / xp.where(square == 0, 1, xp.sqrt(xp.where(square == 0, 1, square)))
        one = 1 + 0 * square  # of the dtype of z: two numbers alone are float32 in PyTorch
        fitted = xp.where(square == 0, 0 * one, one)
    n, dim = z.shape
    width = usual_width(dim)
    shifted = centred(z, xp)  # distances do not change, and lose fewer digits
    lengths = xp.sum(shifted**2, axis=1)
    index = counting(0, n - 1, z, xp)

    def row(point: Any, own: Any, number: Any, power: int) -> Any:
        inner = matmul(point, shifted.mT, xp)
        near = neighbourhoods(inner, own[..., None], lengths, width, xp)
        square = width * (own[..., None] + lengths - 2 * inner)
        near = near if power == 0 else square * near
        return xp.sum(xp.where(index == number[..., None], 0, near), axis=-1) / (n - 1)

    given = shifted, lengths, index
    pairs = over_rows(partial(row, power=0), given, block, xp)
    stretch = mean(over_rows(partial(row, power=1), given, block, xp), xp) if standardise else 0.0
    pairs = pairs + 0 * mean(z, xp)  # infinite rows give NaN
    return distance(pairs, stretch, z, width, fitted, xp)


_gaussian_distance = compiled(_distance_of, static=("standardise", "block"))
