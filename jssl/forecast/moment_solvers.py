r"""Integration of the weights of JEPA with linear layers, by implicit or by explicit steps.

Descent with step h follows, up to terms of order h^2, the flow

    d theta / dk = h F - (h/2) (F(theta + h F) - F) = h F - h^2 / 2 DF F + O(h^3),   F = F(theta)

per step k, with F the velocity of `jssl.theory.distillation.velocity` (the matrix form of D-11).
Few weights are integrated by implicit steps (LSODA), which form and invert their Jacobian. Many
are integrated by explicit steps of a stabilised Runge-Kutta method.

References:
    Correction of a finite step: Hairer, Lubich, Wanner, Geometric Numerical Integration, section
    IX.1. D-1 to D-16 in docs/equations.md.
"""

import itertools
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jssl.data.moments import Moments
from jssl.integration import integrate, too_far_apart
from jssl.theory.finite_width.stabilised import CHUNK, Path, make_stabilised

EVALUATIONS = 12_000
"""Evaluations of the velocity, or explicit steps, after which a part of a path is given up."""
LARGEST = 160
"""Largest number of weights that are integrated by implicit steps, which invert their Jacobian."""
_BETWEEN = 4
"""Points of a path for one step of the solver."""
_TOLERANCE = 1e-6
_EXPLICIT_TOLERANCE = 1e-5

Shapes = tuple[tuple[int, int], ...]
"""(rows, columns) of the layers, first to last, and of the predictor."""


class Descent(NamedTuple):
    """Gradient descent on the weights.

    Attributes:
        moments: of context and target, float64.
        shapes: of the layers, first to last, and of the predictor.
        learning_rate: h.
    """

    moments: Moments
    shapes: Shapes
    learning_rate: Any

    def change(self, flat: Any, xp: Any = np) -> Any:
        """Return d theta / dk of flat weights; `xp` is `numpy` or `jax.numpy`."""
        speed = velocity(flat, self.moments, self.shapes, xp)
        later = velocity(flat + self.learning_rate * speed, self.moments, self.shapes, xp)
        return self.learning_rate * (1.5 * speed - 0.5 * later)


Solution = tuple[np.ndarray, np.ndarray, int]
"""Times, weights (points, weights), and the evaluations of the velocity or the explicit steps."""


def solve(begin: np.ndarray, descent: Descent, span: tuple[float, float]) -> Solution:
    """Return the weights from a step to a later one.

    Example:
        >>> one = Descent(Moments(np.eye(1), 0.5 * np.eye(1)), ((1, 1), (1, 1)), 0.1)
        >>> times, flat, work = solve(np.array([0.1, 0.1]), one, (0, 900.0))
        >>> print(flat[-1].round(3))  # the coefficient
        [0.5 0.5]

    Args:
        begin: (weights,) at the first step.
        descent: moments, shapes and learning rate.
        span: the first and the last step.

    Raises:
        InputError: if the integration is given up.
    """
    return (_implicit if len(begin) <= LARGEST else _explicit)(begin, descent, span)


def _implicit(begin: np.ndarray, descent: Descent, span: tuple[float, float]) -> Solution:
    """Integrate by LSODA."""
    solved = integrate(
        lambda _, flat: descent.change(flat),
        span,
        begin,
        evaluations=EVALUATIONS,
        method="LSODA",
        jac=lambda _, flat: descent.learning_rate * _slopes(flat, descent.moments, descent.shapes),
        rtol=_TOLERANCE,
        atol=_TOLERANCE * float(np.abs(begin).max()),
        dense_output=True,
    )
    between = np.linspace(solved.t[:-1], solved.t[1:], _BETWEEN, endpoint=False)
    times = np.append(between.T.ravel(), span[1])
    return times, solved.sol(times).T, int(solved.nfev)


def _explicit(begin: np.ndarray, descent: Descent, span: tuple[float, float]) -> Solution:
    """Integrate by explicit steps, which need no Jacobian.

    The Jacobian has complex eigenvalues here. Where they limit a step, the control of its error
    shortens it.
    """
    chunks = 0

    def enough(_: np.ndarray, __: np.ndarray) -> bool:
        nonlocal chunks
        chunks += 1
        return CHUNK * chunks > EVALUATIONS

    context, cross, _ = descent.moments
    length = span[1] - span[0]
    fixed = tuple(np.asarray(x) for x in (context, cross, descent.learning_rate))
    allowed = _EXPLICIT_TOLERANCE, _EXPLICIT_TOLERANCE * float(np.abs(begin).max())
    path = _equation(descent.shapes)(begin, fixed, length, *allowed, enough)
    if path.times[-1] < length or not np.isfinite(path.values[-1]).all():
        raise too_far_apart()
    return span[0] + path.times, path.values, CHUNK * chunks


@lru_cache(maxsize=8)
def _equation(shapes: Shapes) -> Callable[..., Path]:
    """Return how to follow the flow of weights of these shapes."""

    def flow(flat: Any, context: Any, cross: Any, learning_rate: Any) -> Any:
        return Descent(Moments(context, cross), shapes, learning_rate).change(flat, jnp)

    return make_stabilised(flow)


def velocity(flat: Any, moments: Moments, shapes: Shapes, xp: Any = np) -> Any:
    """Return `jssl.theory.distillation.velocity` of flat weights (..., weights).

    Example:
        >>> moments = Moments(np.eye(1), 0.5 * np.eye(1))
        >>> print(velocity(np.array([0.1, 0.1]), moments, ((1, 1), (1, 1))))  # w^2 (lambda - s w)
        [0.004 0.004]

    A solver in NumPy asks for it thousands of times, each of which would take JAX ten times as
    long. `xp` is `numpy` or `jax.numpy`.
    """
    *layers, predictor = matrices(flat, shapes)
    below = list(itertools.accumulate(layers, lambda product, layer: layer @ product))
    encoder = below[-1]
    rest = encoder @ moments.cross - predictor @ (encoder @ moments.context)
    moved = [rest @ encoder.swapaxes(-1, -2)]
    back = predictor.swapaxes(-1, -2) @ rest
    for a in range(len(layers) - 1, 0, -1):
        moved.append(back @ below[a - 1].swapaxes(-1, -2))
        back = layers[a].swapaxes(-1, -2) @ back
    moved.append(back)
    return xp.concatenate([x.reshape(*flat.shape[:-1], -1) for x in moved[::-1]], axis=-1)


def _slopes(flat: np.ndarray, moments: Moments, shapes: Shapes) -> np.ndarray:
    """Return the Jacobian of the velocity by central differences, for implicit steps."""
    size = 1e-6 * float(np.abs(flat).max())
    moved = size * np.eye(len(flat))
    apart = velocity(flat + moved, moments, shapes) - velocity(flat - moved, moments, shapes)
    return np.asarray(apart.T / (2 * size))


def matrices(flat: Any, shapes: Shapes) -> list[Any]:
    """Return the matrices of (..., weights).

    Example:
        >>> [x.shape for x in matrices(np.zeros(10), ((2, 3), (2, 2)))]
        [(2, 3), (2, 2)]
    """
    found, at = [], 0
    for rows, columns in shapes:
        part = flat[..., at : at + rows * columns]
        found.append(part.reshape(*flat.shape[:-1], rows, columns))
        at += rows * columns
    return found
