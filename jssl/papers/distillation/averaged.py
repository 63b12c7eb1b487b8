"""An averaged target: a fast one delays all modes alike, a slow one removes the order."""

import numpy as np

from jssl.figures import COLOURS, new_figure
from jssl.papers.claims import close
from jssl.papers.distillation.runs import case, crossing, diagonal_moments, train
from jssl.papers.outcome import Part, Settings
from jssl.report.figure import Figure
from jssl.theory import distillation
from jssl.types import Claim, Rival

SOURCE = "Derived here, {} in docs/equations.md; the target of Grill et al. 2020 (BYOL)"
RHO, START = 0.8, 0.01
FAST, MOMENTUM = 0.05, 0.9
SLOW, SLOW_RATE = 0.5, 1e-4
"""Learning rate and rate of a slow target."""


def averaged(settings: Settings) -> Part:
    """Test the delay by a fast target and the order under a slow one."""
    (key,) = settings.keys(1, 50)
    fast = [
        case(
            diagonal_moments([lam], [RHO]),
            key,
            FAST,
            momentum=momentum,
            averaged=True,
            start=START,
        )
        for lam in (1.0, 0.25)
        for momentum in (0.0, MOMENTUM)
    ]
    history = train(fast, np.arange(0, 8601, 4))
    times = history.step * FAST
    half = [crossing(times, np.abs(run[:, 0, 0]), RHO / 2) for run in history.encoder]
    settings.progress("slow target", 0.5)
    return Part([*_delay_claims(half), *_slow_claims(settings)], [_figure()])


def _delay_claims(half: list[float]) -> list[Claim]:
    delays = [half[1] - half[0], half[3] - half[2]]
    rate = float(distillation.target_rate(MOMENTUM, FAST))
    predicted = float(distillation.averaged_delay(RHO, START, rate))
    other = predicted / MOMENTUM
    return [
        close(
            "distillation/target-delay",
            "A target averaged with momentum 0.9 delays a mode by the predicted time.",
            SOURCE.format("D-32 and D-33"),
            predicted,
            delays[1],
            0.08,
            details="The covariance is 0.25. The tolerance is the error bound of the prediction, "
            "0.3 x covariance x coefficient / rate, and the first order in the step.",
            rivals=(Rival("a mean lag of one over one minus momentum", other),),
        ),
        close(
            "distillation/target-delay-ratio",
            "A fast averaged target delays modes of different covariance by equal times.",
            SOURCE.format("D-33"),
            1.0,
            delays[1] / delays[0],
            0.11,
            details="The measured value is the delay at covariance 0.25 over that at covariance 1. "
            "The tolerance is the error bound at covariance 1, 0.3 x 0.8 / rate.",
            rivals=(Rival("a delay in proportion to the learning time", 4.0),),
        ),
    ]


def _slow_claims(settings: Settings) -> list[Claim]:
    (key,) = settings.keys(1, 51)
    momentum = 1 / (1 + SLOW_RATE * SLOW)
    modes = ((1.0, RHO), (0.125, RHO), (1.0, 0.3))
    cases = [
        case(
            diagonal_moments([lam], [rho]), key, SLOW, momentum=momentum, averaged=True, start=START
        )
        for lam, rho in modes
    ]
    history = train(cases, np.arange(0, 28_001, 10))
    times = history.step * SLOW
    half = [
        crossing(times, np.abs(run[:, 0, 0]), rho / 2)
        for run, (_, rho) in zip(history.encoder, modes, strict=True)
    ]
    known = [float(distillation.slow_target_time(lam, rho, START, SLOW_RATE)) for lam, rho in modes]
    plain = [float(distillation.critical_time(lam, rho, START)) for lam, rho in modes]
    rest = 1 / (0.125 * START) ** 2 * SLOW_RATE
    return [
        close(
            "distillation/slow-target-covariances",
            "A slow averaged target learns modes whose covariances differ eightfold at almost one "
            "time.",
            SOURCE.format("D-35"),
            known[1] / known[0],
            half[1] / half[0],
            0.02,
            details="The measured value is the ratio of the half times at covariances 1/8 and 1. "
            "The tolerance follows from terms of order rate / (covariance x start)^2, "
            f"{rest:.0f} here, over the time.",
            rivals=(Rival("the order without an averaged target", plain[1] / plain[0]),),
        ),
        close(
            "distillation/slow-target-coefficients",
            "A slow averaged target learns the mode of the smaller regression coefficient first.",
            SOURCE.format("D-35"),
            known[2] - known[0],
            half[2] - half[0],
            20.0,
            details="The measured value is the half time at coefficient 0.3 minus that at 0.8, "
            "both at covariance 1. The tolerance allows for terms of order rate / start^2 = 1 in "
            "each time and for the step.",
            rivals=(Rival("the order without an averaged target", plain[2] - plain[0]),),
        ),
    ]


def _figure() -> Figure:
    figure, (ax,) = new_figure(1, width=5.4)
    rates = np.geomspace(1e-4, 10, 16)
    modes = [(lam, RHO) for lam in (1.0, 0.5, 0.25, 0.125)] + [(1.0, 0.3)]
    for (lam, rho), colour in zip(modes, COLOURS, strict=False):
        times = [distillation.averaged_time(lam, rho, START, rate) for rate in rates]
        style = "--" if rho == 0.3 else "-"
        ax.plot(rates, times, style, color=colour, label=f"covariance {lam:g}, coefficient {rho:g}")
    ax.set(xscale="log", yscale="log", xlabel="rate of the averaged target", ylabel="half time")
    ax.legend(frameon=False, fontsize=7)
    text = (
        "Half times against the rate of the average. On the right the target is the encoder and "
        "times are in proportion to one over the covariance; on the left the order by covariance "
        "is gone, and the mode of coefficient 0.3 comes first."
    )
    return Figure("distillation-target", "Averaged targets", text, figure)
