"""Soft normalisation prevents complete collapse, and a bias makes it possible again."""

import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.figures import new_figure
from jssl.papers.claims import at_least, at_most, close
from jssl.papers.landscape.common import source
from jssl.papers.outcome import Part, Settings
from jssl.report.figure import Figure
from jssl.theory import landscape
from jssl.types import Array, Claim, Rival

DATA = np.array([1.0, 0.5, 0.25])
DIM, QUARTIC = 2, 0.75

# Three Gauss-Hermite nodes per coordinate integrate the penalty, of degree 4, exactly.
_NODES, _SHARES = np.polynomial.hermite_e.hermegauss(3)
POINTS = np.array(list(itertools.product(_NODES, repeat=3)))
SHARES = np.prod(list(itertools.product(_SHARES / _SHARES.sum(), repeat=3)), axis=1)


def penalised(flat: Array, strengths: Array, kappa: Array, biased: Array) -> Array:
    """Return -Tr[V S V^T] + c4 Tr[(V V^T)^2] + kappa E(|V x + b|^2 - 1)^2 of flat (V, b)."""
    weight, bias = flat[: DIM * 3].reshape(DIM, 3), flat[DIM * 3 :] * biased
    z = jnp.asarray(POINTS) @ weight.T + bias
    penalty = jnp.sum(jnp.asarray(SHARES) * (jnp.sum(z**2, 1) - 1) ** 2)
    square = weight @ weight.T
    return QUARTIC * jnp.sum(square**2) - jnp.sum(weight**2 * strengths) + kappa * penalty


class Phases(NamedTuple):
    """Minima over a grid of normalisation strength kappa and augmentation strength.

    Attributes:
        values: (cells,) lowest loss that minimisation finds.
        ranks: (cells,) surviving dimensions at that minimum.
        variances: (cells, DIM) variances at that minimum by theory.
        energy: (cells,) loss at that minimum by theory.
    """

    values: np.ndarray
    ranks: np.ndarray
    variances: np.ndarray
    energy: np.ndarray


def phases(settings: Settings) -> Part:
    """Test minima over a grid of kappa and augmentation strength, with and without a bias."""
    side, starts = {"quick": (12, 6), "paper": (32, 10), "large": (64, 16)}[settings.scale]
    kappas, noises = np.geomspace(0.02, 3, side), np.linspace(0.1, 5.1, side)
    grid = np.array(list(itertools.product(noises, kappas)))
    strengths = (DATA - grid[:, :1] / 2) / DATA
    points = 0.6 * settings.generator(6).normal(size=(starts, DIM * 3 + DIM))
    theory, minima = _predictions(strengths, grid[:, 1]), _minimisation(points)
    plain, biased = (
        Phases(*minima(strengths, grid[:, 1], flag), *predicted)
        for flag, predicted in zip((0.0, 1.0), theory, strict=True)
    )
    claims = [
        *_grid_claims("without", plain, biased, starts),
        *_grid_claims("with", biased, plain, starts),
        *_collapse_claims(plain, biased, strengths, grid[:, 1]),
    ]
    numbers = {
        word: (of.variances > 1e-6).sum(1).reshape(side, side)
        for word, of in (("without", plain), ("with", biased))
    }
    return Part([*claims, *_transition()], [_phase_figure(numbers, kappas, noises)])


def _minimisation(points: np.ndarray) -> Any:
    """Return `minima(strengths, kappas, biased)`: the lowest loss and the rank of each cell."""

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

    def minima(
        strengths: np.ndarray, kappas: np.ndarray, biased: float
    ) -> tuple[np.ndarray, np.ndarray]:
        values, ends = jax.device_get(solve(strengths, kappas, biased))
        weights = ends[:, : DIM * 3].reshape(-1, DIM, 3)
        variances = np.linalg.eigvalsh(weights @ np.swapaxes(weights, 1, 2))
        return values, (variances > 1e-3).sum(1)

    return minima


def _predictions(strengths: np.ndarray, kappas: np.ndarray) -> Any:
    """Return the predicted (variances, energy) of each cell, without a bias and with one."""

    @jax.jit
    @jax.vmap
    def solve(strengths: Array, kappa: Array) -> tuple[Array, Array, landscape.Filled]:
        options = {"quartic": QUARTIC, "kappa": kappa}
        plain = landscape.soft_normalisation(strengths, DIM, **options)
        top = jnp.sort(strengths)[::-1][:DIM]
        energy = landscape.normalised_energy(plain, 0.0, top, **options)
        return plain, energy, landscape.biased_minimum(strengths, DIM, **options)

    plain, energy, biased = jax.device_get(solve(strengths, kappas))
    return (plain, energy), (biased.variances, biased.energy)


def _grid_claims(word: str, phases: Phases, other: Phases, starts: int) -> list[Claim]:
    """Return the claims; the rival is the theory of `other`, with the bias or without it."""
    equation = {"without": "L-12", "with": "L-13"}[word]
    rival = f"the theory {({'without', 'with'} - {word}).pop()} bias"
    other_number = (other.variances > 1e-6).sum(1)
    expected = phases.variances
    number = (expected > 1e-6).sum(1)
    # Near the edge of a phase, a variance is small and the loss does not distinguish it from 0.
    clear = ~((expected > 1e-6) & (expected < 5e-3)).any(1)
    return [
        at_most(
            f"landscape/normalised-{word}-bias-energy",
            f"With soft normalisation and {_BIAS[word]} bias, the minimal loss is the predicted "
            "one throughout the phase diagram.",
            source(equation),
            1e-6,
            float(np.abs(phases.values - phases.energy).max()),
            details=f"The phase diagram has {len(number)} cells of normalisation and augmentation "
            f"strength, and minimisation has {starts} starts in each. The measured value is the "
            "largest absolute difference of the loss.",
            rivals=[Rival(rival, float(np.abs(phases.values - other.energy).max()))],
        ),
        close(
            f"landscape/normalised-{word}-bias-rank",
            f"With soft normalisation and {_BIAS[word]} bias, the number of surviving dimensions "
            "is the predicted one throughout the phase diagram.",
            source(equation),
            0,
            int((phases.ranks != number)[clear].sum()),
            0,
            details=f"The measured value is the number of wrong ranks among {int(clear.sum())} "
            "cells that are not at the edge of a phase.",
            rivals=[Rival(rival, int((phases.ranks != other_number)[clear].sum()))],
        ),
    ]


_BIAS = {"without": "no", "with": "a"}


def _collapse_claims(
    plain: Phases, biased: Phases, strengths: np.ndarray, kappas: np.ndarray
) -> list[Claim]:
    survives = 2 * kappas > -strengths.max(1)
    doubled = kappas > -strengths.max(1)
    collapsing = strengths.max(1) < 0
    lost = biased.variances.sum(1) < 1e-6
    return [
        close(
            "landscape/no-complete-collapse",
            "Without a bias, soft normalisation prevents complete collapse exactly if its strength "
            "exceeds the predicted threshold.",
            source("L-12"),
            0,
            int(((plain.ranks > 0) != survives).sum()),
            0,
            details="The threshold of the strength kappa is -s / 2, where s is the largest signal "
            "of a mode. The measured value is the number of cells of the phase diagram in which "
            "minimisation contradicts the prediction.",
            rivals=[
                Rival("no collapse at any strength", int((plain.ranks == 0).sum())),
                Rival("a threshold of -s", int(((plain.ranks > 0) != doubled).sum())),
            ],
        ),
        close(
            "landscape/collapse-back-with-bias",
            "With a bias, soft normalisation does not prevent complete collapse under strong "
            "augmentation.",
            source("L-13"),
            1,
            float((biased.ranks == 0)[collapsing & lost].mean()),
            0,
            details="The measured value is the share of completely collapsed minima among the "
            "cells of the phase diagram in which every mode has a negative signal and complete "
            "collapse is predicted.",
            rivals=[
                Rival(
                    "normalisation prevents it, as without a bias",
                    float((plain.ranks == 0)[collapsing & lost].mean()),
                )
            ],
        ),
    ]


def _transition() -> list[Claim]:
    """Test both minima near the normalisation strength at which their losses are equal."""
    strengths = np.array([1.2, 0.8, 0.2])
    kappas = np.geomspace(0.05, 1.0, 200)
    solve = jax.jit(
        jax.vmap(
            lambda k: landscape.biased_minima(jnp.asarray(strengths), DIM, quartic=QUARTIC, kappa=k)
        )
    )
    candidates = jax.device_get(solve(kappas))
    lead = candidates.energy[:, 0] - candidates.energy[:, 1]
    at = int(np.argmax(lead < 0))
    sides = [at - 3, at + 3]
    minimise = jax.jit(
        jax.vmap(lambda p, k: landscape.minimise(penalised, p, strengths, k, 1.0, tolerance=1e-9))
    )
    ends = []
    for candidate in (0, 1):
        q, square = candidates.variances[at, candidate], candidates.bias_square[at, candidate]
        weight = np.eye(DIM, 3) * np.sqrt(q)[:, None]
        start = np.concatenate([weight.ravel(), np.zeros(DIM - 1), [np.sqrt(square)]])
        nudged = start + 1e-2 * np.cos(np.arange(len(start)))
        ends.append(jax.device_get(minimise(np.stack([nudged, nudged]), kappas[sides])))
    predicted = np.stack([candidates.energy[side, :2] for side in sides], 1)
    measured = np.stack([end.value for end in ends])
    biases = [np.sum(end.point[:, DIM * 3 :] ** 2, 1) for end in ends]
    return _transition_claims(
        (np.abs(measured - predicted).max(), np.abs(measured - predicted[::-1]).max()),
        float(candidates.bias_square[at + 3, 0]),
        float(biases[0][1] - biases[1][1]),
    )


def _transition_claims(
    differences: tuple[float, float], predicted: float, jump: float
) -> list[Claim]:
    setting = (
        "With increasing strength of soft normalisation, the minimum with a nonzero bias becomes "
        "lower than the minimum with zero bias."
    )
    return [
        at_most(
            "landscape/two-phases-coexist",
            "Near the transition between zero and nonzero bias, both minima exist and have their "
            "predicted losses.",
            source("L-13"),
            1e-6,
            differences[0],
            details=f"{setting} Descents start near each minimum, on both sides of the transition. "
            "The measured value is the largest absolute difference of the final loss from the "
            "prediction.",
            rivals=[Rival("descents end in the other minimum", differences[1])],
        ),
        close(
            "landscape/jump-of-the-bias",
            "At the transition between zero and nonzero bias, the squared norm of the bias jumps "
            "by the predicted amount.",
            source("L-13"),
            predicted,
            jump,
            1e-4,
            details=f"{setting} The measured value is the difference of the squared norm of the "
            "bias between the two minima.",
            rivals=[Rival("a continuous change", 0.0), Rival("the whole norm is bias", 1.0)],
        ),
        at_least(
            "landscape/jump-is-a-jump",
            "At the transition between zero and nonzero bias, the squared norm of the bias is "
            "discontinuous.",
            source("L-13"),
            0.1,
            jump,
            details=f"{setting} The measured value is the difference of the squared norm of the "
            "bias between the two minima. The bound of 0.1 excludes a continuous change.",
            rivals=[Rival("a continuous change", 0.0)],
        ),
    ]


def _phase_figure(numbers: dict[str, np.ndarray], kappas: np.ndarray, noises: np.ndarray) -> Figure:
    figure, axes = new_figure(2, width=4.4, height=3.6)
    colours = ["#222222", "#56b4e9", "#f0e442"]
    import matplotlib as mpl

    shades = mpl.colors.ListedColormap(colours)
    for ax, (word, number) in zip(axes, numbers.items(), strict=True):
        mesh = ax.pcolormesh(kappas, noises, number, cmap=shades, vmin=-0.5, vmax=2.5)
        ax.set(xscale="log", xlabel="normalisation strength", title=f"{word} a bias")
        ax.grid(visible=False)
    edge = -(DATA[0] - noises / 2) / DATA[0] / 2
    inside = (edge >= kappas[0]) & (edge <= kappas[-1])
    axes[0].plot(edge[inside], noises[inside], "--", color="white", linewidth=1.6)
    axes[0].set_ylabel("augmentation strength")
    bar = figure.colorbar(mesh, ax=axes, ticks=[0, 1, 2])
    bar.set_label("surviving dimensions")
    text = (
        "Surviving dimensions against the strengths of soft normalisation and of augmentation. "
        "Without a bias, complete collapse (black) ends at the predicted line (dashed). With a "
        "bias, it occurs wherever augmentation is strong, and one output is used for the bias."
    )
    return Figure(
        "normalisation-phases", "Soft normalisation with and without a bias", text, figure
    )
