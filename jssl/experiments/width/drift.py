"""How far the tangent kernel moves in training, against the width, loss by loss.

    drift = ||Theta_t - Theta_0||_F / ||Theta_0||_F

with Theta the (2n, 2n) kernel of all views, mean over outputs. In NTK parametrisation and for a
smooth activation dTheta/dt is a sum over neurons of order 1 / width, typical size and mean alike
(Dyer, Gur-Ari, arXiv 1909.11304), for any loss whose gradient stays bounded: the drift at a fixed
time falls as 1 / width. What differs is

    relu                      its kinks add neurons that switch: width^(-1/2) of them, of random
                              sign, hence a term width^(-3/4): an exponent between -1 and -3/4
    standard, rate ~ 1/width  NTK parametrisation with a first layer that is slower by 1 / width:
                              one hidden layer drifts as width^-2
    mup                       moves every feature by order one: exponent 0
    linear dot product        unbounded below: in time it leaves every kernel (`divergence`)
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl import losses
from jssl.data import pairs
from jssl.diagnostics import Exponent, paired_exponent
from jssl.experiments.claims import close
from jssl.experiments.outcome import Figure, Part, Settings
from jssl.experiments.stepwise.kernel import projected_digits
from jssl.experiments.width.nets import nested_starts, over_runs, started
from jssl.figures import new_figure
from jssl.kernels import empirical_ntk
from jssl.losses import distillation
from jssl.models import linear, mlp
from jssl.optim import gradient_descent
from jssl.simulation import run
from jssl.types import Array, Claim, Model, Pairs, Params, Problem

COUNT, DIM, INPUTS, STEPS = 12, 3, 16, 200
SOURCE = "Fleissner et al. 2024, arXiv 2411.11176"
CONTRASTIVE = "Anil et al. 2024, arXiv 2403.08673"

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
"""Loss -> learning rate, below instability; the exponent at a fixed time does not depend on it."""

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
        widths: increasing.
    """

    loss: str
    activation: str = "tanh"
    depth: int = 1
    parametrisation: str = "ntk"
    widths: tuple[int, ...] = (64, 256, 1024)


def drifts(settings: Settings) -> Part:
    """Judge how the drift falls with the width, and where it does not."""
    seeds = {"quick": 6, "paper": 16, "large": 32}[settings.scale]
    data = digits_in_float32(settings)
    key = jax.random.fold_in(jax.random.key(settings.seed), 74)
    keys = jax.random.split(key, seeds)
    found: dict[Case, np.ndarray] = {}
    chosen = cases(settings)
    for index, case in enumerate(chosen):
        settings.progress(f"kernel drift, {_name(case)}", index / len(chosen))
        found[case] = drift(case, data, keys, [0, _steps(case)])[..., -1]
    claims = [_claim(case, values) for case, values in found.items()]
    return Part(claims, [_figure(found)])


def cases(settings: Settings) -> list[Case]:
    """Return the cases of a scale."""
    if settings.scale == "quick":
        return [
            *(Case(loss) for loss in RATES),
            Case("barlow-twins", "erf"),
            Case("barlow-twins", "relu"),
            Case("barlow-twins", depth=2, widths=(32, 96, 256)),
            Case("barlow-twins", parametrisation="standard", widths=(256, 1024)),
            Case("supervised", parametrisation="mup"),
            Case("barlow-twins", parametrisation="mup"),
        ]
    most = 4096 if settings.scale == "paper" else 16384
    wide = tuple(64 * 4**k for k in range(6) if 64 * 4**k <= most)
    deep = (64, 256, 1024) if settings.scale == "paper" else (64, 256, 1024, 4096)
    nets = [
        Case(loss, activation, depth, widths=wide if depth == 1 else deep)
        for loss in RATES
        for activation in ("tanh", "erf", "relu")
        for depth in (1, 2, 3, 4)
        if loss != "dot-product" or (activation != "relu" and depth == 1)
    ]
    others = [
        Case(loss, parametrisation=name, widths=wide[1:] if name == "standard" else wide)
        for loss in ("supervised", "barlow-twins")
        for name in ("standard", "mup")
    ]
    return [*nets, *others]


def drift(case: Case, data: Pairs, keys: Array, steps: Any) -> np.ndarray:
    """Return the drift (widths, seeds, points) at the record steps.

    Args:
        case: what is trained.
        data: pairs, float32.
        keys: (seeds,) of the starts.
        steps: (points,) increasing from 0.
    """
    views = jnp.concatenate([data.first, data.second])
    starts = nested_starts(lambda w: _problem(case, w, data).model, case.widths, keys)

    def program(size: Array, start: Params) -> Params:
        problem = _problem(case, size, data)
        problem = problem._replace(model=started(problem.model, start))

        def observe(params: Params, _: Pairs) -> dict[str, Params]:
            return {"online": params["online"] if isinstance(params, dict) else params}

        return run(problem, steps, observe)(jax.random.key(0)).observables["online"]

    def kernels(size: Array, params: Params) -> Array:
        apply = _net(case, size).apply
        return jax.lax.map(lambda p: empirical_ntk(apply, p, views), params)

    theta = over_runs(kernels, case.widths, over_runs(program, case.widths, starts))
    theta = np.asarray(theta, np.float64)
    moved = np.linalg.norm(theta - theta[:, :, :1], axis=(-1, -2))
    return moved / np.linalg.norm(theta[:, :, :1], axis=(-1, -2))


def digits_in_float32(settings: Settings) -> Pairs:
    """Return pairs of digits of unit mean square; nets from standard starts bear float32."""
    data, _ = projected_digits(settings, COUNT, INPUTS)
    size = jnp.sqrt(jnp.mean(jnp.concatenate([data.first, data.second]) ** 2))
    return Pairs(*((x / size).astype(jnp.float32) for x in (data.first, data.second)))


def _net(case: Case, size: Any) -> Model:
    return mlp(
        INPUTS,
        DIM,
        width=size,
        max_width=case.widths[-1],
        depth=case.depth,
        activation=case.activation,
        parametrisation=case.parametrisation,
        dtype=jnp.float32,
    )


def _problem(case: Case, size: Any, data: Pairs) -> Problem:
    net, rate = _net(case, size), RATES[case.loss]
    if case.parametrisation == "standard":
        rate = rate / size
    rule, sample = gradient_descent(rate), pairs.fixed(data)
    if case.loss in LOSSES:
        name, options = LOSSES[case.loss]
        return Problem(sample, net, losses.get(name, **options), rule)
    if case.loss == "supervised":
        return Problem(sample, net, _no_loss, rule, _squared_loss(net))
    head = linear(DIM, DIM, dtype=jnp.float32)
    model = distillation.target_model(net, head)
    if case.loss == "byol":
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
    message = "the objective stands for the loss"
    raise NotImplementedError(message)


def _steps(case: Case) -> int:
    if case.parametrisation == "mup":
        return 4 * STEPS  # it starts smaller by the root of the width, and learns later
    return STEPS // 4 if case.loss == "dot-product" else STEPS


def _name(case: Case) -> str:
    return f"{case.loss}-{case.activation}-{case.depth}-{case.parametrisation}"


def _claim(case: Case, values: np.ndarray) -> Claim:
    fit = paired_exponent(case.widths, values)
    slack = 0.1 + 3.9 * fit.error
    source = CONTRASTIVE if case.loss in ("cosine", "dot-product", "spectral") else SOURCE
    where = (
        f"{case.loss}, {case.depth} hidden {case.activation}, {case.parametrisation} "
        f"parametrisation, widths {case.widths[0]} ... {case.widths[-1]}: exponent of the drift"
    )
    name = f"width/drift-{_name(case)}"
    if case.parametrisation == "mup":
        return close(
            name, f"{where}; features move at every width (.1, 3.9 standard errors)",
            "Yang, Hu 2021, arXiv 2011.14522", 0.0, fit.exponent, slack,
        )  # fmt: skip
    if case.parametrisation == "standard":
        return close(
            name, f"{where}, learning rate ~ 1 / width; the first layer freezes (.1, 3.9 "
            "standard errors)", "derived", -2.0 if case.depth == 1 else -1.0, fit.exponent, slack,
        )  # fmt: skip
    if case.activation == "relu":
        return close(
            name, f"{where}; between -1 and -3/4, which of its two terms leads (.125 about the "
            "middle, .1, 3.9 standard errors)", source, -0.875, fit.exponent, 0.125 + slack,
        )  # fmt: skip
    return close(name, f"{where}; .1 and 3.9 standard errors", source, -1.0, fit.exponent, slack)


def _figure(found: dict[Case, np.ndarray]) -> Figure:
    figure, axes = new_figure(2, width=4.8, height=3.8)
    plain = [c for c in found if (c.activation, c.depth, c.parametrisation) == ("tanh", 1, "ntk")]
    rest = [c for c in found if c.loss in ("barlow-twins", "supervised") and c not in plain]
    markers = "osD^vP<>hX*p"
    for ax, chosen in zip(axes, (plain, [plain[1], *rest]), strict=True):
        for index, case in enumerate(chosen):
            fit: Exponent = paired_exponent(case.widths, found[case])
            label = case.loss if ax is axes[0] else _name(case)
            ax.loglog(
                case.widths, np.exp(np.log(found[case]).mean(axis=1)),
                markers[index % len(markers)] + "-", color=f"C{index % 10}", markersize=4,
                linewidth=1.2, label=f"{label}: {fit.exponent:.2f} ± {fit.half_width:.2f}",
            )  # fmt: skip
        ax.set(xlabel="width", ylabel="drift of the tangent kernel")
        ax.legend(frameon=False, fontsize=6.5)
    axes[0].set_title("tanh, one hidden layer, NTK parametrisation", fontsize=9)
    axes[1].set_title("activation, depth and parametrisation", fontsize=9)
    text = (
        "Relative change of the tangent kernel over training against width, with exponents and "
        "95 % intervals: minus one for every smooth loss at a fixed time (left); flatter for relu, "
        "minus two for one hidden layer in standard parametrisation, and none in mup (right)."
    )
    return Figure("drift", "How far the tangent kernel moves", text, figure)
