"""With orthonormal weights, gradient descent follows a flow that has a closed form."""

import math
from typing import Any, NamedTuple

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
from jssl.types import Array, Claim, Pairs, Params, Problem, Rival, start_key

SOURCE = "Esser et al. 2023, arXiv 2309.02011, section 4"
ROWS = Grassmann(row_axis=-1, col_axis=-2)
"""A linear weight is (out, in) and has orthonormal rows."""


def constrained_problem(data: Pairs, dim: int, learning_rate: float | Array) -> Problem:
    """Return the problem of the linear (non-)contrastive loss with orthonormal weight rows."""
    name = "linear_non_contrastive" if data.negative is None else "linear_contrastive"
    features = data.first.shape[1]
    return Problem(
        pairs.fixed(data),
        orthonormal_start(linear(features, dim, dtype=data.first.dtype), ROWS),
        losses.get(name),
        grassmann_sgd(learning_rate, manifold=ROWS),
    )


DIM = 3
RATES = (0.2, 0.1, 0.05, 0.025)
STEPS = np.arange(801)


def descent(settings: Settings) -> Part:
    """Test gradient descent with a retraction against the exact flow, for both objectives.

    A finite step causes an error of order lr in a unit of time, so the largest distance of the
    projectors is proportional to lr.
    """
    key = jax.random.fold_in(jax.random.key(settings.seed), 31)
    claims, curves = [], {}
    for kind in ("contrastive", "non-contrastive"):
        data = noisy_pairs(jax.random.fold_in(key, 1), 60, SPECTRUM, 0.4)
        if kind == "contrastive":
            other = noisy_pairs(jax.random.fold_in(key, 2), 60, SPECTRUM, 0.4)
            data = data._replace(negative=other.first)
        # Scale the data so that a rate of 0.2 is a fifth of the stability limit.
        size = grassmann.stable_learning_rate(grassmann.objective_matrix(data))
        data = jax.tree.map(lambda x, size=size: x * jnp.sqrt(size), data)
        distances = _distances(data, key)
        curves[kind] = distances
        claims += _descent_claims(kind, data, key, distances.max(axis=1))
    figure, axes = new_figure(2)
    for ax, (kind, distances) in zip(axes, curves.items(), strict=True):
        for rate, distance in zip(RATES, distances, strict=True):
            visible = np.maximum(distance[1:], 1e-16)
            ax.semilogy(STEPS[1:] * rate, visible, label=f"learning rate {rate:g}")
        ax.set(title=kind, xlabel="effective time t = learning rate × step", ylim=(1e-8, 1))
        ax.set_ylabel("distance from the exact projector")
        ax.legend(frameon=False)
    text = (
        "Frobenius distance of the projector of gradient descent with a retraction from that of "
        "the exact flow. It is proportional to the learning rate and vanishes at the optimum."
    )
    title = "Gradient descent follows the exact flow"
    return Part(claims, [Figure("descent", title, text, figure)])


def _distances(data: Pairs, key: Array) -> np.ndarray:
    """Return the distance from the exact projector (rates, steps)."""
    objective = grassmann.objective_matrix(data)

    def observe(params: Params, _: Pairs) -> dict[str, Array]:
        return {"projector": params["weight"].T @ params["weight"]}

    def distances(rate: Array) -> Array:
        problem = constrained_problem(data, DIM, rate)
        simulated = run(problem, STEPS, observe)(key)
        start = problem.model.init(start_key(key))["weight"].T
        exact = grassmann.projector(objective, start, STEPS * rate)
        return jnp.linalg.norm(simulated.observables["projector"] - exact, axis=(1, 2))

    return np.asarray(jax.jit(jax.vmap(distances))(jnp.array(RATES)))


def _descent_claims(kind: str, data: Pairs, key: Array, largest: np.ndarray) -> list[Claim]:
    problem = constrained_problem(data, DIM, RATES[-1])
    simulated = jax.jit(run(problem, STEPS))(key)
    both = compare(grassmann.predict(problem, simulated.t, key), simulated)
    slower = grassmann.predict(problem, simulated.t / 2, key).observables["loss"]
    late = float(jnp.abs(slower - simulated.observables["loss"]).max())
    # The loss is linear in the projector: |dL| <= ||C||_F ||dP||_F.
    bound = float(jnp.linalg.norm(grassmann.objective_matrix(data))) * largest[-1]
    return [
        close(
            f"grassmann/descent-{kind}",
            f"For the {kind} loss, gradient descent on the Grassmannian deviates from the exact "
            "flow in proportion to the learning rate.",
            SOURCE,
            1.0,
            float(np.polyfit(np.log(RATES), np.log(largest), 1)[0]),
            0.1,
            details="The measured value is the exponent of the largest distance between the "
            f"projectors, fitted to learning rates {RATES[0]:g} to {RATES[-1]:g}. Terms of second "
            "order change it by less than 0.1.",
            rivals=[
                Rival("the order of the retraction, the square of the learning rate", 2.0),
                Rival("another flow: the distance does not vanish with the learning rate", 0.0),
            ],
        ),
        at_most(
            f"grassmann/loss-{kind}",
            f"For the {kind} loss, the loss of gradient descent on the Grassmannian follows that "
            "of the exact flow.",
            SOURCE,
            bound,
            both.largest["loss"],
            details="The measured value is the largest difference of the two losses at learning "
            f"rate {RATES[-1]:g}. The bound is the largest distance of the projectors times the "
            "Frobenius norm of the objective matrix C.",
            rivals=[Rival("half the rate, that of a loss of one order of the views", late)],
        ),
    ]


FEATURES, LEVEL, RATE = 20, 1e-3, 0.05
GAPS = np.array([0.05, 0.1, 0.2, 0.4])


class Approach(NamedTuple):
    """Approach to the optimum for each spectral gap, in (gaps, starts).

    Attributes:
        exact: time at which the exact flow reaches the level.
        measured: time at which gradient descent reaches it.
        factors: factor by which a late step shrinks the sine of the largest angle.
    """

    exact: np.ndarray
    measured: np.ndarray
    factors: np.ndarray


def gap_sweep(settings: Settings) -> Part:
    """Test the time to reach the optimum against the gap, and the factor of late steps.

    Near the optimum, the tangent of the slowest angle shrinks by the factor 1 - 2 lr gap in each
    step, up to terms of the order of the squared angle.
    """
    seeds = {"quick": 20, "paper": 200, "large": 2_000}[settings.scale]
    keys = jax.random.split(jax.random.fold_in(jax.random.key(settings.seed), 32), seeds)
    approach = _approach(keys)
    scaled = approach.measured * GAPS[:, None]
    figure, (ax,) = new_figure(1)
    ax.semilogx(GAPS, scaled, ".", color="C0", alpha=0.5)
    ax.semilogx(GAPS, scaled.mean(1), "o", color="C0", label="gradient descent, mean")
    ax.semilogx(GAPS, (approach.exact * GAPS[:, None]).mean(1), "k--", label="exact flow, mean")
    ax.set(xlabel="spectral gap", ylabel=f"gap × time until sin θ < {LEVEL:g}", ylim=(0, None))
    ax.set_xticks(GAPS, [f"{gap:g}" for gap in GAPS])
    ax.minorticks_off()
    ax.legend(frameon=False)
    text = (
        "Time to reach the optimum multiplied by the spectral gap, for "
        f"{seeds} starts at each gap. The product does not depend on the gap."
    )
    title = "The time to the optimum is inversely proportional to the gap"
    return Part(_gap_claims(approach), [Figure("gap", title, text, figure)])


def _higher() -> Array:
    """Return the eigenvalues above the gap, relative to the first of them."""
    return jnp.append(0.0, jnp.linspace(0.5, 1.0, FEATURES - DIM - 1))


def _approach(keys: Array) -> Approach:
    higher = _higher()
    bottom = jnp.full(DIM, -1.1)
    horizon = round(30 / (2 * GAPS[0] * RATE))

    def angles(gap: Array, key: Array) -> tuple[Array, Array]:
        values = jnp.concatenate([bottom, bottom[-1] + gap + higher])
        start = Grassmann().random(key, (FEATURES, DIM), values.dtype)
        steps = jnp.arange(0, horizon + 1)
        exact = jnp.sin(grassmann.optimum_angles(jnp.diag(values), start, steps * RATE)[:, -1])
        link = grassmann_sgd(RATE)

        def step(weight: Array, _: Any) -> tuple[Array, Array]:
            sine = jnp.linalg.norm(weight[DIM:], ord=2)
            updates, _ = link.update(2 * values[:, None] * weight, state, weight)
            return weight + updates, sine

        state = link.init(start)
        return exact, jax.lax.scan(step, start, steps)[1]

    both = jax.jit(jax.vmap(jax.vmap(angles, (None, 0)), (0, None)))(jnp.asarray(GAPS), keys)
    exact, measured = map(np.asarray, both)
    times = [_first_below(curve, LEVEL) * RATE for curve in (exact, measured)]
    near = (measured < 1e-8) & (measured > 1e-11)
    steps = np.arange(measured.shape[-1])
    factors = np.array(
        [
            np.exp([np.polyfit(steps[m], np.log(s[m]), 1)[0] for m, s in zip(*rows, strict=True)])
            for rows in zip(near, measured, strict=True)
        ]
    )
    return Approach(times[0], times[1], factors)


def _gap_claims(approach: Approach) -> list[Claim]:
    seeds = approach.measured.shape[1]
    exponent, error = fit_exponent(GAPS, np.log(approach.measured * GAPS[:, None]))
    ideal, _ = fit_exponent(GAPS, np.log(approach.exact * GAPS[:, None]))
    expected, flow = 1 - 2 * RATE * GAPS, np.exp(-2 * RATE * GAPS)
    return [
        close(
            "grassmann/gap-flat",
            "With orthonormal weights, the time to reach the optimum is inversely proportional to "
            "the spectral gap.",
            SOURCE,
            ideal,
            exponent,
            3.9 * error + 2 * RATE * float(GAPS[-1]),
            details="The time is multiplied by the gap. The measured value is the exponent of the "
            f"product in gaps {GAPS[0]:g} to {GAPS[-1]:g} for gradient descent, the prediction "
            "that of the exact flow. The optimum counts as reached when the sine of the largest "
            f"angle is below {LEVEL:g}. The tolerance is 3.9 standard errors over {seeds} starts "
            "plus the error of a finite step.",
            rivals=[
                Rival("the time does not depend on the gap", 1.0),
                Rival("the time is inversely proportional to the square of the gap", -1.0),
            ],
            standard_error=error,
        ),
        at_most(
            "grassmann/gap-exact-times",
            "With orthonormal weights, gradient descent reaches the optimum at the times of the "
            "exact flow.",
            SOURCE,
            RATE * float(_higher()[-1] + GAPS[-1]),
            float(np.abs(approach.measured / approach.exact - 1).max()),
            details="The measured value is the largest relative difference of the two times over "
            f"all gaps and {seeds} starts. The bound is the error of a finite step, "
            "lr (l_max - l_min) with the learning rate lr and the eigenvalues l of C.",
            rivals=[
                Rival(
                    "half the rate, that of a loss of one order of the views",
                    float(np.abs(approach.measured / (2 * approach.exact) - 1).max()),
                )
            ],
        ),
        at_most(
            "grassmann/local-factor",
            "Near the optimum, each step of gradient descent shrinks the largest angle to it by "
            "the factor that the spectral gap predicts.",
            SOURCE,
            1e-5,
            _off(approach, expected),
            details="The predicted factor of the sine is 1 - 2 lr gap with the learning rate lr. "
            "The measured value is the largest difference from it over all gaps and "
            f"{seeds} starts. The tolerance covers the next mode, which is smaller by a factor "
            "e^-20 by then.",
            rivals=[
                Rival("the factor of gradient flow, e^(-2 lr gap)", _off(approach, flow)),
                Rival("half the rate, 1 - lr gap", _off(approach, (1 + expected) / 2)),
            ],
        ),
    ]


def _off(approach: Approach, factors: np.ndarray) -> float:
    return float(np.abs(approach.factors - factors[:, None]).max())


def _first_below(curves: np.ndarray, level: float) -> np.ndarray:
    """Return the step at which curves fall below the level, interpolated in their logarithm."""
    at = (curves < level).argmax(axis=-1)
    before, after = (
        np.log(np.take_along_axis(curves, (at - k)[..., None], -1)[..., 0]) for k in (1, 0)
    )
    return at - 1 + (before - math.log(level)) / (before - after)
