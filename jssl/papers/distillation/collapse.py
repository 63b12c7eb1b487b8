"""Collapse: by weight decay, and by a predictor that starts too large (D-20, D-23, D-25)."""

from typing import Any

import numpy as np

from jssl.figures import COLOURS, new_figure
from jssl.papers.claims import at_most, close
from jssl.papers.distillation.runs import WeightHistory, case, diagonal_moments, fall, train
from jssl.papers.outcome import Part, Settings
from jssl.report.figure import Figure
from jssl.theory import distillation
from jssl.types import Claim, Rival

SOURCE = "Derived here, {} in docs/equations.md; after Tian et al. 2021"
COEFFICIENTS = np.array([0.9, 0.7, 0.5])
SIDES = np.array([0.97, 1.03])
LINGERING_DECAY = 0.2001
"""Weight decay just above the threshold 0.2 of one layer at coefficient 0.8."""
UNBALANCED = ((0.05, 0.2, 2.0), (0.3, 0.1, 1.0), (0.1, 0.02, 0.5), (0.2, 0.5, 4.0))
"""(start of the layer, start of the predictor, ratio of learning rates), coefficient 0.6."""


def collapse(settings: Settings) -> Part:
    """Test thresholds, the time of a collapse, and the ratio of learning rates."""
    keys = settings.keys(1, 3)
    key = keys[0]
    thresholds = np.asarray(distillation.collapse_threshold(1.0, COEFFICIENTS, depth=2))
    two_layers = [
        case(diagonal_moments([1.0], [rho]), key, 1.0, decay=side * eta, depth=2, start=rho)
        for rho, eta in zip(COEFFICIENTS, thresholds, strict=True)
        for side in SIDES
    ]
    deep = train(two_layers, np.arange(0, 6001, 20))
    settings.progress("one layer", 0.5)
    lingering = case(diagonal_moments([1.0], [0.8]), key, 0.1, decay=LINGERING_DECAY, start=0.8)
    six = diagonal_moments([1.0], [0.6])
    unbalanced = [
        case(six, key, 0.05, rate_ratio=ratio, start=w, predictor_start=v)
        for w, v, ratio in UNBALANCED
    ]
    collapsing = case(six, key, 0.01, rate_ratio=50.0, start=0.1, predictor_start=1.0)
    shallow = train([lingering, *unbalanced, collapsing], np.arange(0, 16_001, 20))
    claims = [
        _threshold_claim(deep, thresholds),
        _lingering_claim(shallow),
        *_ratio_claims(shallow),
    ]
    return Part(claims, [_figure(deep)])


def _threshold_claim(deep: WeightHistory, thresholds: np.ndarray) -> Claim:
    learned = np.abs(deep.encoder[:, -1, 0, 0]) > 1e-3
    decays = (thresholds[:, None] * SIDES).ravel()

    def wrong(limits: Any) -> int:
        return int(np.sum(learned != (decays < np.repeat(np.asarray(limits), len(SIDES)))))

    other = distillation.collapse_threshold(1.0, COEFFICIENTS, depth=2, objective="mae")
    one = distillation.collapse_threshold(1.0, COEFFICIENTS, depth=1)
    return close(
        "distillation/collapse-threshold",
        "Under JEPA with two linear layers, modes collapse above the predicted weight decay and "
        "not below it.",
        SOURCE.format("D-20"),
        0,
        wrong(thresholds),
        0,
        details="Three modes are trained from their end without decay, at 3 % below and at 3 % "
        "above the threshold. The measured value is the number of wrong verdicts of six.",
        rivals=(
            Rival("threshold of a masked autoencoder", wrong(other)),
            Rival("threshold of one layer", wrong(one)),
        ),
    )


def _lingering_claim(shallow: WeightHistory) -> Claim:
    times = shallow.step * 0.1
    time = fall(times, np.abs(shallow.encoder[0, :, 0, 0]), 0.08)
    unit = float(distillation.lingering_time(1.0, 0.8, LINGERING_DECAY))
    return close(
        "distillation/lingering",
        "Just above the threshold of weight decay, a mode lingers near half of its end for the "
        "predicted time before it collapses.",
        SOURCE.format("D-23"),
        1.0,
        time / unit,
        0.02,
        details="The measured value is the time from the end without decay to a tenth of it, over "
        f"{unit:.0f}. The tolerance is of the order of the square root of the distance from the "
        "threshold, 0.0001.",
        rivals=(Rival("shrinking at the rate of the decay", np.log(10) / LINGERING_DECAY / unit),),
    )


def _ratio_claims(shallow: WeightHistory) -> list[Claim]:
    layers = np.abs(shallow.encoder[1:, -1, 0, 0])
    w, v, ratio = np.array(UNBALANCED).T
    end = np.asarray(distillation.unbalanced_end(0.6, w, v, ratio).layer)
    plain = np.asarray(distillation.unbalanced_end(0.6, w, v).layer)
    error = np.abs(layers[:-1] / end - 1)
    balanced_end = float(distillation.unbalanced_end(0.6, 0.1, 0.1, 50.0).layer)
    return [
        at_most(
            "distillation/learning-rate-ratio",
            "The ratio of the learning rates of predictor and encoder sets the size of the "
            "encoder at the end.",
            SOURCE.format("D-25"),
            0.02,
            error.max(),
            details="The measured value is the largest relative error of four runs of one layer. "
            "The bound is of first order in the step.",
            rivals=(Rival("the ratio has no effect", np.abs(layers[:-1] / plain - 1).max()),),
        ),
        at_most(
            "distillation/predictor-start",
            "An encoder of small start collapses under a predictor that starts as the identity, "
            "although its learning rate is 50 times larger.",
            SOURCE.format("D-25"),
            1e-3,
            layers[-1],
            details="One layer with coefficient 0.6 starts at 0.1. A ratio of at least 64 would "
            "prevent the collapse. The measured value is the layer at the end.",
            rivals=(Rival("a fast predictor prevents collapse", balanced_end),),
        ),
    ]


def _figure(deep: WeightHistory) -> Figure:
    figure, (left, right) = new_figure(2)
    for index, colour in zip(range(len(COEFFICIENTS)), COLOURS, strict=False):
        for side, style in enumerate(("-", "--")):
            layers = np.abs(deep.encoder[2 * index + side, :, 0, 0])
            label = f"coefficient {COEFFICIENTS[index]:g}" if side == 0 else None
            left.plot(deep.step, layers, style, color=colour, label=label)
    left.set(
        xlabel="t = learning rate × step",
        ylabel="amplitude",
        title="3 % below (–), above (- -)",
        xlim=(0, 1500),
    )
    left.legend(frameon=False, fontsize=7)
    rho = np.linspace(0.05, 0.99, 100)
    for depth, colour in zip((1, 2, 3), COLOURS, strict=False):
        for objective, style in (("jepa", "-"), ("mae", ":")):
            level = distillation.collapse_threshold(1.0, rho, depth=depth, objective=objective)
            label = f"{depth} layer{'s' if depth > 1 else ''}" if style == "-" else None
            right.plot(rho, np.asarray(level), style, color=colour, label=label)
    right.set(
        yscale="log",
        ylim=(1e-7, 2),
        xlabel="regression coefficient",
        ylabel="weight decay at the threshold",
        title="JEPA (–), masked autoencoder (···)",
    )
    right.legend(frameon=False, fontsize=7)
    text = (
        "Left: two layers at a weight decay just below (solid) and just above (dashed) the "
        "threshold. Right: the threshold at covariance 1. Modes of small regression "
        "coefficient collapse at a far smaller decay under JEPA than under a masked autoencoder."
    )
    return Figure("distillation-decay", "Collapse under weight decay", text, figure)
