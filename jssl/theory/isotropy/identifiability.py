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
from scipy.special import gammainc, ndtr, owens_t

from jssl.data.checks import require_count, require_name
from jssl.errors import InputError, shown
from jssl.number_checks import require_number

_LEAST = 1e-30  # correlation
_LARGEST = 1e100  # misalignment and error of a covariance
_DEGREES = 1_000_000
_FAR = 40.0  # the normal density is 0 beyond it
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
        InputError: for a correlation outside (0, 1), a dimension below 1, a degree outside 1 to
            1,000,000, or multiplicities beyond 64-bit integers.
    """
    _check(correlation)
    dim, degree = require_count("dim", dim), require_count("degree", degree, high=_DEGREES)
    counts, count = [], 1
    for k in range(1, degree + 1):
        count = count * (dim + k - 1) // k
        if count >= 2**63:
            message = (
                f"the eigenvalue of degree {k} in dimension {shown(dim)} has more copies than a "
                "64-bit integer holds; lower the dimension or the degree"
            )
            raise InputError(message)
        counts.append(count)
    with np.errstate(under="ignore"):
        return correlation ** np.arange(1, degree + 1), np.array(counts)


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
        correlation: r in (0, 1), at least 1e-30.
        covariance_error: Frobenius norm of Cov h - I.
    """
    _check(correlation)
    misalignment = require_number("misalignment", misalignment, low=0, high=_LARGEST)
    covariance_error = require_number("covariance_error", covariance_error, low=0, high=_LARGEST)
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
        correlation: r in (0, 1), at least 1e-30.
        parameter: of `flip` and `spiral`, > 0.

    Raises:
        InputError: for an unknown name or a number out of range.
    """
    _check(correlation)
    require_name("map", name, MAPS)
    parameter = require_number("parameter", parameter, above=0)
    r = correlation
    if name == "cubic":
        return MapStatistics((9 * r + 6 * r**3) / 15, 9 / 15)
    if name == "uniform":
        return MapStatistics(6 / math.pi * math.asin(r / 2), 3 / math.pi)
    if name == "sign":
        return MapStatistics(2 / math.pi * math.asin(r), 2 / math.pi)
    if name == "spiral":
        k = 4 * parameter * parameter
        return MapStatistics(r * (1 + k * (1 - r) * (1 + r)) ** -2, (1 + k) ** -2)
    return _flip(r, parameter)


def estimate_error(correlation: float) -> float:
    """Return N E W, W the nonlinear weight that N pairs leave in the best map (I-48).

    Example:
        >>> estimate_error(0.5)
        13.75

    For n = 1 and features up to degree 3, to first order in 1/N:
    (1 + 4r + 6r^2 + 3r^3) / (2 r^2) + (1 + 4 r^2) / (2 r^2).

    Args:
        correlation: r in (0, 1), at least 1e-30.
    """
    _check(correlation)
    r = correlation
    return (1 + 4 * r + 6 * r**2 + 3 * r**3 + 1 + 4 * r**2) / (2 * r**2)


def _flip(r: float, a: float) -> MapStatistics:
    """Return E h(z) h(z') of h = z - 2 z 1[|z| < a], in closed form.

    With m = E[z^2; |z| < a] it is r (1 - 4 m) + 4 E[z z'; |z| < a, |z'| < a]. The last mean, by
    partial integration, is r P less terms of the boundary; P is the probability of the square.
    """
    if a > _FAR:
        return MapStatistics(r, 1.0)
    s = math.sqrt((1 - r) * (1 + r))
    near, far = (1 - r) / s, (1 + r) / s
    at = _density(a)
    square = 1 - 4 * float(owens_t(a, near) + owens_t(a, far))
    side = float(ndtr(a * near) - ndtr(-a * far))
    edges = _density(a * near) - _density(a * far)
    inside = float(gammainc(1.5, a**2 / 2))
    both = r * square - 2 * at * (2 * r * a * side - s * edges)
    return MapStatistics(r * (1 - 4 * inside) + 4 * both, (1 - 2 * inside) ** 2)


def _density(x: float) -> float:
    return math.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)


def _check(correlation: float) -> None:
    require_number("correlation", correlation, above=0, below=1)
    require_number("correlation", correlation, low=_LEAST, below=1)
