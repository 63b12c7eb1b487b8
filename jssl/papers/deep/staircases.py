"""Eigenvalues of embeddings and of hidden layers over training: a step for each dimension.

From small outputs the hidden layers are still while nothing is learned: their gradient carries the
output weights w as a factor, so that they move by the order of w^2, the first eigenvalue of the
embedding over that of the features it reads (some .1). Then a hidden dimension grows with each
dimension of the embedding. From a standard start steps blur.
"""

from typing import NamedTuple

import numpy as np

from jssl.diagnostics import Steps, detect_steps, half_times
from jssl.figures import draw_modes, new_figure
from jssl.papers.claims import at_least, at_most
from jssl.papers.deep.training import DIM, LEVELS, LOSSES, STARTS, Runs
from jssl.papers.outcome import Part
from jssl.report.figure import Figure

SOURCE = "Simon et al. 2023, fig. 2"
_STILL = 1e-3


class Seen(NamedTuple):
    """One run: its steps, eigenvalues (points, dim), and those of its last hidden layer."""

    steps: Steps
    values: np.ndarray
    hidden: np.ndarray


def judge(name: str, runs: Runs) -> Part:
    """Judge the staircases of one network under three losses and two starts."""
    short = name.lower().replace(",", "").replace(" ", "-")
    small, standard = (
        {loss: _see(runs, i, list(STARTS).index(start)) for i, loss in enumerate(LOSSES)}
        for start in ("small", "standard")
    )
    claims = [
        at_most(
            f"deep/finite-{short}",
            f"{name}: runs with a loss that was not finite",
            "every run must come to its end",
            0,
            int((runs.first_bad_step >= 0).sum()),
        )
    ]
    fewest = min(LOSSES, key=lambda loss: int(small[loss].steps.distinct))
    ratios = [_ratio(standard[loss]) / _ratio(small[loss]) for loss in LOSSES]
    moved = {loss: stillness(seen.values, seen.hidden[:, :DIM]) for loss, seen in small.items()}
    grown = {loss: hidden_in_step(runs.step, small[loss]) for loss in LOSSES}
    claims += [
        at_least(
            f"deep/steps-{short}",
            f"{name} from small outputs, SimCLR from parallel embeddings: fewest distinct steps of "
            f"{DIM} dimensions over the losses ({fewest}); two, since modes of near equal "
            "eigenvalue may come together but not all do",
            SOURCE,
            DIM - 1,
            int(small[fewest].steps.distinct),
        ),
        at_most(
            f"deep/hidden-still-{short}",
            f"{name}: largest relative change over the losses of an eigenvalue of the last hidden "
            f"layer until the first of the embedding is at {_STILL:g} of its last value (the order "
            "is this over the eigenvalue of the features, .01: ten times that)",
            "Simon et al. 2023, fig. 4; the gradient holds the output weights",
            100 * _STILL,
            max(moved.values()),
        ),
        at_least(
            f"deep/standard-start-blurs-{short}",
            f"{name}: second over first eigenvalue when the first is half learned (or at the "
            "start, if it is by then), standard over small start, geometric mean over the losses",
            "Simon et al. 2023, fig. 3",
            1,
            float(np.exp(np.mean(np.log(ratios)))),
        ),
    ]
    if "ResNet" in name:  # its last hidden layer, pooled, is all that the embedding reads
        claims.append(
            at_least(
                f"deep/hidden-steps-{short}",
                f"{name}: dimensions of the last hidden layer that grow twofold, half of it "
                "between the half times of the embedding's dimensions before and after; mean over "
                "the losses, one at least",
                "Simon et al. 2023, fig. 4",
                1,
                float(np.mean(list(grown.values()))),
            )
        )
    counts = ", ".join(
        f"{loss} {int(small[loss].steps.distinct)}/{int(standard[loss].steps.distinct)}"
        for loss in LOSSES
    )
    gained = ", ".join(f"{loss} {count}" for loss, count in grown.items())
    remark = (
        f"{name}: distinct steps from a small/standard start: {counts}; hidden dimensions "
        f"that grew twofold in the step of theirs: {gained}."
    )
    return Part(claims, [_embeddings(name, short, runs), _hidden(name, short, runs)], (remark,))


def stillness(values: np.ndarray, hidden: np.ndarray) -> float:
    """Return the largest relative change of hidden eigenvalues before the first step.

    Example:
        >>> values = np.array([[0.0], [0.0001], [0.5], [1.0]])
        >>> stillness(values, np.array([[1.0], [1.01], [2.0], [3.0]])).__round__(6)
        0.01
    """
    before = max(int(np.argmax(values[:, 0] > _STILL * values[-1, 0])), 1)
    return float(np.abs(hidden[:before] / hidden[0] - 1).max())


def hidden_in_step(step: np.ndarray, seen: Seen) -> int:
    """Return how many hidden dimensions grow in the step of the embedding's dimension.

    Eigenvalue j of the hidden layer counts where it ends above its start and first reaches the
    middle between the two after half time j - 1 of the embedding and before half time j + 1.
    """
    half = np.asarray(seen.steps.half_times)
    edges = np.concatenate([[0], half[np.isfinite(half)], [step[-1]]])
    gain = seen.hidden[:, :DIM] - seen.hidden[0, :DIM]
    times = np.asarray(half_times(step, gain))
    count = 0
    for j in range(min(DIM, len(edges) - 2)):
        grown = seen.hidden[-1, j] > 2 * seen.hidden[0, j]
        count += bool(grown and edges[j] < times[j] < edges[j + 2])
    return count


def _see(runs: Runs, loss: int, start: int) -> Seen:
    values = runs.eigenvalues[loss, start]
    steps = detect_steps(runs.step, values, LEVELS[LOSSES[loss]])
    return Seen(steps, values, runs.hidden[-1][loss, start])


def _ratio(seen: Seen) -> float:
    at = int(np.argmax(seen.values[:, 0] >= seen.values[-1, 0] / 2))
    return float(max(seen.values[at, 1], 1e-12) / max(seen.values[at, 0], 1e-12))


def _embeddings(name: str, short: str, runs: Runs) -> Figure:
    figure, axes = new_figure(len(LOSSES), len(STARTS), width=3.4, height=2.6)
    for j, start in enumerate(STARTS):
        for i, loss in enumerate(LOSSES):
            ax = axes[j * len(LOSSES) + i]
            draw_modes(ax, np.maximum(runs.step, 1), np.maximum(runs.eigenvalues[i, j], 1e-9))
            ax.set(xscale="log", yscale="log", ylim=(1e-7, 10))
            ax.set_title(f"{loss}, {start} start", fontsize=10)
            if j == len(STARTS) - 1:
                ax.set_xlabel("step")
            if i == 0:
                ax.set_ylabel("eigenvalues")
    figure.suptitle(name, fontsize=11)
    description = (
        f"{name} trained on images: eigenvalues of the embedding covariance against steps, "
        "log-log, under Barlow Twins, VICReg and SimCLR. From a small start (above) they rise "
        "one after the other, from a standard start (below) nearly together."
    )
    return Figure(f"staircase-{short}", f"Eigenvalues over training, {name}", description, figure)


def _hidden(name: str, short: str, runs: Runs) -> Figure:
    layers = len(runs.hidden)
    figure, axes = new_figure(len(LOSSES), layers + 1, width=3.4, height=2.1)
    small = list(STARTS).index("small")
    for i, loss in enumerate(LOSSES):
        rows = [*(h[i, small][:, : DIM + 2] for h in runs.hidden), runs.eigenvalues[i, small]]
        for row, values in enumerate(rows):
            ax = axes[row * len(LOSSES) + i]
            draw_modes(ax, runs.step, values)
            layer = "embedding" if row == layers else f"hidden layer {row + 1}"
            if i == 0:
                ax.set_ylabel(layer, fontsize=9)
            if row == 0:
                ax.set_title(loss, fontsize=10)
            if row == layers:
                ax.set_xlabel("step")
    figure.suptitle(f"{name}, small start: eigenvalues of every layer", fontsize=11)
    description = (
        f"{name} from a small start: eigenvalues of the covariance of every hidden layer and "
        "of the embedding (below) against steps, for three losses. Hidden layers, the "
        "last one most, gain variance in the steps in which the embedding gains dimensions."
    )
    return Figure(f"hidden-{short}", f"Hidden layers gain dimensions, {name}", description, figure)
