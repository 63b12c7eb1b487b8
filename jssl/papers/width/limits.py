"""Finite nets against their own infinite-width kernel: function, subspace, half times.

A net of width w and the kernel model of the same architecture descend on linearised Barlow Twins
from the same small start, at the same learning rate. The tangent kernel at the start fluctuates
about its limit by w^-1/2 and moves by w^-1 in training, so each distance falls as w^-1/2.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl import losses
from jssl._compat import neural_tangents
from jssl.data import pairs
from jssl.diagnostics import distance_to_limit, paired_exponent
from jssl.figures import draw_legend, draw_modes, new_figure
from jssl.kernels.contrastive import contrastive_modes
from jssl.models import centred, conv, mlp, residual
from jssl.optim import gradient_descent
from jssl.papers.claims import at_most, close
from jssl.papers.outcome import Part, Settings
from jssl.papers.sets import image_sets
from jssl.papers.width.samples import clear_pairs, image_pairs
from jssl.report.figure import Figure
from jssl.sweeps.sweep import sweep
from jssl.theory import stepwise, width
from jssl.types import Array, Claim, Model, Pairs, Params, Problem

SOURCE = "Simon et al. 2023, section 5; Fleissner et al. 2024, arXiv 2411.11176"
COUNT, DIM, INPUTS, IMAGE = 10, 2, 8, (4, 4, 1)
SMALL, STEPS, EVERY = 0.03, 150, 3
QUANTITIES = ("function", "subspace", "half times")


class Architecture(NamedTuple):
    """One family of nets.

    Attributes:
        build: `build(width, max_width) -> Model`; no max_width for plain arrays.
        widths: increasing.
        data: pairs, and unseen points.
    """

    build: Callable[[Any, int | None], Model]
    widths: tuple[int, ...]
    data: tuple[Pairs, Array]


class Study(NamedTuple):
    """What was found of one architecture.

    Attributes:
        widths: of the nets.
        distances: quantity -> (widths, seeds) at the end of training.
        closed: (seeds,) relative distance of the closed form from the kernel model's own descent.
        bound: the order of magnitude that S-14 gives for it.
        spectra: (widths, points, dim) eigenvalues of C of the first seed.
        limit: (points, dim) those of the kernel model from the same start.
        times: (points,) in units of the last critical time.
    """

    widths: tuple[int, ...]
    distances: dict[str, np.ndarray]
    closed: np.ndarray
    bound: float
    spectra: np.ndarray
    limit: np.ndarray
    times: np.ndarray


def distances(settings: Settings) -> Part:
    """Judge how distances to the infinite-width kernel fall with the width."""
    if not neural_tangents.status()[0]:
        remark = (
            "Nets were not laid beside their infinite-width kernel: neural-tangents is not usable "
            "here; `jssl doctor` says what to do."
        )
        return Part([], [], (remark,))
    chosen = architectures(settings)
    seeds = {"quick": 10, "paper": 12, "large": 64}[settings.scale]
    found = {}
    for index, (name, architecture) in enumerate(chosen.items()):
        settings.progress(f"limit of {name}", index / len(chosen))
        found[name] = study(name, architecture, settings, seeds)
    claims = [claim for name in found for claim in _claims(name, found[name])]
    return Part(claims, [_distance_figure(found), _course_figure(found)])


def architectures(settings: Settings) -> dict[str, Architecture]:
    """Return the nets of a scale by name."""
    wide, deep = {
        "quick": ((64, 256, 1024), (32, 128, 512)),
        "paper": ((64, 256, 1024, 4096), (32, 128, 512)),
        "large": ((64, 256, 1024, 4096, 16384), (64, 256, 1024, 4096)),
    }[settings.scale]
    quick = settings.scale == "quick"
    data = clear_pairs(settings, COUNT, (INPUTS,))

    def dense(activation: str, depth: int, data: tuple[Pairs, Array] = data) -> Architecture:
        inputs = data[0].first.shape[1]
        options = {"depth": depth, "activation": activation, "dtype": jnp.float64}
        return Architecture(
            lambda size, most: mlp(inputs, DIM, width=size, max_width=most, **options),
            wide if depth == 1 else deep,
            data,
        )

    blocks = {"blocks": 1 if quick else 2, "activation": "erf", "dtype": jnp.float64}
    layers = {"layers": 1 if quick else 2, "activation": "relu", "dtype": jnp.float64}
    if quick:
        nets = {"MLP-1-tanh": dense("tanh", 1), "MLP-2-erf": dense("erf", 2)}
    else:
        nets = {
            f"MLP-{depth}-{name}": dense(name, depth)
            for name in ("tanh", "relu", "erf")
            for depth in (1, 2, 3, 4)
        }
        for name in image_sets(settings.scale)[0]:
            nets[f"MLP-1-tanh-{name}"] = dense("tanh", 1, image_pairs(settings, COUNT, name))
    nets["conv"] = Architecture(
        lambda size, most: conv(IMAGE, DIM, channels=size, max_channels=most, **layers),
        deep if settings.scale == "large" else (16, 64, 256),
        clear_pairs(settings, COUNT, IMAGE),
    )
    nets["residual"] = Architecture(
        lambda size, most: residual(INPUTS, DIM, width=size, max_width=most, **blocks), deep, data
    )
    return nets


def study(name: str, architecture: Architecture, settings: Settings, seeds: int) -> Study:
    """Train nets of every width and the kernel model from the same starts, and compare."""
    build, widths, (data, others) = architecture
    points = jnp.concatenate([data.first, data.second, others])
    kernel = width.infinite(build(widths[-1], widths[-1]), data, DIM, others)
    further = contrastive_modes(kernel.everywhere[: 2 * COUNT], DIM + 1).eigenvalues
    gamma = kernel.modes.eigenvalues
    # twice the time in which the slowest mode rises from SMALL^2 / 10, to settle
    last = 3 * np.log(10 / SMALL**2) / (8 * float(gamma[-1]))
    rate = min(last / STEPS, 0.2 / float(gamma[0]))
    steps = np.arange(0, round(last / rate) + 1, EVERY)

    def make_problem(architecture: str, width: Any, max_width: int | None = None) -> Problem:
        del architecture  # names the result, and the plan's records
        net = centred(build(width, max_width), SMALL)
        loss = losses.get("barlow_twins_linearized")
        return Problem(pairs.fixed(data), net, loss, gradient_descent(rate))

    def observe(problem: Problem) -> Callable[[Params, Pairs], dict[str, Array]]:
        return lambda params, _: {"embedding": problem.model.apply(params, points)}

    runs = sweep(
        make_problem,
        {"architecture": [name], "width": widths, "seed": seeds},
        record_steps=steps,
        observe=observe,
        seed=int(settings.generator(72).integers(2**32)),
    )
    seen = runs.embedding.sel(architecture=name).transpose("width", "seed", "step", ...).to_numpy()
    first = jnp.asarray(seen[:, :, 0])
    descend = jax.jit(jax.vmap(jax.vmap(lambda f: width.descend(kernel, f, rate, steps))))
    limit = np.asarray(descend(first))
    apart = [
        [distance_to_limit(steps, net, model, COUNT) for net, model in zip(*rows, strict=True)]
        for rows in zip(seen, limit, strict=True)
    ]
    ends = [
        [(d.function[-1], d.subspace[-1], np.sqrt(np.mean(d.half_times**2))) for d in row]
        for row in apart
    ]
    closed = np.asarray(
        jax.vmap(lambda f: width.embeddings(kernel, rate * steps[-1], f))(first[-1])
    )
    ideal = limit[-1, :, -1]
    error = np.linalg.norm(closed - ideal, axis=(1, 2)) / np.linalg.norm(ideal, axis=(1, 2))
    critical = stepwise.critical_time(
        stepwise.align_embedding(first[-1, 0, : 2 * COUNT], kernel.modes).start_scales, gamma
    )
    return Study(
        widths,
        dict(zip(QUANTITIES, np.moveaxis(np.array(ends), -1, 0), strict=True)),
        error,
        SMALL ** (1 - float(further[DIM] / further[DIM - 1])),
        spectra(seen[:, 0]),
        spectra(limit[-1, 0]),
        steps * rate / float(critical[-1]),
    )


def spectra(z: np.ndarray) -> np.ndarray:
    """Return the eigenvalues of C, descending, of embeddings (..., 2n + q, dim)."""
    za, zb = z[..., :COUNT, :], z[..., COUNT : 2 * COUNT, :]
    c = np.swapaxes(za, -1, -2) @ zb / COUNT
    return np.linalg.eigvalsh((c + np.swapaxes(c, -1, -2)) / 2)[..., ::-1]


def _claims(name: str, found: Study) -> list[Claim]:
    claims = []
    for quantity, values in found.distances.items():
        fit = paired_exponent(found.widths, values)
        claims.append(
            close(
                f"width/{name}-{quantity.replace(' ', '-')}".lower(),
                f"{name}, widths {found.widths[0]} ... {found.widths[-1]}, {values.shape[1]} "
                f"nested seeds, Barlow Twins from a centred start of {SMALL:g}: exponent in the "
                f"width of the distance in {quantity} from the infinite-width kernel model trained "
                f"from the same start; 95 % interval +- {fit.half_width:.2f}; tolerance .1 for the "
                "finite range and 3.9 standard errors over seeds",
                SOURCE,
                -0.5,
                fit.exponent,
                0.1 + 3.9 * fit.error,
            )
        )
    claims.append(
        at_most(
            f"width/{name}-closed-form".lower(),
            f"{name}: closed form of K_Gamma at the end, unseen points among them, against the "
            "kernel model's own descent, median over seeds; ten times the order of S-14, whose "
            "prefactor is a ratio of the start's random components",
            "Simon et al. 2023, section 5; S-14, S-17",
            10 * found.bound,
            float(np.median(found.closed)),
        )
    )
    return claims


def _distance_figure(found: dict[str, Study]) -> Figure:
    figure, axes = new_figure(len(QUANTITIES))
    for ax, quantity in zip(axes, QUANTITIES, strict=True):
        for index, (name, one) in enumerate(found.items()):
            values = one.distances[quantity]
            middle = np.exp(np.log(values).mean(axis=1))
            error = np.log(values).std(axis=1, ddof=1) / np.sqrt(values.shape[1])
            band = middle * (np.exp(error) - 1)
            ax.errorbar(
                one.widths, middle, band, fmt="osD^vP<>hX*p"[index % 12] + "-",
                color=f"C{index % 10}", markersize=4, capsize=2, label=name,
            )  # fmt: skip
        ends = np.array([min(f.widths[0] for f in found.values()),
                         max(f.widths[-1] for f in found.values())])  # fmt: skip
        level = np.mean([f.distances[quantity][-1].mean() * f.widths[-1] ** 0.5
                         for f in found.values()])  # fmt: skip
        ax.plot(ends, 1.6 * level * ends**-0.5, "k--", linewidth=1, label="width$^{-1/2}$")
        ax.set(xscale="log", yscale="log", xlabel="width", title=quantity)
    axes[0].set_ylabel("distance to the infinite-width kernel")
    draw_legend(figure, axes[0])
    text = (
        "Distance of trained nets from their own infinite-width kernel model against the width, in "
        "function, learned subspace and half times: all fall as one over the root of the width "
        "(geometric mean over seeds, bars one standard error)."
    )
    return Figure("distance", "Nets approach their infinite-width kernel", text, figure)


def _course_figure(found: dict[str, Study]) -> Figure:
    columns = min(len(found), 4)
    figure, axes = new_figure(columns, -(-len(found) // columns), width=3.4)
    for ax in axes[len(found) :]:
        ax.set_axis_off()
    for ax, (name, one) in zip(axes, found.items(), strict=False):
        for spectrum, alpha in zip(one.spectra, np.linspace(0.3, 1, len(one.widths)), strict=True):
            draw_modes(ax, one.times, spectrum)
            for line in ax.lines[-DIM:]:
                line.set_alpha(alpha)
        draw_modes(ax, one.times, one.limit, dashed=True, label="infinite width")
        ax.set(title=name, xlabel="time / last critical time")
    axes[0].set_ylabel("eigenvalues of C")
    axes[0].legend(frameon=False, fontsize=8)
    text = (
        "Eigenvalues of C over training for nets of growing width (solid, darker is wider) of one "
        "seed, and for the infinite-width kernel from the widest net's start (dashed)."
    )
    return Figure("course", "Stepwise learning, from narrow to infinitely wide", text, figure)
