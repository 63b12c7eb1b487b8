"""A mode of larger coefficient displaces a learned one, which is learned again later (D-14)."""

import numpy as np

from jssl.figures import COLOURS, new_figure
from jssl.papers.claims import at_most, close
from jssl.papers.distillation.runs import (
    amplitudes,
    case,
    crossing,
    diagonal_moments,
    train,
)
from jssl.papers.outcome import Part, Settings
from jssl.report.figure import Figure
from jssl.theory import distillation
from jssl.types import Rival

SOURCE = "Derived here, D-14 in docs/equations.md; after Littwin et al. 2024"
LAM, RHO, START, RATE = np.array([1.0, 0.5]), np.array([0.4, 0.8]), 0.003, 0.1
NOISES = 10.0 ** -np.arange(3, 9)


def takeover(settings: Settings) -> Part:
    """Test when the second mode arrives, and that the first one falls."""
    (key,) = settings.keys(1, 2)
    moments = diagonal_moments(LAM, RHO)
    cases = [case(moments, key, RATE, start=START, noise=noise) for noise in NOISES]
    history = train(cases, np.arange(0, 12_001, 10))
    times = history.step * RATE
    layers = np.stack([amplitudes(encoder, np.eye(2)) for encoder in history.encoder])
    arrival = np.array([crossing(times, run[:, 1], RHO[1] / 2) for run in layers])
    kappa = float(distillation.takeover_rates(LAM, RHO)[0, 1])
    slope = -float(np.polyfit(np.log(NOISES), arrival, 1)[0]) * kappa
    lowest = float(layers[2, times >= arrival[2], 0].min(initial=np.inf))
    claims = [
        close(
            "distillation/takeover-rate",
            "A mode with a larger regression coefficient enters the output of a learned mode at "
            "the predicted rate.",
            SOURCE,
            1.0,
            slope,
            0.03,
            details="The measured value is the change of the arrival time for a change of the "
            "logarithm of the start's noise, times minus the rate. The tolerance is of order "
            "start / coefficient. The noise is from 1e-3 to 1e-8 of the start.",
            rivals=(Rival("the theory of separate modes: noise has no effect", 0.0),),
        ),
        at_most(
            "distillation/forgetting",
            "A learned mode falls to a quarter of its size or less when a second mode takes over "
            "its output.",
            SOURCE,
            0.1,
            lowest,
            details=f"The first mode ends at {RHO[0]:g}. The measured value is its smallest "
            "amplitude after the second mode has arrived. It is learned again later.",
            rivals=(Rival("monotone learning", RHO[0]),),
        ),
    ]
    return Part(claims, [_figure(times, layers)])


def _figure(times: np.ndarray, layers: np.ndarray) -> Figure:
    figure, axes = new_figure(2)
    for ax, mode in zip(axes, range(2), strict=True):
        for run, noise, colour in zip(layers[::2], NOISES[::2], COLOURS, strict=False):
            ax.plot(times, run[:, mode], color=colour, label=f"noise {noise:.0e}")
        curve = distillation.amplitude(times, LAM[mode], RHO[mode], START)
        ax.plot(times, np.asarray(curve), "--", color="black", linewidth=1, label="separate modes")
        title = f"covariance {LAM[mode]:g}, coefficient {RHO[mode]:g}"
        ax.set(title=title, xlabel="t = learning rate × step", ylim=(0, 0.85))
    axes[0].set_ylabel("amplitude of the mode in the encoder")
    axes[1].legend(frameon=False, fontsize=7)
    text = (
        "The mode of larger covariance (left) is learned first. The other mode (right) arrives "
        "earlier than the theory of separate modes predicts (dashed), later for less noise in the "
        "start; the first mode falls at that time and is learned again."
    )
    return Figure("distillation-takeover", "Takeover of a learned mode", text, figure)
