"""Without a constraint, all outputs of a linear encoder learn one direction.

The rate of this collapse, and descent at a fixed norm, which does not prevent it. Networks are in
`networks`.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl import losses
from jssl.data import pairs, toy
from jssl.diagnostics import effective_rank, paired_exponent
from jssl.figures import new_figure
from jssl.models import linear
from jssl.optim import gradient_descent, stiefel_sgd
from jssl.papers.claims import at_most, close
from jssl.papers.outcome import Part, Settings
from jssl.report.figure import Figure
from jssl.simulation import run
from jssl.theory import grassmann
from jssl.types import Array, Claim, Pairs, Params, Problem, Rival

SOURCE = "Esser et al. 2023, arXiv 2309.02011, section 3"
SPECTRUM = (2.0, 1.2, 0.3, 0.3, 0.2, 0.2, 0.1, 0.1)
NOISE, PAIRS, DIM = 0.4, 60, 3
RATE = 2e-3


class Collapse(NamedTuple):
    """Linear encoders trained without a constraint, and with a fixed norm.

    Attributes:
        eigenvalues: of the objective matrix C, ascending.
        steps: (points,) recorded steps.
        late: effective time at which the fit of the slope begins.
        free: `singular` values (seeds, points, DIM) of the weight over its norm and effective
            `rank` (seeds, points), without a constraint.
        fixed_norm: these quantities at a fixed norm.
    """

    eigenvalues: np.ndarray
    steps: np.ndarray
    late: float
    free: dict[str, np.ndarray]
    fixed_norm: dict[str, np.ndarray]


def noisy_pairs(key: Array, n: int, spectrum: tuple[float, ...], noise: float) -> Pairs:
    """Return Gaussian samples with the given variances, each view with its own noise."""
    variances = jnp.asarray(spectrum)
    return toy.gaussian_pairs(key, n, variances, jnp.full_like(variances, noise**2))


def linear_collapse(settings: Settings) -> Part:
    """Test the rate at which the second singular value decays relative to the first."""
    collapse = train_linear(settings)
    return Part(_claims(collapse), [_figure(collapse)])


def train_linear(settings: Settings) -> Collapse:
    """Train linear encoders from many starts, without a constraint and at a fixed norm.

    The slope of log(s2 / s1) is fitted between about e^-14 and e^-22. Earlier, the third mode
    contributes (s3 / s2)^2 ~ e^{-4 (l3 - l2) t}; later, rounding dominates.
    """
    seeds = {"quick": 20, "paper": 200, "large": 5_000}[settings.scale]
    draw, begin = jax.random.split(jax.random.fold_in(jax.random.key(settings.seed), 21))
    data = noisy_pairs(draw, PAIRS, SPECTRUM, NOISE)
    values = np.asarray(jnp.linalg.eigvalsh(grassmann.objective_matrix(data)))
    gap = values[1] - values[0]
    late, end = 7 / gap, 11 / gap
    steps = np.unique(np.linspace(0, end / RATE, 43).astype(int))
    features = len(SPECTRUM)
    free = Problem(
        pairs.fixed(data),
        linear(features, DIM, dtype=jnp.float64),
        losses.get("linear_non_contrastive"),
        gradient_descent(RATE),
    )

    def as_column(key: Array) -> Params:
        weight = free.model.init(key)["weight"].reshape(-1, 1)
        return {"weight": weight / jnp.linalg.norm(weight)}

    def apply(params: Params, x: Array) -> Array:
        return x @ params["weight"].reshape(DIM, features).T

    sphere = free._replace(  # unit Frobenius norm: all entries form one orthonormal column
        model=free.model._replace(init=as_column, apply=apply), optimiser=stiefel_sgd(RATE)
    )

    def observe(params: Params, batch: Pairs) -> dict[str, Array]:
        weight = params["weight"].reshape(DIM, features)
        return {
            "singular": jnp.linalg.svd(weight / jnp.linalg.norm(weight), compute_uv=False),
            "rank": effective_rank(batch.first @ weight.T, centre=False),
        }

    keys = jax.random.split(begin, seeds)
    both = []
    for problem in (free, sphere):
        trajectory = jax.jit(jax.vmap(run(problem, steps, observe)))(keys)
        both.append(jax.tree.map(np.asarray, trajectory.observables))
    return Collapse(values, steps, late, *both)


def _claims(collapse: Collapse) -> list[Claim]:
    values = collapse.eigenvalues
    gap = values[1] - values[0]
    end = 11 / gap
    third = 100 * math.exp(-4 * (values[2] - values[1]) * collapse.late) / (end - collapse.late)
    both = (collapse.free, collapse.fixed_norm)
    seeds = len(collapse.free["rank"])
    slopes = [
        _late_slope(collapse.steps * RATE, observed["singular"], collapse.late) for observed in both
    ]
    # A mode grows by 1 - 2 lr l in each step; at a fixed norm by 1 - 2 lr (l - l_1).
    free, fixed = (
        np.log1p(-2 * RATE * (values[1] - shift)) - np.log1p(-2 * RATE * (values[0] - shift))
        for shift in (0.0, values[0])
    )
    tolerance = 1e-4 * 2 * gap + third
    half = Rival("half the rate, that of a loss of one order of the views", -gap)
    flow = Rival("the rate of gradient flow, without the finite step", -2 * gap)
    keeps = Rival("no collapse", 0.0)
    start, end_rank = (
        max(float(observed["rank"][:, point].max()) for observed in both) - 1 for point in (0, -1)
    )
    return [
        close(
            "grassmann/naive-collapse",
            "Without a constraint, the second singular value of a linear encoder decays relative "
            "to the first at the predicted rate.",
            SOURCE,
            free / RATE,
            _farthest(slopes[0], free / RATE),
            tolerance,
            details="The prediction is the slope -2 (l_2 - l_1) of log(s_2 / s_1), corrected for "
            "the finite step; l_1 and l_2 are the smallest eigenvalues of the objective matrix C. "
            f"The measured value is the slope farthest from it among {seeds} random starts. The "
            "tolerance is 1e-4 of the slope plus the remaining contribution of the third mode.",
            rivals=[flow, half, keeps],
        ),
        close(
            "grassmann/fixed-norm-collapses",
            "Fixing the norm of the weights does not prevent collapse: the second singular value "
            "decays relative to the first at the predicted rate.",
            SOURCE,
            fixed / RATE,
            _farthest(slopes[1], fixed / RATE),
            tolerance,
            details="The prediction is the slope -2 (l_2 - l_1) of log(s_2 / s_1), corrected for "
            "the finite step at a fixed norm. The measured value is the slope farthest from it "
            f"among {seeds} random starts. The tolerance is 1e-4 of the slope plus the remaining "
            "contribution of the third mode.",
            rivals=[Rival("the rate at a free norm", free / RATE), half, keeps],
        ),
        at_most(
            "grassmann/naive-effective-rank",
            "Without an orthogonality constraint, the outputs of a linear encoder end with "
            "effective rank one.",
            SOURCE,
            0.0,
            end_rank,
            1e-3,
            details="The measured value is the largest excess over one of the effective rank of "
            f"the {DIM} outputs at the end of training, over {seeds} starts, with and without a "
            "fixed norm. The tolerance covers the second direction, which has not vanished "
            "entirely.",
            rivals=[Rival("the effective rank of the start is kept", start)],
        ),
    ]


def _figure(collapse: Collapse) -> Figure:
    t = collapse.steps * RATE
    gap = collapse.eigenvalues[1] - collapse.eigenvalues[0]
    figure, (ax,) = new_figure(1)
    ratio, fixed_ratio = (
        observed["singular"][..., 1] / observed["singular"][..., 0]
        for observed in (collapse.free, collapse.fixed_norm)
    )
    ax.semilogy(t, ratio.T, color="C0", alpha=0.5, linewidth=1)
    ax.semilogy(t, fixed_ratio.T, color="C1", alpha=0.5, linewidth=1)
    ax.plot([], [], color="C0", label="no constraint")
    ax.plot([], [], color="C1", label="fixed norm")
    middle = np.exp(np.log(ratio[:, -1]).mean())
    ax.semilogy(t, middle * np.exp(-2 * gap * (t - t[-1])), "k--", label="predicted slope")
    ax.set(xlabel="effective time t = learning rate × step", ylabel="second / first singular value")
    ax.legend(frameon=False)
    text = (
        "Ratio of the second to the first singular value of linear encoders from "
        f"{len(ratio)} starts, without a constraint and with a fixed norm. Both decay at the "
        "predicted rate (dashed)."
    )
    return Figure("naive", "Without a constraint, all outputs collapse", text, figure)


def fit_exponent(widths: np.ndarray, logs: np.ndarray) -> tuple[float, float]:
    """Return the slope of logs (widths, seeds) against log width, and its standard error.

    The seeds are paired across widths, so the error is computed from one slope for each seed.
    """
    fit = paired_exponent(widths, np.exp(logs))
    return fit.exponent, fit.error


def _late_slope(t: np.ndarray, singular: np.ndarray, late: float) -> np.ndarray:
    logs = np.log(singular[..., 1] / singular[..., 0])
    first = int(np.searchsorted(t, late))
    return (logs[:, -1] - logs[:, first]) / (t[-1] - t[first])


def _farthest(measured: np.ndarray, predicted: float) -> float:
    return float(measured[np.abs(measured - predicted).argmax()])
