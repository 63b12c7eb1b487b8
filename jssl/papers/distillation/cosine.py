"""A cosine loss under weight decay: norms shrink, and directions follow the flow without decay."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl.data import pairs
from jssl.figures import COLOURS, new_figure
from jssl.losses.distillation import simsiam, target_objective
from jssl.losses.prediction import decayed_objective
from jssl.models import linear_head, linear_stack
from jssl.optim import gradient_descent
from jssl.papers.claims import at_most, close
from jssl.papers.outcome import Part, Settings
from jssl.report.figure import Figure
from jssl.simulation import run
from jssl.theory import distillation
from jssl.theory.distillation.cosine import CosineModes
from jssl.types import Array, Claim, Model, Pairs, Params, Problem, Rival

SOURCE = "Derived here, {} in docs/equations.md; after Bao 2023"
WIDTH, SAMPLES, NOISE = 6, 300, 0.25
"""Width, number of samples, and variance of the noise of each view."""
THRESHOLD = 1 / (4 * (1 + NOISE))
"""Weight decay above which every mode of the loss without normalisation collapses."""
DECAY, LAST, RATE = 2 * THRESHOLD, 4.0, 0.005


def cosine(settings: Settings) -> Part:
    """Test norms, directions, and the equations of infinite width."""
    draws = settings.generator(40)
    x = draws.normal(size=(SAMPLES, WIDTH))
    views = [x + np.sqrt(NOISE) * draws.normal(size=x.shape) for _ in range(2)]
    data = Pairs(*(jnp.asarray(view) for view in views))
    turn = np.linalg.qr(draws.normal(size=(WIDTH, WIDTH)))[0]
    start = (turn * draws.uniform(0.3, 1.0, WIDTH)) @ turn.T
    stretched = float(distillation.normalised_time(LAST, DECAY))
    norms, directions = _descend(data, start, DECAY, RATE, int(LAST / RATE))
    _, free = _descend(data, start, 0.0, RATE, int(stretched / RATE))
    predicted = float(distillation.cosine_norm(LAST, 1.0, DECAY))
    same_time = free[int(LAST / stretched * (len(free) - 1))]
    claims = [
        close(
            "distillation/cosine-norm",
            "Under a cosine loss with weight decay, the norm of the predictor shrinks at the rate "
            "of the decay.",
            SOURCE.format("D-37"),
            predicted,
            norms[-1] / norms[0],
            0.005,
            details=f"The decay is {DECAY:g}, twice the threshold at which a loss without "
            "normalisation collapses. The tolerance is of first order in the step.",
            rivals=(
                Rival("an equilibrium of the norm", 1.0),
                Rival("collapse as without normalisation", 0.0),
            ),
        ),
        at_most(
            "distillation/cosine-direction",
            "Under a cosine loss, weight decay changes the time of the directions and does not "
            "collapse any of them.",
            SOURCE.format("D-38"),
            0.01,
            float(np.linalg.norm(directions[-1] - free[-1])),
            details="The measured value is the distance of the normalised predictor from that of "
            f"a run without decay at time {stretched:.2f}. The bound is of first order in the "
            "step.",
            rivals=(
                Rival(
                    "the direction of a run without decay at the same time",
                    float(np.linalg.norm(directions[-1] - same_time)),
                ),
            ),
        ),
    ]
    return Part([*claims, _width_claim(settings)], [_figure()])


def _problem(sampler: Any, start: Array, decay: Any, rate: float) -> Problem:
    def init(_: Array) -> Params:
        return {"online": ({"weight": start},), "predictor": {"weight": start}}

    objective = target_objective(linear_stack, linear_head, simsiam)
    model = Model(init, lambda params, x: linear_stack(params["online"], x))
    stated = decayed_objective(objective, decay)
    return Problem(sampler, model, simsiam, gradient_descent(rate), stated)


def _descend(
    data: Pairs, start: np.ndarray, decay: float, rate: float, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return norms and directions of the predictor at 101 points."""
    record = np.unique(np.linspace(0, steps, 101).astype(int))
    problem = _problem(pairs.fixed(data), jnp.asarray(start), decay, rate)

    def observe(params: Params, _: Pairs) -> dict[str, Array]:
        return {"predictor": params["predictor"]["weight"]}

    seen = jax.jit(run(problem, record, observe))(jax.random.key(0))
    values = np.asarray(seen.observables["predictor"])
    norms = np.linalg.norm(values, axis=(1, 2))
    return norms, values / norms[:, None, None]


def _width_claim(settings: Settings) -> Claim:
    """Compare the spread of the predictor's eigenvalues with the equations of infinite width."""
    width, rate, steps, batch = 128, 2.0, 50, 4096
    draws = settings.generator(41)
    p = draws.uniform(0.4, 1.0, width)

    def sampler(key: Array) -> Pairs:
        x, first, second = (jax.random.normal(k, (batch, width)) for k in jax.random.split(key, 3))
        return Pairs(x + np.sqrt(NOISE) * first, x + np.sqrt(NOISE) * second)

    problem = _problem(sampler, jnp.diag(jnp.asarray(p)), 0.0, rate)

    def observe(params: Params, _: Pairs) -> dict[str, Array]:
        return {"modes": jnp.diag(params["predictor"]["weight"])}

    (key,) = settings.keys(1, 42)
    seen = np.asarray(jax.jit(run(problem, [0, steps], observe))(key).observables["modes"])
    flow, clean = (
        distillation.cosine_amplitudes(
            np.array([rate * steps]), CosineModes(p, p**2), noise
        ).predictor[0]
        for noise in (NOISE, 0.0)
    )
    spreads = [values.std() / values.mean() for values in (seen[1], flow, seen[0], clean)]
    return close(
        "distillation/cosine-width",
        f"At width {width}, eigenvalues of the predictor approach one another as the equations of "
        "infinite width predict.",
        SOURCE.format("D-39"),
        spreads[1],
        spreads[0],
        2 * 2.8 / width * spreads[2],
        details="The measured value is the standard deviation of the eigenvalues over their mean, "
        "on fresh samples. The tolerance is twice the relative error of the gradient at this "
        "width, 2.8 / width, times the spread at the start.",
        rivals=(
            Rival("no change of the directions", spreads[2]),
            Rival("views without noise", spreads[3]),
        ),
    )


def _figure() -> Figure:
    figure, axes = new_figure(3, width=3.6)
    p = np.array([0.2, 0.5, 0.9, 1.3])
    times = np.linspace(0, 12, 121)
    modes = np.asarray(distillation.cosine_amplitudes(times, CosineModes(p, p**2), NOISE, DECAY)[0])
    size = np.linalg.norm(modes, axis=1, keepdims=True)
    plain = np.empty((len(times), len(p)))
    plain[0] = p
    for i in range(1, len(times)):
        w = plain[i - 1]
        for _ in range(20):  # Euler steps of the scalar flow
            w = (
                w
                + (times[1] / 20)
                * distillation.scalar_velocity(w, 1.0, 1 / (1 + NOISE), decay=DECAY).__array__()
            )
        plain[i] = w
    panels = ((plain, "without normalisation"), (modes, "cosine"), (modes / size, "cosine / norm"))
    for ax, (values, title) in zip(axes, panels, strict=True):
        for j, colour in zip(range(len(p)), COLOURS, strict=False):
            ax.plot(times, values[:, j], color=colour)
        ax.set(title=title, xlabel="t = learning rate × step")
    axes[0].set_ylabel("eigenvalues of the predictor")
    text = (
        f"Weight decay {DECAY:g}, twice the threshold. Without normalisation every mode collapses. "
        "Under a cosine loss all sizes shrink as well, and the directions become equal."
    )
    return Figure("distillation-cosine", "Decay with and without normalisation", text, figure)
