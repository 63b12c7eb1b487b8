r"""The mean square V of the coefficients of the noise in a gradient, in closed form.

    V = E[phi_1'^2 phi_2^2 + phi_1^2 phi_2'^2 + 2 r phi_1 phi_1' phi_2 phi_2']
        + 2 kappa^2 E phi^2 E phi'^2

With phi' = sqrt(2/pi) exp(-u^2/2) each product of slopes is a Gaussian factor, so that what is left
is a mean of phi phi under another normal law, which is 1 - 8 T(h, a) as in I-29 (I-30).

References:
    Derived here, for a model like that of Meng, Wang, arXiv 2406.06909.
"""

import math
from typing import Any

import numpy as np
from scipy.special import erf, owens_t

from jssl.theory.highdim.settings import OnePass

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)
_SMALL = 0.1


def mean_square(overlap: np.ndarray, square: float, setting: OnePass) -> float:
    """Return V at overlap (F,) and squared norm, without checks.

    Example:
        >>> from jssl.theory.highdim import rademacher
        >>> setting = OnePass(rademacher(2.0), correlation=-0.4)
        >>> round(mean_square(np.array([0.6]), 1.3, setting), 6)
        0.544834
    """
    points, shares = setting.law
    r, nu = setting.correlation, setting.noise**2 * square
    means, wide = points @ overlap, 1 + 2 * nu
    slope = 2 / math.pi / math.sqrt(wide) * np.exp(-(means**2) / wide)  # E phi'^2
    # u_2 under the law tilted by phi_1'^2
    mean = means * ((1 + 2 * nu * (1 - r)) / wide)
    variance = nu * ((1 + 2 * nu * (1 - r**2)) / wide)
    pairs = 2 * slope * _product(mean, variance, variance)
    # (u_1, u_2) under the law tilted by phi_1' phi_2'
    equal, opposite = 1 + nu * (1 + r), 1 + nu * (1 - r)
    front = 2 / math.pi / math.sqrt(equal) / math.sqrt(opposite) * np.exp(-(means**2) / equal)
    variance = nu * ((1 + r) / equal + (1 - r) / opposite) / 2
    pairs += 2 * r * front * _product(means / equal, variance, nu * r / equal / opposite)
    total = float(shares @ pairs)
    if setting.negatives:
        output = shares @ _product(means, nu, nu)
        total += 2 * setting.negatives**2 * float(output * (shares @ slope))
    return total


def _product(mean: np.ndarray, variance: float, covariance: float) -> Any:
    """Return E phi(u_1) phi(u_2) of equal means and variances, relatively exact near 0."""
    rho = covariance / (1 + variance)
    a = math.sqrt((1 + variance - covariance) / (1 + variance + covariance))
    h = mean / math.sqrt(1 + variance)
    end = math.atan(a)
    exponent = h**2 * (1 + a**2) / 2
    cosines = np.cos(end / 2 * (_NODES + 1))
    near = np.minimum(exponent, _SMALL) / (1 + a**2)
    small = -np.expm1(-near[:, None] / cosines**2) @ _WEIGHTS * (end / 2) * (4 / math.pi)
    large = 8 * (owens_t(0.0, a) - owens_t(h, a))
    return 2 / math.pi * math.asin(rho) + np.where(exponent < _SMALL, small, large)


def outputs(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return phi and its slope at inputs."""
    return erf(u / math.sqrt(2)), math.sqrt(2 / math.pi) * np.exp(-(u**2) / 2)
