r"""SIGReg and BHEP of finite batches: exact means, the floor at the target, and shrinkage.

    E V = (1 - 1/N) D1 - 2 D2 + D0 + 1/N

for N independent rows N(0, S), exactly for every N (I-9). So the loss does not vanish at its
target, and its minimum is not at S = I but at a smaller variance (I-10, I-11). For slices, D1 is
M(1 + 2b s) and so on.

References:
    Derived here, for the statistics of arXiv 2511.08544 and Henze and Wagner 1997.
"""

import math
from typing import Any

import numpy as np
from scipy.special import erf

from jssl.data.checks import require_count, require_name
from jssl.errors import InputError
from jssl.host_arithmetic import host_float64
from jssl.losses.characteristic import GRIDS, weights
from jssl.number_checks import require_number
from jssl.theory.isotropy.arguments import LARGEST, spectrum, usual_width
from jssl.theory.isotropy.directions import mean_inverse_root
from jssl.theory.isotropy.regularisers import repulsion_share, value

UNIT = math.sqrt(2 * math.pi)
"""The loss `sigreg` is N x UNIT times R."""


def slice_value(variance: float, mean: float = 0.0, *, width: float = 1.0) -> float:
    """Return R of one slice with samples N(mean, variance) (I-3).

    Example:
        >>> round(slice_value(0.0), 6), round(slice_value(1.0), 6)
        (0.163137, 0.0)

    Args:
        variance: >= 0.
        mean: of size at most 1e100.
        width: b > 0.

    Raises:
        InputError: for a variance below 0, or a width that is not positive.
    """
    v = require_number("variance", variance, low=0, high=LARGEST)
    mean = require_number("mean", mean, low=-LARGEST, high=LARGEST)
    b = usual_width("sigreg", 1, width)
    spread = 1 + b + b * v
    # A sum of what is not negative: a variance near 1 and a small mean keep their digits.
    far = 2 * b / (1 + 2 * b) * (v - 1)
    shape = math.expm1(math.log1p(far / (1 + far) * far / 4) / 2) / (1 + far / 2)
    size = math.expm1(-math.log1p(far / 2) / 2) ** 2
    shifted = -2 * spread**-0.5 * math.expm1(-b * mean**2 / (2 * spread))
    return (1 + 2 * b) ** -0.5 * (shape + size) + shifted


def grid_value(variance: float, grid: str = "code") -> float:
    """Return the loss `sigreg` per sample, of infinitely many samples N(0, variance) (I-4).

    Example:
        >>> print(round(grid_value(0.0, "code"), 6), round(grid_value(0.0, "exact"), 6))
        0.402048 0.408923

    Args:
        variance: >= 0.
        grid: `code`, `paper` or `exact`, as in `jssl.losses.sigreg`.

    Raises:
        InputError: for a variance below 0, or an unknown grid.
    """
    variance = require_number("variance", variance, low=0, high=LARGEST)
    require_name("grid", grid, GRIDS)
    chosen = GRIDS[grid]
    if chosen is None:
        return UNIT * slice_value(variance)
    knots, rule = (np.array(x) for x in weights(chosen))
    return float(rule @ (np.exp(-variance * knots**2 / 2) - np.exp(-(knots**2) / 2)) ** 2)


def truncated_value(variance: float, limit: float) -> float:
    """Return the same with the integral over [-limit, limit] (I-4).

    Example:
        >>> round(truncated_value(0.0, 3.0), 6)
        0.402234

    Raises:
        InputError: for a variance or a limit below 0.
    """
    variance = require_number("variance", variance, low=0, high=LARGEST)
    limit = require_number("limit", limit, low=0, high=LARGEST)

    def part(c: float) -> float:
        return math.sqrt(2 * math.pi / c) * float(erf(limit * math.sqrt(c / 2)))

    return part(1 + 2 * variance) - 2 * part(2 + variance) + part(3)


def expected_value(
    eigenvalues: Any, samples: int, *, regulariser: str = "sigreg", width: float | None = None
) -> Any:
    """Return the mean of R over batches of N independent rows N(0, S), exactly (I-9).

    Example:
        >>> print(round(float(256 * expected_value(np.ones(4), 256)), 4))  # (1 - 3^-1/2)
        0.4226

    Args:
        eigenvalues: (K,) of S, >= 0.
        samples: N >= 2.
        regulariser: `sigreg` or `bhep`.
        width: b > 0; None is 1 for `sigreg`, 2/K for `bhep`.
    """
    share = repulsion_share(_known(samples))
    s, xp = spectrum(eigenvalues)
    b = usual_width(regulariser, len(s), width)
    first = (
        mean_inverse_root(1 + 2 * b * s)
        if regulariser == "sigreg"
        else xp.exp(-xp.sum(xp.log1p(2 * b * s)) / 2)
    )
    return value(s, regulariser=regulariser, width=b) + (1 - share) * (1 - first)


def pooled_views_value(
    eigenvalues: Any, noises: Any, samples: int, views: int, *, width: float | None = None
) -> float:
    """Return the mean of BHEP over V views of each of N images, pooled into one sample (I-9).

    Example:
        >>> pooled = pooled_views_value(np.ones(2), np.full(2, 0.1), 10, 2)
        >>> print(pooled > expected_value(np.ones(2), 20, regulariser="bhep"))
        True

    Views of one image are near one another, so the statistic is larger than that of VN independent
    rows.

    Args:
        eigenvalues: (K,) of S, of one view.
        noises: (K,) eigenvalues of the covariance of a view about its image, with the same axes,
            each at most that of S.
        samples: N >= 2 images.
        views: V >= 1.
        width: b > 0; None is 2/K.

    Raises:
        InputError: for numbers out of range, unequal lengths, or noises above the eigenvalues.
    """
    share = repulsion_share(_known(samples))
    views = require_count("views", views)
    s, _ = spectrum(host_float64("eigenvalues", eigenvalues))
    noise, _ = spectrum(host_float64("noises", noises), "noises")
    if s.shape != noise.shape or not (noise <= s).all():
        message = "noises must be one number for each eigenvalue, and at most that eigenvalue"
        raise InputError(message)
    b = usual_width("bhep", len(s), width)
    same_image = math.exp(-np.sum(np.log1p(2 * b * noise)) / 2)
    population = float(value(s, regulariser="bhep", width=b))
    first = math.exp(-np.sum(np.log1p(2 * b * s)) / 2)
    own = (1 + (views - 1) * same_image) / (views * samples)
    return population + own - (1 - share) * first


def floor(
    dim: int = 1,
    *,
    regulariser: str = "sigreg",
    width: float | None = None,
    grid: str | None = None,
) -> float:
    """Return N E V at the target S = I, where the statistic ends for every N (I-10).

    Example:
        >>> print(round(floor(), 5), round(floor(grid="code"), 5))
        0.42265 1.05246

    Args:
        dim: K >= 1; without effect for `sigreg`.
        regulariser: `sigreg` or `bhep`.
        width: b > 0; None is 1 for `sigreg`, 2/K for `bhep`.
        grid: `code`, `paper` or `exact` for the floor of the loss `jssl.losses.sigreg`, in its own
            unit; None is the unit of R.
    """
    b = usual_width(regulariser, dim, width)
    if grid is None:
        return -math.expm1(-(1 if regulariser == "sigreg" else dim) / 2 * math.log1p(2 * b))
    if not isinstance(grid, str) or grid not in GRIDS or regulariser != "sigreg" or b != 1:
        message = f"a grid is one of {', '.join(GRIDS)}, for sigreg with width 1; got {grid!r}"
        raise InputError(message)
    chosen = GRIDS[grid]
    if chosen is None:
        return UNIT * floor()
    knots, rule = (np.array(x) for x in weights(chosen))
    return float(rule @ -np.expm1(-(knots**2)))


def null_variance(dim: int = 1, samples: float = math.inf, *, width: float = 1.0) -> float:
    """Return the variance of N V for N rows N(0, I), exactly (I-10); one slice has K = 1.

    Example:
        >>> round(null_variance(), 6), round(null_variance(samples=40), 6)
        (0.14688, 0.14523)

    Args:
        dim: K >= 1.
        samples: N >= 2, or infinity.
        width: b > 0.
    """
    if not (isinstance(samples, float) and samples == math.inf):
        samples = require_number("the number of samples in a batch", samples, low=2)
    b, half = usual_width("bhep", dim, width), -dim / 2
    # With pair = (1 + 4 b)^h, mixed = ((1 + b)(1 + 3 b))^h and square = (1 + 2 b)^{2 h}, h = -K/2,
    # it is 2 (1 - 1/N) (pair - 2 mixed + square) + 4/N (mixed - square), here over the pair.
    mixed, square = (math.expm1(half * math.log1p(x * b * b / (1 + 4 * b))) for x in (3, 4))
    total = 2 * (1 - 1 / samples) * (square - 2 * mixed) + 4 / samples * (mixed - square)
    return (1 + 4 * b) ** half * total


def shrunk_variance(
    samples: int, dim: int = 1, *, regulariser: str = "sigreg", width: float | None = None
) -> float:
    """Return v, where the mean over batches of N is least among S = v I (I-11).

    Example:
        >>> round(shrunk_variance(16), 5), round(shrunk_variance(256), 5)  # about 1 - 2/N
        (0.87877, 0.9922)

    Args:
        samples: N >= 2.
        dim: K >= 1; without effect for `sigreg`.
        regulariser: `sigreg` or `bhep`.
        width: b > 0; None is 1 for `sigreg`, 2/K for `bhep`.
    """
    samples = _known(samples)
    b = usual_width(regulariser, dim, width)
    power = 2 / ((1 if regulariser == "sigreg" else dim) + 2)
    fall = math.expm1(power * math.log1p(-1 / samples))  # u - 1
    return max((fall + (1 + fall) * b) / (b * (1 - fall)), 0.0)


def _known(samples: int) -> int:
    """Return the number of samples, a whole number, which None does not replace here."""
    name = "the number of samples in a batch"
    require_number(name, samples, low=2)
    return require_count(name, samples, low=2, high=2**53)
