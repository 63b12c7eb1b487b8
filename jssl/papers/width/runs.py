"""Training runs that measure the drift of the tangent kernel, one `jssl.sweep` for each case.

    drift = ||Theta_t - Theta_0||_F / ||Theta_0||_F

with Theta the (2n, 2n) kernel of all views, averaged over outputs. Widths are paired: for each
seed, a narrow network starts as the first neurons of the wide one.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jssl import losses
from jssl.data import pairs
from jssl.kernels import empirical_ntk
from jssl.losses import distillation
from jssl.models import linear, mlp
from jssl.optim import gradient_descent
from jssl.papers.outcome import Settings
from jssl.papers.stepwise.kernel import projected_digits
from jssl.sweeps.sweep import sweep
from jssl.types import Array, Model, Pairs, Params, Problem

COUNT, DIM, INPUTS = 12, 3, 16

RATES = {
    "supervised": 0.1,
    "barlow-twins": 0.05,
    "vicreg": 0.3,
    "cosine": 0.3,
    "spectral": 0.05,
    "simsiam": 0.3,
    "byol": 0.1,
    "dot-product": 0.1,
}
"""Loss -> stable learning rate of one hidden tanh layer; `rate` gives that of other networks."""

LOSSES: dict[str, tuple[str, dict[str, Any]]] = {
    "barlow-twins": ("barlow_twins_linearized", {}),
    "vicreg": ("vicreg", {"invariance": 1.0, "variance": 1.0, "covariance": 1.0}),
    "cosine": ("nt_xent", {}),
    "spectral": ("spectral_contrastive", {}),
    "dot-product": ("linear_contrastive", {}),
}


class Case(NamedTuple):
    """One family of training runs.

    Attributes:
        loss: a key of `RATES`.
        activation: in `jssl.models.ACTIVATIONS`.
        depth: hidden layers.
        parametrisation: in `jssl.models.layers`.
        widths: numbers of hidden neurons, increasing.
    """

    loss: str
    activation: str = "tanh"
    depth: int = 1
    parametrisation: str = "ntk"
    widths: tuple[int, ...] = (64, 1024)


def drift(
    case: Case, data: Pairs, settings: Settings, seeds: int, steps: Sequence[int] | np.ndarray
) -> np.ndarray:
    """Return the drift (widths, seeds, points) at the record steps.

    Args:
        case: what is trained.
        data: pairs, float32.
        settings: seed of the starts, which are the same for every case.
        seeds: number of seeds.
        steps: (points,) increasing from 0.
    """
    views = jnp.concatenate([data.first, data.second])
    step = rate(case, data)

    def make_problem(width: Any, max_width: int | None = None, **case: Any) -> Problem:
        net = mlp(
            INPUTS,
            DIM,
            width=width,
            max_width=max_width,
            depth=case["depth"],
            activation=case["activation"],
            parametrisation=case["parametrisation"],
            dtype=jnp.float32,
        )
        slower = width if case["parametrisation"] == "standard" else 1
        return _problem(case["loss"], net, step / slower, data)

    def observe(problem: Problem) -> Callable[[Params, Pairs], dict[str, Array]]:
        def kernel(params: Params, _: Pairs) -> dict[str, Array]:
            if not isinstance(params, dict):
                return {"kernel": empirical_ntk(problem.model.apply, params, views)}

            def online(weights: Params, x: Array) -> Array:
                return problem.model.apply({**params, "online": weights}, x)

            return {"kernel": empirical_ntk(online, params["online"], views)}

        return kernel

    fixed = {name: [value] for name, value in case._asdict().items() if name != "widths"}
    result = sweep(
        make_problem,
        {**fixed, "width": case.widths, "seed": seeds},
        record_steps=steps,
        observe=observe,
        seed=int(settings.generator(74).integers(2**32)),
        progress=False,
    )
    theta = result.kernel.squeeze(list(fixed)).transpose("width", "seed", "step", ...)
    theta = theta.to_numpy().astype(np.float64)
    change = np.linalg.norm(theta - theta[:, :, :1], axis=(-1, -2))
    return change / np.linalg.norm(theta[:, :, :1], axis=(-1, -2))


def rate(case: Case, data: Pairs) -> float:
    """Return the learning rate of a case; for one tanh layer it is that of `RATES`.

    The largest stable rate is inversely proportional to the largest eigenvalue of the tangent
    kernel, which is larger for relu and for deep networks. The exponent of the drift at a fixed
    time does not depend on the rate.
    """
    views = jnp.concatenate([data.first, data.second]).astype(jnp.float64)

    def largest(activation: str, depth: int) -> float:
        net = mlp(INPUTS, DIM, width=1, depth=depth, activation=activation)
        assert net.kernel is not None
        return float(np.linalg.eigvalsh(np.asarray(net.kernel(views, views)[1]))[-1])

    return RATES[case.loss] * largest("tanh", 1) / largest(case.activation, case.depth)


def digits_in_float32(settings: Settings) -> Pairs:
    """Return float32 pairs of digits with unit mean square.

    Float32 is precise enough for networks that start at the standard scale.
    """
    data, _ = projected_digits(settings, COUNT, INPUTS)
    size = jnp.sqrt(jnp.mean(jnp.concatenate([data.first, data.second]) ** 2))
    return Pairs(*((x / size).astype(jnp.float32) for x in (data.first, data.second)))


def _problem(loss: str, net: Model, rate: Any, data: Pairs) -> Problem:
    rule, sample = gradient_descent(rate), pairs.fixed(data)
    if loss in LOSSES:
        name, options = LOSSES[loss]
        return Problem(sample, net, losses.get(name, **options), rule)
    if loss == "supervised":
        return Problem(sample, net, _no_loss, rule, _squared_loss(net))
    head = linear(DIM, DIM, dtype=jnp.float32)
    model = distillation.target_model(net, head)
    if loss == "byol":
        objective = distillation.target_objective(net.apply, head.apply)
        return Problem(sample, model, _no_loss, distillation.track_target(rule, 0.99), objective)
    own = distillation.target_objective(net.apply, head.apply, distillation.simsiam)

    def without_target(params: Params, batch: Pairs, key: Array) -> Array:
        return own({name: params[name] for name in ("online", "predictor")}, batch, key)

    return Problem(sample, model, _no_loss, rule, without_target)


def _squared_loss(net: Model) -> Callable[[Params, Pairs, Array], Array]:
    targets = np.random.default_rng(0).standard_normal((2 * COUNT, DIM)).astype(np.float32)

    def objective(params: Params, batch: Pairs, _: Array) -> Array:
        z = net.apply(params, jnp.concatenate([batch.first, batch.second]))
        return jnp.mean(jnp.sum((z - targets) ** 2, axis=1)) / 2

    return objective


def _no_loss(za: Array, zb: Array) -> Array:
    del za, zb
    message = "this problem is trained on its objective, not on a loss of embeddings"
    raise NotImplementedError(message)
