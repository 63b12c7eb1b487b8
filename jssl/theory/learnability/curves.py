"""The activations as the solver needs them: value, two derivatives, and bounds on what they make.

With f = act, the gradient of a row needs g = f f', its Hessian k = g' = f'^2 + f f'', and the
solver and the certificate need the suprema of |k'| and of g(h) h.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.special

from jssl.errors import InputError, unknown_name

_MARGIN = 1 + 1e-3  # covers the spacing of the grid on which the suprema are taken


class Curve(NamedTuple):
    """What half the square of an activation does.

    Attributes:
        value: f.
        slope: g = f f'.
        curvature: k = f'^2 + f f''.
        steepest: at least sup |k'|.
        pull: at least sup g(h) h.
        envelope: `envelope(low, high)`, at least sup |k| on each interval [low, high].
    """

    value: Callable[[np.ndarray], np.ndarray]
    slope: Callable[[np.ndarray], np.ndarray]
    curvature: Callable[[np.ndarray], np.ndarray]
    steepest: float
    pull: float
    envelope: Callable[[np.ndarray, np.ndarray], np.ndarray]


@functools.lru_cache
def curve(name: str) -> Curve:
    """Return the curve of an activation by name.

    Example:
        >>> round(float(curve("sigmoid").slope(0.0)), 3)
        0.125

    Raises:
        InputError: for a name without the two derivatives needed, such as relu.
    """
    if name in ("relu", "linear"):
        message = (
            f"{name} is homogeneous, so its objective has no isolated minimum; "
            f"use one of {', '.join(sorted(_DERIVATIVES))}"
        )
        raise InputError(message)
    if name not in _DERIVATIVES:
        raise unknown_name(kind="activation with two derivatives", name=name, known=_DERIVATIVES)
    value, first, second = _DERIVATIVES[name]

    def slope(h: np.ndarray) -> np.ndarray:
        return value(h) * first(h)

    def curvature(h: np.ndarray) -> np.ndarray:
        return first(h) ** 2 + value(h) * second(h)

    grid = np.linspace(-40.0, 40.0, 400_001)
    spacing = grid[1] - grid[0]
    bent = np.abs(curvature(grid))
    steepest = float(np.abs(np.diff(curvature(grid))).max() / spacing) * _MARGIN
    pull = float((slope(grid) * grid).max()) * _MARGIN
    above = np.maximum.accumulate(bent[::-1])[::-1] + steepest * spacing  # sup |k| right of a node
    below = np.maximum.accumulate(bent) + steepest * spacing  # and left of it

    def envelope(low: np.ndarray, high: np.ndarray) -> np.ndarray:
        place = np.clip(np.stack([low, high]) / spacing + len(grid) // 2, 0, len(grid) - 1)
        return np.minimum(above[place[0].astype(int)], below[np.ceil(place[1]).astype(int)])

    return Curve(value, slope, curvature, steepest, pull, envelope)


def _sigmoid_first(h: np.ndarray) -> np.ndarray:
    return scipy.special.expit(h) * scipy.special.expit(-h)


def _sigmoid_second(h: np.ndarray) -> np.ndarray:
    return _sigmoid_first(h) * (scipy.special.expit(-h) - scipy.special.expit(h))


def _tanh_first(h: np.ndarray) -> np.ndarray:
    return 4 * _sigmoid_first(2 * h)


def _tanh_second(h: np.ndarray) -> np.ndarray:
    return -2 * np.tanh(h) * _tanh_first(h)


def _erf_first(h: np.ndarray) -> np.ndarray:
    return 2 / math.sqrt(math.pi) * np.exp(-(h**2))


def _erf_second(h: np.ndarray) -> np.ndarray:
    return -2 * h * _erf_first(h)


_DERIVATIVES = {
    "sigmoid": (scipy.special.expit, _sigmoid_first, _sigmoid_second),
    "tanh": (np.tanh, _tanh_first, _tanh_second),
    "erf": (scipy.special.erf, _erf_first, _erf_second),
}
