r"""Overlap and norm in time, in the limit of many dimensions (I-30).

References:
    Derived here, for a model like that of Meng, Wang, arXiv 2406.06909.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.integrate import solve_ivp

from jssl.errors import InputError
from jssl.theory.highdim.settings import OnePass, check
from jssl.theory.highdim.unit import drift


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
    check(setting)
    q = np.atleast_1d(np.asarray(overlap, float))
    if q.shape != (setting.law.points.shape[1],) or square < q @ q or square <= 0:
        message = (
            f"overlap must have shape ({setting.law.points.shape[1]},) and square must be positive "
            "and at least the sum of its squares"
        )
        raise InputError(message)
    t = np.atleast_1d(np.asarray(times, float))
    if t.ndim != 1 or (np.diff(t) <= 0).any() or t[0] < 0:
        message = "times must be increasing and >= 0"
        raise InputError(message)
    if t[-1] == 0:
        return _overlaps(np.append(q, square)[None])
    solved = solve_ivp(
        lambda _, y: drift(y[:-1], y[-1], setting, noise=noise),
        (0.0, t[-1]),
        np.append(q, square),
        method="DOP853",
        t_eval=t,
        rtol=1e-10,
        atol=1e-12,
    )
    return _overlaps(solved.y.T)


def end_share(
    setting: OnePass, *, overlap: float = 0.3, square: float = 1.0, noise: bool = True
) -> float:
    """Return Q at the end of training, from a start with some overlap (I-36).

    Example:
        >>> from jssl.theory.highdim import OnePass, rademacher, view_noise
        >>> clean = OnePass(rademacher(2.0), correlation=1.0)
        >>> print(round(end_share(view_noise(clean, 0.3, -1.0)), 4))
        0.6404

    Args:
        setting: of the problem with one signal.
        overlap: q at time 0.
        square: R at time 0.
        noise: as for `trajectory`.
    """
    end = np.array([overlap, square])
    horizon = 20 / setting.learning_rate
    for _ in range(12):
        found = trajectory([horizon], end[:1], end[1], setting, noise=noise)
        end, before = np.array([found.overlap[-1, 0], found.square[-1]]), end
        if np.abs(end - before).max() < 1e-10:
            break
    return float(end[0] ** 2 / end[1])


def _overlaps(y: np.ndarray) -> Overlaps:
    return Overlaps(y[:, :-1], y[:, -1], (y[:, :-1] ** 2).sum(1) / y[:, -1])
