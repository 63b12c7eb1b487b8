r"""The end of training: where the share of the signal settles (I-36).

    z = log(q^2 / (R - q^2)):   dz/dt = 2 eta G_q / q - eta^2 sigma^2 V / (R - q^2)

Decay and the slope G_R do not enter. Without the noise of gradients z grows for ever, so the share
1 / (1 + exp(-z)) ends at 1. With it the flow of z and v = log R is followed until it is next to a
stationary point that is stable, whose place Newton's method then gives. In these coordinates a
small overlap, a small norm and a small learning rate are no small numbers.

References:
    Derived here.
"""

import math

import numpy as np

from jssl.errors import InputError
from jssl.integration import integrate
from jssl.number_checks import require_flag, require_number
from jssl.theory.highdim.gradients import mean_square
from jssl.theory.highdim.settings import OnePass, check, check_state
from jssl.theory.highdim.trajectories import refuse_square
from jssl.theory.highdim.unit import slopes

_FLOOR = np.array([-600.0, -300.0])  # of z and v, below which their rates no longer change
_GONE = np.array([-60.0, -250.0])  # of z and v, below which what falls does not come back
_START = 34.0  # largest z at time 0: R - q^2 is rounding error there
_NEAR = 1e-3  # largest step of Newton's method at which a stationary point is taken as reached
_LARGEST = 100.0  # value of sigma^2 R above which, without decay, the norm grows for ever
_STAGES = 60  # each four times as long as the one before


def end_share(
    setting: OnePass, *, overlap: float = 0.3, square: float = 1.0, noise: bool = True
) -> float:
    """Return Q at the end of training, from a start with some overlap (I-36).

    Example:
        >>> from jssl.theory.highdim import OnePass, rademacher, view_noise
        >>> clean = OnePass(rademacher(2.0), correlation=1.0)
        >>> print(round(end_share(view_noise(clean, 0.3, -1.0)), 4))
        0.6404

    Where the norm vanishes in the end, the limit of Q on the way there.

    Args:
        setting: of the problem with one signal.
        overlap: q at time 0.
        square: R at time 0, at least q^2.
        noise: as for `trajectory`; without it every start with an overlap ends at 1.

    Raises:
        InputError: for numbers out of range, without decay where the norm then grows without
            bound, or where the share does not settle.
    """
    setting = check(setting)
    noise = require_flag("noise", noise)
    start, square = check_state([require_number("overlap", overlap)], square, setting)
    refuse_square(start, square)
    q = abs(float(start[0]))
    if q == 0:
        return 0.0
    if not noise:
        signal = bool(np.any(setting.law.points))
        return 1.0 if signal else min(q / math.sqrt(square), 1.0) ** 2
    across = max(1 - (q / math.sqrt(square)) ** 2, math.exp(-_START))
    z = 2 * math.log(q) - math.log(square) - math.log(across)
    return _settled(np.array([z, math.log(square)]), setting)


def _settled(state: np.ndarray, setting: OnePass) -> float:
    """Return the share at the end of the flow from a state (z, v)."""
    begin, horizon = 0.0, 10 / max(float(np.abs(_rates(state, setting)).max()), 1e-300)
    for _ in range(_STAGES):
        found = _end_near(state, setting)
        if found is not None:
            return found
        solved = integrate(
            lambda _, y: _rates(y, setting),
            (begin, horizon),
            state,
            method="LSODA",
            rtol=1e-8,
            atol=1e-8,
        )
        state, begin, horizon = solved.y[:, -1], horizon, 4 * horizon
        grown = math.exp(min(state[1], 700.0)) * setting.noise**2
        if setting.decay == 0 and grown > _LARGEST and _rates(state, setting)[1] > 0:
            message = "without decay the norm grows without bound; pass decay > 0"
            raise InputError(message)
    message = "the share does not settle: this start or setting is too near to a boundary"
    raise InputError(message)


def _end_near(state: np.ndarray, setting: OnePass) -> float | None:
    """Return the share at the stable stationary point that a state is next to, or None."""
    gone = (state < _GONE) & (_rates(state, setting) < 0)
    left = np.flatnonzero(~gone)
    at = np.where(gone, _FLOOR, state)
    for _ in range(20 if len(left) else 0):
        step = _newton(at, left, setting)
        if step is None or np.abs(step).max() > _NEAR:
            return None
        at[left] += step
        if np.abs(step).max() < 1e-12:
            break
    if (_rates(at, setting)[gone] >= 0).any():
        return None
    return 0.0 if gone[0] else _share(float(at[0]))


def _newton(at: np.ndarray, left: np.ndarray, setting: OnePass) -> np.ndarray | None:
    """Return the step to where the rates of the coordinates left vanish; None if unstable."""
    columns = []
    for axis in left:
        moved = 1e-5 * np.eye(2)[axis]
        columns.append((_rates(at + moved, setting) - _rates(at - moved, setting))[left] / 2e-5)
    jacobian = np.array(columns).T
    if not (np.linalg.eigvals(jacobian).real < 0).all():
        return None
    return np.asarray(-np.linalg.solve(jacobian, _rates(at, setting)[left]))


def _rates(state: np.ndarray, setting: OnePass) -> np.ndarray:
    """Return (dz/dt, dv/dt)."""
    z, v = np.maximum(state, _FLOOR)
    square = math.exp(min(v, 300.0))
    q = math.sqrt(square) * math.sqrt(_share(z))
    eta, variance = setting.learning_rate, setting.noise**2
    (by_overlap,), by_square = slopes(np.array([q]), square, setting)
    noise = eta**2 * variance * mean_square(np.array([q]), square, setting) / square
    grown = 2 * eta * (q * by_overlap / square + 2 * by_square - setting.decay) + noise
    return np.array([2 * eta * by_overlap / q - noise / _share(-z), grown])


def _share(z: float) -> float:
    """Return 1 / (1 + exp(-z)), relatively exact for every z above -700."""
    return 1 / (1 + math.exp(min(-z, 700.0)))
