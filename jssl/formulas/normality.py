"""How far embeddings are from an isotropic Gaussian: `jssl.diagnostics.normality` defines it."""

from typing import Any

import numpy as np

from jssl.formulas.sphere import Measured, pair_means

_PART = 1_000  # rows from which the effect of the scale on the statistic is found


def usual_width(dim: int) -> float:
    """Return 2 / dim, the width at which the statistic sees most at its target."""
    return 2 / dim


def neighbourhoods(inner: Any, own: Any, others: Any, width: float, xp: Any) -> Any:
    """Return exp(-width |u - v|^2 / 2) from u . v, |u|^2 and |v|^2.

    Example:
        >>> print(neighbourhoods(np.array([1.0, 0.0]), 1.0, np.array([1.0, 0.0]), 2.0, np).round(3))
        [1.    0.368]

    Args:
        inner: (..., n) inner products u . v.
        own: (...) |u|^2.
        others: (n,) |v|^2.
        width: variance of the weight of frequencies.
        xp: `numpy` or `jax.numpy`.
    """
    square = own + others - 2 * inner
    return xp.exp(-width / 2 * xp.where(square < 0, 0, square))


def distance(pairs: Any, stretch: Any, z: Any, width: float, fitted: Any, xp: Any) -> Measured:
    """Return the unbiased statistic over its value at collapse, and its standard error.

    Where rows were centred and scaled, `fitted_mean` is subtracted, so that the value is 0 on
    average for N(0, I). The error has two parts: the variance of the influences of rows, with that
    through the mean and the scale, and the variance at N(0, I), where influences vanish. It is 0
    for constant rows, and NaN for two rows, which are one pair. Two rows that were centred and
    scaled are the same in every sample, so their value is NaN too.

    Args:
        pairs: (n,) mean over the other rows of `neighbourhoods`.
        stretch: () mean over pairs of width |u - v|^2 times `neighbourhoods`.
        z: (n, dim) rows.
        width: variance of the weight of frequencies, b.
        fitted: () 1 where the rows were centred and scaled to mean variance 1, else 0.
        xp: `numpy` or `jax.numpy`.
    """
    b, (n, dim) = width, z.shape
    root, floor = (1 + b) ** (-dim / 2), (1 + 2 * b) ** (-dim / 2)
    squares = xp.sum(z**2, axis=1)
    pull = root * xp.exp(-b / (2 * (1 + b)) * squares)
    value = xp.mean(pairs - 2 * pull, axis=-1) + floor
    half = pairs - pull - xp.mean(pairs - pull, axis=-1, keepdims=True)
    slope = 2 * b / (1 + b)  # of 2 pull, over the row
    by_mean = slope * xp.mean(pull[:, None] * z, axis=0)
    by_scale = slope * xp.mean(pull * squares) - stretch
    fit = xp.sum(z * by_mean, axis=1) + by_scale * (squares - dim) / (2 * dim)
    influence = 2 * half - fitted * fit
    at_null = null_variance(dim, n, b) / n**2
    fitted_null = fitted_variance(dim, b) / n**2
    null = at_null + fitted * (fitted_null - at_null)
    # The influences are estimated from n rows, which adds twice the variance at the target.
    spread = xp.sum(influence**2) / (n * (n - 1)) - 2 * null
    variance = xp.where(spread <= 0, 0, spread) + null  # NaN stays NaN
    collapsed = 1 - 2 * root + floor
    if n == 2:
        return Measured(xp.where(fitted == 0, value / collapsed, xp.nan), value * xp.nan)
    constant = xp.max(xp.abs(z - z[:1])) == 0  # NaN is not constant
    error = xp.where(constant, 0, xp.sqrt(variance) / collapsed)
    return Measured((value - fitted * fitted_mean(dim, n, b)) / collapsed, error)


def fitted_mean(dim: int, samples: int, width: float) -> float:
    """Return the mean of the unbiased statistic for centred and scaled rows of any N(m, v I).

    Example:
        >>> round(100 * fitted_mean(4, 100, 0.5), 4)
        -0.2982

    Such rows are uniform on a sphere of (n - 1) dim dimensions, so |u - v|^2 / (2 n dim) and
    |u|^2 / ((n - 1) dim) have the beta law (dim / 2, (n - 2) dim / 2).

    Args:
        dim: of the rows.
        samples: n >= 3.
        width: variance of the weight of frequencies, b.
    """
    b, n = width, samples
    near = _beta_exponential(dim / 2, (n - 1) * dim / 2, b * n * dim)
    pull = _beta_exponential(dim / 2, (n - 1) * dim / 2, b / (2 * (1 + b)) * (n - 1) * dim)
    return near - 2 * (1 + b) ** (-dim / 2) * pull + (1 + 2 * b) ** (-dim / 2)


def _beta_exponential(a: float, c: float, x: float) -> float:
    """Return 1F1(a; c; -x), the mean of exp(-x B) with B of the beta law (a, c - a).

    It is the mean of prod_{j < k} (1 - a / (c + j)) over k of the Poisson law of mean x.
    """
    k = np.arange(int(x + 12 * x**0.5 + 60))
    logs = np.log(x / (k + 1)) + np.log1p(-a / (c + k))
    return float(np.exp(np.append(0, np.cumsum(logs)) - x).sum())


def fitted_variance(dim: int, width: float) -> float:
    """Return the variance of n times the unbiased statistic for fitted rows N(0, I), for large n.

    Example:
        >>> fitted_variance(4, 0.5) < null_variance(4, 10**9, 0.5)
        True

    Fitting removes from the kernel the functions x and |x|^2 - dim, with T the kernel's operator:
    tr T'^2 = tr T^2 - sum over them of (2 |T u|^2 - <u, T u>^2).

    Args:
        dim: of the rows.
        width: variance of the weight of frequencies, b.
    """
    b, d = width, dim
    share = b / (1 + b)
    tilt = 1 + 2 * share
    front = (1 + b) ** -d * share**2 * tilt ** (-d / 2)
    moved = d * front / tilt
    kept = d * (b * (1 + 2 * b) ** (-d / 2 - 1)) ** 2
    second = front * (share**2 * (d**2 + 2 * d) / tilt**2 - 2 * share * d**2 / tilt + d**2)
    second = (second - (d * b * (1 + 2 * b) ** (-d / 2 - 1)) ** 2) / (2 * d)
    square = ((d + 2) * b**2 * (1 + 2 * b) ** (-d / 2 - 2) / 2) ** 2
    return null_variance(d, 10**12, b) - 2 * (2 * (moved + second) - kept - square)


def null_variance(dim: int, samples: int, width: float) -> float:
    """Return the variance of n times the unbiased statistic for n independent rows N(0, I).

    Example:
        >>> round(null_variance(1, 10**9, 1.0), 5)
        0.14688

    Args:
        dim: of the rows.
        samples: n >= 2.
        width: variance of the weight of frequencies, b.
    """
    b, half = width, -dim / 2
    pair, mixed = (1 + 4 * b) ** half, ((1 + b) * (1 + 3 * b)) ** half
    return 2 * samples / (samples - 1) * (pair - 2 * mixed + (1 + 2 * b) ** (2 * half))


def host_distance(z: np.ndarray) -> Measured:
    """Return the distance of rows from an isotropic Gaussian, in NumPy.

    Example:
        >>> z = np.random.default_rng(0).normal(size=(2000, 4))
        >>> print(abs(host_distance(3 * z + 1).value) < 0.005, host_distance(0 * z).value)
        True 1.0

    Args:
        z: (n, dim) floating point, n >= 2; NaN for two rows that differ.
    """
    n, dim = z.shape
    centred = z - z[:1]  # equal rows are then exactly 0
    centred = centred - centred.mean(0)
    scale = np.sqrt(np.mean(centred**2))
    scaled = centred / (scale if scale > 0 else 1)
    width = usual_width(dim)
    pairs = pair_means(scaled, width / 2)
    part = scaled[:: -(-n // _PART)]
    squares = np.vecdot(part, part)
    gaps = (-2 * width * part) @ part.T  # one large array is used again, which saves time
    gaps += width * squares[:, None]
    gaps += width * squares
    np.maximum(gaps, 0, out=gaps)
    stretch = np.vdot(gaps, np.exp(gaps / -2)) / (len(part) * (len(part) - 1))
    return distance(pairs, stretch, scaled, width, float(scale > 0), np)
