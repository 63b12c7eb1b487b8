"""Means over directions: that of (a^T diag(alpha) a)^(-1/2) over unit vectors a, and its slopes."""

import functools
import math
from typing import Any

import numpy as np
from scipy.special import gammaln

from jssl.errors import InputError
from jssl.host_arithmetic import host_value
from jssl.theory.isotropy.arguments import spectrum

NODES = 96
_APART = 1e6  # ratio of eigenvalues from which another rule is needed
_STEP, _TAIL = 0.25, 40.0  # of that rule, in log t


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
    logs, _, c = log_integrand(alpha, xp)
    return xp.sum(xp.exp(logs)) / xp.sqrt(c)


def log_integrand(alpha: Any, xp: Any) -> tuple[Any, Any, Any]:
    """Return logs of the weighted integrand of M at the nodes, shares of the alpha, and c.

    Example:
        >>> logs, shares, _ = log_integrand(np.ones(8), np)
        >>> print(np.exp(logs).sum().round(12), shares.shape)
        1.0 (96, 8)

    Args:
        alpha: (K,) > 0, K >= 2.
        xp: `numpy` or `jax.numpy`.

    Returns:
        (nodes,) logs; (nodes, K) sin^2 / (cos^2 + alpha sin^2 / c), of which the mean by the
        integrand gives the slopes of M; () c, the geometric mean.
    """
    nodes, quadrature = _rule()
    dim = len(alpha)
    if xp is np and alpha.max() > _APART * alpha.min():
        return _wide_log_integrand(alpha)
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
    return log_front - xp.sum(xp.log(base), 1) / 2, odd[:, None] / base, c


def _wide_log_integrand(alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the same as `log_integrand` for log t, t = tan x, where the decays are exponential."""
    dim = len(alpha)
    c = float(np.exp(np.mean(np.log(alpha))))
    ratios = alpha / c
    ends = -np.log(ratios.max()) / 2 - _TAIL, -np.log(ratios.min()) / 2 + _TAIL
    y = np.arange(ends[0], ends[1], _STEP)
    base = np.exp(-2 * y)[:, None] + ratios  # (1 + ratio t^2) / t^2
    log_front = math.log(2 * _STEP) - math.log(math.pi) / 2
    log_front += float(gammaln(dim / 2) - gammaln((dim - 1) / 2))
    logs = log_front + (1 - dim) * y - np.sum(np.log(base), 1) / 2
    return logs, 1 / base, c


def root_slopes(alpha: Any, xp: Any) -> Any:
    """Return dM/dalpha_j (I-6).

    Example:
        >>> print(root_slopes(np.ones(4), np).round(6))
        [-0.125 -0.125 -0.125 -0.125]

    Args:
        alpha: (K,) > 0.
        xp: `numpy` or `jax.numpy`.
    """
    if len(alpha) == 1:
        return -(alpha**-1.5) / 2
    logs, shares, c = log_integrand(alpha, xp)
    return -xp.sum(xp.exp(logs)[:, None] * shares, 0) / (2 * c**1.5)


@functools.lru_cache(maxsize=1)
def _rule() -> tuple[np.ndarray, np.ndarray]:
    nodes, quadrature = np.polynomial.legendre.leggauss(NODES)
    return (nodes + 1) * math.pi / 4, quadrature * math.pi / 4
