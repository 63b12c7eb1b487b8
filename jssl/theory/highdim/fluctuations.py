r"""How far a run in d dimensions is from the limit: sqrt(d) (q, R - limit) -> N(0, Pi(t)).

    dPi/dt = J Pi + Pi J^T + B

with J the Jacobian of the drift and B the covariance of one step, times d^2 (I-33). The mean is
off by O(1/d).

References:
    Derived here, for a model like that of Meng, Wang, arXiv 2406.06909.
"""

import math
from typing import Any

import numpy as np

from jssl.errors import InputError
from jssl.integration import path
from jssl.number_checks import require_number
from jssl.theory.highdim.gradients import outputs
from jssl.theory.highdim.settings import OnePass, check, check_state
from jssl.theory.highdim.trajectories import check_times, refuse_square
from jssl.theory.highdim.unit import velocity

WIDEST = 30.0
"""Largest sigma^2 R: the cost of the quadrature grows in proportion to it."""
_END = 8.0  # of the quadrature over a standard normal law
_EVALUATIONS = 1_000  # of a rate, each up to a tenth of a second


def fluctuation(times: Any, overlap: float, square: float, setting: OnePass) -> np.ndarray:
    """Return Pi(t), the covariance of sqrt(d) times the deviations of q and R, (T, 2, 2).

    Example:
        >>> from jssl.theory.highdim import OnePass, rademacher
        >>> setting = OnePass(rademacher(2.0), learning_rate=0.5, decay=0.2)
        >>> covariance = fluctuation([1.0], 0.3, 1.0, setting)[0]
        >>> print(bool(0.3 < covariance[0, 0] ** 0.5 < 1))
        True

    Args:
        times: (T,) increasing, > 0; steps / d.
        overlap: q at time 0, the same in every run.
        square: R at time 0.
        setting: of the problem with one signal.

    Raises:
        InputError: for numbers out of range, more than one signal, or a variance of the inputs,
            noise^2 times square, that exceeds 30.
    """
    setting = check(setting)
    if setting.law.points.shape[1] != 1:
        message = "fluctuations are given for one signal; pass a law with one feature"
        raise InputError(message)

    def rates(_: float, y: np.ndarray) -> np.ndarray:
        state, covariance = y[:2], y[2:].reshape(2, 2)
        _refuse_wide(float(state[1]) / 2, setting)  # a trial step may overshoot
        grown = _jacobian(state, setting) @ covariance
        grown = grown + grown.T + _step_covariance(state[0], state[1], setting)
        return np.append(velocity(state[:1], state[1], setting), grown.ravel())

    q, square = check_state([require_number("overlap", overlap)], square, setting)
    refuse_square(q, square)
    _refuse_wide(square, setting)
    t = check_times(times)
    start = np.r_[q, square, np.zeros(4)]
    found = path(rates, t, start, evaluations=_EVALUATIONS, method="LSODA", rtol=1e-6, atol=1e-8)
    _refuse_wide(float(found[:, 1].max()), setting)
    return found[:, 2:].reshape(-1, 2, 2)


def step_covariance(overlap: float, square: float, setting: OnePass) -> np.ndarray:
    """Return B, the covariance of d times (dq, dR) of one step (I-33), by quadrature.

    Args:
        overlap: q.
        square: R > 0, at least q^2.
        setting: of the problem with one signal.

    Raises:
        InputError: for numbers out of range, or noise^2 times square above 30.
    """
    setting = check(setting)
    (q,), square = check_state([require_number("overlap", overlap)], square, setting)
    if not square:
        message = "square must be positive: at 0 the direction of w, and B, are not defined"
        raise InputError(message)
    _refuse_wide(square, setting)
    return _step_covariance(q, square, setting)


def _refuse_wide(square: float, setting: OnePass) -> None:
    if setting.noise**2 * square > WIDEST:
        message = (
            f"fluctuations are given up to noise^2 times square of {WIDEST:g}; "
            f"here it is {setting.noise**2 * square:.3g} or more"
        )
        raise InputError(message)


def _step_covariance(overlap: float, square: float, setting: OnePass) -> np.ndarray:
    """Return B without checks.

    d times dq and dR are sums of products of a function of the two views and one of the negative,
    which is independent of them.
    """
    points, shares = setting.law
    eta, kappa, r, variance = (
        setting.learning_rate,
        setting.negatives,
        setting.correlation,
        setting.noise**2,
    )
    size = setting.noise * math.sqrt(square)
    x, w = _rule(min(size**2, WIDEST))
    pull = overlap / square
    s = points[:, 0][:, None]
    p = size * x
    u = s * overlap + p
    f, d = outputs(u)
    own = d * (s + pull * p)
    negative = np.stack([np.ones_like(f), f, f**2, d**2, own, d * u])
    third = np.einsum("asi,bsi,s,i->ab", negative, negative, shares, w)
    # axes of the views: signal, noise of view 1, of view 2
    s, first = s[:, :, None], p[:, None]
    second = r * first + math.sqrt(1 - r**2) * p
    (f1, d1), (f2, d2) = (outputs(s * overlap + noise) for noise in (first, second))
    moves = d1 * (s + pull * first), d2 * (s + pull * second)
    grows = d1 * (s * overlap + first), d2 * (s * overlap + second)
    none = np.zeros(np.broadcast_shapes(f1.shape, f2.shape))
    total = (
        (d1 * f2) ** 2 + (f1 * d2) ** 2 + 2 * r * d1 * f2 * f1 * d2,
        -2 * kappa * (d1**2 * f2 + r * d1 * f1 * d2),
        kappa**2 * d1**2 + none,
        kappa**2 * f1**2 + none,
        none,
        none,
    )
    moved = (
        moves[0] * f2 + f1 * moves[1] - overlap * setting.decay,
        -kappa * moves[0] + none,
        none,
        none,
        -kappa * f1 + none,
        none,
    )
    grown = (
        grows[0] * f2 + f1 * grows[1],
        -kappa * grows[0] + none,
        none,
        none,
        none,
        -kappa * f1 + none,
    )
    weights = (shares[:, None, None] * w[:, None] * w).ravel()
    parts = [np.reshape(part, (6, -1)) for part in (moved, grown, total)]
    parts[0], parts[1] = eta * parts[0], 2 * eta * parts[1] + eta**2 * variance * parts[2]
    means = [float((part @ weights) @ third[0]) for part in parts]

    def mean(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.sum(((a * weights) @ b.T) * third))

    orthogonal = eta**2 * variance * (1 - overlap * pull) * means[2]
    along = mean(parts[0], parts[0]) - means[0] ** 2 + orthogonal
    across = mean(parts[0], parts[1]) - means[0] * means[1]
    return np.array([[along, across], [across, mean(parts[1], parts[1]) - means[1] ** 2]])


def _rule(variance: float) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights of a standard normal law, for functions of inputs that wide.

    The trapezoidal rule has an error of exp(-pi^2 / (c step^2)) for exp(-c x^2).
    """
    x = np.linspace(-_END, _END, 2 * math.ceil(_END * math.sqrt(0.5 + 4 * variance) / 0.65) + 1)
    w = np.exp(-(x**2) / 2)
    return x, w / w.sum()


def _jacobian(state: np.ndarray, setting: OnePass) -> np.ndarray:
    columns = []
    for axis in range(2):
        step = 1e-5 * np.eye(2)[axis]
        up, down = (velocity(z[:1], z[1], setting) for z in (state + step, state - step))
        columns.append((up - down) / 2e-5)
    return np.array(columns).T
