"""Rank against augmentation strength and weight decay, for every placement, by minimisation."""

import jax
import jax.numpy as jnp
import numpy as np

from jssl.figures import new_figure
from jssl.papers.claims import at_most, close
from jssl.papers.landscape.common import (
    SOURCE,
    Z,
    amplitudes,
    gaussian_loss,
    ranks,
    sampled_loss,
    stacked,
)
from jssl.papers.outcome import Part, Settings
from jssl.report.figure import Figure
from jssl.theory import landscape
from jssl.theory.landscape.dictionary import PLACEMENTS, SIMCLR
from jssl.types import Array

DATA = np.array([2.0, 1.5, 1.0, 0.7, 0.4])
NOISE = np.array([0.2, 0.5, 1.0, 1.5, 0.3])
CASES: dict[str, tuple[str, float]] = {name: (name, 1.0) for name in PLACEMENTS}
CASES["alignment weight 2"] = (SIMCLR, 2.0)
"""Rows of the table: placement and alignment weight."""


def staircases(settings: Settings) -> Part:
    """Minimise the exact loss over a grid of strengths for each row; compare rank and amplitude."""
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

        return jax.lax.map(one, views, batch_size=12)  # divides the points: one loop to compile

    claims, curves = [], {}
    for name, (placement, alignment) in CASES.items():
        options = {"placement": placement, "alignment": alignment}
        base = landscape.from_loss("info_nce_euclidean", DATA, NOISE, dim=5, **options)
        kinks = np.asarray(base.thresholds.augmentation)
        grid = _away(np.geomspace(0.15, 30, points), kinks)
        views = stacked([landscape.views(DATA, t * NOISE, **options) for t in grid])
        weights, diverged = jax.device_get(solve(views))
        seen = ranks(weights, views.negative[:, None])
        predicted = (kinks > grid[:, None]).sum(1)
        exact = amplitudes(views)
        gram = np.swapaxes(weights, -1, -2) @ weights
        off = np.abs(gram - exact[:, None, :, None] * np.eye(5)).max() / np.max(exact)
        short = name.replace(" ", "-")
        claims += [
            close(
                f"landscape/rank-{short}",
                f"{name}: strengths among {len(grid)}, 2 starts each, at which the rank of the "
                "minimiser of exact InfoNCE is not the predicted one (none within 2 % of a kink)",
                f"{SOURCE}; L-3, L-9",
                0,
                int((seen != predicted[:, None]).sum() + diverged.sum()),
                0,
            ),
            at_most(
                f"landscape/amplitude-{short}",
                f"{name}: largest error of W^T W at those minima against the closed form, over the "
                "largest (gradient below 1e-8; flat directions amplify it 1e3 times)",
                f"{SOURCE}; L-5",
                1e-5,
                float(off),
            ),
        ]
        curves[name] = (grid, seen[:, 0], kinks)
    text = (
        "Rank of the minimiser of InfoNCE on Gaussian data against the strength of augmentation "
        "(dots), with the predicted staircase and its kinks (dashed): where all views are "
        "augmented, or clean anchors meet augmented negatives, nothing is ever lost; elsewhere "
        "modes vanish at the predicted strengths."
    )
    picture = Figure("rank-staircases", "Which placements collapse", text, _staircases(curves))
    return Part([*claims, *_near_threshold(), *_no_negatives(draws)], [picture])


def _away(grid: np.ndarray, kinks: np.ndarray) -> np.ndarray:
    """Return the grid with points within 3 % of a kink moved 3 % above it."""
    for kink in kinks[np.isfinite(kinks) & (kinks > 0)]:
        grid = np.where(np.abs(grid / kink - 1) < 0.03, 1.03 * kink, grid)
    return grid


def _near_threshold() -> list:
    """Judge the quartic amplitude just inside each threshold: it sees Sigma, the rank does not."""
    solve = jax.jit(
        jax.vmap(lambda w, v, d: landscape.minimise(gaussian_loss, w, v, d, tolerance=1e-12).point)
    )
    cases = [(1.0, 0.5), (0.6, 0.3)]
    claims = []
    for name, (placement, alignment) in CASES.items():
        options = {"placement": placement, "alignment": alignment}
        seen = []
        for a, c in cases:
            pull = landscape.form("info_nce_euclidean", [a], c, **options).signal[0, 0]
            decay = 0.99 * float(pull)
            seen.append(
                landscape.from_loss(
                    "info_nce_euclidean", [a], c, dim=1, weight_decay=decay, **options
                )
            )
        views = stacked([landscape.views([a], c, **options) for a, c in cases])
        decays = np.array([float(x.form.decay) for x in seen])
        exact = np.ravel(solve(np.full((len(cases), 1, 1), 0.2), views, decays)) ** 2
        quartic = np.array([float(x.minima.gram[0, 0]) for x in seen])
        # Expanding dL/dw^2 = 0 once more: the relative correction is n w^2 (n + 3k) / (n + 2k).
        spread, paired = np.ravel(views.negative), np.ravel(views.anchor)
        next_order = spread * quartic * (spread + 3 * paired) / (spread + 2 * paired)
        off = exact / quartic - 1
        claims.append(
            at_most(
                f"landscape/quartic-{name.replace(' ', '-')}",
                f"{name}, 1 % inside the threshold of weight decay: w^2 of exact InfoNCE over the "
                "quartic's, less 1, against the next order of the expansion; error in units of "
                "three times that order",
                f"{SOURCE}; L-3",
                1.0,
                float(np.max(np.abs(off / next_order - 1) / (3 * next_order))),
            )
        )
    return claims


def _no_negatives(draws: np.random.Generator) -> list:
    views = landscape.views(DATA, [1.0, 0.7, 0.4, 0.0, 0.0])
    start = draws.normal(size=(5, 5))
    end = jax.jit(landscape.minimise, static_argnums=0, static_argnames="tolerance")(
        _alignment, start, views.positive, tolerance=1e-10
    )
    values = np.linalg.svd(np.asarray(end.point), compute_uv=False)
    return [
        close(
            "landscape/rank-no-negatives",
            "no negatives: dimensions left, those on which the augmentation does not act (its "
            "kernel has 2)",
            f"{SOURCE}; L-3",
            2,
            int((values > 1e-4).sum()),
            0,
        )
    ]


def _alignment(weight: Array, positive: Array) -> Array:
    return jnp.sum((weight @ positive) * weight)


def _staircases(curves: dict) -> object:
    figure, axes = new_figure(3, 2, width=3.5, height=2.7)
    for index, (ax, (name, (grid, seen, kinks))) in enumerate(
        zip(axes, curves.items(), strict=True)
    ):
        fine = np.geomspace(grid[0], grid[-1], 400)
        ax.plot(fine, (kinks > fine[:, None]).sum(1), color="#0072b2", label="theory")
        for kink in kinks[np.isfinite(kinks)]:
            ax.axvline(kink, color="black", linestyle="--", linewidth=0.7, alpha=0.6)
        ax.plot(grid, seen, "o", color="#d55e00", ms=4, label="minimised")
        ax.set(xscale="log", ylim=(-0.4, 5.6), xlim=(grid[0] * 0.9, grid[-1] * 1.1))
        ax.set_title(name.replace("augmented", "aug.").replace("_", " "), fontsize=10)
        if index >= 3:
            ax.set_xlabel("strength of augmentation")
        if index % 3 == 0:
            ax.set_ylabel("surviving dimensions")
    axes[0].legend(frameon=False, loc="lower left")
    return figure


def sampled(settings: Settings) -> Part:
    """Minimise InfoNCE with sampled negatives for every placement; compare amplitudes."""
    size, runs = {"quick": (256, 16), "paper": (1024, 48), "large": (2048, 100)}[settings.scale]
    data, noise = np.array([1.0, 0.5]), np.array([0.6, 0.3])
    key = jax.random.fold_in(jax.random.key(settings.seed), 4)

    def one(key: Array, bits: Array) -> Array:
        draws = jax.random.normal(key, (5, size, 2))
        clean, other = draws[0] * np.sqrt(data), draws[1] * np.sqrt(data)
        own, second, third = draws[2:] * np.sqrt(noise)
        anchor, positive = clean + bits[0] * own, clean + bits[1] * second
        negatives = other + bits[3] * third
        paired = clean + bits[2] * own
        start = jnp.array([[0.5, 0.1], [-0.1, 0.5]])
        end = landscape.minimise(
            sampled_loss, start, anchor, positive, paired, negatives, tolerance=1e-6
        )
        return jnp.diagonal(end.point.T @ end.point)

    solve = jax.jit(lambda keys, bits: jax.lax.map(lambda k: one(k, bits), keys, batch_size=4))
    claims = []
    for index, (name, bits) in enumerate(PLACEMENTS.items()):
        keys = jax.random.split(jax.random.fold_in(key, index), runs)
        seen = np.asarray(solve(keys, np.asarray(bits, float)))
        views = landscape.views(data, noise, name)
        exact = amplitudes(views)
        error = seen.std(0, ddof=1) / np.sqrt(runs)
        # A finite sample moves the minimum by a few 1/n, besides its scatter.
        allowed = Z * error / exact + 10 / size
        off = np.abs(seen.mean(0) / exact - 1)
        claims.append(
            at_most(
                f"landscape/sampled-{name}",
                f"{name}: mean w^2 over {runs} minimisations of InfoNCE, {size} anchors, {size} "
                "sampled negatives, off the exact one; in units of 3.9 standard errors and 10/n",
                f"{SOURCE}; L-3, L-5",
                1.0,
                float((off / allowed).max()),
            )
        )
    return Part(claims, [])


def weight_decay(settings: Settings) -> Part:
    """Count the modes that weight decay leaves, SimCLR placement: those with a_i above it."""
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
    seen = ranks(weights, views.negative)
    predicted = (data > grid[:, None]).sum(1)
    exact = amplitudes(views, grid[:, None])
    gram = np.swapaxes(weights, 1, 2) @ weights
    off = float(np.abs(gram - exact[:, :, None] * np.eye(4)).max() / exact.max())
    claims = [
        close(
            "landscape/weight-decay",
            f"exact InfoNCE, a = (2, 1, .5, .25): weight decays among {len(grid)} at which the "
            "rank is not #{a_i > decay} (none within 2 % of a kink)",
            f"{SOURCE}; L-9",
            0,
            int((seen != predicted).sum()),
            0,
        ),
        at_most(
            "landscape/weight-decay-amplitude",
            "the same: largest error of W^T W over the largest (gradient below 1e-9)",
            f"{SOURCE}; L-5",
            1e-5,
            off,
        ),
    ]
    return Part(claims, [])
