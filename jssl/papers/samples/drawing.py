"""Figures of the studies: errors against the number of pairs, and staircases at two numbers."""

from collections.abc import Sequence

import numpy as np

from jssl.figures import COLOURS, new_figure
from jssl.papers.samples.subsets import Moved, Reference
from jssl.report.figure import Figure
from jssl.theory import sampling, stepwise
from jssl.types import Claim

START = 1e-3
SHOWN = 5
"""Modes of a staircase that are drawn."""


def figures(
    name: str,
    title: str,
    reference: Reference,
    moved: Sequence[Moved],
    made: Sequence[Claim],
) -> list[Figure]:
    """Return the figures of a study: laws in the number of pairs, and staircases.

    Args:
        name: of the study in the names of claims.
        title: of the encoder and the images.
        reference: all pairs.
        moved: subsets of each size.
        made: the claims of the study.
    """
    of_order = tuple(c.name for c in made if "order" in c.name or "steps" in c.name)
    of_laws = tuple(c.name for c in made if c.name not in of_order)
    return [
        laws(name, title, reference, moved)._replace(claims=of_laws),
        staircases(name, title, reference, (moved[0], moved[-1]))._replace(claims=of_order),
    ]


def laws(name: str, title: str, reference: Reference, moved: Sequence[Moved]) -> Figure:
    """Draw error, bias and rotation of every block against the number of pairs."""
    figure, axes = new_figure(3, width=3.6)
    n = np.array([each.n for each in moved])
    line = np.geomspace(n[0], n[-1], 50)
    m = np.asarray(sampling.effective_pairs(line, reference.total))
    values = reference.sums(reference.eigenvalues)
    predicted, sizes = reference.predicted, reference.sizes()
    panels = (
        ("relative standard error", [each.shifts.std(0, ddof=1) / values for each in moved],
         np.sqrt(predicted.variances)[:, None] / values[:, None] / np.sqrt(m)),
        ("relative bias", [(each.shifts - each.firsts).mean(0) / values for each in moved],
         (predicted.shifts / values)[:, None] / m),
        ("rotation, 1 - overlap$^2$", [each.rotations.mean(0) / sizes for each in moved],
         (predicted.rotations / sizes)[:, None] / m),
    )  # fmt: skip
    for ax, (label, seen, theory) in zip(axes, panels, strict=True):
        for index, (start, stop) in enumerate(reference.blocks):
            colour = COLOURS[index % len(COLOURS)]
            modes = f"mode {stop}" if stop == start + 1 else f"modes {start + 1} to {stop}"
            ax.loglog(n, np.array(seen)[:, index], "o", color=colour, label=modes)
            ax.loglog(line, theory[index], "--", color=colour)
        ax.set(xlabel="pairs", ylabel=label)
        ax.set_xticks(n, [f"{size:,}" for size in n])
        ax.minorticks_off()
    axes[0].legend(fontsize=7)
    description = (
        f"Relative standard error, relative bias and rotation of blocks of modes, {title}, against "
        f"the number of pairs. Dots are means over subsets of {reference.total:,} pairs, dashed "
        "lines the leading order of theory, which does not hold where the rotation is not small."
    )
    return Figure(f"laws-{name}", f"Errors and bias, {title}", description, figure)


def staircases(name: str, title: str, reference: Reference, ends: Sequence[Moved]) -> Figure:
    """Draw the predicted staircase from one subset of the smallest and of the largest size."""
    shown = min(SHOWN, len(reference.eigenvalues))
    figure, axes = new_figure(2, width=4.6)
    scale = START / reference.eigenvalues[0] ** 0.5
    unit = float(stepwise.half_time(scale, reference.eigenvalues[0]))
    last = 1.3 * float(stepwise.half_time(scale, reference.eigenvalues[shown - 1])) / unit
    times = np.linspace(0, last, 400)

    def learned(gamma: np.ndarray) -> np.ndarray:
        logits = -np.log(1 / (gamma * scale**2) - 1) + 8 * gamma * times[:, None] * unit
        return 1 / (1 + np.exp(-logits))

    for ax, each in zip(axes, ends, strict=True):
        low, high = np.quantile(each.values[:, :shown], [0.05, 0.95], axis=0)
        for j in range(shown):
            colour = COLOURS[j % len(COLOURS)]
            ax.plot(times, learned(reference.eigenvalues[j : j + 1])[:, 0], "--", color=colour)
            ax.plot(times, learned(each.values[0, j : j + 1])[:, 0], color=colour)
            edges = learned(low[j : j + 1])[:, 0], learned(high[j : j + 1])[:, 0]
            ax.fill_between(times, *edges, color=colour, alpha=0.15, linewidth=0)
        ax.set(xlabel="time / first half time", ylabel="learned share of a mode")
        ax.set_title(f"{each.n:,} pairs", fontsize=10)
    description = (
        f"Predicted staircase of the first {shown} modes, {title}, from one subset of "
        f"{ends[0].n:,} and one of {ends[1].n:,} pairs (solid), with bands that contain the "
        f"predictions of 90 % of the subsets, and from all {reference.total:,} pairs (dashed)."
    )
    return Figure(f"staircases-{name}", f"Predicted staircases, {title}", description, figure)


def stable(title: str, reference: Reference, sizes: Sequence[int]) -> str:
    """Return a sentence on the number of modes whose order is resolved at each number of pairs."""
    counts = [
        int(sampling.resolved_modes(reference.eigenvalues, reference.gaps, reference.pairs(n)))
        for n in sizes
    ]
    listed = ", ".join(f"{count} at {n:,}" for n, count in zip(sizes, counts, strict=True))
    first = float(reference.eigenvalues[1] - reference.eigenvalues[2])
    needed = 4 * float(reference.gaps[1]) / first**2
    return (
        f"Leading modes whose order is resolved by two standard errors, {title}: {listed} pairs. "
        f"Modes 2 and 3 need {needed:,.0f} independent pairs."
    )
