"""The minima of the supervised two-layer model N-4 on the four cells.

p = sigmoid(F . act(W x)) is the probability of s = -1 (the published labels), and

    L = 1/4 sum_cells BCE(p, [s = -1]) + decay ||W||^2 + head_decay ||F||^2.

The best minimum has w1 = -w2 along the label-related axis and no hidden component; a second local
minimum has two equal rows.

References:
    Yang, Li, Jiang, Li, arXiv 2401.03214 (N-4).
"""

from typing import NamedTuple

import numpy as np
import scipy.optimize
import scipy.special

from jssl.errors import InputError
from jssl.theory.learnability.objective import require_problem


class SupervisedMinima(NamedTuple):
    """The distinct minima, lowest first, one for each orbit under the problem's symmetries.

    Attributes:
        weight: (k, m, 2) rows (u, v), the row of largest u first.
        head: (k, m) F.
        loss: (k,).
        slowest: (k,) smallest eigenvalue of the Hessian in all 3 m parameters: the rate at which
            gradient flow finally approaches it.
        found: (k,) share of the random starts from which BFGS reached it.
    """

    weight: np.ndarray
    head: np.ndarray
    loss: np.ndarray
    slowest: np.ndarray
    found: np.ndarray


def supervised_minima(
    tau: float,
    decay: float,
    head_decay: float | None = None,
    *,
    rows: int = 2,
    starts: int = 60,
    seed: int = 0,
) -> SupervisedMinima:
    """Return the population minima of N-4 with the sigmoid, in float64.

    Example:
        >>> best = supervised_minima(7.0, 1 / 800, starts=10)
        >>> print(best.weight[0].round(3) + 0.0, best.loss[:1].round(4))
        [[ 2.628  0.   ]
         [-2.628  0.   ]] [0.0874]

    BFGS from starts N(0, 1), refined to a root of the gradient. Results that differ by a
    permutation of the rows or the sign of s are counted as one. Unlike `stationary_points` this
    search may miss a minimum with a small basin.

    Args:
        tau: strength of the hidden feature, > 0.
        decay: of W (beta), > 0.
        head_decay: of F (gamma), > 0; None for `decay`.
        rows: m, the width.
        starts: how many random starts.
        seed: of the starts.

    Returns:
        SupervisedMinima.

    Raises:
        InputError: a number out of range.

    References:
        Yang et al., arXiv 2401.03214 (N-4).
    """
    head_decay = decay if head_decay is None else head_decay
    require_problem(tau, decay)
    require_problem(tau, head_decay)
    if rows < 1 or starts < 1:
        message = f"rows and starts must be at least 1; got {rows} and {starts}"
        raise InputError(message)
    rng = np.random.default_rng(seed)
    orbits: dict[tuple[float, ...], list[np.ndarray]] = {}
    for start in rng.standard_normal((starts, 3 * rows)):
        end = scipy.optimize.minimize(
            supervised_objective, start, (tau, decay, head_decay), "BFGS", jac=True
        ).x

        def gradient(params: np.ndarray) -> np.ndarray:
            return supervised_objective(params, tau, decay, head_decay)[1]

        root = scipy.optimize.root(gradient, end, tol=1e-13)
        settled = np.abs(root.fun).max() < 1e-9 and np.abs(root.x - end).max() < 0.01
        if settled:
            point = _canonical(root.x, rows)
            orbits.setdefault(tuple(np.round(point, 5) + 0.0), []).append(point)
    points = np.array([members[0] for members in orbits.values()])
    loss = np.array([supervised_objective(p, tau, decay, head_decay)[0] for p in points])
    share = np.array([len(members) for members in orbits.values()]) / starts
    order = np.argsort(loss)
    points = points[order]
    weight = points[:, : 2 * rows].reshape(-1, rows, 2)
    slowest = np.array([_slowest(point, tau, decay, head_decay) for point in points])
    return SupervisedMinima(weight, points[:, 2 * rows :], loss[order], slowest, share[order])


def supervised_objective(
    params: np.ndarray, tau: float, decay: float, head_decay: float
) -> tuple[float, np.ndarray]:
    """Return N-4 and its gradient at (W, F) flattened, W being (m, 2).

    Example:
        >>> import numpy as np
        >>> value, gradient = supervised_objective(np.zeros(6), 7.0, 1 / 800, 1 / 800)
        >>> bool(abs(value - np.log(2)) < 1e-12), gradient.shape
        (True, (6,))
    """
    rows = len(params) // 3
    weight, head = params[: 2 * rows].reshape(rows, 2), params[2 * rows :]
    x = np.array([[1, 0], [-1, 0], [1, tau], [-1, tau]], float)
    target = np.array([0.0, 1.0, 0.0, 1.0])
    z = scipy.special.expit(x @ weight.T)
    logit = z @ head
    loss = np.mean(np.logaddexp(0, logit) - target * logit)
    loss += decay * (weight**2).sum() + head_decay * head @ head
    error = (scipy.special.expit(logit) - target) / 4
    back = error[:, None] * head * z * (1 - z)
    gradient = [(back.T @ x + 2 * decay * weight).ravel(), error @ z + 2 * head_decay * head]
    return float(loss), np.concatenate(gradient)


def _slowest(point: np.ndarray, tau: float, decay: float, head_decay: float) -> float:
    """Return the smallest eigenvalue of the Hessian, by central differences of the gradient."""

    def gradients(shift: float) -> np.ndarray:
        moved = point + shift * np.eye(len(point))
        return np.array([supervised_objective(p, tau, decay, head_decay)[1] for p in moved])

    hessian = (gradients(1e-5) - gradients(-1e-5)) / 2e-5
    return float(np.linalg.eigvalsh((hessian + hessian.T) / 2)[0])


def _canonical(params: np.ndarray, rows: int) -> np.ndarray:
    """Choose one member of the orbit under s -> -s (u and F change sign) and row order."""
    weight, head = params[: 2 * rows].reshape(rows, 2), params[2 * rows :]
    members = []
    for sign in (1.0, -1.0):
        turned, flipped = weight * [sign, 1.0], head * sign
        order = np.lexsort((turned[:, 1].round(6), -turned[:, 0].round(6)))
        members.append(np.concatenate([turned[order].ravel(), flipped[order]]))
    return max(members, key=lambda member: tuple(member.round(6)))
