"""Eigenvalues of embeddings and of hidden layers over training: one step for each dimension.

From small outputs, hidden layers hardly change before the first dimension is learned. Their
gradient is proportional to the output weights w, so they change by order w^2: the first eigenvalue
of the embedding divided by that of the last hidden layer, about 0.1. Afterwards a hidden dimension
grows with each dimension of the embedding. From a standard start the steps overlap.
"""

from typing import NamedTuple

import numpy as np

from jssl.diagnostics import Steps, detect_steps, half_times
from jssl.figures import draw_modes, new_figure
from jssl.papers.claims import at_least, at_most
from jssl.papers.deep.training import DIM, LEVELS, LOSSES, SMALL, STARTS, Runs
from jssl.papers.outcome import Part
from jssl.report.figure import Figure
from jssl.types import Claim, Rival

SOURCE = "Simon et al. 2023, figure 2"
_BEGIN = 1e-3
"""The first step begins when the first eigenvalue is at this share of its final value."""


class Staircase(NamedTuple):
    """Steps of one run.

    Attributes:
        steps: detected in `values`.
        values: (points, dim) eigenvalues of the embedding.
        hidden: (points, channels) eigenvalues of the last hidden layer.
    """

    steps: Steps
    values: np.ndarray
    hidden: np.ndarray


def claims_and_figures(phrase: str, short: str, runs: Runs) -> Part:
    """Test the learning steps of one network under three losses from two starts.

    Args:
        phrase: noun phrase for the network, with its article.
        short: the network in the names of claims and figures.
        runs: trained networks.
    """
    small, standard = (
        {loss: _staircase(runs, i, list(STARTS).index(start)) for i, loss in enumerate(LOSSES)}
        for start in ("small", "standard")
    )
    claims = [
        at_most(
            f"deep/finite-{short}",
            f"Every training run of {phrase} keeps a finite loss.",
            "Requirement of jssl; not in Simon et al. 2023",
            0,
            int((runs.first_bad_step >= 0).sum()),
            details="The measured value is the number of runs, out of "
            f"{len(LOSSES) * len(STARTS)}, whose loss became infinite or NaN.",
            rivals=[Rival("SimCLR divides by the norm of small outputs", 1)],
        ),
        _collapsed_claim(phrase, short, runs),
        _step_claim(phrase, short, small),
        _still_claim(phrase, short, small),
        _standard_start_claim(phrase, short, small, standard),
    ]
    grown = {loss: hidden_in_step(runs.step, run) for loss, run in small.items()}
    if "ResNet" in phrase:  # its embedding depends on the pooled last hidden layer only
        claims.append(_hidden_step_claim(phrase, short, grown))
    counts = ", ".join(
        f"{loss} {int(small[loss].steps.distinct)} and {int(standard[loss].steps.distinct)}"
        for loss in LOSSES
    )
    gained = ", ".join(f"{loss} {count}" for loss, count in grown.items())
    summary = (
        f"Distinct learning steps of {phrase} from a small and from a standard initialisation: "
        f"{counts}. Dimensions of its last hidden layer that at least double during the "
        f"corresponding step of the embedding, from a small initialisation: {gained}."
    )
    figures = [_embedding_figure(phrase, short, runs), _hidden_figure(phrase, short, runs)]
    return Part(claims, figures, (summary,))


def _collapsed_claim(phrase: str, short: str, runs: Runs) -> Claim:
    small, standard = (
        runs.eigenvalues[:, list(STARTS).index(start), 0].sum(-1) for start in ("small", "standard")
    )
    unit = SMALL**2 * standard[LOSSES.index("Barlow Twins")]
    return at_most(
        f"deep/collapsed-start-{short}",
        f"From a small initialisation, embeddings of {phrase} start collapsed under every loss.",
        SOURCE,
        2,
        float(small.max() / unit),
        details="The measured value is the trace of the covariance at the start, the largest over "
        f"the losses, divided by {SMALL:g}^2 times that of a standard initialisation. It is 1 or "
        "less, since a small initialisation scales the outputs; SimCLR has the covariance of "
        "directions that are parallel up to this. The bound leaves a factor 2 for rounding.",
        rivals=[Rival("directions scatter about 0 and not about their mean", 1 / unit)],
    )


def _step_claim(phrase: str, short: str, small: dict[str, Staircase]) -> Claim:
    fewest = min(LOSSES, key=lambda loss: int(small[loss].steps.distinct))
    return at_least(
        f"deep/steps-{short}",
        f"From a small initialisation, {phrase} learns its {DIM} dimensions in at least {DIM - 1} "
        "distinct steps under every loss.",
        SOURCE,
        DIM - 1,
        int(small[fewest].steps.distinct),
        details="A small initialisation has small outputs; for SimCLR, whose loss does not depend "
        "on scale, it has parallel embeddings. The measured value is the smallest number of "
        f"distinct steps over Barlow Twins, VICReg and SimCLR, that of {fewest}. The bound is one "
        "below the number of dimensions, because modes of nearly equal eigenvalue may be learned "
        "together.",
        rivals=[Rival("all dimensions in one step", 1)],
    )


def _still_claim(phrase: str, short: str, small: dict[str, Staircase]) -> Claim:
    runs = small.values()
    change = [change_before_first_step(run.values, run.hidden[:, :DIM]) for run in runs]
    last = [
        np.abs(run.hidden[-1] - run.hidden[0])[:DIM].max() / (_BEGIN * run.values[-1, 0])
        for run in runs
    ]
    return at_most(
        f"deep/hidden-still-{short}",
        f"Before the first step, the hidden layer of {phrase} changes at most ten times as much as "
        "the embedding.",
        "Simon et al. 2023, figure 4",
        10,
        max(change),
        details="The measured value is the largest change of an eigenvalue of the last hidden "
        "layer, over the losses, until the first eigenvalue of the embedding is at "
        f"{_BEGIN:g} of its final value, divided by that eigenvalue. The gradient of the hidden "
        "layer is proportional to the output weights, so the two are of one order. The bound is "
        "ten times that.",
        rivals=[Rival("hidden layers learn first: their change over the training", max(last))],
    )


def _standard_start_claim(
    phrase: str, short: str, small: dict[str, Staircase], standard: dict[str, Staircase]
) -> Claim:
    ratios = [second_to_first(standard[loss]) / second_to_first(small[loss]) for loss in LOSSES]
    return at_least(
        f"deep/standard-start-blurs-{short}",
        f"From a standard initialisation, {phrase} learns its first two dimensions closer together "
        "than from a small one.",
        "Simon et al. 2023, figure 3",
        2,
        float(np.exp(np.mean(np.log(ratios)))),
        details="For each initialisation, the second eigenvalue is divided by the first when the "
        "first is half learned, or at the start if it is more than half learned there. The "
        "measured value is the ratio of standard to small initialisation, the geometric mean over "
        "the losses.",
        rivals=[Rival("the initialisation has no effect", 1.0)],
    )


def _hidden_step_claim(phrase: str, short: str, grown: dict[str, int]) -> Claim:
    return at_least(
        f"deep/hidden-steps-{short}",
        f"At least one dimension of the last hidden layer of {phrase} grows during the "
        "corresponding step of the embedding.",
        "Simon et al. 2023, figure 4",
        1,
        float(np.mean(list(grown.values()))),
        details="A dimension j of the hidden layer counts if its eigenvalue at least doubles and "
        "reaches half of its growth between the half times of the embedding's dimensions j - 1 and "
        "j + 1. The measured value is the number of such dimensions, the mean over the losses.",
        rivals=[Rival("hidden layers gain no dimension, as in lazy training", 0.0)],
    )


def change_before_first_step(values: np.ndarray, hidden: np.ndarray) -> float:
    """Return the largest change of hidden eigenvalues before the first step.

    Example:
        >>> values = np.array([[0.0], [0.0001], [0.5], [1.0]])
        >>> change_before_first_step(values, np.array([[1.0], [1.01], [2.0], [3.0]])).__round__(6)
        10.0

    It is in units of the first eigenvalue of the embedding when the step begins.
    """
    before = max(int(np.argmax(values[:, 0] > _BEGIN * values[-1, 0])), 1)
    return float(np.abs(hidden[:before] - hidden[0]).max() / (_BEGIN * values[-1, 0]))


def hidden_in_step(step: np.ndarray, run: Staircase) -> int:
    """Return the number of hidden dimensions that grow during the step of the embedding.

    Eigenvalue j of the hidden layer counts if it at least doubles, and if it reaches the middle of
    its start and final value between half times j - 1 and j + 1 of the embedding.
    """
    half = np.asarray(run.steps.half_times)
    edges = np.concatenate([[0], half[np.isfinite(half)], [step[-1]]])
    gain = run.hidden[:, :DIM] - run.hidden[0, :DIM]
    times = np.asarray(half_times(step, gain))
    count = 0
    for j in range(min(DIM, len(edges) - 2)):
        grown = run.hidden[-1, j] > 2 * run.hidden[0, j]
        count += bool(grown and edges[j] < times[j] < edges[j + 2])
    return count


def _staircase(runs: Runs, loss: int, start: int) -> Staircase:
    values = runs.eigenvalues[loss, start]
    steps = detect_steps(runs.step, values, LEVELS[LOSSES[loss]])
    return Staircase(steps, values, runs.hidden[-1][loss, start])


def second_to_first(run: Staircase) -> float:
    """Return the ratio of the second to the first eigenvalue when the first is half learned."""
    half_learned = int(np.argmax(run.values[:, 0] >= run.values[-1, 0] / 2))
    first, second = run.values[half_learned, :2]
    return float(max(second, 1e-12) / max(first, 1e-12))


def _embedding_figure(phrase: str, short: str, runs: Runs) -> Figure:
    figure, axes = new_figure(len(LOSSES), len(STARTS), width=3.4, height=2.6)
    for j, start in enumerate(STARTS):
        for i, loss in enumerate(LOSSES):
            ax = axes[j * len(LOSSES) + i]
            draw_modes(ax, np.maximum(runs.step, 1), np.maximum(runs.eigenvalues[i, j], 1e-9))
            ax.set(xscale="log", yscale="log", ylim=(1e-7, 10))
            ax.set_title(f"{loss}, {start} initialisation", fontsize=10)
            if j == len(STARTS) - 1:
                ax.set_xlabel("step")
            if i == 0:
                ax.set_ylabel("eigenvalues")
    title = phrase.removeprefix("a ")
    figure.suptitle(title, fontsize=11)
    description = (
        f"Eigenvalues of the embedding covariance of {phrase} over training, on logarithmic axes, "
        "under Barlow Twins, VICReg and SimCLR. From a small initialisation (top) they rise one "
        "after the other, from a standard one (bottom) nearly together."
    )
    return Figure(
        f"staircase-{short}",
        f"Eigenvalues over training, {title}",
        description,
        figure,
        (f"deep/finite-{short}", f"deep/steps-{short}", f"deep/standard-start-blurs-{short}"),
    )


def _hidden_figure(phrase: str, short: str, runs: Runs) -> Figure:
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
    title = phrase.removeprefix("a ")
    figure.suptitle(f"{title}, small initialisation: eigenvalues of every layer", fontsize=11)
    description = (
        f"Eigenvalues of the covariance of every hidden layer of {phrase} and of its embedding "
        "(bottom) over training from a small initialisation, for three losses. Hidden layers, "
        "most of all the last one, gain variance in the steps in which the embedding gains "
        "dimensions."
    )
    return Figure(
        f"hidden-{short}",
        f"Hidden layers gain dimensions, {title}",
        description,
        figure,
        (f"deep/hidden-still-{short}", f"deep/hidden-steps-{short}"),
    )
