"""SIGReg over all directions at once, in NumPy: `jssl.losses.sigreg` draws some of them."""

import math

import numpy as np

from jssl.formulas.sphere import Measured

EXPECTED = (2 * math.pi) ** 0.5 * (1 - 3**-0.5)
"""SIGReg of n independent rows N(0, I), on average, for every n and dimension."""

_KNOTS = 2**12
_NODES = 200  # of the integral over angles
_TOP = 50  # of the table, times the dimension; beyond it is a series in 1 / s
_FAR = 1e100  # whose square is finite; rows that far apart have no influence on each other


def sphere_mean(exponents: np.ndarray, dim: int) -> np.ndarray:
    """Return the mean of exp(-s a_1^2) over unit vectors a, which is 1F1(1/2; dim/2; -s).

    Example:
        >>> sphere_mean(np.array([0.0, 2.0]), 1).round(4).tolist()
        [1.0, 0.1353]

    Up to s = 50 dim it is interpolated in a table of integrals over angles; beyond, it is its
    series at infinity. The error is at most 2e-6.

    Args:
        exponents: s >= 0, of any shape; infinity gives 0.
        dim: of the vectors, >= 1.
    """
    if dim == 1:
        return np.exp(-exponents)
    top = _TOP * dim
    knots = np.linspace(0, math.log1p(top), _KNOTS)
    at = np.log1p(np.minimum(exponents, top))
    found = _interpolated(at, knots[-1], _table(np.expm1(knots), dim))
    beyond = exponents > top
    if beyond.any():
        found = np.where(beyond, _series(np.maximum(exponents, top), dim), found)
    return found


def _interpolated(x: np.ndarray, top: float, values: np.ndarray) -> np.ndarray:
    """Return what `np.interp` does with equally spaced knots from 0 to top, without a search."""
    place = x * ((len(values) - 1) / top)
    left = np.fmin(place, len(values) - 2).astype(np.intp)  # NaN stays NaN in place
    place -= left
    place *= np.diff(values)[left]
    place += values[left]
    return place


def _table(exponents: np.ndarray, dim: int) -> np.ndarray:
    """Return the mean as an integral over x with a_1 = sin x, of density cos(x)^(dim - 2)."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    x = (nodes + 1) / 2 * min(math.pi / 2, 9 / dim**0.5)
    weights = weights * np.cos(x) ** (dim - 2)
    return np.exp(-np.outer(exponents, np.sin(x) ** 2)) @ (weights / weights.sum())


def _series(exponents: np.ndarray, dim: int) -> np.ndarray:
    """Return the mean for large exponents: (1 - a^2)^p with p = (dim - 3)/2 in powers of a^2."""
    power, term = (dim - 3) / 2, np.ones_like(exponents, dtype=float)
    total = term.copy()
    for j in range(1, 6):
        term = term * -(power - j + 1) / j * (2 * j - 1) / (2 * exponents)
        total += term
    front = math.exp(math.lgamma(dim / 2) - math.lgamma((dim - 1) / 2))
    return front * total / np.sqrt(exponents)


def host_sigreg(z: np.ndarray) -> Measured:
    r"""Return SIGReg of rows as they are, over all directions, and its standard error.

    Example:
        >>> z = np.random.default_rng(0).normal(size=(500, 4))
        >>> measured = host_sigreg(z)
        >>> print(abs(measured.value - EXPECTED) < 4 * measured.error)
        True
        >>> print(round(float(host_sigreg(0 * z).value) / 500, 4))
        0.4089

    $$T = \sqrt{2\pi}\, n \Big( \frac1{n^2}\sum_{ij} m(|z_i - z_j|^2 / 2)
    - \frac{\sqrt2}{n} \sum_i m(|z_i|^2 / 4) + \frac1{\sqrt3} \Big)$$

    with m the mean of exp(-s a_1^2) over unit vectors a. It equals the loss `sigreg` of one view
    with `grid="exact"` and infinitely many slices. Its mean is `EXPECTED` for rows N(0, I).

    The error is that of a mean over pairs for rows of any law: 4 Var(influence of a row) / n, and
    2 Var(what a pair adds to the influences of its rows) / n^2, which alone is left at N(0, I).

    Args:
        z: (n, dim) floating point, n >= 2. Memory is n^2.
    """
    n, dim = z.shape
    z = np.clip(z, -_FAR, _FAR)
    near = sphere_mean(_square_distances(z) / 2, dim)
    pull = sphere_mean(np.vecdot(z, z) / 4, dim) / 2**0.5
    value = near.mean() - 2 * pull.mean() + 3**-0.5
    means = near.mean(1)
    influence = means - pull  # of one row on half of the value
    pairs = near - means - (means - means.mean())[:, None]
    np.fill_diagonal(pairs, 0)
    of_pairs = float(np.sum(pairs**2)) / (n * (n - 1))  # a part of the variance of influences too
    # The first part is 0 on average at the target, where its estimate may be negative.
    variance = 4 * (influence.var(ddof=1) - of_pairs / n) / n + 2 * of_pairs / n**2
    variance = max(variance, of_pairs / n**2)
    scale = (2 * np.pi) ** 0.5 * n
    return Measured(scale * value, scale * variance**0.5)


def _square_distances(z: np.ndarray) -> np.ndarray:
    """Return |z_i - z_j|^2 from one matrix product, and from differences where it cancels."""
    centred = z - np.median(z, axis=0)
    squares = np.vecdot(centred, centred)
    both = squares[:, None] + squares
    apart = np.maximum(both - 2 * (centred @ centred.T), 0)
    cancelled = 1e-15 * both > 1e-8 * (1 + apart)
    for i in np.flatnonzero(cancelled.any(1)):
        others = np.flatnonzero(cancelled[i])
        gaps = z[others] - z[i]
        apart[i, others] = np.vecdot(gaps, gaps)
    np.fill_diagonal(apart, 0)
    return apart
