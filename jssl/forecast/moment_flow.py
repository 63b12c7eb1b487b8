r"""Training of JEPA with linear layers from the moments of all inputs at once, by integration.

The weights obey closed equations in the two moments S_x and S_yx (D-2). Modes are independent
only where the moments commute and there are as many outputs as inputs; otherwise every input
enters every output, and modes of nearly equal regression coefficient displace each other (D-14).
`jssl.forecast.moment_solvers` integrates them, as descent with a finite step follows them.
A dimension is an eigenvalue of C = W (S_yx + S_yx^T)/2 W^T, in descending order.

References:
    Littwin et al. 2024, arXiv 2407.03475; D-1 to D-16 in docs/equations.md.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jssl.data.moments import Moments
from jssl.errors import InputError
from jssl.forecast.moment_solvers import EVALUATIONS, LARGEST, Descent, matrices, solve

HARDEST = 2e6
"""Largest number of products in the velocity, where more weights are integrated."""
SETTLED = 2e-3
"""Relative change over the last sixth of a path, below which an eigenvalue has settled."""
PARTS = (0.15, 0.4, 1.3, 2.5, 5.0, 10.0, 30.0, 100.0)
"""Ends of the parts of a path, over the step by which independent modes would all be learned."""


class MomentPath(NamedTuple):
    """Eigenvalues of C over the steps of descent.

    Attributes:
        steps: (points,) increasing; 0 first.
        values: (points, dim) eigenvalues of C, descending at every step.
        weights: the layers, first to last, and the predictor at the last step.
        work: evaluations of the velocity, or explicit steps, so far.
    """

    steps: np.ndarray
    values: np.ndarray
    weights: list[np.ndarray]
    work: int

    @property
    def learned(self) -> np.ndarray:
        """(dim,) whether the eigenvalue ends above zero.

        One that is not learned becomes negative, or falls as 1 / step or faster (D-18), by a sixth
        and more at the end.
        """
        last = self.values[-1]
        falls = (last < 0.9 * self._before) & (last < 0.1 * self.values[0])
        return np.asarray((last > 1e-9 * last[0]) & ~falls)

    @property
    def settled(self) -> bool:
        """Whether the eigenvalues that are learned have stopped changing."""
        last = self.values[-1]
        still = np.abs(last - self._before) <= SETTLED * np.abs(last)
        return bool((still | ~self.learned).all())

    @property
    def end(self) -> np.ndarray:
        """(dim,) the last eigenvalues, or, where some still change, their means over steps."""
        if self.settled:
            return self.values[-1]
        late = self.steps >= self.steps[-1] / 2
        steps, values = self.steps[late], self.values[late]
        return np.asarray(np.trapezoid(values, steps, axis=0) / (steps[-1] - steps[0]))

    @property
    def _before(self) -> np.ndarray:
        """(dim,) eigenvalues at the beginning of the last sixth of the steps."""
        return np.asarray(self.values[np.searchsorted(self.steps, self.steps[-1] / 1.2)])


def can_follow(dim: int, inputs: int, depth: int) -> bool:
    """Return whether an encoder and its predictor are small enough to be integrated.

    Example:
        >>> can_follow(16, 64, 1), can_follow(16, 784, 1)
        (True, False)
    """
    products = 2 * dim * inputs * (inputs + (depth + 2) * dim) + 4 * depth * dim**3
    return not is_explicit(dim, inputs, depth) or products <= HARDEST


def is_explicit(dim: int, inputs: int, depth: int) -> bool:
    """Return whether an encoder and its predictor have so many weights that steps are explicit.

    Example:
        >>> is_explicit(4, 6, 2), is_explicit(16, 64, 1)
        (False, True)
    """
    return dim * inputs + depth * dim**2 > LARGEST


def start_of(first: np.ndarray, rest: float, depth: int) -> list[np.ndarray]:
    """Return the weights at the start: a first layer, and w_0 times the identity for the others.

    Example:
        >>> [x.shape for x in start_of(np.ones((2, 3)), 0.1, 2)]
        [(2, 3), (2, 2), (2, 2)]
    """
    return [first, *(rest * np.eye(len(first)) for _ in range(depth))]


def follow(
    moments: Moments, weights: list[np.ndarray], learning_rate: float, first: float, last: float
) -> MomentPath:
    """Return the path of descent from a step to a later one.

    Example:
        >>> from jssl.precision import float64
        >>> moments = Moments(np.diag([1.0, 1.0]), np.diag([0.8, 0.4]))
        >>> with float64():
        ...     path = follow(moments, start_of(0.1 * np.eye(2), 0.1, 1), 0.1, 0.0, 2000.0)
        >>> print(path.values[-1].round(3))  # lambda rho^2
        [0.512 0.064]

    Args:
        moments: of context and target, float64.
        weights: the layers, first to last, and the predictor, at the first step.
        learning_rate: of descent.
        first: step at which the path begins.
        last: step at which it ends.

    Raises:
        InputError: if the integration is given up.
    """
    shapes = tuple(x.shape for x in weights)
    begin = np.concatenate([x.ravel() for x in weights])
    own = Moments(np.asarray(moments.context), np.asarray(moments.cross))
    times, flat, work = solve(begin, Descent(own, shapes, learning_rate), (first, last))
    found = matrices(flat, shapes)
    encoder = found[0]
    for layer in found[1:-1]:
        encoder = layer @ encoder
    symmetric = (moments.cross + moments.cross.T) / 2
    values = np.linalg.eigvalsh(encoder @ symmetric @ encoder.transpose(0, 2, 1))[:, ::-1]
    return MomentPath(times, values, [x[-1] for x in found], work)


def follow_until(
    done: Callable[[MomentPath], bool],
    moments: Moments,
    weights: list[np.ndarray],
    learning_rate: float,
    latest: float,
) -> MomentPath:
    """Return the path until it is done, or for at most a hundred times `latest`.

    Args:
        done: whether a path needs no further part.
        moments: as for `follow`.
        weights: at step 0.
        learning_rate: of descent.
        latest: step by which independent modes would all be learned.

    Raises:
        InputError: if not even the first part can be integrated.
    """
    path = follow(moments, weights, learning_rate, 0.0, PARTS[0] * latest)
    for part in PARTS[1:]:
        if path.work > EVALUATIONS or done(path):
            break
        at = float(path.steps[-1])
        try:
            more = follow(moments, path.weights, learning_rate, at, part * latest)
        except InputError:  # the path so far is long enough to tell when modes are learned
            break
        steps = np.append(path.steps, more.steps[1:])
        values = np.concatenate([path.values, more.values[1:]])
        path = MomentPath(steps, values, more.weights, path.work + more.work)
    return path


def first_steps(path: MomentPath, levels: np.ndarray) -> np.ndarray:
    """Return the steps at which each eigenvalue first reaches a level, infinite if it does not.

    Example:
        >>> path = MomentPath(np.arange(3.0), np.array([[0.0], [2.0], [4.0]]), [], 0)
        >>> first_steps(path, np.array([3.0])), first_steps(path, np.array([5.0]))
        (array([1.5]), array([inf]))
    """
    found = np.full(len(levels), np.inf)
    for j, level in enumerate(levels):
        reached = path.values[:, j] >= level
        if reached.any():
            at = int(np.argmax(reached))
            ends = path.values[at - 1 : at + 1, j], path.steps[at - 1 : at + 1]
            found[j] = np.interp(level, *ends) if at else 0.0
    return found


def random_first_layers(
    scale: float, dim: int, inputs: int, kept: int, count: int, draws: np.random.Generator
) -> np.ndarray:
    """Return first layers with orthogonal rows of random direction, (count, dim, kept).

    Example:
        >>> random_first_layers(0.1, 2, 3, 3, 5, np.random.default_rng(0)).shape
        (5, 2, 3)

    Args:
        scale: length of a row.
        dim: number of rows.
        inputs: number of input dimensions, in which rows are orthogonal.
        kept: number of input dimensions in which views have a moment.
        count: number of starts.
        draws: random numbers.
    """
    drawn = [np.linalg.qr(draws.normal(size=(inputs, dim)))[0][:kept].T for _ in range(count)]
    return scale * np.stack(drawn)
