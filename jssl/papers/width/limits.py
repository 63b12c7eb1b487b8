"""Finite networks against their infinite-width kernel: function values, subspace, half times.

A network of width w and the kernel model of the same architecture are trained on linearised Barlow
Twins from the same start along the modes of that kernel, at the same learning rate. At the
start, the tangent kernel differs from its limit by order w^(-1/2), and it changes by order w^(-1)
in training. Each distance therefore decreases as w^(-1/2).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl import losses
from jssl._compat import neural_tangents
from jssl.data import pairs
from jssl.diagnostics import distance_to_limit
from jssl.figures import draw_legend, draw_modes, new_figure
from jssl.kernels.contrastive import contrastive_modes
from jssl.optim import gradient_descent
from jssl.papers.claims import at_most, close
from jssl.papers.outcome import Part, Settings
from jssl.papers.rivals import powers
from jssl.papers.stepwise.kernel import closed_form_errors
from jssl.papers.width.architectures import COUNT, DIM, Architecture, architectures
from jssl.papers.width.exponents import rms_exponent
from jssl.papers.width.mode_start import carry, mode_start, pairs_with_start, start_from_rows
from jssl.papers.width.pooled import SOURCE, pooled_claim
from jssl.report.figure import Figure
from jssl.single_use import compile_for_many_steps
from jssl.sweeps.sweep import sweep
from jssl.theory import stepwise, width
from jssl.types import Array, Claim, Pairs, Params, Problem, Rival

START, STEPS, FASTEST = 0.3, 50, 0.06
"""Root mean square of the outputs at the start, the least number of steps, and the largest learning
rate times the first eigenvalue. At 0.14, one of 320 convolutional networks with 16 channels, whose
kernel is much larger than its limit, diverges.

Until mode 1 is learned at a time of about log(1 / START) / gamma_1, mode 2 grows to about
START^(1 - gamma_2 / gamma_1). The leak from the first output is of order width^(-1/2), and the
distance is linear in it only where it is smaller. At 16 channels it is .25, so that a start of .03
would not do for gamma_2 / gamma_1 = .26, as convolutional networks have it.
"""
SMALL = 0.03
"""Largest start of the closed form, which holds for small starts."""
STARTS = 40
"""Starts of the closed form; its error varies over them by a factor of five."""
BOUND = 0.06
"""Largest order of the error of the closed form; outputs in another order are at about 1.4."""

QUANTITIES = {
    "function": "function values",
    "subspace": "learned subspace",
    "half times": "half times",
}
"""Quantity -> its name in text."""
_HOW = {"half times": "Half times are compared by the logarithm of their ratio. "}
"""Quantity -> what its distance is, where its name does not say so."""


class Study(NamedTuple):
    """Results for one architecture.

    Attributes:
        description: of the architecture.
        widths: of the networks.
        distances: quantity -> (widths, seeds) at the end of training.
        closed: (seeds,) relative distance of the closed form from the trained kernel model, from
            the small outputs of random networks.
        swapped: (seeds,) the distance of the closed form with its outputs in another order.
        bound: the order of magnitude of `closed` that S-14 predicts.
        spectra: (widths, points, dim) eigenvalues of C for the first seed.
        limit: (points, dim) eigenvalues of C of the kernel model from the same start.
        times: (points,) in units of the last critical time.
    """

    description: str
    widths: tuple[int, ...]
    distances: dict[str, np.ndarray]
    closed: np.ndarray
    swapped: np.ndarray
    bound: float
    spectra: np.ndarray
    limit: np.ndarray
    times: np.ndarray


def distances(settings: Settings) -> Part:
    """Test how distances from the infinite-width kernel model decrease with the width."""
    chosen = architectures(settings)
    remarks: tuple[str, ...] = ()
    if not neural_tangents.status()[0]:
        del chosen["conv"]
        remarks = (
            "Convolutional networks were not compared with their infinite-width kernel, because "
            "neural-tangents is not usable here. `jssl doctor` prints how to install it.",
        )
    seeds = 100 if settings.scale == "quick" else 160
    results = {}
    for index, (name, architecture) in enumerate(chosen.items()):
        settings.progress(f"infinite-width limit, {name}", index / len(chosen))
        results[name] = study(name, architecture, settings, seeds)
    claims = [claim for name in results for claim in _claims(name, results[name])]
    runs = [(one.widths, values) for one in results.values() for values in one.distances.values()]
    claims.append(pooled_claim(runs))
    return Part(claims, [_distance_figure(results), _spectra_figure(results)], remarks)


def study(name: str, architecture: Architecture, settings: Settings, seeds: int) -> Study:
    """Train networks of every width and the kernel model from the same starts, and compare."""
    _, build, widths, (data, others) = architecture
    kernel = width.infinite(build(widths[-1], widths[-1]), data, DIM, others)
    further = contrastive_modes(kernel.everywhere[: 2 * COUNT], DIM + 1).eigenvalues
    gamma = kernel.modes.eigenvalues
    last = _settling(START, gamma)
    rate = min(last / STEPS, FASTEST / float(gamma[0]))
    steps = np.arange(round(last / rate) + 1)
    start = mode_start(kernel, START)
    training = pairs_with_start(data, start)
    inputs = jnp.concatenate([data.first, data.second, others])
    points = carry(inputs, start)

    def make_problem(architecture: str, width: Any, max_width: int | None = None) -> Problem:
        del architecture  # only labels the result and the records of the sweep
        net = start_from_rows(build(width, max_width), data.first.shape[1:], DIM)
        loss = losses.get("barlow_twins_linearized")
        return Problem(pairs.fixed(training), net, loss, gradient_descent(rate))

    def observe(problem: Problem) -> Callable[[Params, Pairs], dict[str, Array]]:
        return lambda params, _: {"embedding": problem.model.apply(params, points)}

    runs = sweep(
        make_problem,
        {"architecture": [name], "width": widths, "seed": seeds},
        record_steps=steps,
        observe=observe,
        seed=int(settings.generator(72).integers(2**32)),
        progress=False,
    )
    embeddings = (
        runs.embedding.sel(architecture=name).transpose("width", "seed", "step", ...).to_numpy()
    )
    first = jnp.asarray(embeddings[0, 0, 0])  # of every width and seed
    descend = compile_for_many_steps(lambda f: width.descend(kernel, f, rate, steps), products=True)
    limit = np.asarray(descend(first))
    compared = [[distance_to_limit(steps, net, limit, COUNT) for net in row] for row in embeddings]
    ends = [
        [(d.function[-1], d.subspace[-1], _rms_log(1 + d.half_times)) for d in row]
        for row in compared
    ]
    base = build(widths[0], None)
    outputs = jax.vmap(lambda key: base.apply(base.init(key), inputs))(settings.keys(STARTS, 76))
    order = 1 - float(further[DIM] / further[DIM - 1])
    scale = min(SMALL, BOUND ** (1 / order))
    error, swapped = closed_form_errors(
        kernel, scale * outputs, rate, round(_settling(scale, gamma) / rate)
    )
    critical = stepwise.critical_time(
        stepwise.align_embedding(first[: 2 * COUNT], kernel.modes).start_scales, gamma
    )
    return Study(
        architecture.description,
        widths,
        dict(zip(QUANTITIES, np.moveaxis(np.array(ends), -1, 0), strict=True)),
        error,
        swapped,
        scale**order,
        spectra(embeddings[:, 0]),
        spectra(limit),
        steps * rate / float(critical[-1]),
    )


def _settling(start: float, gamma: Array) -> float:
    """Return twice the time in which the slowest mode rises from start^2 / 10 and settles."""
    return float(3 * np.log(10 / start**2) / (8 * float(gamma[-1])))


def _rms_log(ratios: np.ndarray) -> float:
    """Return the root mean square of the logarithm of ratios.

    A half time is inversely proportional to an eigenvalue of the kernel. The logarithm of the
    kernel of a deep network is nearly normal, with a variance of order depth / width, so that the
    next order is smaller for the logarithm of a half time than for the half time.
    """
    return float(np.sqrt(np.mean(np.log(ratios) ** 2)))


def spectra(z: np.ndarray) -> np.ndarray:
    """Return the eigenvalues of C, descending, of embeddings (..., 2n + q, dim)."""
    za, zb = z[..., :COUNT, :], z[..., COUNT : 2 * COUNT, :]
    c = np.swapaxes(za, -1, -2) @ zb / COUNT
    return np.linalg.eigvalsh((c + np.swapaxes(c, -1, -2)) / 2)[..., ::-1]


def _claims(name: str, result: Study) -> list[Claim]:
    claims = []
    widths, description = result.widths, result.description
    for quantity, values in result.distances.items():
        fit = rms_exponent(widths, values)
        claims.append(
            close(
                _claim_name(name, quantity),
                f"The distance in {QUANTITIES[quantity]} between {description} and its "
                "infinite-width kernel model decreases as width^(-1/2).",
                SOURCE,
                -0.5,
                fit.exponent,
                0.1 + 3.9 * fit.error,
                details="Both are trained with linearised Barlow Twins from the same outputs "
                f"of scale {START:g}, along the modes of the infinite-width kernel. The measured "
                "value is the exponent of the root mean square over seeds of the distance at the "
                f"end of training, fitted to widths {widths[0]} to {widths[-1]} with "
                f"{values.shape[1]} seeds; its 95 % interval is +- {fit.half_width:.2f}. "
                f"{_HOW.get(quantity, '')}"
                "The tolerance is 0.1 for the finite range of widths plus 3.9 standard errors.",
                rivals=powers(0, -1),
                standard_error=fit.error,
            )
        )
    claims.append(
        at_most(
            _claim_name(name, "closed form"),
            f"For {description}, the closed form of K_Gamma agrees with the trained kernel model "
            "to the predicted order.",
            "Simon et al. 2023, section 5; S-14 and S-17 in docs/equations.md",
            10 * result.bound,
            float(np.median(result.closed)),
            details="Both start from the outputs of random networks, so small that the bound is at "
            "most 0.6. The measured value is "
            "the relative distance at the end of training, at training and unseen points, the "
            "median over seeds. The bound is ten times the order "
            "of magnitude given by S-14, whose prefactor depends on the random start.",
            rivals=[
                Rival(
                    "the start does not decide which output learns which mode",
                    float(np.median(result.swapped)),
                )
            ],
        )
    )
    return claims


def _claim_name(architecture: str, quantity: str) -> str:
    return f"width/{architecture}-{quantity.replace(' ', '-')}".lower()


def _distance_figure(results: dict[str, Study]) -> Figure:
    figure, axes = new_figure(len(QUANTITIES))
    for ax, (quantity, name_in_text) in zip(axes, QUANTITIES.items(), strict=True):
        for index, (name, result) in enumerate(results.items()):
            values = result.distances[quantity]
            mean = np.exp(np.log(values).mean(axis=1))
            error = np.log(values).std(axis=1, ddof=1) / np.sqrt(values.shape[1])
            band = mean * (np.exp(error) - 1)
            ax.errorbar(
                result.widths, mean, band, fmt="osD^vP<>hX*p"[index % 12] + "-",
                color=f"C{index % 10}", markersize=4, capsize=2, label=name,
            )  # fmt: skip
        ends = np.array([min(r.widths[0] for r in results.values()),
                         max(r.widths[-1] for r in results.values())])  # fmt: skip
        level = np.mean([r.distances[quantity][-1].mean() * r.widths[-1] ** 0.5
                         for r in results.values()])  # fmt: skip
        ax.plot(ends, 1.6 * level * ends**-0.5, "k--", linewidth=1, label="width$^{-1/2}$")
        ax.set(xscale="log", yscale="log", xlabel="width", title=name_in_text)
    axes[0].set_ylabel("distance from the kernel model")
    draw_legend(figure, axes[0])
    text = (
        "Distance of trained networks from their infinite-width kernel model against the width, in "
        "function values, learned subspace and half times. Each decreases as width^(-1/2). Points "
        "are geometric means over seeds, with bars of one standard error."
    )
    names = tuple(_claim_name(name, q) for name in results for q in QUANTITIES)
    return Figure("distance", "Networks approach their infinite-width kernel", text, figure, names)


def _spectra_figure(results: dict[str, Study]) -> Figure:
    columns = min(len(results), 4)
    figure, axes = new_figure(columns, -(-len(results) // columns), width=3.4)
    for ax in axes[len(results) :]:
        ax.set_axis_off()
    for ax, (name, result) in zip(axes, results.items(), strict=False):
        for spectrum, alpha in zip(
            result.spectra, np.linspace(0.3, 1, len(result.widths)), strict=True
        ):
            draw_modes(ax, result.times, spectrum)
            for line in ax.lines[-DIM:]:
                line.set_alpha(alpha)
        draw_modes(ax, result.times, result.limit, dashed=True, label="infinite width")
        ax.set(title=name, xlabel="time / last critical time")
    axes[0].set_ylabel("eigenvalues of C")
    axes[0].legend(frameon=False, fontsize=8)
    text = (
        "Eigenvalues of C over training for networks of increasing width (solid, darker for wider) "
        "of one seed, and for the infinite-width kernel model from the start of the widest network "
        "(dashed)."
    )
    title = "Stepwise learning at increasing and infinite width"
    return Figure("spectra", title, text, figure)
