"""How far embeddings are from an isotropic Gaussian: `jssl.diagnostics.normality` defines it."""

from typing import Any

import numpy as np

from jssl.formulas.sphere import Measured, pair_means


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


def distance(pairs: Any, squares: Any, dim: int, width: float, fitted: bool, xp: Any) -> Measured:
    """Return the unbiased statistic over its value at collapse, and its standard error.

    Args:
        pairs: (n,) mean over the other rows of `neighbourhoods`.
        squares: (n,) |z|^2.
        dim: of the embeddings.
        width: variance of the weight of frequencies, b.
        fitted: whether the rows were centred and scaled, which lowers the statistic by at most
            (1 - D0) / n; the error then includes this.
        xp: `numpy` or `jax.numpy`.
    """
    b, n = width, pairs.shape[-1]
    root, floor = (1 + b) ** (-dim / 2), (1 + 2 * b) ** (-dim / 2)
    pull = root * xp.exp(-b / (2 * (1 + b)) * squares)
    value = xp.mean(pairs - 2 * pull, axis=-1) + floor
    apart = pairs - pull - xp.mean(pairs - pull, axis=-1, keepdims=True)
    spread = 4 * xp.mean(apart**2, axis=-1) / n
    variance = spread + null_variance(dim, n, b) / n**2
    if fitted:
        variance = variance + ((1 - floor) / n) ** 2
    collapsed = 1 - 2 * root + floor
    return Measured(value / collapsed, xp.sqrt(variance) / collapsed)


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
        z: (n, dim) floating point, n >= 2.
    """
    centred = z - z.mean(0)
    scale = np.sqrt(np.mean(centred**2))
    scaled = centred / (scale if scale > 0 else 1)
    squares, width = np.sum(scaled**2, 1), usual_width(z.shape[1])
    pairs = pair_means(scaled, width / 2)
    return distance(pairs, squares, z.shape[1], width, True, np)
