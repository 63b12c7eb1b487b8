"""Figures of the studies: errors against the number of pairs, and staircases at two numbers."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jssl.figures import COLOURS, new_figure
from jssl.papers.samples.subsets import Moved, Reference, exchange_probabilities
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
    m = np.asarray(sampling.effective_pairs(jnp.asarray(line), reference.total))
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
    figure, axes = new_figure(2, width=4.6)
    for ax, each in zip(axes, ends, strict=True):
        _stairs(ax, reference, each)
    description = (
        f"Predicted staircase of the first {SHOWN} modes, {title}, from one subset of "
        f"{ends[0].n:,} and one of {ends[1].n:,} pairs (solid), with bands that contain the "
        f"predictions of 90 % of the subsets, and from all {reference.total:,} pairs (dashed)."
    )
    return Figure(f"staircases-{name}", f"Predicted staircases, {title}", description, figure)


def against(name: str, title: str, reference: Reference, moved: Moved) -> Figure:
    """Draw the staircase of one size, and how far each eigenvalue moves, beside the theory."""
    figure, axes = new_figure(2, width=4.6)
    _stairs(axes[0], reference, moved)
    values, modes = reference.eigenvalues, np.arange(1, len(reference.eigenvalues) + 1)
    relative = moved.values / values - 1
    shift = reference.single.shifts / moved.m / values
    error = np.sqrt(reference.single.variances / moved.m) / values
    axes[1].errorbar(
        modes, relative.mean(0), relative.std(0, ddof=1), fmt="o", ms=4, label="subsets"
    )
    axes[1].plot(modes, shift, "k--", label="theory")
    for sign in (-1, 1):
        axes[1].plot(modes, shift + sign * error, "k:", lw=0.8)
    axes[1].set(xlabel="mode", ylabel="relative excess of the eigenvalue")
    axes[1].set_title(f"{moved.n:,} against {reference.total:,} pairs", fontsize=10)
    axes[1].legend(fontsize=7)
    description = (
        f"Left: predicted staircase of the first {SHOWN} modes, {title}, from one subset of "
        f"{moved.n:,} pairs (solid), the bands of 90 % of the subsets, and from all "
        f"{reference.total:,} pairs (dashed). Right: mean and standard deviation over subsets of "
        "the relative excess of each eigenvalue, and the leading order of theory (dashed, with "
        "one standard error dotted)."
    )
    return Figure(f"staircases-{name}", f"Few pairs against many, {title}", description, figure)


def _stairs(ax: Any, reference: Reference, moved: Moved) -> None:
    """Draw the learned shares of the first modes over time, in first half times of all pairs."""
    values = reference.eigenvalues[:SHOWN]
    scale = START / values[0] ** 0.5
    halves = np.asarray(stepwise.half_time(np.full(len(values), scale), values))
    times = np.linspace(0, 1.3 * halves[-1], 400)

    def learned(gamma: float) -> np.ndarray:
        return 1 / (1 + (1 / (gamma * scale**2) - 1) * np.exp(-8 * gamma * times))

    low, high = np.quantile(moved.values[:, :SHOWN], [0.05, 0.95], axis=0)
    for j, colour in zip(range(len(values)), COLOURS, strict=False):
        ax.plot(times / halves[0], learned(values[j]), "--", color=colour)
        ax.plot(times / halves[0], learned(moved.values[0, j]), color=colour)
        edges = learned(low[j]), learned(high[j])
        ax.fill_between(times / halves[0], *edges, color=colour, alpha=0.15, linewidth=0)
    ax.set(xlabel="time / first half time", ylabel="learned share of a mode")
    ax.set_title(f"{moved.n:,} pairs", fontsize=10)


def excess(title: str, reference: Reference, moved: Moved) -> str:
    """Return a sentence on how far eigenvalues and order of few pairs are from those of all."""
    values = reference.eigenvalues
    relative = moved.values.mean(0) / values - 1
    predicted = np.asarray(reference.single.shifts) / moved.m / values
    errors = np.sqrt(reference.single.variances / moved.m) / values
    left = float(np.median(np.asarray(reference.single.shifts) / reference.total / values))
    seen = float(moved.exchanged.mean())
    expected, pushed = (
        _percent(float(exchange_probabilities(reference, moved.m, share).mean()))
        for share in (0, 1)
    )
    return (
        f"{title}: eigenvalues of the first {len(values)} modes from {moved.n:,} pairs exceed "
        f"those from {reference.total:,} by {_percent(np.median(relative))} in the median and "
        f"{_percent(relative.max())} at most, predicted {_percent(np.median(predicted))} and "
        f"{_percent(predicted.max())}; their relative standard errors are {_percent(errors.min())} "
        f"to {_percent(errors.max())}. Steps move by the same shares. Of the neighbouring modes "
        f"{_percent(seen)} are exchanged, predicted {expected}, or {pushed} with the shifts of "
        "gaps, which are not small where three modes are close. From "
        f"{reference.total:,} pairs, a bias of {_percent(left)} in the median is predicted to "
        "remain."
    )


def stable(title: str, reference: Reference, sizes: Sequence[int]) -> str:
    """Return a sentence on the number of modes whose order independent pairs resolve."""
    values, gaps = reference.eigenvalues, reference.gaps
    given = jnp.asarray(values), jnp.asarray(gaps)
    counts = [int(sampling.resolved_modes(*given, jnp.asarray(n))) for n in sizes]
    listed = ", ".join(f"{count} by {n:,}" for n, count in zip(sizes, counts, strict=True))
    needed = 4 * gaps / np.diff(values) ** 2
    rest = ", ".join(f"{n:,.0f}" for n in np.maximum.accumulate(np.ceil(needed))[:4])
    return (
        f"{title}: number of leading modes, of {len(values)} that are followed, whose order is "
        f"resolved by two standard errors: {listed} independent pairs. For the first 1, 2, 3 and 4 "
        f"modes, {rest} are needed."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"
