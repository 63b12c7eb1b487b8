r"""Embeddings on the unit sphere: how close positive pairs are, how evenly all points lie.

    alignment  = mean_i |u_i - u'_i|^power
    uniformity = log mean_{i != j} exp(-sharpness |u_i - u_j|^2),      u = z / |z|

A row of zeros has no direction and stays zero; a value that is not finite makes the result NaN.
Both compute and return in float32 at least. Source: Wang and Isola 2020, arXiv 2005.10242.
"""

from __future__ import annotations

from typing import Any

from jssl.data.checks import require_count, require_range
from jssl.errors import InputError
from jssl.formulas.algebra import centred, counting, log_mean_exp, matmul, mean, over_rows, unit
from jssl.formulas.libraries import Array, compiled, pair_of_rows, rows, scalar
from jssl.formulas.sphere import Measured, potentials


def alignment(za: Array, zb: Array, *, power: float = 2.0) -> Measured:
    """Return the mean distance of positive pairs on the unit sphere, to a power.

    Example:
        >>> import numpy as np
        >>> z = np.array([[1.0, 0.0], [0.0, 2.0]])
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
    xp, za, zb = pair_of_rows(za=za, zb=zb)
    if za.shape != zb.shape:
        message = f"views must match; got {tuple(za.shape)} and {tuple(zb.shape)}"
        raise InputError(message)
    return _alignment(za, zb, scalar(power, za, xp), xp=xp)


def _mean_distance(za: Any, zb: Any, power: Any, xp: Any) -> Measured:
    square = xp.sum((unit(za, xp) - unit(zb, xp)) ** 2, axis=-1)
    agree = square == 0
    terms = xp.where(agree, 0, xp.where(agree, 1, square) ** (power / 2))
    value, n = mean(terms, xp, -1), terms.shape[-1]
    if n == 1:
        return Measured(value, value * xp.nan)
    apart = xp.sum((terms - value[..., None]) ** 2, axis=-1)
    error = xp.where(apart == 0, 0, xp.sqrt(xp.where(apart == 0, 1, apart) / (n - 1.0) / n))
    return Measured(value, error)


def _log_neighbourhoods(z: Any, sharpness: Any, *, block: int, xp: Any) -> Any:
    """Return log mean_{j != i} exp(-sharpness |u_i - u_j|^2) of every row, in blocks of rows."""
    u = centred(unit(z, xp), xp)  # distances do not change, and those of equal rows are exactly 0
    squares = xp.sum(u**2, axis=-1)
    index = counting(0, len(u) - 1, u, xp)

    def row(point: Any, own: Any, number: Any) -> Any:
        logs = potentials(matmul(point, u.mT, xp), own[..., None], squares, sharpness, xp)
        logs = xp.where(index == number[..., None], -xp.inf, logs)
        return log_mean_exp(logs, len(u) - 1, xp)

    return over_rows(row, (u, squares, index), block, xp)


def _uniformity_of(z: Any, sharpness: Any, *, block: int, xp: Any) -> Measured:
    logs = _log_neighbourhoods(z, sharpness, block=block, xp=xp)
    value = log_mean_exp(logs, len(z), xp)
    shares = xp.exp(logs - value)
    error = 2 * xp.std(shares, axis=-1) / float(len(z)) ** 0.5
    return Measured(value, error if len(z) > 2 else value * xp.nan)


def uniformity(z: Array, *, sharpness: float = 2.0, block: int = 512) -> Measured:
    """Return how evenly embeddings lie on the unit sphere.

    Example:
        >>> import numpy as np
        >>> z = np.array([[1.0, 0.0], [-1.0, 0.0]])
        >>> print(f"{uniformity(z).value:.3f} {uniformity(np.ones((5, 3))).value:.3f}")
        -8.000 0.000

    0 for a constant embedding (complete collapse) and low is good: -2 sharpness n / (n - 1) is the
    least value there is, about -4 for many evenly spread points in many dimensions. Unlike the
    paper's estimate the pair of a point with itself is left out. The error is that of a mean over
    pairs, 2 / sqrt(n) times the spread of a point's mean over the others, and NaN for two points,
    which are one pair. The sum is taken in
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
    xp, z = rows("embeddings", z, least=2)
    if z.ndim != 2:
        message = f"embeddings must be (n, dim), vmap over more; got shape {tuple(z.shape)}"
        raise InputError(message)
    return _uniformity(z, scalar(sharpness, z, xp), block=min(block, len(z)), xp=xp)


_alignment = compiled(_mean_distance)
_uniformity = compiled(_uniformity_of, static=("block",))
