"""Deep linear networks with orthonormal layers: depth multiplies the speed of learning.

The width has an effect only where rectangular layers are constrained one by one.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jssl.figures import new_figure
from jssl.manifolds import Stiefel
from jssl.optim import manifold_error, stiefel_sgd
from jssl.papers.claims import at_least, close
from jssl.papers.outcome import Part, Settings
from jssl.report.figure import Figure
from jssl.theory import grassmann
from jssl.types import Array, Claim, Rival

SOURCE = "Esser et al. 2023, arXiv 2309.02011, section 4"
JSSL = "Requirement of jssl.optim; not in the paper"
FEATURES, DIM = 8, 2
VALUES = (-1.2, -1.0, -0.7, -0.4, -0.1, 0.2, 0.5, 0.8)
TIMES = np.linspace(0.0, 12.0, 2401)
RATE, LEVEL = 2e-3, 0.1
METRICS = {"euclidean": "Euclidean", "canonical": "canonical"}


class Descent(NamedTuple):
    """Approach of a deep linear network to the optimum.

    Attributes:
        metric: of the Stiefel manifold of each layer.
        depth: number of layers.
        sine: (steps,) sine of the largest angle to the optimum.
        flow: (times,) the sine under the exact flow of one layer.
    """

    metric: str
    depth: int
    sine: np.ndarray
    flow: np.ndarray


def depths(settings: Settings) -> Part:
    """Test how much faster a deep linear network with square orthogonal layers learns."""
    values = jnp.asarray(VALUES)
    key = jax.random.fold_in(jax.random.key(settings.seed), 41)
    descents = []
    for metric in METRICS:
        for depth in (1, 2, 3):
            sine, start = _descend_product(key, values, depth, metric)
            flow = jnp.sin(grassmann.optimum_angles(jnp.diag(values), start, TIMES)[:, -1])
            descents.append(Descent(metric, depth, sine, np.asarray(flow)))
    figure, axes = new_figure(2)
    for metric, depth, sine, exact in descents:
        t = np.arange(len(sine)) * RATE * grassmann.depth_multiplier(depth, metric)
        ax = axes[int(metric == "canonical")]
        (line,) = ax.semilogy(t, sine, linewidth=2.5, alpha=0.6, label=_layers(depth))
        ax.semilogy(TIMES, exact, "--", color=line.get_color(), linewidth=1)
        ax.set(xlim=(0, TIMES[-1]), ylim=(1e-3, 1.5), title=f"{METRICS[metric]} metric")
        ax.set_xlabel("predicted speed × effective time")
        ax.set_ylabel("sine of the largest angle")
        ax.legend(frameon=False)
    text = (
        "Sine of the largest angle to the optimum for deep linear networks with orthogonal layers "
        "(solid), against time multiplied by the predicted speed. Dashed lines are the exact flow "
        "of one layer."
    )
    picture = Figure("depth", "Depth multiplies the speed of learning", text, figure)
    return Part([_depth_claim(descent) for descent in descents], [picture])


def _depth_claim(descent: Descent) -> Claim:
    metric, depth, sine, flow = descent
    predicted = grassmann.depth_multiplier(depth, metric)
    exact = _crossing(TIMES, flow, LEVEL)
    measured = _crossing(np.arange(len(sine)) * RATE, sine, LEVEL)
    return close(
        f"grassmann/depth-{depth}-{metric}",
        f"With the {METRICS[metric]} metric, a linear network of {_layers(depth)} learns at "
        + (f"{predicted:g} times " if depth > 1 else "")
        + "the speed of the exact flow of one layer.",
        SOURCE,
        predicted,
        exact / measured,
        predicted * RATE * predicted * (VALUES[-1] - VALUES[0]),
        details="The hidden layers are square and all layers have orthonormal columns. The "
        "measured value is the time at which the sine of the largest angle to the optimum falls "
        f"below {LEVEL:g} under the exact flow of one layer, divided by that time for the network. "
        "The tolerance is the error of a finite step.",
        rivals=_speeds(depth, metric),
    )


def _speeds(depth: int, metric: str) -> list[Rival]:
    """Return the speeds that other theories predict."""
    if depth == 1:
        half = Rival("half the speed, that of a projected half gradient", 0.5)
        return [half, Rival("twice the speed", 2.0)]
    (other,) = set(METRICS) - {metric}
    multiplier = float(grassmann.depth_multiplier(depth, other))
    return [
        Rival("depth has no effect", 1.0),
        Rival(f"the speed with the {METRICS[other]} metric", multiplier),
    ]


def _layers(depth: int) -> str:
    return {1: "one layer", 2: "two layers", 3: "three layers"}[depth]


WIDTHS = (FEATURES, 4 * FEATURES)
WIDTH_RATE, WIDTH_STEPS = 5e-3, 600


def widths(settings: Settings) -> Part:
    """Test that the dynamics depend on the width of hidden layers constrained one by one."""
    seeds = 128
    keys = jax.random.split(jax.random.fold_in(jax.random.key(settings.seed), 42), seeds)
    loss = {hidden: _two_layer_losses(keys, hidden) for hidden in WIDTHS}
    best = abs(float(jnp.asarray(VALUES)[:DIM].sum()))
    figure, (ax,) = new_figure(1)
    t = np.arange(WIDTH_STEPS) * WIDTH_RATE
    for hidden, values in loss.items():
        ax.plot(t, values.mean(0), label=f"hidden width {hidden}")
    ax.axhline(-best, color="k", linestyle="--", linewidth=1, label="optimum")
    ax.set(xlabel="effective time t = learning rate × step", ylabel="loss")
    ax.legend(frameon=False)
    text = (
        f"Mean loss of {seeds} two-layer linear networks whose layers are constrained to be "
        "orthonormal one by one. The training curve depends on the width of the hidden layer."
    )
    title = "The width matters if rectangular layers are constrained one by one"
    return Part([_width_claim(loss, best)], [Figure("rectangular", title, text, figure)])


def _two_layer_losses(keys: Array, hidden: int) -> np.ndarray:
    """Return the loss (seeds, steps) of networks with one hidden layer of this width."""
    values = jnp.asarray(VALUES)
    wide = Stiefel(row_axis=-1, col_axis=-2)  # (features, hidden), orthonormal rows
    link = stiefel_sgd(WIDTH_RATE, manifold=(wide, Stiefel()))

    def descend(key: Array) -> Array:
        first, last = jax.random.split(key)
        layers = (
            wide.random(first, (FEATURES, hidden), jnp.float64),
            Stiefel().random(last, (hidden, DIM), jnp.float64),
        )

        def step(carry, _: None):  # type: ignore[no-untyped-def]
            layers, state = carry
            loss, gradients = jax.value_and_grad(_loss)(layers, values)
            updates, state = link.update(gradients, state, layers)
            return (optax.apply_updates(layers, updates), state), loss

        return jax.lax.scan(step, (layers, link.init(layers)), None, length=WIDTH_STEPS)[1]

    return np.asarray(jax.jit(jax.vmap(descend))(keys))


def _width_claim(loss: dict[int, np.ndarray], best: float) -> Claim:
    at = WIDTH_STEPS // 6
    narrow, wide = (loss[hidden][:, at] for hidden in WIDTHS)
    seeds = len(narrow)
    difference = abs(wide.mean() - narrow.mean()) / best
    error = np.hypot(*(losses.std(ddof=1) / seeds**0.5 for losses in (narrow, wide))) / best
    return at_least(
        "grassmann/rectangular-layers-see-the-width",
        "If rectangular hidden layers are constrained one by one, the training dynamics depend on "
        "their width.",
        SOURCE,
        WIDTH_RATE * (VALUES[-1] - VALUES[0]) + 3.9 * float(error),
        difference,
        details=f"Two-layer linear networks of hidden width {WIDTHS[0]} and {WIDTHS[1]} are "
        f"trained from {seeds} starts each. The measured value is the difference of their mean "
        f"losses at time {at * WIDTH_RATE:g}, divided by the optimal loss. The bound is the error "
        "of a finite step plus 3.9 standard errors.",
        rivals=[Rival("the width does not matter, as for square layers", 0.0)],
        standard_error=float(error),
    )


def order_of_links(settings: Settings) -> Part:
    """Test that rescaling after `retract` leaves the manifold and rescaling before it does not."""
    key = jax.random.fold_in(jax.random.key(settings.seed), 43)
    start = Stiefel().random(key, (FEATURES, DIM), jnp.float64)
    values = jnp.asarray(VALUES)[:, None]

    def error(link: optax.GradientTransformation) -> float:
        def step(carry, _: None):  # type: ignore[no-untyped-def]
            weight, state = carry
            updates, state = link.update(2 * values * weight, state, weight)
            weight = optax.apply_updates(weight, updates)
            return (weight, state), manifold_error(weight, Stiefel())

        run = jax.jit(lambda x: jax.lax.scan(step, (x, link.init(x)), None, length=100)[1])
        return float(run(start).max())

    descent = stiefel_sgd(0.1)
    after, before = optax.chain(descent, optax.scale(0.5)), optax.chain(optax.scale(0.5), descent)
    left, stayed = error(after), error(before)
    claims = [
        at_least(
            "grassmann/link-after-retract-leaves",
            "If updates are rescaled after the retraction, the weights leave the manifold of "
            "orthonormal matrices.",
            JSSL,
            2.5e-3,
            left,
            details="Updates are halved by optax.scale for 100 steps. The measured value is the "
            "largest norm of W^T W - I. The bound is 0.1^2 / 4, its value halfway along the chord "
            "of a step of length 0.1.",
            rivals=[Rival("links commute: the weights stay orthonormal", stayed)],
        ),
        close(
            "grassmann/link-before-retract-stays",
            "If updates are rescaled before the retraction, the weights stay orthonormal up to "
            "rounding.",
            JSSL,
            0.0,
            stayed,
            1e-14,
            details="Updates are halved by optax.scale for 100 steps. The measured value is the "
            "largest norm of W^T W - I.",
            rivals=[Rival("links commute: the weights leave the manifold", left)],
        ),
    ]
    return Part(claims, [])


def _descend_product(
    key: Array, values: Array, depth: int, metric: str
) -> tuple[np.ndarray, Array]:
    """Return the sine of the largest angle of span(W_1 ... W_L) at each step, and the start."""
    spec = Stiefel(metric=metric)
    draws = jax.random.split(key, 4)
    layers = tuple(
        spec.random(draws[layer], (FEATURES, DIM if layer == depth - 1 else FEATURES), values.dtype)
        for layer in range(depth)
    )
    link = stiefel_sgd(RATE, manifold=spec)

    def step(carry, _: None):  # type: ignore[no-untyped-def]
        layers, state = carry
        sine = jnp.linalg.norm(_product(layers)[DIM:], ord=2)
        gradients = jax.grad(_loss)(layers, values)
        updates, state = link.update(gradients, state, layers)
        return (optax.apply_updates(layers, updates), state), sine

    steps = round(TIMES[-1] / RATE)
    run = jax.jit(lambda x: jax.lax.scan(step, (x, link.init(x)), None, length=steps)[1])
    return np.asarray(run(layers)), _product(layers)


def _product(layers: tuple[Array, ...]) -> Array:
    product = layers[0]
    for layer in layers[1:]:
        product = product @ layer
    return product


def _loss(layers: tuple[Array, ...], values: Array) -> Array:
    product = _product(layers)
    return jnp.sum(values[:, None] * product**2)


def _crossing(t: np.ndarray, curve: np.ndarray, level: float) -> float:
    """Return the time at which the curve falls below the level, by linear interpolation."""
    at = int((curve < level).argmax())
    return float(np.interp(level, curve[[at, at - 1]], t[[at, at - 1]]))
