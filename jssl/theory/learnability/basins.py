"""The minimum that gradient descent on the row objective reaches from each start.

References:
    Yang, Li, Jiang, Li, arXiv 2401.03214 (N-2); with two mirror minima, rows of random sign fall
    on one side together with probability 2^(1-m).
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl.errors import InputError
from jssl.theory.learnability.curves import curve
from jssl.theory.learnability.objective import require_problem, row_objective
from jssl.theory.learnability.stationary import StationaryPoints, stationary_points


def basin_map(
    u: Any,
    v: Any,
    tau: float,
    decay: float,
    *,
    activation: str = "sigmoid",
    steps: int = 30_000,
) -> tuple[np.ndarray, StationaryPoints]:
    """Return the index of the minimum that gradient descent reaches from every start (u, v).

    Example:
        >>> import numpy as np
        >>> basins, found = basin_map(np.array([-1.0, 1.0]), np.array([0.5]), 7.0, 1 / 800)
        >>> print(found.points[basins[0], 0].round(2))
        [-3.82  3.82]

    Args:
        u: (columns,) starts along the label-related feature.
        v: (rows,) starts along the hidden feature.
        tau: strength of the hidden feature, > 0.
        decay: weight decay (alpha), > 0.
        activation: `sigmoid`, `tanh` or `erf`.
        steps: of gradient descent at the rate 1 / (a bound on the curvature).

    Returns:
        (rows, columns) index into the stationary points, -1 where none is within 5 % of |p|
        (a start on a ridge, or too few steps), and the stationary points.
    """
    found = stationary_points(tau, decay, activation=activation)
    starts = np.stack(np.meshgrid(np.asarray(u), np.asarray(v)), -1).reshape(-1, 2)
    step = safe_rate(tau, decay, activation=activation)
    ends = np.asarray(_descend(jnp.asarray(starts, float), tau, decay, step, steps, activation))
    minima = np.flatnonzero(found.descents == 0)
    distance = np.linalg.norm(ends[:, None] - found.points[minima], axis=-1)
    nearest = minima[distance.argmin(1)]
    reached = distance.min(1) <= 0.05 * np.linalg.norm(found.points[nearest], axis=1)
    return np.where(reached, nearest, -1).reshape(len(np.ravel(v)), len(np.ravel(u))), found


def safe_rate(tau: float, decay: float, *, activation: str = "sigmoid") -> float:
    """Return the learning rate 1 / (a bound on the curvature of N-2 anywhere): descent is stable.

    Example:
        >>> 0.2 < safe_rate(7.0, 1 / 800) < 0.3
        True

    With k = act'^2 + act act'' the largest eigenvalue of the Hessian is at most
    2 decay + sup |k| (2 + tau^2).

    Args:
        tau: strength of the hidden feature, > 0.
        decay: weight decay (alpha), > 0.
        activation: `sigmoid`, `tanh` or `erf`.
    """
    require_problem(tau, decay)
    steepest = float(curve(activation).envelope(np.array(-40.0), np.array(40.0)))
    return 1 / (2 * decay + steepest * (2 + tau**2))


def duplicate_probability(rows: int) -> float:
    """Return 2^(1-m), the probability that m rows of random sign all reach the same minimum.

    Example:
        >>> [duplicate_probability(m) for m in (2, 3, 6)]
        [0.5, 0.25, 0.03125]

    This is the probability for the population. In a finite sample the cells have unequal sizes,
    which favours one minimum for all rows, and the probability is larger.

    Args:
        rows: m >= 1.
    """
    if rows < 1:
        message = f"rows must be at least 1; got {rows}"
        raise InputError(message)
    return 2.0 ** (1 - rows)


@functools.partial(jax.jit, static_argnums=(5,))
def _descend(
    starts: jax.Array, tau: Any, decay: Any, step: Any, steps: Any, activation: str
) -> jax.Array:
    gradient = jax.vmap(
        jax.grad(lambda point: row_objective(point, tau, decay, activation=activation))
    )
    return jax.lax.fori_loop(0, steps, lambda _, points: points - step * gradient(points), starts)
