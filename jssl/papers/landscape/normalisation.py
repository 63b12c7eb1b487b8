"""Normalisation forbids complete collapse, a bias brings it back: phase diagram and jump."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from jssl import losses
from jssl.figures import new_figure
from jssl.papers.claims import at_least, at_most, close
from jssl.papers.landscape.common import SOURCE
from jssl.papers.outcome import Part, Settings
from jssl.report.figure import Figure
from jssl.theory import landscape
from jssl.types import Array

DATA = np.array([1.0, 0.5, 0.25])
DIM, QUARTIC = 2, 0.75

# Three Gauss-Hermite nodes a coordinate integrate the penalty, of degree 4, exactly.
_NODES, _SHARES = np.polynomial.hermite_e.hermegauss(3)
POINTS = np.array(list(itertools.product(_NODES, repeat=3)))
SHARES = np.prod(list(itertools.product(_SHARES / _SHARES.sum(), repeat=3)), axis=1)


def penalised(flat: Array, strengths: Array, kappa: Array, biased: Array) -> Array:
    """Return -Tr[V S V^T] + c4 Tr[(V V^T)^2] + kappa E(|V x + b|^2 - 1)^2 of (V, b), flat."""
    weight, bias = flat[: DIM * 3].reshape(DIM, 3), flat[DIM * 3 :] * biased
    z = jnp.asarray(POINTS) @ weight.T + bias
    penalty = jnp.sum(jnp.asarray(SHARES) * (jnp.sum(z**2, 1) - 1) ** 2)
    square = weight @ weight.T
    return QUARTIC * jnp.sum(square**2) - jnp.sum(weight**2 * strengths) + kappa * penalty


def phases(settings: Settings) -> Part:
    """Minimise over a grid of kappa and augmentation, with a bias and without."""
    side, starts = {"quick": (12, 6), "paper": (32, 10), "large": (64, 16)}[settings.scale]
    kappas, noises = np.geomspace(0.02, 3, side), np.linspace(0.1, 5.1, side)
    grid = np.array(list(itertools.product(noises, kappas)))
    strengths = (DATA - grid[:, :1] / 2) / DATA
    points = 0.6 * settings.generator(6).normal(size=(starts, DIM * 3 + DIM))

    @jax.jit
    def solve(strengths: Array, kappas: Array, biased: Array) -> tuple[Array, Array]:
        def cell(values: tuple[Array, Array]) -> tuple[Array, Array]:
            one = jax.vmap(
                lambda p: landscape.minimise(penalised, p, *values, biased, tolerance=1e-8)
            )
            ends = one(points)
            best = jnp.argmin(ends.value)
            return ends.value[best], ends.point[best]

        return jax.lax.map(cell, (strengths, kappas), batch_size=24)

    @jax.jit
    @jax.vmap
    def predict(strengths: Array, kappa: Array) -> tuple[Array, Array, landscape.Filled]:
        options = {"quartic": QUARTIC, "kappa": kappa}
        plain = landscape.soft_normalisation(strengths, DIM, **options)
        top = jnp.sort(strengths)[::-1][:DIM]
        energy = landscape.normalised_energy(plain, 0.0, top, **options)
        return plain, energy, landscape.biased_minimum(strengths, DIM, **options)

    plain, energy, biased = jax.device_get(predict(strengths, grid[:, 1]))
    claims, pictures = [], []
    for word, expected, exact, flag in (
        ("without", plain, energy, 0.0),
        ("with", biased.variances, biased.energy, 1.0),
    ):
        value, ends = jax.device_get(solve(strengths, grid[:, 1], flag))
        weights = ends[:, : DIM * 3].reshape(-1, DIM, 3)
        seen = np.linalg.eigvalsh(weights @ np.swapaxes(weights, 1, 2))
        gap = float(np.abs(value - exact).max())
        number = (expected > 1e-6).sum(1)
        # A variance below 1e-3 is on the edge of a phase: energies cannot tell it from 0.
        clear = ~((expected > 1e-6) & (expected < 5e-3)).any(1)
        wrong = int(((seen > 1e-3).sum(1) != number)[clear].sum())
        claims += [
            at_most(
                f"landscape/normalised-{word}-bias-energy",
                f"soft normalisation {word} a bias, {len(grid)} cells of kappa and augmentation, "
                f"{starts} starts each: largest gap of the minimum to the prediction",
                f"{SOURCE}; L-{'13' if flag else '12'}",
                1e-6,
                gap,
            ),
            close(
                f"landscape/normalised-{word}-bias-rank",
                f"the same: cells among {int(clear.sum())} away from an edge whose rank is wrong",
                f"{SOURCE}; L-{'13' if flag else '12'}",
                0,
                wrong,
                0,
            ),
        ]
        pictures.append((word, number.reshape(side, side), (seen > 1e-3).sum(1)))
    weakest = 2 * grid[:, 1] > -strengths.max(1)
    collapsing = strengths.max(1) < 0
    lost = biased.variances.sum(1) < 1e-6
    claims += [
        close(
            "landscape/no-complete-collapse",
            "without a bias: cells whose rank is zero though 2 kappa > -s_max, or is not though "
            "2 kappa is below (minimised)",
            f"{SOURCE}; L-12",
            0,
            int(((pictures[0][2] > 0) != weakest).sum()),
            0,
        ),
        close(
            "landscape/collapse-back-with-bias",
            "with a bias: share of the cells with every s_i < 0 that collapse completely "
            "(minimised)",
            f"{SOURCE}; L-13",
            1,
            float((pictures[1][2] == 0)[collapsing & lost].mean()),
            0,
        ),
    ]
    return Part([*claims, *_jump()], [_phase_figure(pictures, kappas, noises)])


def _jump() -> list:
    """Follow the two minima across the strength of normalisation at which they change places."""
    strengths = np.array([1.2, 0.8, 0.2])
    kappas = np.geomspace(0.05, 1.0, 200)
    candidates = jax.jit(
        jax.vmap(
            lambda k: landscape.biased_minima(jnp.asarray(strengths), DIM, quartic=QUARTIC, kappa=k)
        )
    )
    found = jax.device_get(candidates(kappas))
    lead = found.energy[:, 0] - found.energy[:, 1]
    at = int(np.argmax(lead < 0))
    inside = np.array([kappas[at - 3], kappas[at + 3]])
    seen = []
    solve = jax.jit(
        jax.vmap(lambda p, k: landscape.minimise(penalised, p, strengths, k, 1.0, tolerance=1e-9))
    )
    for candidate in (0, 1):
        q, square = found.variances[at, candidate], found.bias_square[at, candidate]
        weight = np.eye(DIM, 3) * np.sqrt(q)[:, None]
        start = np.concatenate([weight.ravel(), np.zeros(DIM - 1), [np.sqrt(square)]])
        nudged = start + 1e-2 * np.cos(np.arange(len(start)))
        seen.append(jax.device_get(solve(np.stack([nudged, nudged]), inside)))
    predicted = np.stack([found.energy[at - 3, :2], found.energy[at + 3, :2]], 1)
    measured = np.stack([x.value for x in seen])
    biases = [np.sum(x.point[:, DIM * 3 :] ** 2, 1) for x in seen]
    source = f"{SOURCE}; L-13"
    return [
        at_most(
            "landscape/two-phases-coexist",
            "descents from near the minimum with a bias and from near the one without, on both "
            "sides of the change (3 steps of kappa): largest gap to the two candidates; each stays "
            "a local minimum where it has lost",
            source,
            1e-6,
            float(np.abs(measured - predicted).max()),
        ),
        close(
            "landscape/jump-of-the-bias",
            "jump of |b|^2 between the two minima there, against candidates (i) and (ii)",
            source,
            float(found.bias_square[at + 3, 0]),
            float(biases[0][1] - biases[1][1]),
            1e-4,
        ),
        at_least(
            "landscape/jump-is-a-jump",
            "that jump in |b|^2, at least a tenth",
            source,
            0.1,
            float(biases[0][1] - biases[1][1]),
        ),
    ]


def hard(settings: Settings) -> Part:
    """Judge hard normalisation: cosine InfoNCE of z = a W x + b has the curvature of L-14."""
    draws = settings.generator(7)
    x = draws.normal(size=(3, 300, 3)) * np.sqrt(DATA)
    weight, bias = draws.normal(size=(3, 3)), np.array([1.0, -0.5, 2])
    temperature = 0.5

    def loss(a: Array) -> Array:
        za, zb, zn = (a * v @ weight.T + bias for v in x)
        value = losses.get(
            "info_nce",
            score="cosine",
            negatives=zn,
            include_positive=False,
            temperature=temperature,
        )
        return value(za, zb)

    apart, near = x[0][:, None] - x[2], x[0] - x[1]
    signal = np.einsum("nki,nkj->ij", apart, apart) / apart[..., 0].size
    signal = (signal - near.T @ near / len(near)) / 2
    predicted = 2 * landscape.hard_normalised_loss(weight, bias, signal, temperature=temperature)
    return Part(
        [
            close(
                "landscape/hard-normalisation",
                "cosine InfoNCE of a W x + b on a sample: curvature in a at 0, against W~ of L-14 "
                "and the sample's B (an identity)",
                f"{SOURCE}; L-14",
                float(predicted),
                float(jax.jit(jax.hessian(loss))(0.0)),
                1e-9 * abs(float(predicted)),
            )
        ],
        [],
    )


def _phase_figure(pictures: list, kappas: np.ndarray, noises: np.ndarray) -> Figure:
    figure, axes = new_figure(2, width=4.4, height=3.6)
    colours = ["#222222", "#56b4e9", "#f0e442"]
    import matplotlib as mpl

    shades = mpl.colors.ListedColormap(colours)
    for ax, (word, number, _) in zip(axes, pictures, strict=True):
        mesh = ax.pcolormesh(kappas, noises, number, cmap=shades, vmin=-0.5, vmax=2.5)
        ax.set(xscale="log", xlabel="weight of normalisation", title=f"{word} a bias")
        ax.grid(visible=False)
    edge = -(DATA[0] - noises / 2) / DATA[0] / 2
    inside = (edge >= kappas[0]) & (edge <= kappas[-1])
    axes[0].plot(edge[inside], noises[inside], "--", color="white", linewidth=1.6)
    axes[0].set_ylabel("strength of augmentation")
    bar = figure.colorbar(mesh, ax=axes, ticks=[0, 1, 2])
    bar.set_label("surviving dimensions")
    text = (
        "Surviving dimensions against the weight of soft normalisation and the strength of "
        "augmentation. Without a bias complete collapse (black) ends at the predicted line "
        "(dashed); with a bias it is back wherever augmentation is strong, and an output is lost."
    )
    return Figure("normalisation-phases", "Normalisation, with and without a bias", text, figure)
