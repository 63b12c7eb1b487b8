r"""Overshoot and delays: the values of learned modes while others are empty, and for how long.

With k modes learned and the others empty, the learned ones are stationary at s*_k >= 1; they shrink
to 1 as the others are learned (I-20). For BHEP

    s*_k = (1 + b - p) / (b (2p - 1)),   p = (1 + b)^(-(K - k) / (k + 2))

which is finite only if (K - k) log(1 + b) < (k + 2) log 2; for SIGReg it is finite for every K.

References:
    Derived here, for the losses of arXiv 2511.08544.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from jssl.data.checks import require_count
from jssl.errors import InputError, shown
from jssl.host_arithmetic import host_float64
from jssl.number_checks import require_number
from jssl.theory.isotropy.arguments import usual_width
from jssl.theory.isotropy.regularisers import slope

_MOST = 2_048  # modes of `late_rates`
_WIDEST = 100_000  # modes of `plateau`


class SlowGrowth(NamedTuple):
    """Growth of the first mode where it has no plateau, to leading order.

    Attributes:
        rate: kappa of s_1 = (3 kappa t / 2)^(2/3).
        size: s_1 when the second mode is half-learned.
        time: when that is.
    """

    rate: float
    size: float
    time: float


def plateau(
    dim: int,
    learned: int = 1,
    *,
    regulariser: str = "sigreg",
    width: float | None = None,
) -> float:
    """Return s*_k of `learned` modes while the other dim - learned modes are empty (I-20).

    Example:
        >>> print(round(plateau(8), 4), plateau(4, regulariser="bhep", width=1.0))
        7.7836 inf

    Without noise this is the height of the plateau of the k learned modes.

    Args:
        dim: K >= 1; for `sigreg` up to 100,000.
        learned: k, from 1 to K.
        regulariser: `sigreg` or `bhep`.
        width: b > 0; None is 1 for `sigreg`, 2/K for `bhep`.

    Returns:
        s*_k >= 1, infinite where the modes grow without a plateau.
    """
    b = usual_width(regulariser, dim, width)
    _check_learned(dim, learned)
    if learned == dim:
        return 1.0
    if regulariser == "bhep":
        log_p = -(dim - learned) / (learned + 2) * math.log1p(b)
        if log_p <= -math.log(2):
            return math.inf
        return (b - math.expm1(log_p)) / (b * math.expm1(log_p + math.log(2)))
    dim = require_count("dim", dim, high=_WIDEST)

    def pull(log_s: float) -> float:
        s = np.where(np.arange(dim) < learned, math.exp(log_s), 0.0)
        return float(slope(s, regulariser=regulariser, width=b)[0])

    high = 1.0
    while pull(high) < 0:
        high += 1.0
    return math.exp(brentq(pull, 0.0, high, xtol=1e-14, rtol=1e-14))


def late_rates(dim: int, *, regulariser: str = "sigreg", width: float | None = None) -> np.ndarray:
    """Return how fast a small mode grows after k = 0, ..., K - 1 others are at 1 (I-22).

    Example:
        >>> print(late_rates(6).round(4))
        [1.     0.6932 0.4757 0.3206 0.2095 0.1295]

    Relative to k = 0, without noise. The last rate of SIGReg falls as 1/K, that of BHEP with
    width 1 exponentially.

    Args:
        dim: K, from 1 to 2,048; the cost grows as K^2.
        regulariser: `sigreg` or `bhep`.
        width: b > 0; None is 1 for `sigreg`, 2/K for `bhep`.

    Raises:
        InputError: for a number of modes above 2,048, an unknown regulariser, or such a width.
    """
    dim = require_count("dim", dim, high=_MOST)
    b = usual_width(regulariser, dim, width)
    states = (np.where(np.arange(dim) < k, 1.0, 0.0) for k in range(dim))
    rates = [-slope(s, regulariser=regulariser, width=b)[-1] for s in states]
    return np.array(rates) / rates[0]


def slow_growth(
    dim: int, start: float, variances: tuple[float, float], strength: float
) -> SlowGrowth:
    r"""Return how the first mode grows under BHEP of width 1 and K >= 5, which has no plateau.

    Example:
        >>> grown = slow_growth(8, 1e-300, (1.0, 0.5), 1.0)
        >>> round(grown.size / math.log(1e300), 2)
        0.4

    $$s_1 = (3 \kappa t / 2)^{2/3}, \qquad
    \kappa = 4 \lambda q_1 \big[2^{-3/2} - 2^{-(K-1)/2}\big]$$

    so with L = log(1/start) the delay of the second mode grows as L^(3/2), instead of as L with a
    plateau (I-21). To leading order: at L = 3200 the size is off by 0.1 %, the time by 3 %.

    Args:
        dim: K >= 5.
        start: s_j(0) of both modes, in (0, 1).
        variances: q_1 > q_2 > 0; no noise.
        strength: lambda > 0.
    """
    pair = host_float64("variances", variances)
    if pair.shape != (2,) or not 0 < pair[1] < pair[0] < math.inf:
        message = f"variances must be two numbers q_1 > q_2 > 0; got {shown(variances)}"
        raise InputError(message)
    first, second = map(float, pair)
    dim = require_count("dim", dim, low=5)
    start = require_number("start", start, above=0, below=1)
    strength = require_number("strength", strength, above=0)
    gain = 2**-1.5 - 2 ** (-(dim - 1) / 2)
    rate = 4 * strength * first * gain
    size = math.log(1 / start) * (first / second - 1) * gain
    size /= 2**-0.5 - 2 ** (-(dim + 1) / 2)
    return SlowGrowth(rate, size, 2 * size**1.5 / (3 * rate))


def _check_learned(dim: int, learned: int) -> None:
    require_count("learned", learned, high=dim)
