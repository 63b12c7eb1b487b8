"""All stationary points of the row objective N-2, by a search that is proved to be complete.

A stationary point satisfies 2 decay |p|^2 = 1/2 sum g(h) h with g = act act', so it lies in
|p| <= sqrt(sup g(h) h / decay). That square is cut into boxes. A box is discarded if the gradient
cannot vanish on it (mean value bound). A box is solved if ||H(c)^-1 H(p) - I|| <= 1/2 on the box of
twice its size, the condition of the inverse function theorem (N-3): at most one point is in it, and
the chord iteration finds it if it is there. Any other box is cut into four. Coordinates are (u, tau
v).

References:
    Yang, Li, Jiang, Li, arXiv 2401.03214 (N-2, N-3); Krawczyk 1969 for the test of a box.
"""

from typing import NamedTuple

import numpy as np

from jssl.errors import InputError
from jssl.theory.learnability.curves import Curve, curve
from jssl.theory.learnability.objective import require_problem

_CELLS = np.array([[1.0, 0.0], [-1.0, 0.0], [1.0, 1.0], [-1.0, 1.0]])
_PAIRS = np.abs(_CELLS[:, :, None] * _CELLS[:, None, :])
_FINEST = 2.0**-26
_COARSE = 2.0**-15
_MOST_BOXES = 200_000


class StationaryPoints(NamedTuple):
    """All stationary points of a row, lowest first.

    Attributes:
        points: (k, 2) coordinates (u, v).
        values: (k,) objective.
        hessians: (k, 2, 2) in (u, v); along every orthogonal coordinate it is 2 decay.
        descents: (k,) number of descent directions: 0 minimum, 1 saddle, 2 maximum.
    """

    points: np.ndarray
    values: np.ndarray
    hessians: np.ndarray
    descents: np.ndarray


def stationary_points(tau: float, decay: float, *, activation: str = "sigmoid") -> StationaryPoints:
    """Return all minima, saddles and maxima of l(u, v), in float64.

    Example:
        >>> found = stationary_points(7.0, 1 / 800)
        >>> print(found.descents, found.points[1].round(4))
        [0 0 1] [3.8162 1.5199]

    Args:
        tau: strength of the hidden feature, > 0.
        decay: weight decay (alpha), > 0.
        activation: `sigmoid`, `tanh` or `erf`.

    Returns:
        StationaryPoints; minima - saddles + maxima = 1 is checked.

    Raises:
        InputError: tau or decay not positive, an activation without two derivatives, or a point
            so close to degenerate (a bifurcation in tau or decay) that no box isolates it.

    References:
        Yang et al., arXiv 2401.03214 (N-2).
    """
    require_problem(tau, decay)
    return _search(tau, decay, curve(activation), _FINEST)


def minimum(tau: float, decay: float, *, activation: str = "sigmoid") -> np.ndarray:
    """Return the lowest minimum (u, v) with u > 0: the row with the label-related feature.

    Example:
        >>> print(minimum(2.0, 1 / 800).round(3))
        [3.474 4.022]

    Args:
        tau: strength of the hidden feature, > 0.
        decay: weight decay (alpha), > 0.
        activation: `sigmoid`, `tanh` or `erf`; where minima with +-v tie, v >= 0.

    Raises:
        InputError: if no minimum has u > 0 (with the largest decay that has one), and as
            `stationary_points`.
    """
    found = stationary_points(tau, decay, activation=activation)
    chosen = (found.descents == 0) & (found.points[:, 0] > 0) & (found.points[:, 1] >= 0)
    if not chosen.any():
        edge = largest_decay(tau, activation=activation)
        message = (
            f"no minimum with u > 0 exists at tau = {tau:g}, decay = {decay:g}; "
            f"at this tau one exists for decay up to {edge:.4g}"
        )
        raise InputError(message)
    return found.points[chosen][0]


def largest_decay(tau: float, *, activation: str = "sigmoid") -> float:
    """Return the decay above which no minimum has u > 0 any more.

    Example:
        >>> 1 / 50 < largest_decay(7.0) < 0.1
        True

    Args:
        tau: strength of the hidden feature, > 0.
        activation: `sigmoid`, `tanh` or `erf`.

    Returns:
        The threshold by bisection, too small by less than one per cent.
    """

    def has(decay: float) -> bool:
        try:
            found = _search(tau, decay, shape, _COARSE)
        except InputError:
            return False
        return bool(((found.descents == 0) & (found.points[:, 0] > 0)).any())

    require_problem(tau, 1.0)
    shape = curve(activation)
    low = high = 1e-2
    while has(high):
        low, high = high, 2 * high
    while not has(low):
        low, high = low / 2, low
    while high - low > 1e-4 * high:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if has(middle) else (low, middle)
    return low


def derivatives(
    points: np.ndarray, shape: Curve, penalty: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return gradient (k, 2) and Hessian (k, 2, 2) of l in the coordinates (u, tau v)."""
    h = points @ _CELLS.T
    gradient = -0.5 * shape.slope(h) @ _CELLS + 2 * penalty * points
    hessian = -0.5 * np.einsum("kc,ci,cj->kij", shape.curvature(h), _CELLS, _CELLS)
    return gradient, hessian + 2 * np.diag(penalty)


def _search(tau: float, decay: float, shape: Curve, finest: float) -> StationaryPoints:
    penalty = np.array([decay, decay / tau**2])
    radius = np.sqrt(shape.pull / decay)
    tiles = max(1, int(np.ceil(tau)))
    half = np.array([radius, radius * tau / tiles]) * 1.01  # no root on the first cuts
    centres = np.stack([np.zeros(tiles), (2 * np.arange(tiles) + 1 - tiles) * half[1]], 1)
    found: list[np.ndarray] = []
    width = 1.0
    while len(centres):
        if width < finest or len(centres) > _MOST_BOXES:
            u, v = centres[0] / [1, tau]
            message = (
                f"tau = {tau:g}, decay = {decay:g} is at a bifurcation: the stationary point near "
                f"({u:.3g}, {v:.3g}) is degenerate; move either by a tenth of a per cent"
            )
            raise InputError(message)
        gradient = derivatives(centres, shape, penalty)[0]
        largest = 0.5 * _weighted(_largest(centres, half, shape)) + 2 * np.diag(penalty)
        centres = centres[~(np.abs(gradient) > largest @ half).any(1)]
        hessian = derivatives(centres, shape, penalty)[1]
        regular = np.abs(np.linalg.det(hessian)) > 1e-12 * np.abs(hessian).max((1, 2)) ** 2
        inverse = np.linalg.inv(np.where(regular[:, None, None], hessian, np.eye(2)))
        spread = 0.5 * _weighted(_variation(centres, 2 * half, shape))
        variation = (np.abs(inverse) @ spread) @ half / half
        solved = regular & (variation.max(1) <= 0.5)
        found += [
            point
            for centre, chord in zip(centres[solved], inverse[solved], strict=True)
            if (point := _chord(centre, chord, half, shape, penalty)) is not None
        ]
        centres, half, width = _quarter(centres[~solved], half), half / 2, width / 2
    return _sorted(_distinct(found, radius), tau, decay, shape, penalty)


def _largest(centres: np.ndarray, half: np.ndarray, shape: Curve) -> np.ndarray:
    """Bound |k(h)| of each cell over each box."""
    h, moved = centres @ _CELLS.T, np.abs(_CELLS) @ half
    local = np.abs(shape.curvature(h)) + shape.steepest * moved
    return np.minimum(local, shape.envelope(h - moved, h + moved))


def _variation(centres: np.ndarray, half: np.ndarray, shape: Curve) -> np.ndarray:
    """Bound |k(h) - k(centre)| of each cell over each box."""
    h, moved = centres @ _CELLS.T, np.abs(_CELLS) @ half
    far = np.abs(shape.curvature(h)) + shape.envelope(h - moved, h + moved)
    return np.minimum(shape.steepest * moved, far)


def _weighted(bounds: np.ndarray) -> np.ndarray:
    return np.einsum("kc,cij->kij", bounds, _PAIRS)


def _chord(
    centre: np.ndarray, chord: np.ndarray, half: np.ndarray, shape: Curve, penalty: np.ndarray
) -> np.ndarray | None:
    point = centre[None]
    for _ in range(60):
        gradient, _ = derivatives(point, shape, penalty)
        point = point - gradient @ chord.T
        if (np.abs(point - centre) > 2 * half).any():
            return None
    for _ in range(3):
        gradient, hessian = derivatives(point, shape, penalty)
        point = point - np.linalg.solve(hessian, gradient[..., None])[..., 0]
    return point[0] if (np.abs(point - centre) <= 1.001 * half).all() else None


def _quarter(centres: np.ndarray, half: np.ndarray) -> np.ndarray:
    offsets = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]]) * half / 2
    return (centres[:, None] + offsets).reshape(-1, 2)


def _distinct(found: list[np.ndarray], radius: float) -> np.ndarray:
    kept: list[np.ndarray] = []
    for point in found:
        if all(np.abs(point - other).max() > 1e-8 * radius for other in kept):
            kept.append(np.where(np.abs(point) < 1e-12 * radius, 0.0, point))
    return np.array(kept)


def _sorted(
    points: np.ndarray, tau: float, decay: float, shape: Curve, penalty: np.ndarray
) -> StationaryPoints:
    hessians = derivatives(points, shape, penalty)[1] * np.array([[1, tau], [tau, tau**2]])
    descents = (np.linalg.eigvalsh(hessians) < 0).sum(1)
    if ((-1) ** descents).sum() != 1:
        message = f"the stationary points at tau = {tau:g}, decay = {decay:g} do not add up"
        raise InputError(message)
    plane = points / [1, tau]
    values = -np.mean(shape.value(points @ _CELLS.T) ** 2, 1) + decay * (plane**2).sum(1)
    order = np.lexsort((plane[:, 1], plane[:, 0], values.round(12)))
    return StationaryPoints(plane[order], values[order], hessians[order], descents[order])
