"""With orthonormal weights the flow is exact: descent against it, its rate, its literal forms."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl import losses
from jssl.comparison import compare
from jssl.data import pairs
from jssl.figures import new_figure
from jssl.manifolds import Grassmann
from jssl.models import linear
from jssl.optim import grassmann_sgd, orthonormal_start
from jssl.papers.claims import at_most, close
from jssl.papers.grassmann.naive import SPECTRUM, fit_exponent, noisy_pairs
from jssl.papers.outcome import Part, Settings
from jssl.report.figure import Figure
from jssl.simulation import run
from jssl.theory import grassmann
from jssl.types import Array, Pairs, Params, Problem, start_key

SOURCE = "Esser et al. 2023, section 4"
ROWS = Grassmann(row_axis=-1, col_axis=-2)
"""A linear weight is (out, in): its rows are orthonormal."""


def constrained_problem(data: Pairs, dim: int, learning_rate: float | Array) -> Problem:
    """State the linear (non-)contrastive loss with orthonormal outputs on fixed pairs."""
    name = "linear_non_contrastive" if data.negative is None else "linear_contrastive"
    features = data.first.shape[1]
    return Problem(
        pairs.fixed(data),
        orthonormal_start(linear(features, dim, dtype=data.first.dtype), ROWS),
        losses.get(name),
        grassmann_sgd(learning_rate, manifold=ROWS),
    )


def descent(settings: Settings) -> Part:
    """Judge retracted descent against the exact flow, for both objectives.

    Its step makes an error of order lr a unit of time, so the largest distance of the projectors
    halves with lr. Near the optimum the slowest tangent of an angle shrinks by 1 - 2 lr gap a step
    up to the square of the angle.
    """
    rates = (0.2, 0.1, 0.05, 0.025)
    dim, steps = 3, np.arange(801)
    key = jax.random.fold_in(jax.random.key(settings.seed), 31)
    claims, curves = [], {}
    for kind in ("contrastive", "non-contrastive"):
        data = noisy_pairs(jax.random.fold_in(key, 1), 60, SPECTRUM, 0.4)
        if kind == "contrastive":
            other = noisy_pairs(jax.random.fold_in(key, 2), 60, SPECTRUM, 0.4)
            data = data._replace(negative=other.first)
        # the largest eigenvalue in units in which a rate of .2 is a fifth of the stability limit
        size = grassmann.stable_learning_rate(grassmann.objective_matrix(data))
        data = jax.tree.map(lambda x, size=size: x * jnp.sqrt(size), data)
        objective = grassmann.objective_matrix(data)

        def observe(params: Params, _: Pairs) -> dict[str, Array]:
            return {"projector": params["weight"].T @ params["weight"]}

        def distances(rate: Array, data: Pairs = data, objective: Array = objective) -> Array:
            problem = constrained_problem(data, dim, rate)
            seen = run(problem, steps, observe)(key)
            start = problem.model.init(start_key(key))["weight"].T
            exact = grassmann.projector(objective, start, steps * rate)
            return jnp.linalg.norm(seen.observables["projector"] - exact, axis=(1, 2))

        apart = np.asarray(jax.jit(jax.vmap(distances))(jnp.array(rates)))
        largest = apart.max(axis=1)
        curves[kind] = [(steps * r, a) for r, a in zip(rates, apart, strict=True)]
        exponent = float(np.polyfit(np.log(rates), np.log(largest), 1)[0])
        claims.append(
            close(
                f"grassmann/descent-{kind}",
                f"{kind}: largest distance of retracted descent from the exact projector, exponent "
                "in the learning rate .2 ... .025; second-order terms bend it by less than .1",
                SOURCE,
                1.0,
                exponent,
                0.1,
            )
        )
        problem = constrained_problem(data, dim, rates[-1])
        simulated = jax.jit(run(problem, steps))(key)
        both = compare(grassmann.predict(problem, simulated.t, key), simulated)
        # a loss of the slope of the projector: |dL| <= ||C||_F |dP|
        bound = float(jnp.linalg.norm(objective)) * largest[-1]
        claims.append(
            at_most(
                f"grassmann/loss-{kind}",
                f"{kind}: predicted and simulated loss, largest difference at learning rate "
                f"{rates[-1]:g}; the distance of the projectors times ||C||",
                SOURCE,
                bound,
                both.largest["loss"],
            )
        )
    figure, axes = new_figure(2)
    for ax, (kind, lines) in zip(axes, curves.items(), strict=True):
        for rate, (t, distance) in zip(rates, lines, strict=True):
            ax.semilogy(t[1:], np.maximum(distance[1:], 1e-16), label=f"learning rate {rate:g}")
        ax.set(title=kind, xlabel="effective time t = learning rate × step", ylim=(1e-8, 1))
        ax.set_ylabel("distance from the exact projector")
        ax.legend(frameon=False)
    text = (
        "Frobenius distance of the projector of retracted gradient descent from the exact flow: "
        "it halves with the learning rate, and vanishes at the optimum."
    )
    return Part(claims, [Figure("descent", "Descent follows the exact flow", text, figure)])


def gap_sweep(settings: Settings) -> Part:
    """Judge the time to reach the optimum against the gap, and the factor of the last steps."""
    seeds = {"quick": 20, "paper": 200, "large": 2_000}[settings.scale]
    gaps = np.array([0.05, 0.1, 0.2, 0.4])
    features, dim, level, rate = 20, 3, 1e-3, 0.05
    keys = jax.random.split(jax.random.fold_in(jax.random.key(settings.seed), 32), seeds)
    bottom = jnp.full(dim, -1.1)
    top = jnp.append(0.0, jnp.linspace(0.5, 1.0, features - dim - 1))

    def angles(gap: Array, key: Array) -> tuple[Array, Array]:
        values = jnp.concatenate([bottom, bottom[-1] + gap + top])
        start = Grassmann().random(key, (features, dim), values.dtype)
        steps = jnp.arange(0, horizon + 1)
        exact = jnp.sin(grassmann.optimum_angles(jnp.diag(values), start, steps * rate)[:, -1])
        link = grassmann_sgd(rate)

        def step(weight: Array, _: Any) -> tuple[Array, Array]:
            sine = jnp.linalg.norm(weight[dim:], ord=2)
            updates, _ = link.update(2 * values[:, None] * weight, state, weight)
            return weight + updates, sine

        state = link.init(start)
        return exact, jax.lax.scan(step, start, steps)[1]

    horizon = round(30 / (2 * gaps[0] * rate))
    both = jax.jit(jax.vmap(jax.vmap(angles, (None, 0)), (0, None)))(jnp.asarray(gaps), keys)
    exact, seen = map(np.asarray, both)
    times = [_first_below(curve, level) * rate for curve in (exact, seen)]
    logs = np.log(times[1] * gaps[:, None])
    exponent, error = fit_exponent(gaps, logs)
    ideal, _ = fit_exponent(gaps, np.log(times[0] * gaps[:, None]))
    near = (seen < 1e-8) & (seen > 1e-11)
    steps = np.arange(seen.shape[-1])
    factors = np.array(
        [
            np.exp([np.polyfit(steps[m], np.log(s[m]), 1)[0] for m, s in zip(*rows, strict=True)])
            for rows in zip(near, seen, strict=True)
        ]
    )
    expected = 1 - 2 * rate * gaps
    claims = [
        close(
            "grassmann/gap-flat",
            f"time until sin of the largest angle is {level:g}, times the gap, {seeds} starts: "
            "exponent in the gap .05 ... .4, against that of the exact flow; 3.9 standard errors "
            "and the error of a step, lr x (largest rate)",
            SOURCE,
            ideal,
            exponent,
            3.9 * error + 2 * rate * float(gaps[-1]),
        ),
        at_most(
            "grassmann/gap-exact-times",
            "those times against the exact flow's, largest relative difference: the finite step, "
            "lr x (l_max - l_min)",
            SOURCE,
            rate * float(top[-1] + gaps[-1]),
            float(np.abs(times[1] / times[0] - 1).max()),
        ),
        at_most(
            "grassmann/local-factor",
            "shrinkage of sin of the largest angle a step near the optimum, off 1 - 2 lr gap, the "
            "largest; the next mode, .5 further up, is e^-20 of it by then",
            SOURCE,
            1e-5,
            float(np.abs(factors - expected[:, None]).max()),
        ),
    ]
    figure, (ax,) = new_figure(1)
    ax.semilogx(gaps, times[1] * gaps[:, None], ".", color="C0", alpha=0.5)
    ax.semilogx(gaps, (times[1] * gaps[:, None]).mean(1), "o", color="C0", label="descent")
    ax.semilogx(gaps, (times[0] * gaps[:, None]).mean(1), "k--", label="exact flow")
    ax.set(xlabel="spectral gap", ylabel=f"gap × time until sin θ < {level:g}", ylim=(0, None))
    ax.set_xticks(gaps, [f"{gap:g}" for gap in gaps])
    ax.minorticks_off()
    ax.legend(frameon=False)
    text = f"Time to the optimum times the spectral gap is flat in the gap; {seeds} starts a gap."
    return Part(claims, [Figure("gap", "Time to the optimum is one over the gap", text, figure)])


def _first_below(curves: np.ndarray, level: float) -> np.ndarray:
    """Return the step, linearly interpolated in the logarithm, at which curves pass the level."""
    at = (curves < level).argmax(axis=-1)
    before, after = (
        np.log(np.take_along_axis(curves, (at - k)[..., None], -1)[..., 0]) for k in (1, 0)
    )
    return at - 1 + (before - math.log(level)) / (before - after)
