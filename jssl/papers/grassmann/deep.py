"""Depth multiplies the time, width enters only where layers are constrained one by one."""

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
from jssl.types import Array

SOURCE = "Esser et al. 2023, section 4"
FEATURES, DIM = 8, 2
VALUES = (-1.2, -1.0, -0.7, -0.4, -0.1, 0.2, 0.5, 0.8)


def depths(settings: Settings) -> Part:
    """Judge how much faster a deep linear net with orthogonal square layers moves.

    The time until sin of the largest angle to the optimum is .1, of one layer over that of L. A
    step of L layers is L times longer, so the multiplier is known up to lr L (l_max - l_min).
    """
    rate, level = 2e-3, 0.1
    values = jnp.asarray(VALUES)
    key = jax.random.fold_in(jax.random.key(settings.seed), 41)
    claims, lines = [], []
    for metric in ("euclidean", "canonical"):
        for depth in (1, 2, 3):
            sine, start = _descend_product(key, values, depth, metric, rate)
            flow = jnp.sin(grassmann.optimum_angles(jnp.diag(values), start, TIMES)[:, -1])
            exact = _crossing(TIMES, np.asarray(flow), level)
            seen = _crossing(np.arange(len(sine)) * rate, sine, level)
            predicted = grassmann.depth_multiplier(depth, metric)
            lines.append((metric, depth, np.arange(len(sine)) * rate * predicted, sine, flow))
            claims.append(
                close(
                    f"grassmann/depth-{depth}-{metric}",
                    f"depth {depth}, square hidden layers, {metric} metric: how much sooner "
                    f"sin of the largest angle is {level:g} than the flow of one layer says",
                    SOURCE,
                    predicted,
                    exact / seen,
                    predicted * rate * predicted * float(values[-1] - values[0]),
                )
            )
    figure, axes = new_figure(2)
    for metric, depth, t, sine, flow in lines:
        ax = axes[int(metric == "canonical")]
        (line,) = ax.semilogy(t, sine, linewidth=2.5, alpha=0.6, label=f"depth {depth}")
        ax.semilogy(TIMES, flow, "--", color=line.get_color(), linewidth=1)
        ax.set(xlim=(0, TIMES[-1]), ylim=(1e-3, 1.5), title=f"{metric} metric")
        ax.set_xlabel("multiplier × effective time")
        ax.set_ylabel("sin of the largest angle")
        ax.legend(frameon=False)
    text = (
        "Largest angle to the optimum of deep linear nets with orthogonal layers (solid), against "
        "time times the predicted multiplier, on the exact flow of one layer (dashed)."
    )
    return Part(claims, [Figure("depth", "Depth multiplies the time", text, figure)])


def widths(settings: Settings) -> Part:
    """Judge that rectangular hidden layers, constrained one by one, bring the width back in."""
    rate, steps, seeds = 5e-3, 600, 128
    values = jnp.asarray(VALUES)
    keys = jax.random.split(jax.random.fold_in(jax.random.key(settings.seed), 42), seeds)
    found = {}
    for factor in (1, 4):
        hidden = factor * FEATURES
        wide = Stiefel(row_axis=-1, col_axis=-2)  # (features, hidden), orthonormal rows
        link = stiefel_sgd(rate, manifold=(wide, Stiefel()))

        def descend(key: Array, hidden: int = hidden, wide: Stiefel = wide, link=link) -> Array:  # type: ignore[no-untyped-def]
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

            return jax.lax.scan(step, (layers, link.init(layers)), None, length=steps)[1]

        found[factor] = np.asarray(jax.jit(jax.vmap(descend))(keys))
    at = steps // 6
    best = abs(float(values[:DIM].sum()))
    apart = abs(found[4][:, at].mean() - found[1][:, at].mean()) / best
    error = np.hypot(*(found[k][:, at].std(ddof=1) / seeds**0.5 for k in (1, 4))) / best
    claims = [
        at_least(
            "grassmann/rectangular-layers-see-the-width",
            f"hidden layers of width {FEATURES} and {4 * FEATURES}, constrained one by one: loss "
            f"at t = {at * rate:g}, how far apart, in units of the optimum; above the error of a "
            "step, lr x (l_max - l_min), and 3.9 standard errors",
            SOURCE,
            rate * float(values[-1] - values[0]) + 3.9 * float(error),
            apart,
        )
    ]
    figure, (ax,) = new_figure(1)
    t = np.arange(steps) * rate
    for factor, losses in found.items():
        ax.plot(t, losses.mean(0), label=f"hidden width {factor * FEATURES}")
    ax.axhline(-best, color="k", linestyle="--", linewidth=1, label="optimum")
    ax.set(xlabel="effective time t = learning rate × step", ylabel="loss")
    ax.legend(frameon=False)
    text = (
        f"Mean loss of {seeds} two-layer linear nets whose layers are kept orthonormal one by one: "
        "the width of the hidden layer changes the course."
    )
    title = "Rectangular layers constrained one by one see the width"
    return Part(claims, [Figure("rectangular", title, text, figure)])


def order_of_links(settings: Settings) -> Part:
    """Judge that what rescales after `retract` leaves the manifold, and what stands before not."""
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
    claims = [
        at_least(
            "grassmann/link-after-retract-leaves",
            "optax.scale(.5) after the last link, 100 steps: largest ||X^T X - I||; halfway along "
            "the chord of a step of .1 it is .1^2 / 4",
            "design of jssl",
            2.5e-3,
            error(after),
        ),
        close(
            "grassmann/link-before-retract-stays",
            "the same link before it: ||X^T X - I|| is rounding",
            "design of jssl",
            0.0,
            error(before),
            1e-14,
        ),
    ]
    return Part(claims, [])


TIMES = np.linspace(0.0, 12.0, 2401)


def _descend_product(
    key: Array, values: Array, depth: int, metric: str, rate: float
) -> tuple[np.ndarray, Array]:
    """Return sin of the largest angle of span(W_1 ... W_L) step by step, and the start."""
    spec = Stiefel(metric=metric)
    draws = jax.random.split(key, 4)
    layers = tuple(
        spec.random(draws[layer], (FEATURES, DIM if layer == depth - 1 else FEATURES), values.dtype)
        for layer in range(depth)
    )
    link = stiefel_sgd(rate, manifold=spec)

    def step(carry, _: None):  # type: ignore[no-untyped-def]
        layers, state = carry
        sine = jnp.linalg.norm(_product(layers)[DIM:], ord=2)
        gradients = jax.grad(_loss)(layers, values)
        updates, state = link.update(gradients, state, layers)
        return (optax.apply_updates(layers, updates), state), sine

    steps = round(TIMES[-1] / rate)
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
    at = int((curve < level).argmax())
    return float(np.interp(level, curve[[at, at - 1]], t[[at, at - 1]]))
