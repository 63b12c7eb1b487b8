r"""Overlap and norm in time, in the limit of many dimensions (I-30).

References:
    Derived here, for a model like that of Meng, Wang, arXiv 2406.06909.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from jssl.errors import InputError
from jssl.host_arithmetic import host_float64
from jssl.integration import path
from jssl.number_checks import require_flag
from jssl.theory.highdim.settings import OnePass, check, check_state
from jssl.theory.highdim.unit import velocity

LATEST = 1e15
"""Largest time; by then every flow of a setting in range has settled or will not."""
_EVALUATIONS = 20_000
_FLOOR = -300.0  # of log R


class Overlaps(NamedTuple):
    """Order parameters in time.

    Attributes:
        overlap: (T, F) q.
        square: (T,) R.
        share: (T,) Q, the share of the squared norm that lies along the signals.
    """

    overlap: np.ndarray
    square: np.ndarray
    share: np.ndarray


def trajectory(
    times: Any, overlap: Any, square: float, setting: OnePass, *, noise: bool = True
) -> Overlaps:
    """Return overlap and squared norm at times, steps / d.

    Example:
        >>> from jssl.theory.highdim import OnePass, rademacher
        >>> setting = OnePass(rademacher(2.0), correlation=-0.4, learning_rate=0.5, decay=0.2)
        >>> found = trajectory([0.0, 4.0], [0.3], 1.0, setting)
        >>> print(found.overlap[-1].round(6), found.square[-1].round(6))
        [0.984319] 1.305466

    Args:
        times: (T,) increasing, >= 0.
        overlap: (F,) q at time 0.
        square: R at time 0, at least the sum of q^2.
        setting: of the problem.
        noise: whether the term of order eta^2 is kept; without it this is gradient flow.

    Raises:
        InputError: for numbers out of range.
    """
    setting = check(setting)
    noise = require_flag("noise", noise)
    q, square = check_state(overlap, square, setting)
    refuse_square(q, square)
    t = check_times(times)
    # The direction q / |w| and log R: an overlap or a norm that is near 0 stays relatively exact.
    start = np.append(q / math.sqrt(square), math.log(square))
    aside = np.where(start == 0, 1e-13, np.minimum(1e-13, 1e-11 * np.abs(start)))
    aside[-1] = 1e-12
    found = path(
        lambda _, y: _rates(y, setting, noise),
        t,
        start,
        evaluations=_EVALUATIONS,
        method="LSODA",
        rtol=1e-11,
        atol=aside,
    )
    size = np.exp(found[:, -1] / 2)
    along = found[:, :-1]
    return Overlaps(along * size[:, None], size**2, (along**2).sum(1))


def _rates(y: np.ndarray, setting: OnePass, noise: bool) -> np.ndarray:
    """Return the velocity of (q / sqrt R, log R); below the floor it no longer changes with R."""
    size = math.exp(min(max(y[-1], _FLOOR), -_FLOOR) / 2)
    free = setting._replace(decay=0.0)  # decay does not turn w
    moved = velocity(y[:-1] * size, size**2, free, noise=noise)
    grown = moved[-1] / size**2
    turned = moved[:-1] / size - y[:-1] * grown / 2
    return np.append(turned, grown - 2 * setting.learning_rate * setting.decay)


def refuse_square(q: np.ndarray, square: float) -> None:
    """Raise unless the squared norm at time 0 is positive and at least that of the overlaps."""
    if square < q @ q or square <= 0:
        message = "square must be positive and at least the sum of the squared overlaps"
        raise InputError(message)


def check_times(times: Any) -> np.ndarray:
    """Return times as an array, checked."""
    t = np.atleast_1d(host_float64("times", times))
    if t.ndim != 1 or not len(t) or not np.isfinite(t).all() or (np.diff(t) <= 0).any() or t[0] < 0:
        message = "times must be finite, increasing and >= 0"
        raise InputError(message)
    if t[-1] > LATEST:
        message = f"times must be at most {LATEST:g}; got {t[-1]:g}"
        raise InputError(message)
    return t
