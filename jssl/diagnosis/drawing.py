"""The figures of a diagnosis."""

import numpy as np
from matplotlib.ticker import NullLocator, ScalarFormatter

from jssl.diagnosis.checkpoint_table import LINEAR
from jssl.diagnosis.checkpoints import CheckpointHistory
from jssl.diagnosis.values import Values
from jssl.figures import mode_colours, new_figure
from jssl.formulas.verdict import Thresholds, state_of
from jssl.report.figure import Figure

SHOWN = 12


def diagnosis_figures(diagnosis: Values, tolerance: float) -> list[Figure]:
    """Return the spectrum and, with checkpoints, its history."""
    figures = [_spectrum(diagnosis, tolerance)]
    return figures + [_history(history, name) for name, history in diagnosis.runs.items()]


def _spectrum(diagnosis: Values, tolerance: float) -> Figure:
    values = diagnosis.eigenvalues
    index = np.arange(1, len(values) + 1)
    figure, (ax, share) = new_figure(2, margins=(0.8, 0.2, 0.5, 0.2))
    positive = values > 0
    top = values.max(initial=0)
    if positive.any():
        ax.loglog(index[positive], values[positive], ".-", color="#0b4f8a", label="eigenvalues")
        lowest = values[positive].min()
        if lowest < 100 * tolerance * top:
            ax.axhline(
                tolerance * top, color="black", linestyle="--", linewidth=1, label="lost below"
            )
        alpha = diagnosis.metrics["alpha"].value
        if np.isfinite(alpha) and positive.sum() > 2:
            logs, weights = np.log(index[positive]), 1 / index[positive]
            middle = np.average(np.log(values[positive]) + alpha * logs, weights=weights)
            line = np.exp(middle) * index[positive] ** -alpha
            ax.loglog(
                index[positive],
                line,
                color="#d55e00",
                linewidth=1.2,
                label=f"power law of exponent {-alpha:.2f}",
            )
        ax.legend(frameon=False)
        ax.set_ylim(0.6 * min(lowest, top / 10), 2 * top)
        ax.xaxis.set_minor_locator(NullLocator())
        doubled = [2**k for k in range(len(values).bit_length())]
        ax.set_xticks(doubled[:: 1 + len(doubled) // 8], minor=False)
        ax.xaxis.set_major_formatter(ScalarFormatter())
        share.plot(index, np.cumsum(values) / values.sum(), color="#0b4f8a")
    ax.set_xlabel("index of the dimension")
    ax.set_ylabel("variance (eigenvalue)")
    rank = diagnosis.metrics["effective rank"].value
    directions = diagnosis.metrics["effective directions"].value
    share.axvline(rank, color="#d55e00", linestyle="--", linewidth=1.2, label="effective rank")
    share.axvline(
        directions, color="#009e73", linestyle=":", linewidth=1.6, label="effective directions"
    )
    share.set_xlabel("dimensions")
    share.set_ylabel("share of the variance")
    share.set_ylim(0, 1.03)
    share.legend(frameon=False, loc="best")
    text = (
        f"Left: the {len(values)} eigenvalues of the covariance, of which {int(positive.sum())} "
        f"are above rounding error, from {top:.2g} downwards, with the fitted power law. Right: "
        "the share of the variance in the leading dimensions; the effective rank is "
        f"{rank:.4g} and there are {directions:.3g} effective directions. "
        f"Collapse: {state_of(diagnosis.verdict, Thresholds())}."
    )
    return Figure("spectrum", "Spectrum of the embeddings", text, figure)


def _history(history: CheckpointHistory, name: str) -> Figure:
    """Draw the eigenvalues and the effective rank, with accuracies or the CKA with the last."""
    figure, (ax, rank) = new_figure(2, margins=(0.75, 0.6, 0.5, 0.2))
    shown = history.spectra[:, :SHOWN]
    for j, colour in enumerate(mode_colours(shown.shape[1])):
        positive = np.where(shown[:, j] > 0, shown[:, j], np.nan)
        ax.plot(history.t, positive, ".-", color=colour, linewidth=1.2)
    if np.nanmax(shown, initial=0) > 0:
        ax.set_yscale("log")
    ax.set_ylabel("variance (eigenvalue)")
    rank.plot(history.t, history.ranks, ".-", color="#0b4f8a", label="effective rank")
    rank.set_ylabel("effective rank")
    rank.set_ylim(bottom=0)
    table = history.table
    probed = LINEAR in table.values
    values = table.values[LINEAR] if probed else history.similarity
    errors = table.errors[LINEAR] if probed else history.similarity_errors
    label = LINEAR if probed else "debiased CKA with the last"
    near = rank.twinx()
    near.errorbar(history.t, values, errors, fmt="s--", color="#d55e00", markersize=3, linewidth=1)
    if table.best is not None:
        best = table.best
        near.plot(history.t[best], values[best], "*", color="#d55e00", markersize=13)
    near.set_ylabel(label, color="#d55e00")
    near.set_ylim(min(0, np.nanmin(values, initial=0)) - 0.02, 1.05)
    near.spines["top"].set_visible(False)
    if history.steps is not None:
        times = np.asarray(history.steps.half_times)
        for time in times[np.isfinite(times)]:
            ax.axvline(time, color="0.6", linewidth=0.7, zorder=0)
    for axis in (ax, rank):
        axis.set_xlabel("checkpoint")
    steps = "" if history.steps is None else f", {int(history.steps.learned)} learned at the end"
    text = (
        f"Left: the {shown.shape[1]} largest eigenvalues of the covariance at {len(history.t)} "
        f"checkpoints, from dark to light{steps}. Grey lines show where each is half-learned. "
        f"Right: the effective rank, from {history.ranks[0]:.3g} to {history.ranks[-1]:.3g} "
        f"(dots), and the {label} with its standard error (squares)"
    )
    text += "." if table.best is None else f"; the star is the best, {history.names[table.best]}."
    title = f"Checkpoints of {name}" if name else "The spectrum over checkpoints"
    slug = "".join(c if c.isalnum() else "-" for c in name.lower())
    return Figure(f"history-{slug}" if name else "history", title, text, figure)
