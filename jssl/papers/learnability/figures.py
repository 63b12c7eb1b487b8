"""Figures of the learnability report."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jssl.figures import new_figure
from jssl.report.figure import Figure
from jssl.theory.learnability import (
    SupervisedMinima,
    basin_map,
    minimum,
    projections,
    shares,
    stationary_points,
)

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"


def comparison(
    points: np.ndarray,
    near: np.ndarray,
    sign: np.ndarray,
    supervised: np.ndarray,
    best: SupervisedMinima,
) -> list[Figure]:
    """Draw learning curves, learned rows and projections of the three runs.

    Args:
        points: (points,) recorded steps of the self-supervised runs; supervised ones last twice as
            long.
        near: (seeds, points, m, d) self-supervised weights from starts near the minimum.
        sign: self-supervised weights from random weights with the signs of the paper.
        supervised: supervised weights.
        best: minima of the supervised loss.
    """
    return [
        Figure(
            "learning-curves",
            "Learning curves",
            "Weights of the label feature e1 and of the hidden feature e2, with the computed "
            "minima (dashed). Self-supervised learning finds both features, supervised learning "
            "the label feature alone. Lines are medians and bands 10-90 % of seeds and rows.",
            _learning_curves(points, near, supervised, best),
            _named("view-noise", "supervised-optimum", "supervised-minima"),
        ),
        Figure(
            "learned-vectors",
            "Learned rows",
            "Final rows in the plane of the label feature e1 and the hidden feature e2, one point "
            "for each seed.",
            _learned_rows(sign, supervised),
            _named("sign-pairs", "supervised-label"),
        ),
        Figure(
            "projections",
            "Projections of the features",
            "Histograms over seeds of the projections P(e1) and P(e2) of the features onto the "
            "span of the rows. Titles give the mean share |w . e2| / |w| of the hidden feature.",
            _projections(
                {"near the minimum": near, "random start": sign, "supervised": supervised}
            ),
            _named(
                *("near-label", "near-hidden", "near-distribution", "near-hidden-share"),
                *("sign-hidden", "sign-distribution"),
                *("supervised-hidden", "self-supervised-against-supervised"),
            ),
        ),
    ]


def _named(*claims: str) -> tuple[str, ...]:
    return tuple(f"learnability/{claim}" for claim in claims)


def _learning_curves(
    points: np.ndarray, near: np.ndarray, supervised: np.ndarray, best: SupervisedMinima
) -> Any:
    figure, axes = new_figure(2)
    lines = (
        (axes[0], near, points, minimum(7.0, 1 / 800)),
        (axes[1], supervised, 2 * points, best.weight[0, 0]),
    )
    for ax, run, steps, target in lines:
        folded = np.stack([np.abs(run[..., 0]), run[..., 1]], -1).reshape(len(run), len(points), -1)
        for index, colour, label in ((0, BLUE, "|w . e1|"), (1, ORANGE, "w . e2")):
            values = folded[..., index::2]
            low, middle, high = np.percentile(values, [10, 50, 90], axis=(0, 2))
            ax.plot(steps, middle, color=colour, label=label)
            ax.fill_between(steps, low, high, color=colour, alpha=0.2, linewidth=0)
            ax.axhline(target[index], color="black", linestyle="--", linewidth=0.8)
        ax.set_xlabel("step")
    axes[0].set_title("self-supervised, start near the minimum")
    axes[1].set_title("supervised")
    axes[0].legend(frameon=False)
    return figure


def _learned_rows(sign: np.ndarray, supervised: np.ndarray) -> Any:
    figure, (left, right) = new_figure(2)
    for ax, run, title in (
        (left, sign, "self-supervised"),
        (right, supervised, "supervised"),
    ):
        for row, colour in ((0, BLUE), (1, ORANGE)):
            ax.scatter(*run[:, -1, row, :2].T, s=10, alpha=0.6, color=colour, label=f"w{row + 1}")
        ax.set(title=title, xlabel="w . e1", ylabel="w . e2", xlim=(-5, 5), ylim=(-1, 2.5))
    left.legend(frameon=False)
    return figure


def _projections(runs: Mapping[str, np.ndarray]) -> Any:
    figure, panels = new_figure(3)
    for ax, (title, run) in zip(panels, runs.items(), strict=True):
        values = np.asarray(projections(jnp.asarray(run[:, -1])))
        for j, colour in ((0, BLUE), (1, ORANGE)):
            ax.hist(
                values[:, j],
                bins=np.linspace(0, 1, 26),
                color=colour,
                alpha=0.6,
                label=f"P(e{j + 1})",
            )
        hidden = np.asarray(shares(jnp.asarray(run[:, -1])))[..., 1].mean()
        ax.set(title=f"{title}: hidden share {hidden:.3f}", xlabel="projection", ylabel="seeds")
    panels[0].legend(frameon=False)
    return figure


def shifts(noises: Sequence[float], measured: np.ndarray, exact: np.ndarray) -> list[Figure]:
    """Draw the shift of the minimum against the size of the view noise."""
    figure, (ax,) = new_figure(1)
    ax.loglog(noises, exact, "k--", label="theory")
    ax.errorbar(
        noises,
        measured.mean(1),
        2 * measured.std(1) / measured.shape[1] ** 0.5,
        fmt="o",
        color=BLUE,
        label="simulation",
    )
    ax.set(xlabel="size of the view noise, rho", ylabel="shift of the minimum")
    ax.legend(frameon=False)
    return [
        Figure(
            "noise-shift",
            "Shift of the minimum by view noise",
            "Shift of the minimum against the size rho of the view noise. Simulations (points with "
            "two standard errors) follow the prediction (dashed), which grows as rho^2 for small "
            "rho.",
            figure,
        )
    ]


def sampling(counts: Sequence[int], spread: np.ndarray, coefficient: float) -> list[Figure]:
    """Draw the distance of the minimum of a sample from that of the population."""
    figure, (ax,) = new_figure(1)
    ax.loglog(counts, coefficient / np.sqrt(counts), "k--", label="theory")
    ax.loglog(counts, spread, "o", color=BLUE, label="simulation")
    ax.set(xlabel="number of samples n", ylabel="distance between minima")
    ax.legend(frameon=False)
    return [
        Figure(
            "sampling-law",
            "Minima of finite samples",
            "Root-mean-square distance between the minimum of n samples and that of the "
            "population. It decreases as 1 / sqrt(n).",
            figure,
        )
    ]


def duplicates(frequencies: Mapping[str, Mapping[int, np.ndarray]]) -> list[Figure]:
    """Draw the probability of duplicate rows against the number of rows."""
    figure, (ax,) = new_figure(1)
    rows = list(frequencies["population"])
    ax.semilogy(rows, [2.0 ** (1 - m) for m in rows], "k--", label="2^(1-m)")
    for (name, by_rows), colour in zip(frequencies.items(), (BLUE, ORANGE), strict=True):
        ax.semilogy(rows, [by_rows[m].mean() for m in rows], "o-", color=colour, label=name)
    ax.set(xlabel="number of rows m", ylabel="probability of duplicate rows")
    ax.legend(frameon=False)
    return [
        Figure(
            "duplicate-rows",
            "Duplicate rows",
            "Probability that all m rows of random initial sign end at one minimum. On the "
            "population it is 2^(1-m). On a finite sample it is larger, because unequal cells "
            "favour one sign for all rows.",
            figure,
        )
    ]


def basins(tau: float, decay: float) -> list[Figure]:
    """Draw which minimum each start reaches, for sigmoid and tanh."""
    figure, axes = new_figure(2)
    for ax, name in zip(axes, ("sigmoid", "tanh"), strict=True):
        u, v = np.linspace(-5, 5, 40), np.linspace(-2, 2.5, 31)
        reached, theory = basin_map(u, v, tau, decay, activation=name)
        ax.pcolormesh(u, v, reached, cmap="tab10", alpha=0.5, shading="nearest")
        for kind, marker in ((0, "o"), (1, "x"), (2, "^")):
            ax.plot(*theory.points[theory.descents == kind].T, marker, color="black")
        ax.set(title=name, xlabel="w . e1", ylabel="w . e2")
    return [
        Figure(
            "basins",
            "Basins of attraction",
            "Starts coloured by the minimum that they reach. Circles are minima, crosses saddles "
            "and triangles maxima.",
            figure,
        )
    ]


def phases(
    over_problem: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    over_size: tuple[Sequence[int], Sequence[int], np.ndarray],
) -> list[Figure]:
    """Draw the minimum and the share of rows of opposite sign over (tau, decay) and (d, n)."""
    figure, axes = new_figure(3)
    taus, decays, hidden, pairs = over_problem
    dims, counts, opposite_rows = over_size
    titles = ("hidden share of the minimum", "runs with opposite rows, n = 100")
    for ax, values, title in zip(axes, (hidden, pairs), titles, strict=False):
        shade = ax.pcolormesh(taus, decays, values, vmin=0, vmax=1, shading="nearest")
        figure.colorbar(shade, ax=ax)
        label = "strength tau of the hidden feature"
        ax.set(xscale="log", yscale="log", xlabel=label, ylabel="weight decay", title=title)
    shade = axes[2].imshow(opposite_rows, vmin=0, vmax=1, origin="lower", aspect="auto")
    figure.colorbar(shade, ax=axes[2])
    axes[2].set(
        xticks=range(len(dims)),
        xticklabels=dims,
        yticks=range(len(counts)),
        yticklabels=counts,
        xlabel="dimension d",
        ylabel="number of samples n",
        title="runs with opposite rows",
    )
    for ax in axes:
        ax.grid(visible=False)
    return [
        Figure(
            "phases",
            "Phase diagrams",
            "Left: share |w . e2| / |w| of the hidden feature at the minimum, against its strength "
            "tau and weight decay; white where no minimum has w . e1 > 0. Middle: share of runs "
            "whose two rows keep opposite signs. Right: this share against dimension and number of "
            "samples; it grows with the samples.",
            figure,
        )
    ]


def activations(ends: Mapping[str, np.ndarray]) -> list[Figure]:
    """Draw the final rows for each activation."""
    figure, axes = new_figure(len(ends))
    for ax, (name, rows) in zip(axes, ends.items(), strict=True):
        theory = stationary_points(7.0, 1 / 800, activation=name)
        ax.scatter(*rows.T, s=12, color=BLUE, alpha=0.6)
        ax.plot(*theory.points[theory.descents == 0].T, "x", color="black")
        ax.set(title=name, xlabel="w . e1", ylabel="w . e2", xlim=(-4.5, 4.5), ylim=(-2, 2))
    return [
        Figure(
            "activations",
            "Other activations",
            "Final rows (dots) and computed minima (crosses). With tanh and erf, some rows contain "
            "the label feature alone.",
            figure,
        )
    ]
