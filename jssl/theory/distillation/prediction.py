"""Host entry: the prediction for a stated problem.

`predict(problem, times, key)` reads a problem with a linear encoder and a linear predictor or
decoder from an aligned start (`jssl.models.aligned`), and returns the eigenvalues of C and the loss
under the flow, mode by mode:

    C     lambda_i w_i^{2L}
    jepa  sum_i (s_i w^{2L+2} - 2 lambda_i w^{2L+1} + sy_i w^{2L}) / 2
    mae   (sum_i (s_i w^{2L+2} - 2 lambda_i w^{L+1}) + tr S_y) / 2

The objective is recognised by its gradient at the start. After Littwin et al. 2024, arXiv
2407.03475.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.data.moments import Moments, pair_moments
from jssl.data.pairs import flatten
from jssl.errors import InputError, shown
from jssl.host_arithmetic import host_float64
from jssl.integration import integrate
from jssl.keys import require_key
from jssl.theory.distillation.amplitudes import amplitude
from jssl.theory.distillation.flow import Weights, velocity
from jssl.theory.distillation.modes import (
    MOST_OFF_DIAGONAL,
    RegressionModes,
    regression_modes,
    share_of,
)
from jssl.theory.distillation.objective import OBJECTIVES
from jssl.theory.problem import fixed_pairs
from jssl.types import Array, Pairs, Problem, Trajectory, start_key

CLOSE = 1e-3
"""Largest relative difference at which a gradient or a start is recognised."""


class Setting(NamedTuple):
    """What the theory takes from a problem.

    Attributes:
        modes: of the moments.
        variances: (m,) s_i = q_i^T S_x q_i.
        target_variances: (m,) sy_i = q_i^T S_y q_i.
        start: w_0.
        depth: number of layers L.
        objective: "jepa" or "mae".
        learning_rate: of the descent, a number or a schedule.
    """

    modes: RegressionModes
    variances: np.ndarray
    target_variances: np.ndarray
    start: float
    depth: int
    objective: str
    learning_rate: Any


def predict(problem: Problem, times: Array, key: Array) -> Trajectory:
    """Return the eigenvalues of C and the loss of JEPA or a masked autoencoder at given times.

    Example:
        >>> from jssl.data.moments import pairs_with_moments
        >>> from jssl.data.pairs import fixed
        >>> from jssl.losses import jepa, target_objective
        >>> from jssl.models import aligned, linear_head, linear_stack
        >>> from jssl.optim import gradient_descent
        >>> data = pairs_with_moments(Moments(np.eye(2), np.diag([0.8, 0.5]), np.eye(2)))
        >>> problem = Problem(
        ...     fixed(data), aligned(2, start=0.1), jepa, gradient_descent(0.1),
        ...     target_objective(linear_stack, linear_head, jepa),
        ... )
        >>> found = predict(problem, jnp.array([0.0, 300.0]), jax.random.key(0))
        >>> print(found.observables["eigenvalues"][1].round(3))  # lambda rho^2 at the end
        [0.512 0.125]

    The run's parameters are `model.init(start_key(key))`, as a simulation with this key draws them.
    Descent is off the flow by O(learning rate). Where the moments do not commute the result is
    approximate, and takeover may bring modes early: `order` says which ones.

    Args:
        problem: fixed pairs, the model `aligned` with as many outputs as inputs, the objective of
            `jepa` or of a masked autoencoder (in one direction, or the mean of both), without
            decay and without an averaged target, and plain gradient descent.
        times: (points,) finite times >= 0, learning rate x step.
        key: the run's typed key.

    Returns:
        Trajectory on t = times with the observables `eigenvalues` (points, m), descending, and
        `loss` (points,).

    Raises:
        InputError: where the theory does not hold.
    """
    at = host_float64("times", times)
    if at.ndim != 1 or not len(at) or not ((at >= 0) & np.isfinite(at)).all():
        message = (
            f"times must be (points,) finite numbers of at least 0, at least one; got "
            f"{shown(times)}"
        )
        raise InputError(message)
    setting = read(problem, key)
    layers = _layers(at, setting)
    lam, s, depth = setting.modes.covariances, setting.variances, setting.depth
    encoder, whole = layers**depth, layers ** (depth + 1)
    if setting.objective == "jepa":
        loss = s * whole**2 - 2 * lam * whole * encoder + setting.target_variances * encoder**2
    else:
        loss = s * whole**2 - 2 * lam * whole + setting.target_variances
    eigenvalues = np.sort(lam * encoder**2, axis=1)[:, ::-1]
    known = not callable(setting.learning_rate)
    step = at / setting.learning_rate if known else np.full_like(at, np.nan)
    observables = {"eigenvalues": jnp.asarray(eigenvalues), "loss": jnp.asarray(loss.sum(1) / 2)}
    return Trajectory(jnp.asarray(step), jnp.asarray(at), observables)


def read(problem: Problem, key: Array) -> Setting:
    """Return what the theory takes from a problem, or say why it does not hold.

    Args:
        problem: as in `predict`.
        key: the run's typed key.

    Raises:
        InputError: as `predict`.
    """
    require_key(key)
    _require_problem(problem)
    rate = getattr(problem.optimiser, "learning_rate", None)
    if rate is None:
        message = (
            "this optimiser has no gradient-flow time; use jssl.optim.gradient_descent. For an "
            "averaged target see theory.distillation.averaged_time"
        )
        raise InputError(message)
    pairs = flatten(fixed_pairs(problem, key, instead="give their moments to regression_modes"))
    weights = _weights(problem.model.init(start_key(key)))
    moments, objective = _recognised(problem, pairs, weights)
    modes = regression_modes(moments)
    skew = share_of(moments.cross / 2 - moments.cross.T / 2, moments.cross)
    if max(modes.off_diagonal, skew) > MOST_OFF_DIAGONAL:
        raise InputError(modes.caveats[0] + " Use regression_modes and order instead of predict.")
    variances, of_target = (
        np.sum((modes.vectors @ np.asarray(matrix)) * modes.vectors, axis=1)
        for matrix in (moments.context, moments.target)
    )
    start = _aligned_start(weights, objective)
    return Setting(modes, variances, of_target, start, len(weights.layers), objective, rate)


def _require_problem(problem: Any) -> None:
    """Raise unless there are pairs to draw and a model to start."""
    if not all(hasattr(problem, name) for name in Problem._fields):
        message = f"problem must be a jssl.Problem; got {shown(problem)}"
        raise InputError(message)
    if not callable(problem.pairs):
        message = f"problem.pairs must be a function of the key; got {shown(problem.pairs)}"
        raise InputError(message)
    if not callable(getattr(problem.model, "init", None)):
        message = f"problem.model must be a jssl.Model; got {shown(problem.model)}"
        raise InputError(message)
    if problem.objective is not None and not callable(problem.objective):
        message = f"problem.objective must be a function; got {shown(problem.objective)}"
        raise InputError(message)


def _weights(params: Any) -> Weights:
    try:
        layers = tuple(layer["weight"] for layer in params["online"])
        predictor = params["predictor"]["weight"]
    except (TypeError, KeyError, IndexError):
        message = (
            "the model must be jssl.models.aligned: parameters 'online', a tuple of layers, and "
            "'predictor'"
        )
        raise InputError(message) from None
    return Weights(layers, predictor)


def _recognised(problem: Problem, pairs: Pairs, weights: Weights) -> tuple[Moments, str]:
    """Return the moments and the objective whose vector field is the problem's at the start."""
    if problem.objective is None:
        message = (
            "state the predictor as an objective: jssl.losses.target_objective or "
            "reconstruction_objective"
        )
        raise InputError(message)
    params = {
        "online": tuple({"weight": layer} for layer in weights.layers),
        "predictor": {"weight": weights.predictor},
    }
    gradient = jax.grad(problem.objective)(params, pairs, jax.random.key(0))
    seen = [-layer["weight"] for layer in gradient["online"]] + [-gradient["predictor"]["weight"]]
    first, second = (np.asarray(view, float) for view in pairs[:2])
    n = len(first)
    one_way = Moments(first.T @ first / n, second.T @ first / n, second.T @ second / n)
    for moments in (one_way, pair_moments(pairs)):
        for objective in OBJECTIVES:
            rows = first.shape[1] if objective == "mae" else weights.layers[-1].shape[0]
            if weights.predictor.shape[0] != rows:
                continue
            moving = velocity(weights, moments, objective=objective)
            parts = zip(seen, [*moving.layers, moving.predictor], strict=True)
            if all(_near(a, b) for a, b in parts):
                return moments, objective
    message = (
        "the objective is neither JEPA with a linear predictor nor a masked autoencoder: its "
        "gradient at the start is another one. Normalisation, weight decay and other losses are "
        "not covered by predict"
    )
    raise InputError(message)


def _near(a: Any, b: Any) -> bool:
    size = float(np.linalg.norm(b))
    return float(np.linalg.norm(np.asarray(a) - np.asarray(b))) <= CLOSE * size


def _aligned_start(weights: Weights, objective: str) -> float:
    """Return w_0, having seen that every layer is w_0 times an orthogonal matrix and V fits."""
    layers, v = [np.asarray(x, float) for x in weights.layers], np.asarray(weights.predictor, float)
    m = layers[0].shape[1]
    start = float(np.linalg.norm(v) / np.sqrt(m))
    square = all(layer.shape == (m, m) for layer in layers)
    if square and all(_near(layer @ layer.T, start**2 * np.eye(m)) for layer in layers):
        whole = np.linalg.multi_dot([np.eye(m), *layers[::-1]]) / start ** len(layers)
        if _near(v, start * (np.eye(m) if objective == "jepa" else whole.T)):
            return start
    message = (
        "the start must be aligned, with as many outputs as inputs and equal sizes of all layers "
        "and the predictor: jssl.models.aligned(in_dim, depth=..., start=...)"
    )
    raise InputError(message)


def _layers(times: np.ndarray, setting: Setting) -> np.ndarray:
    """Return w_i(t) (points, m); modes that shrink are integrated numerically."""
    lam, rho, _, _, _ = setting.modes
    depth, objective, variances = setting.depth, setting.objective, setting.variances
    layers = np.array(
        amplitude(times[:, None], lam, rho, setting.start, depth=depth, objective=objective)
    )
    for i in np.flatnonzero(np.isnan(layers).any(0)):

        def rates(_: float, w: np.ndarray, a: float = lam[i], s: float = variances[i]) -> Any:
            if objective == "jepa":
                return w ** (2 * depth) * (a - s * w)
            return w**depth * (a - s * w ** (depth + 1))

        grid, back = np.unique(times, return_inverse=True)
        end = max(float(grid[-1]), 1e-300)
        run = integrate(
            rates,
            (0, end),
            [setting.start],
            method="LSODA",
            t_eval=grid,
            rtol=1e-9,
            atol=1e-14,
        )
        layers[:, i] = run.y[0][back]
    return layers
