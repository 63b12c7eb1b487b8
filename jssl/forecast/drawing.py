"""The figures of a forecast: the staircase of eigenvalues, and the spectrum with its errors."""

from typing import Any

import numpy as np

from jssl.errors import InputError
from jssl.figures import mode_colours, new_figure
from jssl.forecast.summary import count_of
from jssl.forecast.values import Values
from jssl.report.figure import Figure

SHOWN = 16
_POINTS = 400


def forecast_figures(forecast: Values) -> list[Figure]:
    """Return the predicted staircase, where anything is learned, and the spectrum, if not empty."""
    learned = bool(np.isfinite(forecast.steps).any())
    spectrum = [_spectrum(forecast)] if len(forecast.eigenvalues) else []
    return [*([_staircase(forecast)] if learned else []), *spectrum]


def staircase(forecast: Values, steps: np.ndarray) -> np.ndarray:
    """Return each dimension's share of its final eigenvalue over the steps, (points, dim).

    A logistic curve in the step, which is 1/2 at the step where the dimension is half-learned; for
    `jepa` and `lejepa` the curve of their theories.

    Args:
        forecast: the forecast.
        steps: (points,) of gradient descent.
    """
    if forecast.columns:
        from jssl.forecast.linear_curves import linear_shares

        return linear_shares(forecast, steps)
    learned = np.isfinite(forecast.steps)
    share = np.zeros((len(steps), len(forecast.steps)))
    before = learned & (forecast.steps <= forecast.settings.get("step", 0))
    share[:, before] = 1  # at the checkpoint; when they were learned is not known
    for j in np.flatnonzero(learned & ~before):
        width = max(forecast.rises[j], 1e-12) / np.log(81)
        share[:, j] = 1 / (1 + np.exp(np.clip((forecast.steps[j] - steps) / width, -500, 500)))
    return share


def draw_staircase(forecast: Values, ax: Any = None) -> Any:
    """Draw the number of learned dimensions over the steps, and what was trained.

    Args:
        forecast: the forecast; it must learn a dimension.
        ax: matplotlib axes; None for a new figure.

    Returns:
        The axes.

    Raises:
        InputError: where no dimension is learned, or no step is predicted.
    """
    finite = np.isfinite(forecast.steps)
    if not finite.any():
        message = "no dimension is learned, so there is nothing to draw"
        if forecast.diverges:
            message = f"no step is predicted at learning rate {forecast.learning_rate:.3g}"
        raise InputError(message)
    if ax is None:
        _, (ax,) = new_figure(1)
    steps = range_of(forecast)
    at, count = forecast.steps[finite], np.flatnonzero(finite) + 0.5
    count_of_dims = np.minimum(staircase(forecast, steps), 1).sum(1)
    ax.plot(steps, count_of_dims, color="#0b4f8a", label="forecast")
    low = np.maximum(forecast.low[finite], steps[0])
    high = np.minimum(forecast.high[finite], steps[-1])
    ax.errorbar(
        at,
        count,
        xerr=np.maximum(np.stack([at - low, high - at]), 0),
        fmt="o",
        color="#d55e00",
        markersize=3,
        linewidth=0.8,
        label="half-learned, 90 % interval",
    )
    if len(forecast.networks):
        known = np.isfinite(forecast.limit_steps)
        level = np.flatnonzero(known) + 0.5
        ax.plot(forecast.limit_steps[known], level, "|", color="0.5", markersize=8, label="limit")
    for index, run in enumerate(forecast.simulated):
        label = "trained" if not index else None
        ax.plot(run, np.arange(len(run)) + 0.5, "x", color="black", markersize=4, label=label)
    ax.set_xscale("log")
    ax.set_xlim(steps[0], steps[-1])
    ax.set_xlabel(f"step at learning rate {forecast.learning_rate:.3g}")
    ax.set_ylabel("dimensions learned")
    ax.legend(
        framealpha=0.9,
        edgecolor="none",
        fontsize=8,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=2,
    )
    return ax


def range_of(forecast: Values) -> np.ndarray:
    """Return the steps that are drawn, (points,)."""
    drawn = [forecast.steps, forecast.simulated.ravel()]
    if len(forecast.networks):
        drawn.append(forecast.limit_steps)
    every = np.concatenate(drawn)
    every = every[np.isfinite(every)]
    first, last = 0.4 * max(float(every.min()), 1e-3), 1.6 * max(float(every.max()), 2e-3)
    return np.geomspace(first, last, _POINTS)


def _staircase(forecast: Values) -> Figure:
    finite = np.isfinite(forecast.steps)
    at = forecast.steps[finite]
    steps = range_of(forecast)
    share = staircase(forecast, steps)
    figure, (ax, count) = new_figure(2, margins=(0.7, 0.2, 0.5, 0.55))
    shown = min(len(forecast.steps), SHOWN)
    for j, colour in enumerate(mode_colours(shown)):
        ax.plot(steps, share[:, j], color=colour, linewidth=1.3)
    ax.set_ylabel("share of the final eigenvalue")
    ax.set_xscale("log")
    ax.set_xlim(steps[0], steps[-1])
    ax.set_xlabel(f"step at learning rate {forecast.learning_rate:.3g}")
    draw_staircase(forecast, count)
    limit = (
        " Grey marks are the steps in the limit of infinite width."
        if len(forecast.networks)
        else ""
    )
    trained = " Crosses: trained networks." if len(forecast.simulated) else ""
    if forecast.settings["loss"] == "lejepa":
        limit = " A dimension rises above 1 while others are empty."
    text = (
        f"Left: predicted eigenvalues of the first {shown} dimensions, each as a share of its "
        "final value, from dark to light in the order of the modes. Right: number of learned "
        f"dimensions of {len(forecast.steps)} (line), a staircase up to {int(finite.sum())} at "
        f"step {count_of(float(at.max()))}, and the step at which each is half-learned with its "
        f"90 % interval on these pairs (dots).{limit}{trained}"
    )
    return Figure("staircase", "Dimensions are learned one by one", text, figure)


def _spectrum(forecast: Values) -> Figure:
    figure, (ax,) = new_figure(1, width=6.5, margins=(0.8, 0.2, 0.5, 0.2))
    index = np.arange(1, len(forecast.eigenvalues) + 1)
    ax.semilogy(index, forecast.eigenvalues, ".-", color="#0b4f8a", linewidth=1, label="all pairs")
    low = forecast.held_out - 3.9 * forecast.errors
    known = forecast.held_out[forecast.held_out > 0].min(initial=float(forecast.eigenvalues[-1]))
    bottom = 0.3 * min(float(known), float(forecast.eigenvalues[-1]))
    centre = np.maximum(forecast.held_out, bottom)
    bars = np.stack([centre - np.maximum(low, bottom), 3.9 * forecast.errors])
    for chosen, fill, label in (
        (low > 0, "#d55e00", "held-out pairs, 3.9 standard errors"),
        (low <= 0, "white", "the same, not distinguishable from noise"),
    ):
        if chosen.any():
            ax.errorbar(
                index[chosen],
                centre[chosen],
                np.maximum(bars[:, chosen], 0),
                fmt="s",
                color="#d55e00",
                markerfacecolor=fill,
                markersize=4,
                linewidth=1,
                label=label,
            )
    ax.axvline(
        len(forecast.steps) + 0.5,
        color="0.4",
        linestyle=":",
        linewidth=1.2,
        label="number of outputs (dim)",
    )
    ax.set_ylim(bottom=bottom)
    what = forecast.settings.get("modes of", "the contrastive kernel")
    ax.set_xlabel("mode" if forecast.columns else f"mode of {what}")
    ax.set_ylabel("eigenvalue")
    ax.legend(framealpha=0.9, edgecolor="none", fontsize=8, loc="upper right")
    text = (
        f"The {len(index)} largest eigenvalues of {what}, from "
        f"{forecast.eigenvalues[0]:.2g} down to {forecast.eigenvalues[-1]:.2g}, and eigenvalues on "
        "held-out pairs, with 3.9 standard errors. Filled squares are distinguishable from "
        "sampling noise."
    )
    return Figure("spectrum", f"Spectrum of {what}", text, figure)
