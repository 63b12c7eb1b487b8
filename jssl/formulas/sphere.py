"""Points on the unit sphere: `jssl.diagnostics.sphere` has the definitions."""

from typing import Any, NamedTuple

import numpy as np

TILE = (512, 1024)
"""Rows and columns of a tile of pairs, one matrix product; the rows are at most the columns."""

STRIP = 64
"""Rows of a tile whose exponentials are taken and summed while they are in the cache."""


class Measured(NamedTuple):
    """A mean over a sample, with its standard error.

    Attributes:
        value: ().
        error: () standard error over draws of the sample; NaN for one term or one pair.
    """

    value: Any
    error: Any


def potentials(inner: Any, own: Any, others: Any, sharpness: Any, xp: Any) -> Any:
    """Return -sharpness |u - v|^2 from u . v, |u|^2 and |v|^2.

    Example:
        >>> print(potentials(np.array([-1.0, 1.0]), 1.0, np.ones(2), 2.0, np))
        [-8. -0.]

    Args:
        inner: (..., n) inner products u . v.
        own: (...) |u|^2.
        others: (n,) |v|^2.
        sharpness: of the Gaussian potential.
        xp: `numpy` or `jax.numpy`.
    """
    square = own + others - 2 * inner
    return -sharpness * xp.where(square < 0, 0, square)


def pair_means(z: np.ndarray, sharpness: float) -> np.ndarray:
    """Return the mean of exp(-sharpness |z_i - z_j|^2) over j != i, for each row, in NumPy.

    Example:
        >>> pair_means(np.array([[0.0], [0.0], [9.0]]), 2.0).round(3).tolist()
        [0.5, 0.5, 0.0]

    Each pair is computed once. One matrix product has the whole exponent, from rows with two more
    columns: (2 s z_i, -s |z_i|^2, 1) . (z_j, 1, -s |z_j|^2).

    Args:
        z: (n, dim) floating point, n >= 2; the sums of a tile are in its dtype.
        sharpness: s >= 0.

    Returns:
        (n,) float64.
    """
    n, dim = z.shape
    right = np.ones((n, dim + 2), z.dtype)
    right[:, :dim] = z
    right[:, dim + 1] = -sharpness * np.vecdot(z, z)
    sums = np.zeros(n)
    tile = np.empty(TILE, z.dtype)
    for top in range(0, n, TILE[0]):
        band = right[top : top + TILE[0]]
        left = np.ones_like(band)
        np.multiply(band[:, :dim], 2 * sharpness, out=left[:, :dim])
        left[:, dim] = band[:, dim + 1]
        for low in range(top, n, TILE[1]):
            columns = right[low : low + TILE[1]]
            terms = tile.reshape(-1)[: len(band) * len(columns)].reshape(len(band), len(columns))
            np.matmul(left, columns.T, out=terms)
            _add_tile(sums, terms, top, low)
    return sums / (n - 1)


def _add_tile(sums: np.ndarray, terms: np.ndarray, top: int, low: int) -> None:
    """Add the exponentials of a tile of exponents, whose memory is used, to the sums of its rows.

    Args:
        sums: (n,) of all rows, changed in place.
        terms: (rows, columns) exponents of the pairs (top + i, low + j); a positive one is rounding
            error and counts as 0.
        top: number of the first row.
        low: number of the first column, `top` where the tile holds each row with itself.
    """
    own = min(terms.shape) if low == top else 0  # pairs within the rows are there twice
    zeros, ones = np.zeros(terms.shape[1], terms.dtype), np.ones(max(terms.shape), terms.dtype)
    for start in range(0, len(terms), STRIP):
        strip = terms[start : start + STRIP]
        np.minimum(strip, zeros, out=strip)  # a scalar instead of an array is several times slower
        np.exp(strip, out=strip)
        if own:
            np.fill_diagonal(strip[:, start:], 0)
        first = top + start
        sums[first : first + len(strip)] += strip @ ones[: terms.shape[1]]
        sums[low + own : low + terms.shape[1]] += ones[: len(strip)] @ strip[:, own:]


def host_uniformity(u: np.ndarray, *, sharpness: float = 2.0) -> Measured:
    """Return the uniformity of points on the unit sphere, as `diagnostics.uniformity`, in NumPy.

    Example:
        >>> print(round(float(host_uniformity(np.array([[1.0, 0.0], [-1.0, 0.0]])).value), 3))
        -8.0

    Args:
        u: (n, dim) floating point, rows of length 1 or 0, n >= 2.
        sharpness: of the Gaussian potential, at most about 20: the sum is not taken in logarithms.

    Returns:
        Measured, with an error of NaN for two points, which are one pair.
    """
    shifted = u - u[:1]  # distances do not change, and those of equal rows are exactly 0
    shifted -= shifted.mean(0)
    means = pair_means(shifted, sharpness)
    mean = means.mean()
    error = 2 * np.std(means / mean) / len(u) ** 0.5
    return Measured(np.log(mean), error if len(u) > 2 else np.nan)


def evenly_spread_uniformity(dim: int, *, sharpness: float = 2.0) -> float:
    """Return the uniformity of independent points of the uniform law on the unit sphere.

    Example:
        >>> [round(evenly_spread_uniformity(dim), 2) for dim in (1, 16, 512)]
        [-0.69, -3.51, -3.98]

    The mean of exp(2t u.v) over v is 0F1(; dim/2; t^2), a series of positive terms.

    Args:
        dim: K >= 1.
        sharpness: t > 0 of the Gaussian potential exp(-t |u - v|^2).
    """
    total = term = 1.0
    k = 0
    while term > 1e-17 * total:
        term *= sharpness**2 / ((k + 1) * (dim / 2 + k))
        total += term
        k += 1
    return float(np.log(total)) - 2 * sharpness
