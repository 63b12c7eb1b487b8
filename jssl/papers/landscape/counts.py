"""Minima of the quartic landscape, counted from thousands of random starts."""

import collections
from typing import NamedTuple

import jax
import numpy as np

from jssl.figures import new_figure
from jssl.papers.claims import at_most, close
from jssl.papers.landscape.common import quartic_loss, source
from jssl.papers.outcome import Part, Settings
from jssl.report.figure import Figure
from jssl.theory import landscape
from jssl.types import Claim, Rival

SMALL_STARTS = 2000
BEYOND = "Beyond Ziyin et al. 2023; L-3 in docs/equations.md"


class TwoMinima(NamedTuple):
    """A landscape whose anchors and negatives have different covariances.

    Attributes:
        theory: its stationary points.
        one: stationary points of the landscape in which both have the covariance of the anchors.
        reached: loss -> number of descents that end there, for losses that at least 1 % reach.
    """

    theory: landscape.Landscape
    one: landscape.Landscape
    reached: dict[float, int]


def many_starts(settings: Settings) -> Part:
    """Test where descents from random starts end, and the Hessians of stationary points."""
    draws = settings.generator(2)
    claims = _global_claims(settings, draws)
    few = landscape.from_moments(np.array([1.0, 0.8, 0.5, -0.4]), np.ones(4), 0.5, dim=2)
    claims.append(_hessian_claim(few))
    two = _two_minima(draws)
    claims += _two_minima_claims(two)
    return Part(claims, [_figure(few, two, draws)])


def _global_claims(settings: Settings, draws: np.random.Generator) -> list[Claim]:
    count = {"quick": 1000, "paper": 10_000, "large": 100_000}[settings.scale]
    turned = np.linalg.qr(draws.normal(size=(2, 16, 16)))[0]
    data, noise = (
        (q * np.geomspace(high, 0.1, 16)) @ q.T for q, high in zip(turned, (2.0, 3.0), strict=True)
    )
    theory = landscape.from_loss(
        "info_nce_euclidean", data, noise, placement="clean-augmented-clean", dim=8
    )
    starts = 0.3 * draws.normal(size=(count, 8, 16))
    ends = jax.device_get(landscape.minimise_all(quartic_loss, starts, theory.form))
    lowest = float(theory.minima.loss)
    gap = (ends.value - lowest) / -lowest
    strength = np.sort(np.asarray(theory.modes.strength if theory.modes else np.zeros(9)))[::-1]
    squares = np.maximum(strength, 0) ** 2
    saddle = float((squares[7] - squares[8]) / squares[:8].sum())
    return [
        at_most(
            "landscape/one-minimum",
            "Minimisation of the quartic landscape reaches the predicted global minimum from every "
            "random start.",
            source("L-6", "L-7"),
            1e-6,
            float(np.abs(gap).max()),
            details=f"There are {count:,} starts with 16 inputs and 8 outputs, and the signal "
            "matrix B does not commute with Sigma. The measured value is the largest relative "
            "difference of the final loss from the predicted minimum. Minimisation stops at a "
            "gradient of 1e-6.",
            rivals=[Rival("descents also end at the lowest saddle", saddle)],
        ),
        close(
            "landscape/diverged",
            "Minimisation of the quartic landscape does not diverge from any random start.",
            source("L-7"),
            0,
            int(ends.diverged.sum()),
            0,
            details=f"The measured value is the number of diverged descents among {count:,}.",
            rivals=[Rival("the loss is unbounded below, as without its quartic term", count)],
        ),
    ]


def _hessian_claim(few: landscape.Landscape) -> Claim:
    worst, half, number = _hessians(few)
    return at_most(
        "landscape/hessians",
        "At every stationary point of a small quartic landscape, the Hessian has the predicted "
        "eigenvalues.",
        source("L-8"),
        1e-9,
        worst,
        details=f"There are {number} stationary points of a landscape with 4 inputs and 2 outputs. "
        "The measured value is the largest absolute difference from the eigenvalues found by "
        "automatic differentiation.",
        rivals=[Rival("half of them, those of the matrix of the quadratic form", half)],
    )


def _hessians(theory: landscape.Landscape) -> tuple[float, float, int]:
    """Return the largest errors of a Hessian eigenvalue, and the number of stationary points.

    The first error is that of the prediction, the second that of half of it.
    """
    size = len(theory.form.signal)
    hessian = jax.jit(
        jax.hessian(lambda flat: quartic_loss(flat.reshape(theory.dim, size), theory.form))
    )
    worst, half, number = 0.0, 0.0, 0
    for mask in theory.masks():
        weight = np.ravel(landscape.stationary_weight(theory.modes, mask, theory.dim))
        values = np.linalg.eigvalsh(np.asarray(hessian(weight)))[::-1]
        predicted = np.asarray(theory.hessian_spectrum(mask))
        worst = max(worst, float(np.abs(values - predicted).max()))
        half = max(half, float(np.abs(values - predicted / 2).max()))
        number += 1
    return worst, half, number


def _two_minima(draws: np.random.Generator) -> TwoMinima:
    theory, one = (
        landscape.from_loss(
            "info_nce_euclidean",
            [0.637, 1.73],
            [0.011, 1.632],
            placement=placement,
            weight_decay=0.3086,
            dim=1,
        )
        for placement in ("clean-augmented-augmented", "augmented-augmented-augmented")
    )
    starts = 0.8 * draws.normal(size=(SMALL_STARTS, 1, 2))
    ends = landscape.minimise_all(quartic_loss, starts, theory.form, tolerance=1e-9)
    every = collections.Counter(np.round(np.asarray(ends.value), 6).tolist())
    reached = {level: n for level, n in every.items() if n >= 0.01 * len(starts)}
    return TwoMinima(theory, one, reached)


def _two_minima_claims(two: TwoMinima) -> list[Claim]:
    reached = two.reached
    difference, with_one = (_off(theory, reached) for theory in (two.theory, two.one))
    setting = (
        "Anchors are clean, negatives are augmented, there is weight decay, and the encoder has "
        "one output."
    )
    return [
        close(
            "landscape/two-minima",
            "If anchors and negatives have different covariances, the landscape can have two local "
            "minima of different loss.",
            BEYOND,
            2,
            len(reached),
            0,
            details=f"{setting} The measured value is the number of losses at which at least 1 % "
            f"of {SMALL_STARTS:,} descents end. Descents from random starts do not end at saddles.",
            rivals=[Rival("one minimum, as with one covariance", 1)],
        ),
        at_most(
            "landscape/two-minima-levels",
            "If anchors and negatives have different covariances, every minimum that is reached "
            "has the loss of a predicted local minimum.",
            BEYOND,
            1e-6,
            difference,
            details=f"{setting} The measured value is the largest difference between the loss of a "
            "minimum and the nearest predicted one. Losses are rounded to 1e-6.",
            rivals=[Rival("the minima of anchors that are augmented too", with_one)],
        ),
    ]


def _off(theory: landscape.Landscape, reached: dict[float, int]) -> float:
    """Return the largest distance of a reached loss from the nearest predicted minimum."""
    levels = [
        float(theory.stationary_loss(m)) for m in theory.masks() if theory.saddle_index(m) == 0
    ]
    return max(min(abs(v - level) for level in levels) for v in reached)


def _figure(few: landscape.Landscape, two: TwoMinima, draws: np.random.Generator) -> Figure:
    starts = 0.5 * draws.normal(size=(SMALL_STARTS, 2, 4))
    ends = landscape.minimise_all(quartic_loss, starts, few.form)
    counted = collections.Counter(np.round(np.asarray(ends.value), 5).tolist())
    figure, axes = new_figure(2, width=4.6)
    cases = (
        (few, counted, "one covariance"),
        (two.theory, two.reached, "two covariances, one output"),
    )
    for ax, (theory, counts, title) in zip(axes, cases, strict=True):
        lowest_index: dict[float, int] = {}
        for mask in theory.masks():
            level = round(float(theory.stationary_loss(mask)), 4)
            lowest_index[level] = min(theory.saddle_index(mask), lowest_index.get(level, 99))
        ordered = sorted(lowest_index.items())
        levels = np.array([level for level, _ in ordered])
        heights = [0] * len(ordered)
        for value, number in counts.items():
            heights[int(np.abs(levels - value).argmin())] += number
        places = np.arange(len(ordered))
        colours = ["#0072b2" if index == 0 else "#999999" for _, index in ordered]
        ax.bar(places, heights, color=colours)
        for x, height, (_, index) in zip(places, heights, ordered, strict=True):
            word = "minimum" if index == 0 else f"index {index}"
            ax.annotate(f"{height}\n{word}", (x, height), ha="center", va="bottom", fontsize=8)
        ax.set_xticks(places, [f"{level:g}" for level, _ in ordered], fontsize=8)
        ax.set(xlabel="loss of the stationary point", title=title, ylim=(0, 1.25 * max(heights)))
    axes[0].set_ylabel(f"number of descents, of {SMALL_STARTS:,}")
    text = (
        f"Number of descents, of {SMALL_STARTS:,}, that end at each stationary point. With one "
        "covariance, all end at the only minimum and none at a saddle (index one or more). With "
        "two covariances, weight decay and a single output, the descents end at two minima."
    )
    return Figure("minima-counted", "Minima reached from random starts", text, figure)
