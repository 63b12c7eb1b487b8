"""One-pass SGD in many dimensions: the term of second order, fluctuations, escape, view noise."""

import numpy as np

from jssl.figures import new_figure
from jssl.papers.claims import at_least, close
from jssl.papers.outcome import Part, Settings
from jssl.report.figure import Figure
from jssl.theory import highdim
from jssl.theory.highdim import OnePass, rademacher, three_points
from jssl.types import Claim, Rival

SIZES = {"quick": 200, "paper": 2000, "large": 20_000}
BASE = OnePass(rademacher(2.0), 1.0, -0.4, 1.0, 0.5, 0.2)
CHECKED = "The settings were changed after first results were seen."
START = {"overlap": 0.3, "square": 1.0}


def source(*marks: str) -> str:
    """Return the source of a claim."""
    return (
        f"Model like that of Meng and Wang 2024, arXiv 2406.06909; {', '.join(marks)} in "
        "docs/equations.md"
    )


def one_pass(settings: Settings) -> Part:
    """Test the share of the signal in training, and the rate of escape from a small overlap."""
    runs, dim, end = SIZES[settings.scale], 500, 8.0
    times = np.linspace(0, end, 17)
    key = settings.keys(1, 0)[0]
    steps = [round(dim * t) for t in times]
    seen = highdim.chain(key, BASE, dim, steps, seeds=runs, **START)
    theory = highdim.trajectory(times, [0.3], 1.0, BASE)
    flow = highdim.trajectory(times, [0.3], 1.0, BASE, noise=False)
    share = np.asarray(seen.share)
    error = share[-1].std() / runs**0.5
    settings.progress("escape", 0.5)
    claims = [
        close(
            "highdim/diffusion-term",
            "In one-pass training the share of the signal ends below one, by the noise of the "
            "gradients.",
            source("I-30"),
            theory.share[-1],
            share[-1].mean(),
            4 * error + 2 / dim,
            details=f"There are {runs} runs in {dim} dimensions, at {end:g} times {dim} steps. The "
            "tolerance is four standard errors and two over the dimension.",
            rivals=(Rival("Gradient flow, without the term of second order", flow.share[-1]),),
        ),
        _escape(settings, runs),
    ]
    figure, (ax,) = new_figure(1)
    spread = highdim.fluctuation(times[1:], 0.3, 1.0, BASE)[:, 0, 0] ** 0.5 / dim**0.5
    ax.plot(times, np.asarray(seen.overlap)[:, :20], color="0.75", lw=0.6)
    ax.plot(times, theory.overlap[:, 0], "k--", label="limit of many dimensions")
    for sign in (-2, 2):
        ax.plot(times[1:], theory.overlap[1:, 0] + sign * spread, "k:", lw=0.8)
    ax.plot(times, flow.overlap[:, 0], color="C3", lw=0.8, label="gradient flow")
    ax.set(xlabel="time (steps over dimension)", ylabel="overlap with the signal")
    ax.legend()
    description = (
        f"Overlap with the signal in 20 runs of one-pass SGD in {dim} dimensions (grey), the limit "
        "of many dimensions (dashed) with two predicted standard deviations (dotted), and gradient "
        "flow (red)."
    )
    return Part(claims, [Figure("one-pass", "One-pass SGD", description, figure)])


def fluctuations(settings: Settings) -> Part:
    """Test that runs spread as one over the root of the dimension, with the predicted factor."""
    runs, end = 2 * SIZES[settings.scale], 4.0
    dims = np.array([125, 500, 2000])
    deviations = []
    for index, dim in enumerate(dims):
        settings.progress(f"{dim} dimensions", index / len(dims))
        key = settings.keys(1, 1, index)[0]
        seen = highdim.chain(key, BASE, int(dim), [int(end * dim)], seeds=runs, **START)
        deviations.append(np.asarray(seen.overlap)[0].std())
    predicted = highdim.fluctuation([end], 0.3, 1.0, BASE)[0, 0, 0] ** 0.5
    slope = np.log(deviations[-1] / deviations[0]) / np.log(dims[-1] / dims[0])
    tolerance = 4 * (1 / runs) ** 0.5 / np.log(dims[-1] / dims[0]) + 0.02
    factor = deviations[-1] * dims[-1] ** 0.5
    claims = [
        close(
            "highdim/fluctuations",
            "The spread of the overlap among runs falls as one over the root of the dimension.",
            source("I-33"),
            -0.5,
            slope,
            tolerance,
            details=f"There are {runs} runs each in 125 and 2,000 dimensions, at time 4. The "
            "tolerance is four standard errors of the two logarithms, and 0.02 for the correction "
            "at finite dimension.",
            rivals=(
                Rival("One over the dimension", -1.0),
                Rival("No dependence on the dimension", 0.0),
            ),
        ),
        close(
            "highdim/spread",
            "The overlap in 2,000 dimensions has the predicted standard deviation among runs.",
            source("I-33"),
            predicted,
            factor,
            predicted * (4 / (2 * runs) ** 0.5 + 5 / dims[-1]),
            details="The standard deviation times the root of the dimension. The tolerance is four "
            "relative standard errors, one over the root of twice the runs each, and five over the "
            f"dimension. {CHECKED}",
            rivals=(
                Rival("The noise of the data alone, without feedback", _without_feedback(end)),
            ),
        ),
    ]
    figure, (ax,) = new_figure(1)
    ax.loglog(dims, deviations, "o", label=f"{runs} runs")
    ax.loglog(dims, predicted / dims**0.5, "k--", label="theory")
    ax.set(xlabel="dimension", ylabel="standard deviation of the overlap")
    ax.legend()
    description = "The standard deviation of the overlap among runs against the dimension."
    return Part(claims, [Figure("fluctuations", "Spread among runs", description, figure)])


def noise_of_views(settings: Settings) -> Part:
    """Test that opposite noise of the views preserves more of the signal than independent noise."""
    runs, dim, extra, end = 2 * SIZES[settings.scale], 300, 0.3, 10.0
    data = OnePass(rademacher(2.0), correlation=1.0, learning_rate=1.0, decay=0.1)

    def theory(c: float) -> float:
        noisy = highdim.view_noise(data, extra, c)
        return float(highdim.trajectory([end], [0.3], 1.0, noisy).share[0])

    shares, errors = {}, {}
    for index, c in enumerate((0.0, -1.0)):
        settings.progress(f"correlation {c:g}", index / 2)
        noisy = highdim.view_noise(data, extra, c)
        key = settings.keys(1, 2, index)[0]
        seen = highdim.chain(key, noisy, dim, [round(end * dim)], seeds=runs, **START)
        values = np.asarray(seen.share)[0]
        shares[c], errors[c] = values.mean(), values.std() / runs**0.5
    error = (errors[0.0] ** 2 + errors[-1.0] ** 2) ** 0.5
    claim = close(
        "highdim/view-noise",
        "Opposite noise of the two views leaves a larger share of the signal than independent "
        "noise.",
        source("I-30", "I-36"),
        theory(-1.0) - theory(0.0),
        shares[-1.0] - shares[0.0],
        4 * error + 4 / dim,
        details=f"There are {runs} runs each in {dim} dimensions, at time {end:g}, with view noise "
        "of variance 0.3. The tolerance is four standard errors and four over the dimension. "
        f"{CHECKED}",
        rivals=(Rival("The correlation of the noise does not matter", 0.0),),
    )
    sign = at_least(
        "highdim/view-noise-sign",
        "Opposite noise of the two views never leaves a smaller share of the signal than "
        "independent noise.",
        source("I-36"),
        0.0,
        shares[-1.0] - shares[0.0],
        details="The two means of the claim on their difference. The rival is the prediction for "
        "noise that both views share.",
        rivals=(Rival("Opposite noise acts as shared noise", theory(1.0) - theory(0.0)),),
        standard_error=error,
    )
    figure, (ax,) = new_figure(1)
    axis = np.linspace(-1, 1, 21)
    ax.plot(axis, [theory(c) for c in axis], "k--", label="theory")
    found = [shares[0.0], shares[-1.0]], [4 * errors[0.0], 4 * errors[-1.0]]
    ax.errorbar([0, -1], *found, fmt="o", label="runs")
    ax.set(xlabel="correlation of the added noise of two views", ylabel="share of the signal")
    ax.legend()
    description = (
        f"The share of the signal at time {end:g} against the correlation of the noise that is "
        "added to the two views."
    )
    remark = (
        "Opposite noise is better than independent noise here, but better than no noise only at "
        "small weight decay or a large learning rate.",
    )
    return Part(
        [claim, sign], [Figure("view-noise", "Noise of the views", description, figure)], remark
    )


def _escape(settings: Settings, runs: int) -> Claim:
    """Test the growth rate from a small overlap for a signal of large fourth moment."""
    law = three_points(2.0, 0.2)  # m4 / m2^2 = 5
    setting = BASE._replace(law=law, correlation=0.0)
    square, dim = highdim.start_square(setting), 2000
    start, times = 0.02, (0.2, 1.0)
    seen = highdim.chain(
        settings.keys(1, 3)[0], setting, dim, [int(t * dim) for t in times],
        overlap=start, square=square, seeds=10 * runs,
    )  # fmt: skip
    overlap = np.asarray(seen.overlap)
    means, errors = overlap.mean(1), overlap.std(1) / (10 * runs) ** 0.5
    span = times[1] - times[0]
    error = float(np.sum((errors / means) ** 2) ** 0.5) / span
    mean_abs = float(law.shares @ np.abs(law.points[:, 0]))
    other = highdim.escape_rate(setting._replace(law=rademacher(mean_abs**2)))
    return close(
        "highdim/second-moment",
        "The overlap escapes at a rate in which only the second moment of the signal enters.",
        source("I-32"),
        highdim.escape_rate(setting),
        float(np.log(means[1] / means[0])) / span,
        4 * error + 0.01,
        details=f"A signal with fourth moment five times its squared second, {10 * runs} runs in "
        f"{dim:,} dimensions from overlap {start:g} and the stationary norm. The tolerance is four "
        f"standard errors and 0.01 for the curvature of the drift. {CHECKED}",
        rivals=(Rival("The mean absolute signal decides", other),),
    )


def _without_feedback(end: float) -> float:
    """Return the spread if the covariances of steps simply added up."""
    times = np.linspace(0.0, end, 41)
    path = highdim.trajectory(times, [0.3], 1.0, BASE)
    rates = [
        highdim.step_covariance(float(q), float(r), BASE)[0, 0]
        for q, r in zip(path.overlap[:, 0], path.square, strict=True)
    ]
    return float(np.trapezoid(rates, times) ** 0.5)
