"""Effective rank and other numbers of dimensions; `jssl.diagnostics.ranks` has the definitions."""

from typing import Any, NamedTuple

from jssl.formulas.algebra import counting
from jssl.host_arithmetic import ROUNDING


class PowerLaw(NamedTuple):
    """A power law fitted to a spectrum.

    Attributes:
        exponent: (...) alpha of eigenvalue_j ~ j^-alpha; NaN with fewer than two eigenvalues.
        fit: (...) R^2 of the fit in logarithms, 1 for a power law, low where it is none.
    """

    exponent: Any
    fit: Any


def entropy_rank(values: Any, squares: bool, xp: Any) -> Any:
    """Return exp of the entropy of values (..., k) scaled to sum 1, as `diagnostics.entropy_rank`.

    Example:
        >>> import numpy as np
        >>> print(entropy_rank(np.array([2.0, 2.0, 0.0]), False, np).round(3))
        2.0

    Args:
        values: (..., k) singular values, or eigenvalues with `squares`.
        squares: whether the square root of the values is taken first.
        xp: `numpy` or `jax.numpy`.
    """
    largest = xp.max(xp.abs(values), axis=-1, keepdims=True)
    shares = values / xp.where(largest == 0, 1, largest)  # NaN where the largest is not finite
    rounding = ROUNDING * xp.finfo(values.dtype).eps
    below = shares <= rounding if squares else shares < 0
    shares = xp.where(below & (shares >= -rounding), 0, shares)
    if squares:
        shares = xp.where(shares == 0, 0, xp.sqrt(xp.where(shares == 0, 1, shares)))
    p = shares / xp.where(largest == 0, 1, xp.sum(shares, axis=-1, keepdims=True))
    entropy = -xp.sum(xp.where(p == 0, 0, p * xp.log(xp.where(p == 0, 1, p))), axis=-1)
    return xp.where(largest[..., 0] == 0, 0, xp.exp(entropy))


def participation_ratio(eigenvalues: Any, xp: Any) -> Any:
    """Return (sum eigenvalues)^2 / sum eigenvalues^2, (..., k) -> (...).

    Example:
        >>> import numpy as np
        >>> print(participation_ratio(np.array([1.0, 1.0, 0.0]), np))
        2.0

    Args:
        eigenvalues: (..., k) of a covariance.
        xp: `numpy` or `jax.numpy`.
    """
    largest = xp.max(xp.abs(eigenvalues), axis=-1, keepdims=True)
    shares = eigenvalues / xp.where(largest == 0, 1, largest)
    squares = xp.sum(shares**2, axis=-1)
    return xp.sum(shares, axis=-1) ** 2 / xp.where(squares == 0, 1, squares)


def power_law(eigenvalues: Any, first: int, last: int, xp: Any) -> PowerLaw:
    """Return the fit of eigenvalue_j ~ j^-alpha, as `diagnostics.alpha_req`.

    Example:
        >>> import numpy as np
        >>> print(power_law(np.arange(1.0, 65.0) ** -1.5, 1, 64, np).exponent.round(3))
        1.5

    Args:
        eigenvalues: (..., k) of a covariance, descending.
        first: index of the first eigenvalue used, from 1.
        last: index of the last.
        xp: `numpy` or `jax.numpy`.
    """
    values = eigenvalues[..., first - 1 : last]
    index = counting(first, last, values, xp)
    largest = xp.max(eigenvalues, axis=-1, keepdims=True)
    floor = ROUNDING * xp.finfo(values.dtype).eps * largest
    used = values > xp.where(floor < 0, 0, floor)
    weight = xp.where(used, 1 / index, 0)
    total = xp.sum(weight, axis=-1, keepdims=True)
    total = xp.where(total == 0, 1, total)
    x, y = xp.log(index), xp.log(xp.where(used, values, 1))
    x = x - xp.sum(weight * x, axis=-1, keepdims=True) / total
    y = y - xp.sum(weight * y, axis=-1, keepdims=True) / total
    spread, mixed, own = (xp.sum(weight * a, axis=-1) for a in (x * x, x * y, y * y))
    enough = xp.count_nonzero(used, axis=-1) >= 2
    enough = enough & xp.all(xp.isfinite(eigenvalues), axis=-1)
    slope = xp.where(enough, mixed / xp.where(enough, spread, 1), xp.nan)
    flat = own <= 0
    fit = xp.where(flat, 1, slope * mixed / xp.where(flat, 1, own))
    return PowerLaw(-slope, xp.where(enough, fit, xp.nan))
