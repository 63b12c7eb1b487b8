"""The figure of a comparison of encoders."""

from itertools import pairwise
from typing import Any

import numpy as np

from jssl.encoders.values import Values
from jssl.figures import COLOURS, figure_text, new_figure
from jssl.report.figure import Figure

_MOST_PAIRS = 4


def comparison_figure(seen: Values) -> Figure:
    """Return spectra on one axis, CKA, shared subspaces and the ranking as one figure."""
    figure, (spectra, matrix, shared, ranked) = new_figure(4, width=4.6, height=3.4)
    _draw_spectra(spectra, seen)
    _draw_matrix(matrix, seen)
    _draw_shared(shared, seen)
    _draw_ranking(ranked, seen)
    best = seen.best
    text = (
        f"Top left: the spectra of {len(seen.names)} encoders, as shares of their variance. Top "
        "right: debiased CKA of each pair with its standard error. Bottom left: overlap of the "
        "subspaces of the leading directions (of neighbours, where pairs are more than four), "
        "with that of unrelated encoders (dashed) and dots at the numbers in the summary. "
        f"Bottom right: {seen.criterion} with its standard error over "
        f"the rows; {best} is highest."
    )
    return Figure("comparison", "Encoders on the same rows", text, figure)


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def _draw_spectra(ax: Any, seen: Values) -> None:
    lowest = 1.0
    for i, (name, diagnosis) in enumerate(seen.diagnoses.items()):
        values = diagnosis.eigenvalues
        if not values.sum() > 0:
            continue
        shares = values / values.sum()
        kept = shares > 0
        lowest = min(lowest, float(shares[kept].min()))
        index = np.arange(1, len(values) + 1)[kept]
        ax.plot(index, shares[kept], ".-", color=_colour(i), label=figure_text(name), markersize=3)
    ax.set(xscale="log", yscale="log", xlabel="index of the dimension")
    ax.set_ylim(max(lowest / 2, 1e-8), 1.5)
    ax.set_ylabel("share of the variance")
    if ax.lines:  # none where every encoder is constant
        ax.legend(frameon=False, fontsize=8)


def _draw_matrix(ax: Any, seen: Values) -> None:
    names, count = seen.names, len(seen.names)
    values = np.eye(count)
    for (a, b), cka in seen.cka.items():
        i, j = names.index(a), names.index(b)
        values[i, j] = values[j, i] = cka.value
    ax.grid(visible=False)
    ax.imshow(values, vmin=0, vmax=1, cmap="viridis")
    for (a, b), cka in seen.cka.items():
        for i, j in ((names.index(a), names.index(b)), (names.index(b), names.index(a))):
            text = f"{cka.value:z.2f}" if count > 5 else f"{cka.value:z.2f}\n± {cka.error:.1g}"
            ink = "black" if cka.value > 0.6 else "white"
            ax.text(
                j, i, text, ha="center", va="center", color=ink, fontsize=max(5, 9 - count // 3)
            )
    labels = [figure_text(name) for name in names]
    ax.set_xticks(range(count), labels, rotation=30 if count > 3 else 0, fontsize=8)
    ax.set_yticks(range(count), labels, fontsize=8)
    ax.set_title("debiased CKA", fontsize=10)


def _draw_shared(ax: Any, seen: Values) -> None:
    longest = 1
    # Other colours than those of the encoders.
    for i, (a, b) in enumerate(_drawn_pairs(seen), 3):
        found = seen.overlaps[a, b]
        if not found.leading:
            continue
        k = np.arange(1, len(found.curve) + 1)
        longest = max(longest, len(k))
        label = f"{figure_text(a)}, {figure_text(b)}"
        ax.plot(k, found.curve, color=_colour(i), label=label, linewidth=1.3)
        ax.plot(found.leading, found.value, "o", color=_colour(i), markersize=5)
    rows = seen.settings["rows compared"]
    k = np.arange(1, longest + 1)
    ax.plot(k, k / (rows - 1), "--", color="black", linewidth=1, label="unrelated")
    ax.set(xlabel="leading directions", ylabel="overlap of the subspaces", ylim=(0, 1.03))
    ax.legend(frameon=False, fontsize=7)


def _drawn_pairs(seen: Values) -> list[tuple[str, str]]:
    """Return all pairs, or where they are many those of neighbours, as layers are."""
    if len(seen.overlaps) <= _MOST_PAIRS:
        return list(seen.overlaps)
    return list(pairwise(seen.names))[: len(COLOURS)]


def _draw_ranking(ax: Any, seen: Values) -> None:
    ranking = seen.ranking
    places = np.arange(len(seen.names))[::-1]
    for i, place in enumerate(places):
        ax.errorbar(
            ranking.values[i], place, xerr=ranking.errors[i], fmt="o", color=_colour(i), capsize=3
        )
        ax.annotate(
            f"first: {100 * ranking.first[i]:.3g} %",
            (ranking.values[i], place),
            xytext=(0, 7),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
    ax.set_yticks(places, [figure_text(name) for name in seen.names], fontsize=8)
    ax.set_ylim(-0.6, len(places) - 0.3)
    ax.margins(x=0.25)
    ax.set_xlabel("RankMe" if seen.criterion == "rankme" else seen.criterion)
