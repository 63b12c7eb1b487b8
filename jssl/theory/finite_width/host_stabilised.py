r"""The stabilised method of `stabilised` for states of any size, with the error where it matters.

The state b holds the parameters of a network, 10^7 numbers for example, and the slope F(b) is the
gradient of a loss, in any library. What is asked for are a few coordinates y(b), and a step is as
long as their error allows. It is the same Runge-Kutta-Chebyshev method of second order: s slopes
for a step of length up to .653 s^2 / R, with R the largest rate, so that gradient flow over the
time of N steps of descent takes about sqrt(N) slopes for each step that accuracy asks for.

References:
    Sommeijer, Shampine, Verwer 1998, J. Comput. Appl. Math. 88, 315 (RKC), equations 2.1 to 2.8.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np

_DAMPING = 2 / 13
_STABLE = 0.653  # (2/3) (1 - 2/15 x damping)
_MOST = 2000  # stages of a step
_SAFETY = 1.2  # of the largest rate, which is found by iteration
_LOOKS = 6  # iterations before the first step; one more in every step
_FIRST = 0.1  # first step times the largest rate
_FORGOTTEN = 0.8  # of the largest rate, at each step: iteration may find less than the largest
_SHORTEST = 1e-12  # step over the time so far, at which the flow ends
_REFUSED = 40  # shorter and shorter steps in a row after which it ends too
_START = 1e-2  # part of the largest coordinate at the start that counts as size of every coordinate


class System(Protocol):
    """A flow db/dt = F(b) and coordinates y(b) of its state.

    Attributes:
        size: length of b.
        beside: distance from b at which the slope is looked at to find the largest rate.
    """

    size: int
    beside: float

    def slope(self, b: np.ndarray) -> np.ndarray:
        """Return F(b), (size,)."""

    def observe(self, b: np.ndarray) -> np.ndarray:
        """Return the coordinates y(b), (modes, dim)."""

    def moved(self, b: np.ndarray, change: np.ndarray) -> np.ndarray:
        """Return the change of y, (modes, dim), to first order, at a change (size,) of b."""


class Record(NamedTuple):
    """The accepted steps of a flow.

    Attributes:
        times: (steps,) from 0.
        coordinates: (steps, modes, dim) y.
        rates: (steps,) largest rate, the spectral radius of F', as far as iteration finds it.
        slopes: number of slopes that were computed.
        complete: whether the flow reached the last time or was ended by `ends`.
        finite: whether F was finite where the flow ends.
    """

    times: np.ndarray
    coordinates: np.ndarray
    rates: np.ndarray
    slopes: int
    complete: bool
    finite: bool


class _Slopes:
    """The slope of a system, counted."""

    def __init__(self, system: System) -> None:
        self.system, self.count = system, 0

    def __call__(self, b: np.ndarray) -> np.ndarray:
        self.count += 1
        return self.system.slope(b)


@np.errstate(over="ignore", invalid="ignore")  # steps that are not finite are refused
def follow_on_host(
    system: System,
    last: float,
    ends: Callable[[float, np.ndarray], bool],
    *,
    tolerance: float = 0.01,
    most: int = 5000,
) -> Record:
    """Return the path of the coordinates from b = 0.

    Example:
        >>> class Decay:  # b + 1 decays at the rates 1 and 100
        ...     size, beside, rates = 2, 1e-3, np.array([1.0, 100.0])
        ...     def slope(self, b): return -self.rates * (1 + b)
        ...     def observe(self, b): return (1 + b)[:, None]
        ...     def moved(self, b, change): return change[:, None]
        >>> record = follow_on_host(Decay(), 1.0, lambda time, y: False)
        >>> record.times[-1].item(), round(record.coordinates[-1, 0, 0].item(), 2)
        (1.0, 0.37)

    Args:
        system: the flow; the Jacobian of F has real eigenvalues, as that of a gradient flow.
        last: time at which to end.
        ends: `ends(time, y) -> bool` after each step, whether to end early.
        tolerance: error of a step in the coordinates of one mode, relative to their root mean
            square over outputs. The method is of second order.
        most: number of slopes after which to stop; the record is then not complete.
    """
    slope_at = _Slopes(system)
    b = np.zeros(system.size)
    slope, time = slope_at(b), 0.0
    rate, direction = _largest_rate(slope_at, system.beside, slope)
    times, seen, rates = [0.0], [system.observe(b)], [rate]
    floor = _START * float(np.abs(seen[0]).max())
    length, ended, refused, finite = _FIRST / rate if rate > 0 else last, False, 0, True
    while time < last and not ended and slope_at.count < most:
        whole = length >= last - time
        length = min(length, last - time, _STABLE * (_MOST**2 - 1) / (_SAFETY * max(rate, 1e-300)))
        if refused >= _REFUSED or length <= _SHORTEST * time:
            break
        new = _step(slope_at, b, slope, length, _SAFETY * rate)
        after = slope_at(new)
        missed = 0.8 * (b - new) + 0.4 * length * (slope + after)
        y, error = _error(system, new, missed, seen[-1], tolerance, floor)
        base, at = (new, after) if error < 1 else (b, slope)
        found, direction = _look(slope_at, system.beside, base, at, direction)
        rate = max(found, _FORGOTTEN * rate)
        if error < 1:
            b, slope = new, after
            time = last if whole and length >= last - time else time + length
            times.append(time)
            seen.append(y)
            rates.append(found)
            refused, ended = 0, ends(time, y)
        else:
            refused, finite = refused + 1, np.isfinite(error)
        length *= float(np.clip(0.8 * max(error, 1e-9) ** (-1 / 3), 0.1, 5))
    complete = ended or time >= last
    finite = bool(finite) or complete or slope_at.count >= most
    arrays = np.array(times), np.array(seen), np.array(rates)
    return Record(*arrays, slope_at.count, complete, finite)


def _error(
    system: System,
    new: np.ndarray,
    missed: np.ndarray,
    before: np.ndarray,
    tolerance: float,
    floor: float,
) -> tuple[np.ndarray, float]:
    """Return y after a step and its error over the tolerated one; infinite if not finite."""
    if not np.isfinite(new).all():
        return before, np.inf
    y = system.observe(new)
    size = np.maximum(np.abs(y), np.abs(before))
    allowed = tolerance * (np.sqrt((size**2).mean(1, keepdims=True)) + floor)
    error = float(np.sqrt(np.mean((system.moved(new, missed) / allowed) ** 2)))
    return y, error if np.isfinite(error) else np.inf


def _largest_rate(slope_at: _Slopes, beside: float, slope: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the largest rate at b = 0 and its direction, by power iteration."""
    b = np.zeros_like(slope)
    norm = np.linalg.norm(slope)
    direction = slope / norm if norm > 0 else np.full(len(b), len(b) ** -0.5)
    rate = 0.0
    for _ in range(_LOOKS):
        rate, direction = _look(slope_at, beside, b, slope, direction)
    return rate, direction


def _look(
    slope_at: _Slopes, beside: float, b: np.ndarray, slope: np.ndarray, direction: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return |F' u| of a unit vector u, and F' u over its norm."""
    change = (slope_at(b + beside * direction) - slope) / beside
    norm = float(np.linalg.norm(change))
    return (norm, change / norm) if 0 < norm < np.inf else (0.0, direction)


def _step(
    slope_at: _Slopes, b: np.ndarray, slope: np.ndarray, length: float, rate: float
) -> np.ndarray:
    """Return b after a step, in as many stages as its length needs to be stable."""
    stages = int(np.clip(np.ceil(np.sqrt(1 + length * rate / _STABLE)), 2, _MOST))
    first, weights = _coefficients(stages)
    older, newer = b, b + first * length * slope
    for mu, nu, stretch, old in weights:
        move = stretch * slope_at(newer) + old * slope
        older, newer = newer, (1 - mu - nu) * b + mu * newer + nu * older + length * move
    return newer


@lru_cache(maxsize=256)
def _coefficients(stages: int) -> tuple[float, tuple[tuple[float, float, float, float], ...]]:
    """Return the coefficient of the first stage and (mu, nu, mu~, gamma~) of the others.

    notation: w0, w1 shift and stretch the Chebyshev polynomials T_j, whose values and derivatives
    at w0 are t, d, e; c_j = T_j'' / T_j'^2 are the weights b_j of the paper.
    """
    w0 = 1 + _DAMPING / stages**2
    t, d, e = [1.0, w0], [0.0, 1.0], [0.0, 0.0]
    for _ in range(2, stages + 1):
        t.append(2 * w0 * t[-1] - t[-2])
        d.append(2 * t[-2] + 2 * w0 * d[-1] - d[-2])
        e.append(4 * d[-2] + 2 * w0 * e[-1] - e[-2])
    w1 = d[-1] / e[-1]
    c = [e[2] / d[2] ** 2] * 2 + [e[j] / d[j] ** 2 for j in range(2, stages + 1)]
    weights = []
    for j in range(2, stages + 1):
        stretch = 2 * c[j] * w1 / c[j - 1]
        old = (c[j - 1] * t[j - 1] - 1) * stretch
        weights.append((2 * c[j] * w0 / c[j - 1], -c[j] / c[j - 2], stretch, old))
    return c[1] * w1, tuple(weights)
