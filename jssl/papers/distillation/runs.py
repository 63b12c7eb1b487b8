"""Descent on JEPA or a masked autoencoder with linear layers, for several settings in one program.

Data are pairs that have the given moments exactly, so training is on the population. A run records
the product of the layers and the predictor; all that a claim needs is computed from them on the
host.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.data import pairs
from jssl.data.moments import Moments, pairs_with_moments
from jssl.losses.distillation import target_objective, track_target
from jssl.losses.prediction import decayed_objective, jepa, reconstruction_objective
from jssl.models.aligned import aligned, linear_head, linear_stack
from jssl.optim import gradient_descent
from jssl.optim.descent import Descent
from jssl.simulation import run
from jssl.types import Array, Model, Pairs, Params, Problem


class Case(NamedTuple):
    """One setting; cases that are run together have equal shapes.

    Attributes:
        data: pairs of context and target, (n, m) each.
        params: at the start, of `jssl.models.aligned`.
        learning_rate: of the layers.
        decay: weight decay of layers and predictor.
        rate_ratio: learning rate of the predictor over that of the layers.
        momentum: of the averaged target, unused without one.
    """

    data: Pairs
    params: Params
    learning_rate: Any
    decay: Any = 0.0
    rate_ratio: Any = 1.0
    momentum: Any = 0.0


class WeightHistory(NamedTuple):
    """Recorded weights of all cases.

    Attributes:
        step: (points,) steps.
        encoder: (cases, points, d, m) the product of the layers.
        predictor: (cases, points, rows, d).
    """

    step: np.ndarray
    encoder: np.ndarray
    predictor: np.ndarray


def diagonal_moments(covariances: Any, coefficients: Any) -> Moments:
    """Return commuting moments with the given modes along the axes."""
    lam, rho = np.asarray(covariances, float), np.asarray(coefficients, float)
    return Moments(np.diag(lam / rho), np.diag(lam), np.diag(lam * rho + 0.1))


def case(
    moments: Moments,
    key: Array,
    learning_rate: float,
    *,
    decay: float = 0.0,
    rate_ratio: float = 1.0,
    momentum: float = 0.0,
    **start: Any,
) -> Case:
    """Return a case from an aligned start; further arguments are those of `aligned`."""
    params = aligned(len(moments.context), **start).init(key)
    return Case(pairs_with_moments(moments), params, learning_rate, decay, rate_ratio, momentum)


def train(
    cases: list[Case], record_steps: Any, *, objective: str = "jepa", loss: Any = jepa
) -> WeightHistory:
    """Train all cases in one program and return their weights at the record points.

    Args:
        cases: of equal shapes.
        record_steps: (points,) steps.
        objective: "jepa" or "mae".
        loss: of embeddings, for "jepa".
    """
    together = jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(x) for x in leaves]), *cases)
    averaged = "target" in cases[0].params
    if objective == "mae":
        stated = reconstruction_objective(linear_stack, linear_head)
    else:
        stated = target_objective(linear_stack, linear_head, loss)

    def one(setting: Case) -> Any:
        optimiser: Any = _descent(setting.learning_rate, setting.rate_ratio)
        model = Model(lambda _: setting.params, lambda p, x: linear_stack(p["online"], x))
        problem = Problem(
            pairs.fixed(setting.data),
            model,
            loss,
            track_target(optimiser, setting.momentum) if averaged else optimiser,
            decayed_objective(stated, setting.decay),
        )
        return run(problem, record_steps, _weights)(jax.random.key(0)).observables

    seen = jax.jit(jax.vmap(one))(together)
    return WeightHistory(
        np.asarray(record_steps), np.asarray(seen["encoder"]), np.asarray(seen["predictor"])
    )


def _weights(params: Params, _: Pairs) -> dict[str, Array]:
    columns = params["online"][0]["weight"].shape[1]
    product = linear_stack(params["online"], jnp.eye(columns)).T
    return {"encoder": product, "predictor": params["predictor"]["weight"]}


def _descent(learning_rate: Any, rate_ratio: Any) -> Descent:
    """Return descent whose predictor has its own learning rate; t is that of the layers."""
    plain = gradient_descent(learning_rate)

    def update(gradients: Params, state: Any, params: Params = None) -> tuple[Params, Any]:
        scaled = jax.tree.map(lambda g: rate_ratio * g, gradients["predictor"])
        result: tuple[Params, Any] = plain.update({**gradients, "predictor": scaled}, state, params)
        return result

    return Descent(plain.init, update, learning_rate)


def amplitudes(encoder: np.ndarray, vectors: np.ndarray, depth: int = 1) -> np.ndarray:
    """Return |W q_i|^{1/L} (..., k), the layer of each mode, for vectors q_i (k, m) as rows."""
    return np.linalg.norm(encoder @ vectors.T, axis=-2) ** (1 / depth)


def crossing(times: np.ndarray, values: np.ndarray, level: float, *, last: bool = False) -> float:
    """Return when values rise through a level, for the first or the last time; NaN if never."""
    above = values >= level
    rises = np.flatnonzero(above[1:] & ~above[:-1])
    if not len(rises):
        return float("nan")
    i = rises[-1 if last else 0]
    share = (level - values[i]) / (values[i + 1] - values[i])
    return float(times[i] + share * (times[i + 1] - times[i]))


def fall(times: np.ndarray, values: np.ndarray, level: float) -> float:
    """Return when values fall through a level, for the first time; NaN if never."""
    return crossing(times, -values, -level)


def zero_of(x: Any, y: Any) -> float:
    """Return where the parabola through three points has the zero nearest to their middle."""
    roots = np.roots(np.polyfit(x, y, 2))
    real = roots[np.abs(roots.imag) < 1e-9].real
    return float(real[np.argmin(np.abs(real - x[1]))]) if len(real) else float("nan")
