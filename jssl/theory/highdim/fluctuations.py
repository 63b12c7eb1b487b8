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
from scipy.integrate import solve_ivp
from scipy.special import erf

from jssl.errors import InputError
from jssl.theory.highdim.settings import OnePass, check
from jssl.theory.highdim.unit import drift

_HERMITE = 24


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
        InputError: for numbers out of range, or more than one signal.
    """
    check(setting)
    if setting.law.points.shape[1] != 1:
        message = "fluctuations are given for one signal; pass a law with one feature"
        raise InputError(message)

    def rates(_: float, y: np.ndarray) -> np.ndarray:
        state, covariance = y[:2], y[2:].reshape(2, 2)
        jacobian = _jacobian(state, setting)
        grown = jacobian @ covariance
        grown = grown + grown.T + step_covariance(state[0], state[1], setting)
        return np.append(drift(state[:1], state[1], setting), grown.ravel())

    start = np.r_[overlap, square, np.zeros(4)]
    t = np.atleast_1d(np.asarray(times, float))
    solved = solve_ivp(rates, (0.0, t[-1]), start, t_eval=t, rtol=1e-5, atol=1e-7)
    return solved.y[2:].T.reshape(-1, 2, 2)


def step_covariance(overlap: float, square: float, setting: OnePass) -> np.ndarray:
    """Return B, the covariance of d times (dq, dR) of one step (I-33), by quadrature."""
    points, shares = setting.law
    eta, kappa, r, variance = (
        setting.learning_rate,
        setting.negatives,
        setting.correlation,
        setting.noise**2,
    )
    x, w = np.polynomial.hermite_e.hermegauss(_HERMITE)
    w = w / w.sum()
    size = setting.noise * math.sqrt(square)
    s = points[:, 0]
    # axes: signal, signal of the negative, noise of view 1, of view 2, of the negative
    shape = np.meshgrid(s, s, x, x, x, indexing="ij", sparse=True)
    weights = np.einsum("a,b,i,j,k->abijk", shares, shares, w, w, w)
    signals = (shape[0], shape[0], shape[1])
    noises = (shape[2], r * shape[2] + math.sqrt(1 - r**2) * shape[3], shape[4])
    p = [size * z for z in noises]
    u = [signal * overlap + part for signal, part in zip(signals, p, strict=True)]
    output = [erf(z / math.sqrt(2)) for z in u]
    slope = [math.sqrt(2 / math.pi) * np.exp(-(z**2) / 2) for z in u]
    a = (
        slope[0] * (output[1] - kappa * output[2]),
        output[0] * slope[1],
        -kappa * output[0] * slope[2],
    )
    total = a[0] ** 2 + a[1] ** 2 + 2 * r * a[0] * a[1] + a[2] ** 2
    moved = eta * sum(
        part * (signal + overlap * along / square)
        for part, signal, along in zip(a, signals, p, strict=True)
    )
    grown = 2 * eta * sum(part * z for part, z in zip(a, u, strict=True))
    grown = grown + eta**2 * variance * total

    def mean(value: Any) -> float:
        return float(np.sum(weights * value))

    across = mean(moved * grown) - mean(moved) * mean(grown)
    orthogonal = eta**2 * variance * (1 - overlap**2 / square) * mean(total)
    along = mean(moved**2) - mean(moved) ** 2 + orthogonal
    return np.array([[along, across], [across, mean(grown**2) - mean(grown) ** 2]])


def _jacobian(state: np.ndarray, setting: OnePass) -> np.ndarray:
    columns = []
    for axis in range(2):
        step = 1e-5 * np.eye(2)[axis]
        up, down = (drift(z[:1], z[1], setting) for z in (state + step, state - step))
        columns.append((up - down) / 2e-5)
    return np.array(columns).T
