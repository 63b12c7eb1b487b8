"""When modes are learned and in which order: JEPA beside a masked autoencoder.

Both are trained by plain gradient descent from an aligned start. The predictions are the critical
times D-7 and D-8 with the delay of a finite step, D-11, and the tie D-13.
"""

from typing import Any

import jax
import numpy as np
import scipy.integrate

from jssl.figures import COLOURS, new_figure
from jssl.papers.claims import at_most, close
from jssl.papers.distillation.runs import (
    WeightHistory,
    amplitudes,
    case,
    crossing,
    diagonal_moments,
    train,
    zero_of,
)
from jssl.papers.outcome import Part, Settings
from jssl.report.figure import Figure
from jssl.theory import distillation
from jssl.types import Claim, Rival

SOURCE = "Littwin et al. 2024, critical time and figure 2; {} in docs/equations.md"
START, DEPTH = 0.05, 2
FALLING = np.array([1.0, 0.8, 0.5]), np.array([0.4, 0.3, 0.25])
"""Covariances and coefficients of three modes that fall together, so that none is taken over."""
EQUAL = np.array([1.0, 1.0, 0.1]), np.array([0.3, 0.8, 0.1])
"""Two modes of equal covariance, and a third one that is not learned in the time of the run."""
RATIOS = np.array([1.12, 1.145, 1.17])
OTHER_DEPTHS = ((1, 0.01, 0.1), (3, 0.1, 1.0))
"""(layers, start, learning rate) of further ties, tested beyond the scale `quick`."""
FAST, SLOW = 1.0, 0.01
"""Learning rates of JEPA and of a masked autoencoder, whose modes are learned much earlier."""


def critical_times(settings: Settings) -> Part:
    """Test times, the order of modes of equal covariance, and the tie of unequal ones."""
    ties = [(np.array([ratio, 1.0, 0.1]), EQUAL[1]) for ratio in RATIOS]
    sets = [FALLING, EQUAL, *ties]
    keys = settings.keys(len(sets), 1)
    moments = [diagonal_moments(*modes) for modes in sets]
    start: dict[str, Any] = {"depth": DEPTH, "start": START}
    jepa = train(
        [case(m, key, FAST, **start) for m, key in zip(moments, keys, strict=True)],
        np.arange(0, 7001, 2),
    )
    settings.progress("masked autoencoder", 0.5)
    decoders = [
        case(m, key, SLOW, decoder=True, **start) for m, key in zip(moments, keys, strict=True)
    ]
    mae = train(decoders[:2], np.arange(0, 6001, 2), objective="mae")
    claims = [_times_claim(jepa), *_order_claims(jepa, mae), _tie_claim(jepa)]
    if settings.scale != "quick":
        claims += [_other_depth(settings, *setting) for setting in OTHER_DEPTHS]
    return Part(claims, [_order_figure(jepa, mae), _window_figure()])


def layer_of_modes(history: WeightHistory, index: int) -> np.ndarray:
    """Return the layers (points, modes) of a case whose modes are along the axes."""
    return amplitudes(history.encoder[index], np.eye(history.encoder.shape[-1]), DEPTH)


def _measured(history: WeightHistory, index: int, rate: float, levels: np.ndarray) -> np.ndarray:
    layers = layer_of_modes(history, index)
    times = history.step * rate
    return np.array([crossing(times, layers[:, i], x) for i, x in enumerate(levels)])


def _times_claim(jepa: WeightHistory) -> Claim:
    lam, rho = FALLING
    measured = _measured(jepa, 0, FAST, rho / 2)
    predicted = np.asarray(distillation.descent_critical_time(lam, rho, START, FAST, depth=DEPTH))
    flow = np.asarray(distillation.critical_time(lam, rho, START, depth=DEPTH))
    other = np.asarray(distillation.critical_time(lam, rho, START, depth=DEPTH, objective="mae"))
    second = max(abs(_second_order(a, b)) for a, b in zip(lam, rho, strict=True))
    return at_most(
        "distillation/critical-times",
        "Under JEPA with two linear layers, three modes reach half of their end at the predicted "
        "times.",
        SOURCE.format("D-7 and D-11"),
        2 * second + 0.15 * FAST**2 * lam.max(),
        np.abs(measured - predicted).max(),
        details="The measured value is the largest difference of a time, learning rate x step; the "
        f"times are {', '.join(f'{t:.0f}' for t in predicted)}. The bound is twice the "
        "second-order term of a finite step plus the interpolation between two steps.",
        rivals=(
            Rival("times of a masked autoencoder", np.abs(measured - other).max()),
            Rival("no delay by the finite step", np.abs(measured - flow).max()),
        ),
    )


def _second_order(lam: float, rho: float) -> float:
    """Return (lr^2 / 12) times the integral of (f f')' / f, the next term of D-11."""

    def f(w: float) -> float:
        return lam * w ** (2 * DEPTH) * (1 - w / rho)

    def slope(w: float) -> float:
        return lam * w ** (2 * DEPTH - 1) * (2 * DEPTH - (2 * DEPTH + 1) * w / rho)

    ends = slope(rho / 2) - slope(START)
    rest, _ = scipy.integrate.quad(lambda w: slope(w) ** 2 / f(w), START, rho / 2)
    return FAST**2 / 12 * (ends + rest)


def _order_claims(jepa: WeightHistory, mae: WeightHistory) -> list[Claim]:
    lam, rho = (x[:2] for x in EQUAL)
    gaps, predicted = [], []
    for history, rate, objective in ((jepa, FAST, "jepa"), (mae, SLOW, "mae")):
        end = np.asarray(distillation.end_state(lam, rho, depth=DEPTH, objective=objective).layer)
        measured = _measured(history, 1, rate, end / 2)
        times = distillation.descent_critical_time(
            lam, rho, START, rate, depth=DEPTH, objective=objective
        )
        gaps.append(measured[0] - measured[1])
        predicted.append(float(times[0] - times[1]))
    return [
        close(
            "distillation/equal-covariance-jepa",
            "Of two modes with equal covariance, JEPA learns the one with the larger regression "
            "coefficient first.",
            SOURCE.format("D-12"),
            predicted[0],
            gaps[0],
            0.5,
            details="The measured value is the time of the mode with coefficient 0.3 minus that of "
            "the mode with coefficient 0.8. The tolerance is of second order in the step.",
            rivals=(Rival("order of a masked autoencoder", predicted[1]),),
        ),
        close(
            "distillation/equal-covariance-mae",
            "Of two modes with equal covariance, a masked autoencoder learns the one with the "
            "larger regression coefficient last.",
            SOURCE.format("D-12"),
            predicted[1],
            gaps[1],
            0.01,
            details="The measured value is the time of the mode with coefficient 0.3 minus that of "
            "the mode with coefficient 0.8. The tolerance is of second order in the step.",
            rivals=(Rival("order of JEPA", predicted[0]),),
        ),
    ]


def _tie_claim(jepa: WeightHistory) -> Claim:
    rho = EQUAL[1][:2]
    gaps = []
    for index in range(2, 2 + len(RATIOS)):
        measured = _measured(jepa, index, FAST, EQUAL[1] / 2)
        gaps.append(measured[0] - measured[1])
    tie = float(distillation.tie(rho[0], rho[1], START, depth=DEPTH))
    other = float(distillation.tie(rho[0], rho[1], START, depth=DEPTH, objective="mae"))
    return close(
        "distillation/window",
        "JEPA learns two modes at one time at the predicted ratio of their covariances.",
        SOURCE.format("D-13"),
        tie,
        zero_of(RATIOS, gaps),
        0.002,
        details="The mode with coefficient 0.3 has the larger covariance; the other one has "
        "coefficient 0.8. Below the measured ratio JEPA reverses the order by covariance, above it "
        "JEPA follows it. The ratio is interpolated between three runs. The finite step moves the "
        "tie by 0.0006.",
        rivals=(
            Rival("order by the covariance alone", 1.0),
            Rival("order by the regression coefficient alone", float("inf")),
            Rival("tie of a masked autoencoder", other),
        ),
    )


def _other_depth(settings: Settings, depth: int, start: float, rate: float) -> Claim:
    (key,) = settings.keys(1, 2, depth)
    rho = EQUAL[1][:2]
    tie = float(distillation.tie(rho[0], rho[1], start, depth=depth))
    other = float(distillation.tie(rho[0], rho[1], start, depth=depth, objective="mae"))
    ratios = tie + np.array([-0.02, 0.0, 0.02])
    time = float(distillation.critical_time(1.0, rho[1], start, depth=depth))
    cases = [
        case(diagonal_moments([ratio, 1.0], rho), key, rate, depth=depth, start=start)
        for ratio in ratios
    ]
    record = np.unique(np.linspace(0, int(1.1 * time / rate), 6000).astype(int))
    history = train(cases, record)
    gaps = []
    for encoder in history.encoder:
        layers = amplitudes(encoder, np.eye(2), depth)
        first, second = (crossing(record * rate, layers[:, i], rho[i] / 2) for i in range(2))
        gaps.append(first - second)
    layers_text = "one linear layer" if depth == 1 else f"{depth} linear layers"
    return close(
        f"distillation/window-{depth}",
        f"With {layers_text}, JEPA learns two modes at one time at the predicted ratio of their "
        "covariances.",
        SOURCE.format("D-13"),
        tie,
        zero_of(ratios, gaps),
        0.002,
        details=f"The layers start at {start:g}. The ratio is interpolated between three runs.",
        rivals=(
            Rival("order by the regression coefficient alone", float("inf")),
            Rival("tie of a masked autoencoder", other),
        ),
    )


def _order_figure(jepa: WeightHistory, mae: WeightHistory) -> Figure:
    figure, axes = new_figure(2, 2)
    rows = (("JEPA", jepa, FAST, "jepa"), ("masked autoencoder", mae, SLOW, "mae"))
    for row, (name, history, rate, objective) in enumerate(rows):
        for column, (lam, rho) in enumerate((FALLING, (EQUAL[0][:2], EQUAL[1][:2]))):
            ax = axes[2 * row + column]
            times = history.step * rate
            end = np.asarray(
                distillation.end_state(lam, rho, depth=DEPTH, objective=objective).layer
            )
            layers = layer_of_modes(history, column)[:, : len(lam)] / end
            curve = np.asarray(
                jax.jit(
                    lambda t, a, b, o=objective: distillation.amplitude(
                        t, a, b, START, depth=DEPTH, objective=o
                    )
                )(times[:, None], lam, rho)
            )
            for i, colour in zip(range(len(lam)), COLOURS, strict=False):
                label = f"covariance {lam[i]:g}, coefficient {rho[i]:g}"
                ax.plot(times, layers[:, i], color=colour, label=label)
                ax.plot(times, curve[:, i] / end[i], "--", color="black", linewidth=0.9)
            title = "three modes" if column == 0 else "equal covariances"
            ax.set(title=f"{name}: {title}", xlabel="t = learning rate × step", ylim=(0, 1.05))
            ax.legend(frameon=False, fontsize=7, loc="lower right")
        axes[2 * row].set_ylabel("layer / its end")
    text = (
        f"Layers of the modes under descent (solid) and the prediction (dashed), {DEPTH} layers "
        f"from {START}. JEPA learns modes of equal covariance in the order of their regression "
        "coefficients; a masked autoencoder learns them at almost one time, in the opposite order."
    )
    return Figure("distillation-order", "Order of learning", text, figure)


def _window_figure() -> Figure:
    figure, (ax,) = new_figure(1, width=5.4)
    starts = np.geomspace(1e-4, 0.12, 60)
    for depth, colour in zip((1, 2, 3, 5), COLOURS, strict=False):
        for objective, style in (("jepa", "-"), ("mae", ":")):
            tie = distillation.tie(0.3, 0.8, starts, depth=depth, objective=objective)
            label = f"{depth} layer{'s' if depth > 1 else ''}" if style == "-" else None
            ax.plot(starts, np.asarray(tie), style, color=colour, label=label)
    ax.set(
        xscale="log",
        xlabel="start of every layer",
        ylabel="ratio of covariances at the tie",
        ylim=(0.85, 1.3),
    )
    ax.legend(frameon=False, fontsize=8)
    text = (
        "Coefficients 0.3 against 0.8. Between the tie of JEPA (solid) and that of a masked "
        "autoencoder (dotted) JEPA reverses the order by covariance and the masked autoencoder "
        "does not. For JEPA the window closes in proportion to the start of the layers."
    )
    return Figure("distillation-window", "Where the two objectives disagree", text, figure)
