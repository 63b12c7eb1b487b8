"""The figures of the learnability report."""

from collections.abc import Mapping, Sequence

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
    taught: np.ndarray,
    best: SupervisedMinima,
) -> list[Figure]:
    """Draw learning curves, learned vectors and projections, SSL beside supervision."""
    curves, axes = new_figure(2)
    lines = (
        (axes[0], near, points, minimum(7.0, 1 / 800)),
        (axes[1], taught, 2 * points, best.weight[0, 0]),
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
    axes[0].set_title("self-supervised, start near")
    axes[1].set_title("supervised")
    axes[0].legend(frameon=False)
    vectors, (left, right) = new_figure(2)
    for ax, run, title in ((left, sign, "self-supervised"), (right, taught, "supervised")):
        for row, colour in ((0, BLUE), (1, ORANGE)):
            ax.scatter(*run[:, -1, row, :2].T, s=10, alpha=0.6, color=colour, label=f"w{row + 1}")
        ax.set(title=title, xlabel="w . e1", ylabel="w . e2", xlim=(-5, 5), ylim=(-1, 2.5))
    left.legend(frameon=False)
    bars, panels = new_figure(3)
    for ax, run, title in zip(
        panels, (near, sign, taught), ("near", "sign", "supervised"), strict=True
    ):
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
        ax.set(title=f"{title}: mean |w.e2|/|w| {hidden:.3f}", xlabel="projection")
    panels[0].legend(frameon=False)
    return [
        Figure(
            "learning-curves",
            "Learning curves",
            "Rows approach the dashed minima: SSL learns both features, supervision the "
            "label-related one. Median and 10-90 % of seeds.",
            curves,
        ),
        Figure(
            "learned-vectors",
            "Learned vectors",
            "Final rows in the plane of the two features, one point a seed.",
            vectors,
        ),
        Figure(
            "projections",
            "Projections",
            "Histograms of P(e1) and P(e2) over seeds, and the well-conditioned hidden share.",
            bars,
        ),
    ]


def shifts(noises: Sequence[float], seen: np.ndarray, exact: np.ndarray) -> list[Figure]:
    """Draw the shift by view noise against rho."""
    figure, (ax,) = new_figure(1)
    ax.loglog(noises, exact, "k--", label="population")
    ax.errorbar(
        noises,
        seen.mean(1),
        2 * seen.std(1) / seen.shape[1] ** 0.5,
        fmt="o",
        color=BLUE,
        label="runs",
    )
    ax.set(xlabel="rho", ylabel="shift of the minimum")
    ax.legend(frameon=False)
    return [
        Figure(
            "noise-shift",
            "Shift by view noise",
            "The minimum moves as rho^2: runs on the predicted line.",
            figure,
        )
    ]


def sampling(counts: Sequence[int], spread: np.ndarray, coefficient: float) -> list[Figure]:
    """Draw the sampling law."""
    figure, (ax,) = new_figure(1)
    ax.loglog(counts, coefficient / np.sqrt(counts), "k--", label="H^-1 S H^-1 / n")
    ax.loglog(counts, spread, "o", color=BLUE, label="data sets")
    ax.set(xlabel="samples n", ylabel="distance from the minimum")
    ax.legend(frameon=False)
    return [
        Figure(
            "sampling-law",
            "Sampling law",
            "Distance to the population minimum falls as 1/sqrt(n).",
            figure,
        )
    ]


def duplicates(seen: Mapping[str, Mapping[int, np.ndarray]]) -> list[Figure]:
    """Draw the duplicate-row law against m."""
    figure, (ax,) = new_figure(1)
    rows = list(seen["population"])
    ax.semilogy(rows, [2.0 ** (1 - m) for m in rows], "k--", label="2^(1-m)")
    for (name, by_rows), colour in zip(seen.items(), (BLUE, ORANGE), strict=True):
        ax.semilogy(rows, [by_rows[m].mean() for m in rows], "o-", color=colour, label=name)
    ax.set(xlabel="rows m", ylabel="share with all rows alike")
    ax.legend(frameon=False)
    return [
        Figure(
            "duplicate-rows",
            "Duplicate rows",
            "On the population the share follows 2^(1-m); 48 drawn samples tilt all rows "
            "together and lie above.",
            figure,
        )
    ]


def basins(tau: float, decay: float) -> list[Figure]:
    """Draw which minimum each start reaches, sigmoid beside tanh."""
    figure, axes = new_figure(2)
    for ax, name in zip(axes, ("sigmoid", "tanh"), strict=True):
        u, v = np.linspace(-5, 5, 40), np.linspace(-2, 2.5, 31)
        reached, found = basin_map(u, v, tau, decay, activation=name)
        ax.pcolormesh(u, v, reached, cmap="tab10", alpha=0.5, shading="nearest")
        for kind, marker in ((0, "o"), (1, "x"), (2, "^")):
            ax.plot(*found.points[found.descents == kind].T, marker, color="black")
        ax.set(title=name, xlabel="u", ylabel="v")
    return [
        Figure(
            "basins",
            "Basins of attraction",
            "Starts coloured by the minimum reached; circles minima, crosses saddles, "
            "triangles maxima.",
            figure,
        )
    ]


def phases(
    over_problem: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    over_size: tuple[Sequence[int], Sequence[int], np.ndarray],
) -> list[Figure]:
    """Draw the minimum and the share of correct pairs over (tau, alpha) and (d, n)."""
    figure, axes = new_figure(3)
    taus, decays, hidden, pairs = over_problem
    dims, counts, kept = over_size
    titles = ("hidden share of the minimum", "share of correct pairs, n = 100")
    for ax, values, title in zip(axes, (hidden, pairs), titles, strict=False):
        shade = ax.pcolormesh(taus, decays, values, vmin=0, vmax=1, shading="nearest")
        figure.colorbar(shade, ax=ax)
        ax.set(xscale="log", yscale="log", xlabel="tau", ylabel="alpha", title=title)
    shade = axes[2].imshow(kept, vmin=0, vmax=1, origin="lower", aspect="auto")
    figure.colorbar(shade, ax=axes[2])
    axes[2].set(
        xticks=range(len(dims)),
        xticklabels=dims,
        yticks=range(len(counts)),
        yticklabels=counts,
        xlabel="dimension d",
        ylabel="samples n",
        title="share of correct pairs",
    )
    for ax in axes:
        ax.grid(visible=False)
    return [
        Figure(
            "phases",
            "Phase diagrams",
            "Left: |w . e2| / |w| at the minimum over tau and alpha, white where no minimum has "
            "u > 0. Middle: the share of runs whose "
            "two rows keep opposite signs. Right: the same share over d and n; more samples keep "
            "more pairs.",
            figure,
        )
    ]


def activations(ends: Mapping[str, np.ndarray]) -> list[Figure]:
    """Draw where the rows of each activation end."""
    figure, axes = new_figure(len(ends))
    for ax, (name, rows) in zip(axes, ends.items(), strict=True):
        found = stationary_points(7.0, 1 / 800, activation=name)
        ax.scatter(*rows.T, s=12, color=BLUE, alpha=0.6)
        ax.plot(*found.points[found.descents == 0].T, "x", color="black")
        ax.set(title=name, xlabel="u", ylabel="v", xlim=(-4.5, 4.5), ylim=(-2, 2))
    return [
        Figure(
            "activations",
            "Other activations",
            "Final rows (dots) on the computed minima (crosses): for tanh and erf some rows hold "
            "the label-related feature alone.",
            figure,
        )
    ]
