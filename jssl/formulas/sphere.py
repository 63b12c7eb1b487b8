"""Points on the unit sphere: `jssl.diagnostics.sphere` has the definitions."""

from typing import Any, NamedTuple

import numpy as np


class Measured(NamedTuple):
    """A mean over a sample, with its standard error.

    Attributes:
        value: ().
        error: () standard error over draws of the sample; NaN for a sample of one.
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
    return -sharpness * xp.maximum(own + others - 2 * inner, 0)


def host_uniformity(u: np.ndarray, *, sharpness: float = 2.0, block: int = 512) -> Measured:
    """Return the uniformity of points on the unit sphere, as `diagnostics.uniformity`, in NumPy.

    Example:
        >>> print(round(float(host_uniformity(np.array([[1.0, 0.0], [-1.0, 0.0]])).value), 3))
        -8.0

    Args:
        u: (n, dim) floating point, rows of length 1 or 0, n >= 2.
        sharpness: of the Gaussian potential, at most about 20: the sum is not taken in logarithms.
        block: rows at a time.

    Returns:
        Measured.
    """
    squares, n = np.sum(u**2, -1), len(u)
    means = np.empty(n, u.dtype)
    for start in range(0, n, block):
        part = u[start : start + block]
        own = squares[start : start + block, None]
        terms = np.exp(potentials(part @ u.T, own, squares, u.dtype.type(sharpness), np))
        terms[np.arange(len(part)), start + np.arange(len(part))] = 0
        means[start : start + block] = terms.sum(1) / (n - 1)
    mean = means.mean()
    return Measured(np.log(mean), 2 * np.std(means / mean) / n**0.5)
