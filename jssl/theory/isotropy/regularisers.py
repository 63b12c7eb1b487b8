r"""SIGReg and BHEP of Gaussian embeddings N(0, S), exactly, as functions of the eigenvalues of S.

    BHEP    R = D1 - 2 D2 + D0,  D1 = prod (1 + 2b s_j)^(-1/2),  D2 = prod (1 + b + b s_j)^(-1/2)
    SIGReg  R = M(1 + 2b s) - 2 M(1 + b + b s) + (1 + 2b)^(-1/2),  M(x) = E_a (a^T diag(x) a)^(-1/2)

with a uniform on the sphere; M is one integral. Minus the slope in s_j is a repulsion between
samples, which increases s_j, minus an attraction to the origin. Arrays of NumPy and of JAX are
accepted and returned (I-5 to I-7).

References:
    Derived here. SIGReg: Balestriero, LeCun, arXiv 2511.08544. BHEP: Henze and Wagner 1997.
"""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import gammaln

from jssl.data.checks import require_count
from jssl.errors import InputError, unknown_name
from jssl.host_arithmetic import host_value
from jssl.number_checks import real_array, require_number

REGULARISERS = ("bhep", "sigreg")
NODES = 96
LARGEST = 1e100
"""Largest eigenvalue of a covariance."""
_DIMS = 2**53
_WIDTHS = 1e-6, 1e30  # below it the slope of `sigreg` is a difference of nearly equal numbers
_APART = 1e6  # ratio of eigenvalues from which another rule is needed
_NEAR = 0.5  # of 2 b |s - 1| / (1 + 2 b)
_STEP, _TAIL = 0.25, 40.0  # of that rule, in log t


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
    close = _near_value(far, regulariser, xp)
    if regulariser == "bhep":
        close = close * (1 + 2 * b) ** (-len(s) / 2)
        first, second = _log_products(s, b, xp)
        away = xp.exp(first) - 2 * xp.exp(second) + (1 + 2 * b) ** (-len(s) / 2)
    else:
        close = close * (1 + 2 * b) ** -0.5
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
    near = s > 0.5  # elsewhere 2 b (s - 1) / (1 + 2 b) is -1, but for rounding, for a large width
    away = xp.where(near, s - 1, 0)
    up = xp.where(near, xp.log1p(2 * b / (1 + 2 * b) * away), _log_ratio(2 * b * s, 2 * b, xp))
    down = xp.log1p(b / (1 + 2 * b) * (s - 1))
    first = -xp.sum(up) / 2 - up
    second = -xp.sum(down) / 2 - down
    scale = math.log(b) - (len(s) / 2 + 1) * math.log1p(2 * b)
    return xp.exp(first + scale) * (xp.expm1(second - first) + (1 - share))


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
    return Parts(-2 * b * _root_slopes(1 + 2 * b * s, xp), -2 * b * _root_slopes(1 + b + b * s, xp))


def mean_inverse_root(alpha: Any) -> Any:
    r"""Return M(alpha), the mean of (a^T diag(alpha) a)^(-1/2) over unit vectors a.

    Example:
        >>> from scipy.special import elliprf
        >>> print(abs(mean_inverse_root(np.array([1.0, 2.0, 4.0])) - elliprf(1, 2, 4)) < 1e-12)
        True

    $$M = \frac{2 \Gamma(K/2)}{\sqrt{\pi} \Gamma((K-1)/2) \sqrt c} \int_0^{\pi/2} \cos^{K-2} x
    \prod_j \Big(\cos^2 x + \frac{\alpha_j}{c} \sin^2 x\Big)^{-1/2} dx$$

    for any c > 0; here c is the geometric mean. Where the alpha of a NumPy array are more than six
    orders of magnitude apart, the integral is that over log tan x, by the trapezoidal rule.

    Args:
        alpha: (K,) > 0; for an array of JAX, largest over smallest up to 1e6.

    Raises:
        InputError: for an alpha that is not positive or not finite.
    """
    alpha, xp = spectrum(alpha, "alpha")
    known = host_value(alpha)
    if known is not None and not (known > 0).all():
        message = f"every alpha must be positive; got {known.min()}"
        raise InputError(message)
    if len(alpha) == 1:
        return alpha[0] ** -0.5
    weights, _, c = _integrand(alpha, xp)
    return xp.sum(weights) / xp.sqrt(c)


def usual_width(regulariser: str, dim: int, width: float | None = None) -> float:
    """Return b: the given one, or 1 for `sigreg` and 2/K for `bhep`.

    Example:
        >>> usual_width("bhep", 8), usual_width("sigreg", 8), usual_width("bhep", 8, 1.0)
        (0.25, 1.0, 1.0)

    Raises:
        InputError: for an unknown regulariser, K outside 1 to 2^53, or a width outside 1e-6 to
            1e30.
    """
    if not isinstance(regulariser, str) or regulariser not in REGULARISERS:
        raise unknown_name(kind="regulariser", name=regulariser, known=REGULARISERS)
    dim = require_count("dim", require_count("dim", dim), high=_DIMS)
    if width is None:
        return 2 / dim if regulariser == "bhep" else 1.0
    require_number("width", width, above=0)
    return require_number("width", width, low=_WIDTHS[0], high=_WIDTHS[1])


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


def spectrum(values: Any, name: str = "eigenvalues", largest: float = LARGEST) -> tuple[Any, Any]:
    """Return eigenvalues as an array, and the namespace of its library (NumPy or JAX)."""
    array = real_array(name, values)
    xp: Any = jnp if isinstance(array, jax.Array) else np
    if array.ndim != 1 or not len(array):
        message = f"{name} must be an array (K,) with K >= 1; got shape {array.shape}"
        raise InputError(message)
    known = host_value(array)
    if known is not None:
        allowed = (known >= 0) & (known.astype(np.float64) <= largest)
        if not allowed.all():
            message = f"{name} must be finite and >= 0, at most {largest:g}; got "
            raise InputError(message + f"{known[~allowed][0]}")
    return array, xp


def _log_ratio(x: Any, y: float, xp: Any) -> Any:
    """Return log((1 + x) / (1 + y))."""
    return xp.log1p(x) - math.log1p(y)


def _log_products(s: Any, b: float, xp: Any) -> tuple[Any, Any]:
    return -xp.sum(xp.log1p(2 * b * s)) / 2, -xp.sum(xp.log1p(b + b * s)) / 2


def _from_target(s: Any, b: float, xp: Any) -> tuple[Any, Any]:
    """Return x = 2 b (s - 1) / (1 + 2 b), 0 unless every x is small, and whether they are."""
    far = 2 * b / (1 + 2 * b) * (s - 1)
    near = xp.max(xp.abs(far)) <= _NEAR
    return xp.where(near, far, 0), near


def _near_value(far: Any, regulariser: str, xp: Any) -> Any:
    """Return R over its last term, for the x of `_from_target`, without cancellation.

    With D = prod (1 + x)^(-1/2) and E = prod (1 + x/2)^(-1/2) it is D - 2 E + 1, which is
    (D - E^2) + (1 - E)^2, and no part is negative. For `sigreg` it is a mean over slices: x times
    sin^2 at each node of M at alpha = 1.
    """
    if regulariser == "sigreg" and len(far) > 1:
        weights, shares, _ = _integrand(xp.ones_like(far), xp)
        return xp.sum(weights * _near_value(far[:, None] * shares[:, 0], "bhep", xp))
    half = xp.sum(xp.log1p(far / 2), 0) / 2
    apart = xp.sum(xp.log1p(far / (1 + far) * far / 4), 0) / 2
    return xp.exp(-2 * half) * xp.expm1(apart) + xp.expm1(-half) ** 2


def _near_slope(far: Any, xp: Any) -> Any:
    """Return the slope of D - 2 E + 1 of `_near_value` in every x, a mean over slices."""
    weights, shares, _ = _integrand(xp.ones_like(far), xp)
    half = far[:, None] * shares[:, 0] / 2
    down, up = xp.log1p(half), xp.log1p(half / (1 + half))
    second = xp.exp(-xp.sum(down, 0) / 2 - down)
    change = xp.expm1(-xp.sum(up, 0) / 2 - up)
    return -xp.sum(weights * shares[:, 0] * second * change, 1) / 2


def _integrand(alpha: Any, xp: Any) -> tuple[Any, Any, Any]:
    """Return the weighted integrand of M at the nodes, x's cos^2 + ratio sin^2, and c."""
    nodes, quadrature = _rule()
    dim = len(alpha)
    if xp is np and alpha.max() > _APART * alpha.min():
        return _wide_integrand(alpha)
    c = xp.exp(xp.mean(xp.log(alpha)))
    even, odd = np.cos(nodes) ** 2, np.sin(nodes) ** 2
    base = even[:, None] + (alpha / c) * odd[:, None]
    log_front = (
        math.log(2)
        + float(gammaln(dim / 2) - gammaln((dim - 1) / 2))
        - math.log(math.pi) / 2
        + np.log(quadrature)
        + (dim - 2) / 2 * np.log(even)
    )
    return xp.exp(log_front - xp.sum(xp.log(base), 1) / 2), odd[:, None] / base, c


def _wide_integrand(alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the same as `_integrand` for log t, t = tan x, where the decays are exponential."""
    dim = len(alpha)
    c = float(np.exp(np.mean(np.log(alpha))))
    ratios = alpha / c
    ends = -np.log(ratios.max()) / 2 - _TAIL, -np.log(ratios.min()) / 2 + _TAIL
    y = np.arange(ends[0], ends[1], _STEP)
    base = np.exp(-2 * y)[:, None] + ratios  # (1 + ratio t^2) / t^2
    log_front = math.log(2 * _STEP) - math.log(math.pi) / 2
    log_front += float(gammaln(dim / 2) - gammaln((dim - 1) / 2))
    logs = log_front + (1 - dim) * y - np.sum(np.log(base), 1) / 2
    return np.exp(logs), 1 / base, c


def _root_slopes(alpha: Any, xp: Any) -> Any:
    """Return dM/dalpha_j (I-6)."""
    if len(alpha) == 1:
        return -(alpha**-1.5) / 2
    weights, shares, c = _integrand(alpha, xp)
    return -xp.sum(weights[:, None] * shares, 0) / (2 * c**1.5)


@functools.lru_cache(maxsize=1)
def _rule() -> tuple[np.ndarray, np.ndarray]:
    nodes, quadrature = np.polynomial.legendre.leggauss(NODES)
    return (nodes + 1) * math.pi / 4, quadrature * math.pi / 4
