"""How modes are learned: exponential escape, delays, plateaus above the target, and BHEP."""

import jax.numpy as jnp
import numpy as np

from jssl.figures import draw_modes, new_figure
from jssl.papers.claims import close
from jssl.papers.isotropy.common import crossing, descent, source
from jssl.papers.outcome import Part, Settings
from jssl.report.figure import Figure
from jssl.theory import isotropy
from jssl.types import Claim, Rival

START = 1e-6
RATE = 0.005


def staircase(settings: Settings) -> Part:
    """Test the escape from collapse and the times at which modes are learned."""
    del settings
    four = np.array([1, 0.8, 0.6, 0.4])
    times, curves = _run(four, 3.5, 80.0, "bhep", 1.0)
    predicted = isotropy.half_times(
        np.full(4, START), four, np.zeros(4), _strength(four, 3.5, "bhep", 1.0),
        regulariser="bhep", width=1.0,
    )  # fmt: skip
    independent = float(np.log(1 / START - 1) / (3.5 * four[-1]))
    claims = [
        _escape(),
        close(
            "isotropy/staircase",
            "The fourth of four modes is learned at the predicted time, long after it would be "
            "learned alone.",
            source("I-17", "I-28"),
            predicted[-1],
            crossing(times, curves[:, -1]),
            0.01 * predicted[-1],
            details="BHEP of width 1 without noise, variances 1, 0.8, 0.6 and 0.4, a start of 1e-6 "
            f"and learning rate {RATE}. The first mode grows at rate 3.5. A finite step delays by "
            "learning rate times rate over four, 0.4 %; the tolerance is 1 %.",
            rivals=(Rival("Modes are independent, as for Barlow Twins", independent),),
        ),
        _bandwidth(),
    ]
    figure, axes = new_figure(2)
    for ax, regulariser, width in zip(axes, ("bhep", "sigreg"), (1.0, None), strict=True):
        t, seen = _run(four, 3.5, 80.0, regulariser, width)
        theory = isotropy.trajectory(
            t, np.full(4, START), four, np.zeros(4), _strength(four, 3.5, regulariser, width),
            regulariser=regulariser, width=width,
        )  # fmt: skip
        draw_modes(ax, t, seen, label="descent")
        draw_modes(ax, t, theory, dashed=True, label="theory")
        ax.legend(frameon=False)
        title = "SIGReg" if regulariser == "sigreg" else "BHEP, width 1"
        ax.set(xlabel="time", ylabel="eigenvalue", title=title)
    description = (
        "Eigenvalues of the embedding covariance of four modes under BHEP of width 1 (left) and "
        "SIGReg (right), by descent (solid) and theory (dashed). Each mode rises above its target "
        "and shrinks when the next is learned, and later modes take longer."
    )
    return Part(claims, [Figure("staircase", "One dimension after another", description, figure)])


def plateaus(settings: Settings) -> Part:
    """Test the height of the first plateau, and growth without one."""
    del settings
    options = {"regulariser": "bhep", "width": 1.0}
    ones, none = jnp.ones(3), jnp.zeros(3)
    start = jnp.array([1.0, 0.0, 0.0])
    ended = descent(start, ones, none, 1.0, 0.05, records=1, every=20_000, **options)
    height = float(ended[-1, 0])
    eight, empty = jnp.ones(8), jnp.zeros(8)
    alone = jnp.zeros(8).at[0].set(1e-3)
    grown = descent(alone, eight, empty, 1.0, 0.1, records=40, every=1000, **options)
    grown, times = np.asarray(grown)[:, 0], 100.0 * np.arange(1, 41)
    slope = float(np.log(grown[-1] / grown[9]) / np.log(times[-1] / times[9]))
    claims = [
        close(
            "isotropy/overshoot",
            "One mode beside two empty ones is stationary far above its target.",
            source("I-20"),
            isotropy.plateau(3, regulariser="bhep", width=1.0),
            height,
            0.01,
            details="BHEP of width 1 with three outputs, strength 1 and learning rate 0.05, at "
            "time 1,000. The tolerance is for the distance that is left at that time.",
            rivals=(Rival("No mode exceeds its target", 1.0),),
        ),
        close(
            "isotropy/no-plateau",
            "With eight outputs the first mode grows as time to the power 2/3, without a plateau.",
            source("I-21"),
            2 / 3,
            slope,
            0.02,
            details="BHEP of width 1, seven empty modes; the exponent is fitted between times "
            "1,000 and 4,000. The tolerance is for the next order of the expansion.",
            rivals=(Rival("The mode saturates", 0.0),),
        ),
    ]
    return Part(claims, [_heights()])


def _escape() -> Claim:
    options = {"regulariser": "sigreg", "width": None}
    q, c, strength, rate = np.ones(4), np.full(4, 0.1), 2.0, 0.01
    predicted = float(isotropy.growth_rates(q, c, strength)[0])
    seen = descent(
        jnp.full(4, 1e-8), jnp.asarray(q), jnp.asarray(c), strength, rate,
        records=2, every=200, **options,
    )  # fmt: skip
    measured = float(np.log(seen[1, 0] / seen[0, 0]) / (200 * rate))
    return close(
        "isotropy/escape",
        "A nearly collapsed embedding leaves collapse under SIGReg at the predicted exponential "
        "rate.",
        source("I-13", "I-18"),
        predicted,
        measured,
        rate * predicted**2 / 4 + 1e-3,
        details="Four outputs, a noise share of 0.1, strength 2, a start of variance 1e-8 and "
        "learning rate 0.01. The "
        "tolerance is the effect of the finite step, learning rate times rate squared over four, "
        "and 0.001 for the variance reached.",
        rivals=(
            Rival("The gradient vanishes at collapse, so nothing grows", 0.0),
            Rival(
                "The noise of the views does not matter",
                float(isotropy.growth_rates(q, 0 * c, strength)[0]),
            ),
        ),
    )


def _bandwidth() -> Claim:
    q = 0.8 ** np.arange(8)
    last = {}
    for regulariser, width, end in (("sigreg", None, 180.0), ("bhep", None, 180.0)):
        times, curves = _run(q, 3.875, end, regulariser, width, 0.02)
        last[regulariser] = crossing(times, curves[:, -1])
    start, none = np.full(8, START), np.zeros(8)

    def time(regulariser: str, width: float | None) -> float:
        strength = _strength(q, 3.875, regulariser, width)
        options = {"regulariser": regulariser, "width": width}
        return float(isotropy.half_times(start, q, none, strength, **options)[-1])

    sliced = time("sigreg", None)
    return close(
        "isotropy/bandwidth",
        "BHEP of width 2/K learns the last of eight modes nearly when SIGReg does.",
        source("I-27", "I-28"),
        time("bhep", None) / sliced,
        last["bhep"] / last["sigreg"],
        0.01,
        details="The ratio of the last half times, with variances 0.8^j and an equal rate of the "
        "first mode, 3.875, at learning rate 0.02; the effect of the step cancels in the ratio.",
        rivals=(Rival("Width 1 serves as well", time("bhep", 1.0) / sliced),),
    )


def _strength(q: np.ndarray, rate: float, regulariser: str, width: float | None) -> float:
    first = isotropy.growth_rates(q, 0 * q, 1.0, regulariser=regulariser, width=width)[0]
    return float(rate / first)


def _run(
    q: np.ndarray,
    rate: float,
    end: float,
    regulariser: str,
    width: float | None,
    step: float = RATE,
) -> tuple[np.ndarray, np.ndarray]:
    """Return times and eigenvalues of a descent whose first mode grows at a rate."""
    every = 20
    records = int(end / (step * every))
    curves = descent(
        jnp.full(len(q), START), jnp.asarray(q), jnp.zeros(len(q)),
        _strength(q, rate, regulariser, width), step,
        regulariser=regulariser, width=width, records=records, every=every,
    )  # fmt: skip
    return step * every * np.arange(1, records + 1), np.asarray(curves)


def _heights() -> Figure:
    figure, (ax,) = new_figure(1)
    dims = np.arange(1, 17)
    for regulariser, width, label in (
        ("sigreg", None, "SIGReg"),
        ("bhep", None, "BHEP, width 2/K"),
        ("bhep", 1.0, "BHEP, width 1"),
    ):
        heights = [isotropy.plateau(k, regulariser=regulariser, width=width) for k in dims]
        ax.plot(dims, np.where(np.isfinite(heights), heights, np.nan), "o-", ms=3, label=label)
    ax.set(xlabel="outputs", ylabel="height of the first plateau")
    ax.legend()
    description = (
        "The stationary value of the first mode while all others are empty, against the number of "
        "outputs. "
        "Under BHEP of width 1 it is infinite from four outputs on."
    )
    return Figure("plateaus", "Overshoot of the first mode", description, figure)
