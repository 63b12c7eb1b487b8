r"""SIGReg and BHEP of Gaussian embeddings N(0, S), exactly, as functions of the eigenvalues of S.

    BHEP    R = D1 - 2 D2 + D0,  D1 = prod (1 + 2b s_j)^(-1/2),  D2 = prod (1 + b + b s_j)^(-1/2)
    SIGReg  R = M(1 + 2b s) - 2 M(1 + b + b s) + (1 + 2b)^(-1/2),  M(x) = E_a (a^T diag(x) a)^(-1/2)

with a uniform on the sphere; M is one integral. Minus the slope in s_j is a repulsion between
samples, which increases s_j, minus an attraction to the origin. Arrays of NumPy and of JAX are
accepted and returned (I-5 to I-7).

References:
    Derived here. SIGReg: Balestriero, LeCun, arXiv 2511.08544. BHEP: Henze and Wagner 1997.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from jssl.number_checks import require_number
from jssl.theory.isotropy.arguments import spectrum, usual_width
from jssl.theory.isotropy.directions import log_integrand, mean_inverse_root, root_slopes

_NEAR = 0.5  # of 2 b |s - 1| / (1 + 2 b)


class Parts(NamedTuple):
    """The two parts of -dR/ds_j.

    Attributes:
        repulsion: (K,) from pairs of samples that repel one another, > 0.
        attraction: (K,) from the attraction to the origin, > 0.
    """

    repulsion: Any
    attraction: Any


def value(eigenvalues: Any, *, regulariser: str = "sigreg", width: float | None = None) -> Any:
    """Return R(S) of embeddings N(0, S): I-5 for `sigreg` (many slices), I-7 for `bhep`.

    Example:
        >>> print(round(float(value(np.array([4.0, 0.25]))), 8))
        0.04610057

    Args:
        eigenvalues: (K,) of S, >= 0.
        regulariser: `sigreg` or `bhep`.
        width: b > 0; None is 1 for `sigreg`, 2/K for `bhep`.

    Raises:
        InputError: for no eigenvalue, an unknown regulariser, or a width that is not positive.
    """
    s, xp = spectrum(eigenvalues)
    b = usual_width(regulariser, len(s), width)
    far, near = _from_target(s, b, xp)
    if regulariser == "bhep" or len(s) == 1:
        first, second = _log_products(s, b, xp)
        target = -len(s) / 2 * math.log1p(2 * b)
        close = _near_value(far, target, first, xp)
        away = xp.exp(first) - 2 * xp.exp(second) + math.exp(target)
    else:
        close = (1 + 2 * b) ** -0.5 * _near_mean(far, xp)
        away = mean_inverse_root(1 + 2 * b * s) - 2 * mean_inverse_root(1 + b + b * s)
        away = away + (1 + 2 * b) ** -0.5
    return xp.where(near, close, away)[()]


def slope(
    eigenvalues: Any,
    *,
    regulariser: str = "sigreg",
    width: float | None = None,
    batch: float | None = None,
) -> Any:
    """Return dR/ds_j, or that of the mean over fresh batches.

    Example:
        >>> print(slope(np.zeros(16)).round(6)[0], abs(slope(np.ones(16))).max() < 1e-12)
        -0.040403 True

    Args:
        eigenvalues: (K,) of S, >= 0.
        regulariser: `sigreg` or `bhep`.
        width: b > 0; None is 1 for `sigreg`, 2/K for `bhep`.
        batch: N >= 2; None is the population. The repulsion of a batch is weaker by 1 - 1/N.

    Returns:
        (K,). Near the target the difference is taken without cancellation.
    """
    s, xp = spectrum(eigenvalues)
    share = repulsion_share(batch)
    b = usual_width(regulariser, len(s), width)
    if regulariser == "sigreg" and len(s) > 1:  # one slice is `bhep` with K = 1
        repulsion, attraction = parts(s, regulariser=regulariser, width=b)
        far, near = _from_target(s, b, xp)
        if xp is np and not near:
            return attraction - share * repulsion
        close = 2 * b * (1 + 2 * b) ** -1.5 * _near_slope(far, xp) + (1 - share) * repulsion
        return xp.where(near, close, attraction - share * repulsion)
    up, down = xp.log1p(2 * b * s), xp.log1p(b + b * s)
    ratio = _log_ratio(s, b, up - down, xp)
    first = math.log(b) - xp.sum(up) / 2 - up
    pull = _times_expm1(first, xp.sum(ratio) / 2 + ratio, xp)
    return pull + (1 - share) * xp.exp(first)


def parts(eigenvalues: Any, *, regulariser: str = "sigreg", width: float | None = None) -> Parts:
    """Return repulsion and attraction of every eigenvalue, -dR/ds_j = repulsion - attraction.

    Example:
        >>> repulsion, attraction = parts(np.ones(3))
        >>> print((repulsion - attraction).round(12))
        [0. 0. 0.]

    Args:
        eigenvalues: (K,) of S, >= 0.
        regulariser: `sigreg` or `bhep`.
        width: b > 0; None is 1 for `sigreg`, 2/K for `bhep`.
    """
    s, xp = spectrum(eigenvalues)
    b = usual_width(regulariser, len(s), width)
    if regulariser == "bhep":
        first, second = _log_products(s, b, xp)
        return Parts(b * xp.exp(first) / (1 + 2 * b * s), b * xp.exp(second) / (1 + b + b * s))
    return Parts(-2 * b * root_slopes(1 + 2 * b * s, xp), -2 * b * root_slopes(1 + b + b * s, xp))


def repulsion_share(batch: float | None) -> float:
    """Return E, by which a finite batch weakens the repulsion: 1 - 1/N, or 1 for the population.

    Example:
        >>> repulsion_share(16), repulsion_share(None)
        (0.9375, 1.0)

    Raises:
        InputError: for a batch below 2.
    """
    if batch is None:
        return 1.0
    return 1 - 1 / require_number("the number of samples in a batch", batch, low=2)


def _log_products(s: Any, b: float, xp: Any) -> tuple[Any, Any]:
    return -xp.sum(xp.log1p(2 * b * s)) / 2, -xp.sum(xp.log1p(b + b * s)) / 2


def _log_ratio(s: Any, b: float, difference: Any, xp: Any) -> Any:
    """Return log((1 + 2 b s) / (1 + b + b s)); `difference` is that of the logarithms.

    A fraction of it near s = 1 cancels nothing. For a large s its slope is not a difference, of
    which an underflow could leave one part.
    """
    large = (s > 2) & (s > 1 / b)
    middle = (s > 0.5) & ~large
    near = xp.log1p(xp.where(middle, s - 1, 0) / (1 / b + 1 + s))
    far = math.log(2) + xp.log1p(-(1 / b + 2) / (2 * (1 / b + 1 + xp.where(large, s, 1))))
    return xp.where(large, far, xp.where(middle, near, difference))


def _from_target(s: Any, b: float, xp: Any) -> tuple[Any, Any]:
    """Return x = 2 b (s - 1) / (1 + 2 b), 0 unless every x is small, and whether they are."""
    far = 2 * b / (1 + 2 * b) * (s - 1)
    near = xp.max(xp.abs(far)) <= _NEAR
    return xp.where(near, far, 0), near


def _near_value(far: Any, target: Any, first: Any, xp: Any) -> Any:
    """Return R for the x of `_from_target`, without cancellation or overflow.

    With D = prod (1 + x)^(-1/2) and E = prod (1 + x/2)^(-1/2) it is D - 2 E + 1 times a weight,
    which is (D - E^2) + (1 - E)^2, and no part is negative.

    Args:
        far: (K, ...) x.
        target: (...) logarithm of the weight, and of R's last term.
        first: (...) logarithm of the weight times D, R's first term.
        xp: `numpy` or `jax.numpy`.
    """
    half = xp.sum(xp.log1p(far / 2), 0) / 2
    apart = xp.sum(xp.log1p(far / (1 + far) * far / 4), 0) / 2
    return _times_expm1(target / 2, -half, xp) ** 2 - xp.exp(first) * xp.expm1(-apart)


def _near_mean(far: Any, xp: Any) -> Any:
    """Return D - 2 E + 1 for `sigreg`: a mean over slices, with x times sin^2 at each node of M."""
    logs, shares, _ = log_integrand(xp.ones_like(far), xp)
    slices = far[:, None] * shares[:, 0]
    return xp.sum(_near_value(slices, logs, logs - xp.sum(xp.log1p(slices), 0) / 2, xp))


def _near_slope(far: Any, xp: Any) -> Any:
    """Return the slope of `_near_mean` in every x."""
    logs, shares, _ = log_integrand(xp.ones_like(far), xp)
    half = far[:, None] * shares[:, 0] / 2
    down, up = xp.log1p(half), xp.log1p(half / (1 + half))
    second = logs - xp.sum(down, 0) / 2 - down
    change = _times_expm1(second, -xp.sum(up, 0) / 2 - up, xp)
    return -xp.sum(shares[:, 0] * change, 1) / 2


def _times_expm1(log: Any, gap: Any, xp: Any) -> Any:
    """Return exp(log) (exp(gap) - 1), where exp(log) may be too small and exp(gap) too large."""
    grows = gap > 0
    part = xp.expm1(xp.where(grows, -gap, gap))
    return xp.exp(log + xp.where(grows, gap, 0)) * xp.where(grows, -part, part)
