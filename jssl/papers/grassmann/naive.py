"""Without a constraint every output learns the same direction: the collapse, its rate, its cures.

Linear encoders, descent at a fixed norm (which does not help), and networks with their kernel.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl import losses
from jssl.data import pairs, toy
from jssl.diagnostics import effective_rank, paired_exponent
from jssl.figures import new_figure
from jssl.kernels import empirical_ntk
from jssl.models import centred, linear, mlp
from jssl.optim import gradient_descent, stiefel_sgd
from jssl.papers.claims import at_least, at_most, close
from jssl.papers.outcome import Part, Settings
from jssl.report.figure import Figure
from jssl.simulation import run
from jssl.theory import grassmann
from jssl.types import Array, Pairs, Params, Problem, start_key

SOURCE = "Esser et al. 2023, section 3"
SPECTRUM = (2.0, 1.2, 0.3, 0.3, 0.2, 0.2, 0.1, 0.1)
NOISE, PAIRS, DIM = 0.4, 60, 3


def noisy_pairs(key: Array, n: int, spectrum: tuple[float, ...], noise: float) -> Pairs:
    """Return Gaussian samples of a spectrum, each view with fresh noise of a size."""
    variances = jnp.asarray(spectrum)
    return toy.gaussian_pairs(key, n, variances, jnp.full_like(variances, noise**2))


def linear_collapse(settings: Settings) -> Part:
    """Judge the rate at which the second singular value of a linear encoder falls behind.

    The rate of gradient descent differs from that of the flow by its finite step, a known factor:
    a mode grows by 1 - 2 lr l a step, at a fixed norm by 1 - 2 lr (l - l_1). It is read between
    s2 / s1 of about e^-14 and e^-22: before, the third mode is still there, at
    (s3 / s2)^2 ~ e^{-4 (l3 - l2) t}; later, rounding.
    """
    seeds = {"quick": 20, "paper": 200, "large": 5_000}[settings.scale]
    rate = 2e-3
    draw, begin = jax.random.split(jax.random.fold_in(jax.random.key(settings.seed), 21))
    data = noisy_pairs(draw, PAIRS, SPECTRUM, NOISE)
    objective = grassmann.objective_matrix(data)
    values = np.asarray(jnp.linalg.eigvalsh(objective))
    gap = values[1] - values[0]
    late, end = 7 / gap, 11 / gap
    steps = np.unique(np.linspace(0, end / rate, 43).astype(int))
    third = 100 * math.exp(-4 * (values[2] - values[1]) * late) / (end - late)
    features = len(SPECTRUM)
    free = Problem(
        pairs.fixed(data),
        linear(features, DIM, dtype=jnp.float64),
        losses.get("linear_non_contrastive"),
        gradient_descent(rate),
    )

    def as_column(key: Array) -> Params:
        weight = free.model.init(key)["weight"].reshape(-1, 1)
        return {"weight": weight / jnp.linalg.norm(weight)}

    def apply(params: Params, x: Array) -> Array:
        return x @ params["weight"].reshape(DIM, features).T

    sphere = free._replace(  # unit Frobenius norm: one orthonormal column of all the entries
        model=free.model._replace(init=as_column, apply=apply), optimiser=stiefel_sgd(rate)
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
        seen = jax.jit(jax.vmap(run(problem, steps, observe)))(keys)
        both.append(jax.tree.map(np.asarray, seen.observables))
    t = steps * rate
    slopes = [_late_slope(t, seen["singular"], late) for seen in both]
    grown, held = (
        np.log1p(-2 * rate * (values[1] - shift)) - np.log1p(-2 * rate * (values[0] - shift))
        for shift in (0.0, values[0])
    )
    tolerance = 1e-4 * 2 * gap + third
    claims = [
        close(
            "grassmann/naive-collapse",
            f"descent without a constraint, {seeds} starts: slope of log(s2 / s1), the worst, "
            "against -2 (l2 - l1) with the factor of a finite step; four digits",
            SOURCE,
            grown / rate,
            _worst(slopes[0], grown / rate),
            tolerance,
        ),
        close(
            "grassmann/fixed-norm-collapses",
            "descent with the norm of the weight held fixed: the same slope, so it does not help",
            SOURCE,
            held / rate,
            _worst(slopes[1], held / rate),
            tolerance,
        ),
        at_most(
            "grassmann/naive-effective-rank",
            f"effective rank of the {DIM} outputs at the end, the largest over both: one direction",
            SOURCE,
            1.0,
            max(float(seen["rank"][:, -1].max()) for seen in both),
            1e-3,
        ),
    ]
    figure, (ax,) = new_figure(1)
    ratio = both[0]["singular"][..., 1] / both[0]["singular"][..., 0]
    fixed_ratio = both[1]["singular"][..., 1] / both[1]["singular"][..., 0]
    ax.semilogy(t, ratio.T, color="C0", alpha=0.5, linewidth=1)
    ax.semilogy(t, fixed_ratio.T, color="C1", alpha=0.5, linewidth=1)
    ax.plot([], [], color="C0", label="descent")
    ax.plot([], [], color="C1", label="at a fixed norm")
    middle = np.exp(np.log(ratio[:, -1]).mean())
    ax.semilogy(t, middle * np.exp(-2 * gap * (t - t[-1])), "k--", label="predicted slope")
    ax.set(xlabel="effective time t = learning rate × step", ylabel="second / first singular value")
    ax.legend(frameon=False)
    text = (
        f"Second over first singular value of a linear encoder under descent without a constraint, "
        f"{seeds} starts, and with its norm held fixed: both fall at the predicted slope (dashed)."
    )
    title = "Without a constraint all outputs collapse"
    return Part(claims, [Figure("naive", title, text, figure)])


def network_collapse(settings: Settings) -> Part:
    """Judge the collapse of networks against that of their frozen kernel.

    The kernel is that of the start, a mean over the outputs. What it leaves out, the outputs' own
    kernels and the products between them, is of relative order 1 / sqrt(width) in a random net: so
    is the error in the function at a fixed time, and the part of the second mode in the direction
    that all outputs end in, below which s2 / s1 does not fall.
    """
    widths = {"quick": (64, 1024), "paper": (64, 256, 1024, 4096)}.get(
        settings.scale, (64, 256, 1024, 4096, 16384)
    )
    seeds = {"quick": 12, "paper": 64, "large": 128}[settings.scale]
    features, count, start, last = 6, 20, 1e-8, 200
    draw, begin = jax.random.split(jax.random.fold_in(jax.random.key(settings.seed), 22))
    keys = jax.random.split(begin, seeds)
    data = noisy_pairs(draw, count, (2.0, 1.2, 0.8, 0.5, 0.3, 0.2), NOISE)
    sample = grassmann.stack_views(data)
    pairing = grassmann.pairing_matrix(count)
    steps = np.arange(0, last + 1, 10)

    def start_kernel(key: Array, width: int) -> tuple[Array, Array]:
        net = mlp(features, DIM, width=width, depth=1, activation="tanh", dtype=jnp.float64)
        kernel = empirical_ntk(net.apply, net.init(start_key(key)), sample)
        # s2 / s1 falls by e^5 up to the last step
        rate = 5 / grassmann.collapse_rate(grassmann.kernel_objective(kernel, pairing)) / last
        return kernel, rate

    def descend(key: Array, kernel: Array, rate: Array, width: int) -> Any:
        net = mlp(features, DIM, width=width, depth=1, activation="tanh", dtype=jnp.float64)
        model = centred(net, start)
        problem = Problem(
            pairs.fixed(data), model, losses.get("linear_non_contrastive"), gradient_descent(rate)
        )

        def observe(params: Params, _: Pairs) -> dict[str, Array]:
            return {"outputs": model.apply(params, sample).T}

        def frozen(outputs: Array, _: None) -> tuple[Array, Array]:
            return outputs - 2 * rate * outputs @ pairing @ kernel, outputs

        seen = run(problem, steps, observe)(key).observables["outputs"]
        return seen, jax.lax.scan(frozen, seen[0], None, length=steps[-1] + 1)[1][steps]

    def over_seeds(width: int) -> dict[str, np.ndarray]:
        kernel, rate = jax.jit(jax.vmap(lambda key: start_kernel(key, width)))(keys)
        train = jax.jit(jax.vmap(lambda key, k, r: descend(key, k, r, width)))
        seen, ideal = map(np.asarray, train(keys, kernel, rate))
        early = len(steps) // 5
        return {
            "outputs": seen,
            "kernel": np.asarray(kernel),
            "rate": np.asarray(rate),
            "error": _relative(seen[:, early], ideal[:, early]),
        }

    found = {width: over_seeds(width) for width in widths}
    errors = np.array([np.log(found[width]["error"]) for width in widths])
    exponent, error = fit_exponent(np.array(widths), errors)
    wide, (seen, kernel, rate, _) = widths[-1], found[widths[-1]].values()
    outputs_of = jax.jit(jax.vmap(grassmann.naive_outputs, (0, None, 0, 0)))
    flow = np.asarray(outputs_of(kernel, pairing, seen[:, 0], np.multiply.outer(rate, steps)))
    seen_ratio, flow_ratio = _second_over_first(seen), _second_over_first(flow)
    lowest = np.sort(np.linalg.eigvals(np.asarray(pairing @ kernel)).real, axis=1)[:, :2]
    mixing = np.abs(lowest).sum(1) / (lowest[:, 1] - lowest[:, 0]) / math.sqrt(wide)
    correlation = [np.abs(np.corrcoef(outputs)).min() for outputs in seen[:, -1]]
    claims = [
        close(
            "grassmann/naive-network-exponent",
            f"tanh nets, error in the function when s2 / s1 has fallen by e: exponent in the width "
            f"{widths[0]} ... {widths[-1]}, {seeds} seeds; .1 and 3.9 standard errors",
            SOURCE,
            -0.5,
            exponent,
            0.1 + 3.9 * error,
        ),
        at_most(
            "grassmann/naive-network-collapse",
            f"tanh nets of width {wide} when the frozen kernel's s2 / s1 has fallen by e^5: their "
            "own s2 / s1 off it, mean over seeds; what the kernel leaves out mixes the modes by "
            "(|l1| + |l2|) / (l2 - l1) / sqrt(width)",
            SOURCE,
            mixing.mean(),
            np.abs(seen_ratio - flow_ratio)[:, -1].mean(),
        ),
        at_least(
            "grassmann/naive-network-correlation",
            "the same nets at the end: least correlation between two of the outputs, median over "
            "seeds",
            SOURCE,
            0.9,
            float(np.median(correlation)),
        ),
    ]
    figure, (left, right) = new_figure(2)
    left.loglog(widths, np.exp(errors), ".", color="C0", alpha=0.4)
    left.loglog(widths, np.exp(errors.mean(1)), "o", color="C0", label="networks")
    line = np.exp(errors.mean()) * (np.array(widths) / np.exp(np.log(widths).mean())) ** -0.5
    left.loglog(widths, line, "k--", label="width$^{-1/2}$")
    left.set(xlabel="width", ylabel="error of the frozen kernel's function")
    left.legend(frameon=False)
    right.semilogy(steps, seen_ratio.T, color="C0", alpha=0.5, linewidth=1)
    right.semilogy(steps, np.exp(np.log(flow_ratio).mean(0)), "k--", label="frozen kernel, mean")
    right.plot([], [], color="C0", label=f"networks of width {wide}")
    right.set(xlabel="step", ylabel="second / first singular value")
    right.legend(frameon=False)
    text = (
        "Left: relative error of the frozen-kernel prediction against width, with the predicted "
        f"power -1/2. Right: collapse of the outputs of networks of width {wide} (solid) and of "
        "the frozen kernel (dashed)."
    )
    title = "Networks collapse as their kernel does"
    return Part(claims, [Figure("naive-networks", title, text, figure)])


def fit_exponent(widths: np.ndarray, logs: np.ndarray) -> tuple[float, float]:
    """Return the slope of logs (widths, seeds) against log width, and its standard error.

    Seeds are paired across widths, so the error is that of the seeds' own slopes.
    """
    fit = paired_exponent(widths, np.exp(logs))
    return fit.exponent, fit.error


def _late_slope(t: np.ndarray, singular: np.ndarray, late: float) -> np.ndarray:
    logs = np.log(singular[..., 1] / singular[..., 0])
    first = int(np.searchsorted(t, late))
    return (logs[:, -1] - logs[:, first]) / (t[-1] - t[first])


def _worst(seen: np.ndarray, predicted: float) -> float:
    return float(seen[np.abs(seen - predicted).argmax()])


def _second_over_first(outputs: np.ndarray) -> np.ndarray:
    singular = np.linalg.svd(outputs, compute_uv=False)
    return singular[..., 1] / singular[..., 0]


def _relative(seen: np.ndarray, ideal: np.ndarray) -> np.ndarray:
    return np.linalg.norm(seen - ideal, axis=(1, 2)) / np.linalg.norm(ideal, axis=(1, 2))
