r"""When agreement of views and whitening recover latents: Ornstein-Uhlenbeck pairs.

    z ~ N(0, I),  z' = r z + sqrt(1 - r^2) e,   h(z) with total squared coefficient W_k at Hermite
    degree k:  E|h(z) - h(z')|^2 = 2 sum_k W_k (1 - r^k)

Among maps with covariance I the least is 2 n (1 - r), attained by rotations alone (I-44, I-45):
whitening is enough, the Gaussian constraint is not used.

References:
    Klindt, LeCun, Balestriero, arXiv 2605.26379, for I-44 to I-46; I-47 and I-48 are derived here.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.special import comb
from scipy.stats import norm

from jssl.data.checks import require_count
from jssl.errors import InputError, unknown_name

MAPS = ("cubic", "flip", "sign", "spiral", "uniform")


class MapStatistics(NamedTuple):
    """How a fixed map of unit variance behaves on a pair.

    Attributes:
        correlation: E h(z) h(z').
        linear_share: W_1, the share of its variance that is linear in z.
    """

    correlation: float
    linear_share: float


def whitened_eigenvalues(
    correlation: float, dim: int, degree: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return r^k and its multiplicity C(n + k - 1, k) for k = 1, ..., degree (I-45).

    Example:
        >>> values, counts = whitened_eigenvalues(0.5, dim=2, degree=3)
        >>> print(values, counts)
        [0.5   0.25  0.125] [2 3 4]

    Raises:
        InputError: for a correlation outside (0, 1), or a dimension or degree below 1.
    """
    _check(correlation)
    dim, degree = require_count("dim", dim), require_count("degree", degree)
    k = np.arange(1, degree + 1)
    return correlation**k, comb(dim + k - 1, k, exact=False).round().astype(int)


def nearest_rotation_bound(
    misalignment: float, correlation: float, covariance_error: float = 0.0
) -> float:
    """Return the bound on E|h(z) - Q z|^2 for the nearest rotation Q (I-46).

    Example:
        >>> round(nearest_rotation_bound(0.01, 0.5), 6)
        0.0204

    Args:
        misalignment: E|h(z) - h(z')|^2 - 2 (1 - r) tr Cov h >= 0. With n in the place of the trace
            a slightly shrunk map would have a negative one.
        correlation: r in (0, 1).
        covariance_error: Frobenius norm of Cov h - I.
    """
    _check(correlation)
    if misalignment < 0 or covariance_error < 0:
        message = "misalignment and covariance_error must be >= 0"
        raise InputError(message)
    d = misalignment / (2 * correlation * (1 - correlation))
    return d + (covariance_error + d) ** 2


def map_statistics(name: str, correlation: float, parameter: float = 1.0) -> MapStatistics:
    """Return correlation and linear share of a map of unit variance (I-47).

    Example:
        >>> round(map_statistics("uniform", 0.7).correlation, 6)
        0.682911

    Args:
        name: `cubic` z^3 / sqrt 15; `uniform` sqrt 12 (Phi(z) - 1/2); `sign`; `flip`, z outside
            |z| < parameter and -z inside; `spiral`, rotation of the plane by parameter |z|^2.
            The last two keep N(0, I) exactly and are not linear.
        correlation: r in (0, 1).
        parameter: of `flip` and `spiral`, > 0.

    Raises:
        InputError: for an unknown name or a number out of range.
    """
    _check(correlation)
    if name not in MAPS:
        raise unknown_name(kind="map", name=name, known=MAPS)
    if not parameter > 0:
        message = f"parameter must be positive; got {parameter}"
        raise InputError(message)
    r = correlation
    if name == "cubic":
        return MapStatistics((9 * r + 6 * r**3) / 15, 9 / 15)
    if name == "uniform":
        return MapStatistics(6 / math.pi * math.asin(r / 2), 3 / math.pi)
    if name == "sign":
        return MapStatistics(2 / math.pi * math.asin(r), 2 / math.pi)
    if name == "spiral":
        k = 4 * parameter**2
        share = (1 + k) ** -2
        return MapStatistics(r * share * (1 - k / (1 + k) * r**2) ** -2, share)
    return _flip(r, parameter)


def estimate_error(correlation: float) -> float:
    """Return N E W, W the nonlinear weight that N pairs leave in the best map (I-48).

    Example:
        >>> estimate_error(0.5)
        13.75

    For n = 1 and features up to degree 3, to first order in 1/N:
    (1 + 4r + 6r^2 + 3r^3) / (2 r^2) + (1 + 4 r^2) / (2 r^2).

    Args:
        correlation: r in (0, 1).
    """
    _check(correlation)
    r = correlation
    return (1 + 4 * r + 6 * r**2 + 3 * r**3 + 1 + 4 * r**2) / (2 * r**2)


def _flip(r: float, a: float) -> MapStatistics:
    """Return the sum of squared Hermite coefficients times r^k; only odd degrees have one.

    The coefficient at degree k is <z, h_k> - 2 int_{|z|<a} z h_k, by Gauss-Legendre on [-a, a].
    """
    nodes, weights = np.polynomial.legendre.leggauss(200)
    z, w = a * nodes, a * weights * norm.pdf(a * nodes)
    before, now = np.ones_like(z), z
    total, linear, power = 0.0, 0.0, r
    for k in range(1, 2000):
        coefficient = float(k == 1) - 2 * float(w @ (z * now))
        linear = coefficient**2 if k == 1 else linear
        total += coefficient**2 * power
        power *= r
        if power < 1e-17:
            break
        before, now = now, (z * now - math.sqrt(k) * before) / math.sqrt(k + 1)
    return MapStatistics(total, linear)


def _check(correlation: float) -> None:
    if not 0 < correlation < 1:
        message = f"correlation must be in (0, 1); got {correlation}"
        raise InputError(message)
