"""Rank of the embedding against augmentation strength and weight decay, by minimisation."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.figures import new_figure
from jssl.papers.claims import at_most, close
from jssl.papers.landscape.common import (
    AUGMENTED,
    amplitudes,
    gaussian_loss,
    ranks,
    source,
    stacked,
)
from jssl.papers.outcome import Part, Settings
from jssl.report.figure import Figure
from jssl.theory import landscape
from jssl.theory.landscape.dictionary import PLACEMENTS, SIMCLR
from jssl.types import Array, Claim, Rival

DATA = np.array([2.0, 1.5, 1.0, 0.7, 0.4])
NOISE = np.array([0.2, 0.5, 1.0, 1.5, 0.3])
CASES: dict[str, tuple[str, float]] = {name: (name, 1.0) for name in PLACEMENTS}
CASES["alignment weight 2"] = (SIMCLR, 2.0)
"""Name of a case -> placement and alignment weight."""


class Staircase(NamedTuple):
    """Minimisers of exact InfoNCE at growing augmentation strength.

    Attributes:
        grid: (points,) strengths.
        thresholds: (5,) strengths at which each mode is lost, infinite where it never is.
        weights: (points, starts, 5, 5) minimisers.
        diverged: (points, starts) whether minimisation diverged.
        views: covariances at each strength.
    """

    grid: np.ndarray
    thresholds: np.ndarray
    weights: np.ndarray
    diverged: np.ndarray
    views: landscape.Views


def staircases(settings: Settings) -> Part:
    """Test rank and squared weights at minima over a grid of strengths, for each placement."""
    points = {"quick": 24, "paper": 60, "large": 120}[settings.scale]
    draws = settings.generator(3)
    starts = 0.3 * draws.normal(size=(2, 5, 5))

    @jax.jit
    def solve(views: landscape.Views) -> tuple[Array, Array]:
        def one(views: landscape.Views) -> tuple[Array, Array]:
            ends = jax.vmap(
                lambda w: landscape.minimise(gaussian_loss, w, views, 0.0, tolerance=1e-8)
            )(starts)
            return ends.point, ends.diverged

        return jax.lax.map(one, views, batch_size=12)  # a divisor of the number of points

    claims, curves = [], {}
    lost_at = {
        name: np.asarray(
            landscape.from_loss(
                "info_nce_euclidean",
                DATA,
                NOISE,
                dim=5,
                placement=placement,
                alignment=alignment,
            ).thresholds.augmentation
        )
        for name, (placement, alignment) in CASES.items()
    }
    for name, (placement, alignment) in CASES.items():
        options = {"placement": placement, "alignment": alignment}
        thresholds = lost_at[name]
        grid = _away(np.geomspace(0.15, 30, points), thresholds)
        views = stacked([landscape.views(DATA, t * NOISE, **options) for t in grid])
        weights, diverged = jax.device_get(solve(views))
        curves[name] = Staircase(grid, thresholds, weights, diverged, views)
        claims += _staircase_claims(name, curves[name], lost_at)
    text = (
        "Rank of the minimiser of InfoNCE on Gaussian data against the strength of augmentation "
        "(dots), with the predicted rank (line) and its thresholds (dashed). If all views are "
        "augmented, or positives and negatives, no mode is lost. Otherwise modes vanish at the "
        "predicted strengths."
    )
    picture = Figure("rank-staircases", "Which placements collapse", text, _draw(curves))
    return Part([*claims, *_near_threshold(), _no_negatives(draws)], [picture])


def _away(grid: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Return the grid with points within 3 % of a threshold moved to 3 % above it."""
    for threshold in thresholds[np.isfinite(thresholds) & (thresholds > 0)]:
        grid = np.where(np.abs(grid / threshold - 1) < 0.03, 1.03 * threshold, grid)
    return grid


def _staircase_claims(
    name: str, staircase: Staircase, lost_at: dict[str, np.ndarray]
) -> list[Claim]:
    grid, thresholds, weights, diverged, views = staircase
    measured = ranks(weights, views.negative[:, None])
    predicted = (thresholds > grid[:, None]).sum(1)
    exact = amplitudes(views)
    gram = np.swapaxes(weights, -1, -2) @ weights
    difference = np.abs(gram - exact[:, None, :, None] * np.eye(5)).max() / np.max(exact)
    short = name.replace(" ", "-")
    starts = weights.shape[1]
    other_ranks = {
        tuple(other): Rival(
            f"the thresholds if {AUGMENTED[case]}",
            int((measured != (other > grid[:, None]).sum(1)[:, None]).sum()),
        )
        for case, other in lost_at.items()
        if not np.allclose(other, thresholds)
    }
    one_sided = "clean-augmented-clean"
    case = SIMCLR if name != SIMCLR else one_sided
    others = amplitudes(stacked([landscape.views(DATA, t * NOISE, case) for t in grid]))
    other_difference = np.abs(gram - others[:, None, :, None] * np.eye(5)).max() / np.max(exact)
    return [
        close(
            f"landscape/rank-{short}",
            f"If {AUGMENTED[name]}, the minimum of InfoNCE has the predicted rank at every "
            "augmentation strength.",
            source("L-3", "L-9"),
            0,
            int((measured != predicted[:, None]).sum() + diverged.sum()),
            0,
            details="The loss is exact, for Gaussian data and infinitely many negatives. The "
            f"measured value is the number of wrong ranks among {len(grid)} strengths with "
            f"{starts} starts each. No strength is within 2 % of a threshold.",
            rivals=list(other_ranks.values()),
        ),
        at_most(
            f"landscape/amplitude-{short}",
            f"If {AUGMENTED[name]}, the matrix W^T W at the minimum of InfoNCE agrees with the "
            "closed form.",
            source("L-5"),
            1e-5,
            float(difference),
            details="The measured value is the largest error of an entry over all "
            f"{len(grid)} strengths, divided by the largest squared weight. Minimisation stops at "
            "a gradient of 1e-8, which flat directions amplify up to 1000 times.",
            rivals=[Rival(f"the closed form if {AUGMENTED[case]}", float(other_difference))],
        ),
    ]


def _near_threshold() -> list[Claim]:
    """Test the quartic squared weight just inside each threshold.

    It depends on the embedded covariance Sigma, and the rank does not.
    """
    solve = jax.jit(
        jax.vmap(lambda w, v, d: landscape.minimise(gaussian_loss, w, v, d, tolerance=1e-12).point)
    )
    cases = [(1.0, 0.5), (0.6, 0.3)]
    claims = []
    for name, (placement, alignment) in CASES.items():
        options = {"placement": placement, "alignment": alignment}
        theories = []
        for a, c in cases:
            pull = landscape.form("info_nce_euclidean", [a], c, **options).signal[0, 0]
            decay = 0.99 * float(pull)
            theories.append(
                landscape.from_loss(
                    "info_nce_euclidean", [a], c, dim=1, weight_decay=decay, **options
                )
            )
        views = stacked([landscape.views([a], c, **options) for a, c in cases])
        decays = np.array([float(theory.form.decay) for theory in theories])
        exact = np.ravel(solve(np.full((len(cases), 1, 1), 0.2), views, decays)) ** 2
        quartic = np.array([float(theory.minima.gram[0, 0]) for theory in theories])
        # Expanding dL/dw^2 = 0 once more: the relative correction is n w^2 (n + 3k) / (n + 2k).
        spread, paired = np.ravel(views.negative), np.ravel(views.anchor)
        next_order = spread * quartic * (spread + 3 * paired) / (spread + 2 * paired)
        difference = exact / quartic - 1
        claims.append(
            at_most(
                f"landscape/quartic-{name.replace(' ', '-')}",
                f"If {AUGMENTED[name]}, the error of the quartic approximation near collapse is "
                "the predicted next-order term.",
                source("L-3"),
                1.0,
                float(np.max(np.abs(difference / next_order - 1) / (3 * next_order))),
                details="Weight decay is 1 % below the value at which the mode is lost. The "
                "relative difference of the squared weight between exact InfoNCE and its quartic "
                "approximation is divided by the next order of the expansion. The measured value "
                "is the deviation of this ratio from one, divided by three times that order.",
                rivals=[
                    Rival("no error of this order", float(np.max(1 / (3 * next_order)))),
                    Rival("the opposite sign", float(np.max(2 / (3 * next_order)))),
                ],
            )
        )
    return claims


def _no_negatives(draws: np.random.Generator) -> Claim:
    views = landscape.views(DATA, [1.0, 0.7, 0.4, 0.0, 0.0])
    start = draws.normal(size=(5, 5))
    end = jax.jit(landscape.minimise, static_argnums=0, static_argnames="tolerance")(
        _alignment, start, views.positive, tolerance=1e-10
    )
    values = np.linalg.svd(np.asarray(end.point), compute_uv=False)
    return close(
        "landscape/rank-no-negatives",
        "Without negatives, only those dimensions survive on which the augmentation does not act.",
        source("L-3"),
        2,
        int((values > 1e-4).sum()),
        0,
        details="The augmentation acts on three of five dimensions. The measured value is the "
        "number of singular values of the weights above 1e-4.",
        rivals=[
            Rival("complete collapse", 0),
            Rival("no collapse, as if all views are augmented", 5),
        ],
    )


def _alignment(weight: Array, positive: Array) -> Array:
    return jnp.sum((weight @ positive) * weight)


def _draw(curves: dict[str, Staircase]) -> Any:
    figure, axes = new_figure(3, 2, width=3.5, height=2.7)
    for index, (ax, (name, curve)) in enumerate(zip(axes, curves.items(), strict=True)):
        grid, thresholds = curve.grid, curve.thresholds
        measured = ranks(curve.weights, curve.views.negative[:, None])[:, 0]
        fine = np.geomspace(grid[0], grid[-1], 400)
        ax.plot(fine, (thresholds > fine[:, None]).sum(1), color="#0072b2", label="theory")
        for threshold in thresholds[np.isfinite(thresholds)]:
            ax.axvline(threshold, color="black", linestyle="--", linewidth=0.7, alpha=0.6)
        ax.plot(grid, measured, "o", color="#d55e00", ms=4, label="minimisation")
        ax.set(xscale="log", ylim=(-0.4, 5.6), xlim=(grid[0] * 0.9, grid[-1] * 1.1))
        ax.set_title(AUGMENTED[name].replace(" and all", ",\nall"), fontsize=9)
        if index >= 3:
            ax.set_xlabel("augmentation strength")
        if index % 3 == 0:
            ax.set_ylabel("surviving dimensions")
    axes[0].legend(frameon=False, loc="lower left")
    return figure


def weight_decay(settings: Settings) -> Part:
    """Test which modes survive weight decay if all views are augmented."""
    points = {"quick": 24, "paper": 60, "large": 240}[settings.scale]
    data = np.array([2.0, 1.0, 0.5, 0.25])
    grid = _away(np.geomspace(0.1, 3, points), data)
    views = landscape.views(data, 0.3)
    start = 0.3 * settings.generator(5).normal(size=(4, 4))

    @jax.jit
    def solve(decays: Array) -> Array:
        return jax.lax.map(
            lambda d: landscape.minimise(gaussian_loss, start, views, d, tolerance=1e-9).point,
            decays,
            batch_size=12,
        )

    weights = np.asarray(solve(grid))
    measured = ranks(weights, views.negative)
    predicted = (data > grid[:, None]).sum(1)
    exact = amplitudes(views, grid[:, None])
    gram = np.swapaxes(weights, 1, 2) @ weights
    difference, undecayed, halved = (
        float(np.abs(gram - values[..., :, None] * np.eye(4)).max() / exact.max())
        for values in (exact, amplitudes(views), amplitudes(views, grid[:, None] / 2))
    )
    half, spread = ((values > grid[:, None]).sum(1) for values in (2 * data, data + 0.3))
    claims = [
        close(
            "landscape/weight-decay",
            "Under weight decay, exactly those modes survive whose data variance exceeds the "
            "decay.",
            source("L-9"),
            0,
            int((measured != predicted).sum()),
            0,
            details="The loss is exact InfoNCE on Gaussian data of variances 2, 1, 0.5 and 0.25, "
            "with all views augmented. The measured value is the number of wrong ranks among "
            f"{len(grid)} weight decays. None of them is within 2 % of a variance.",
            rivals=[
                Rival(
                    "half the decay, that of a penalty of half the square",
                    int((measured != half).sum()),
                ),
                Rival("the variance of views decides", int((measured != spread).sum())),
            ],
        ),
        at_most(
            "landscape/weight-decay-amplitude",
            "Under weight decay, the matrix W^T W at the minimum of InfoNCE agrees with the closed "
            "form.",
            source("L-5"),
            1e-5,
            difference,
            details="The measured value is the largest error of an entry over all "
            f"{len(grid)} weight decays, divided by the largest squared weight. Minimisation stops "
            "at a gradient of 1e-9.",
            rivals=[
                Rival("half the decay, that of a penalty of half the square", halved),
                Rival("weight decay does not shrink what survives", undecayed),
            ],
        ),
    ]
    return Part(claims, [])
