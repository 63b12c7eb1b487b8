"""The picture of two weights, 4 -> 2 -> 1 minima, and the landscape of many: minima counted."""

import collections
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl.figures import new_figure
from jssl.papers.claims import at_most, close
from jssl.papers.landscape.common import (
    SOURCE,
    amplitudes,
    gaussian_loss,
    quartic_loss,
    sampled_loss,
)
from jssl.papers.outcome import Part, Settings
from jssl.report.figure import Figure
from jssl.theory import landscape
from jssl.types import Array

DATA = (1.0, 0.4)
STRENGTHS = {0.2: 4, 1.2: 2, 2.5: 1}
"""Augmentation -> number of minima: B = (1, .4) - c/2 turns negative at c = .8 and c = 2."""
PLACEMENT = "clean-augmented-clean"


def two_weights(settings: Settings) -> Part:
    """Count the minima of W = diag(w1, w2) as the augmentation crosses its thresholds."""
    draws = settings.generator(1)
    starts = draws.uniform(-1.5, 1.5, size=(2000, 2))
    size = {"quick": 300, "paper": 1000, "large": 3000}[settings.scale]
    clean, noise, other = draws.normal(size=(3, size, 2))

    def diagonal_exact(w: Array, views: landscape.Views) -> Array:
        return gaussian_loss(jnp.diag(w), views, 0.0)

    def diagonal_quartic(w: Array, form: landscape.Form) -> Array:
        return quartic_loss(jnp.diag(w), form)

    def diagonal_sampled(w: Array, anchor: Array, positive: Array, negatives: Array) -> Array:
        return sampled_loss(jnp.diag(w), anchor, positive, anchor, negatives)

    claims = []
    figure, axes = new_figure(3, width=3.6, height=3.5)
    for ax, (strength, count) in zip(axes, STRENGTHS.items(), strict=True):
        views = landscape.views(DATA, strength, PLACEMENT)
        form = landscape.form("info_nce_euclidean", DATA, strength, placement=PLACEMENT)
        quartic = _ends(diagonal_quartic, starts, form, tolerance=1e-10)
        exact = _ends(diagonal_exact, starts, views, tolerance=1e-10)
        x = clean * np.sqrt(DATA)
        batch = (x, x + noise * np.sqrt(strength), other * np.sqrt(DATA))
        sampled = _ends(diagonal_sampled, starts[:64], *batch, batch=16)
        found = {
            "Gaussian data, exactly": _distinct(exact),
            f"{size} anchors and {size} sampled negatives": _distinct(sampled),
        }
        for index, (kind, minima) in enumerate(found.items()):
            claims.append(
                close(
                    f"landscape/minima-{'sampled' if index else 'gaussian'}-{strength:g}",
                    f"two weights, augmentation {strength:g}: number of minima reached by InfoNCE "
                    f"({kind})",
                    f"{SOURCE}; L-11",
                    count,
                    len(minima),
                    0,
                )
            )
        squares = np.maximum(np.diagonal(form.signal), 0) / (1.5 * np.square(DATA))
        held = amplitudes(views)
        claims += [
            at_most(
                f"landscape/amplitudes-{strength:g}",
                f"two weights, augmentation {strength:g}: largest error of w^2 where "
                f"{len(starts)} starts end, quartic and exact loss, against L-11 and L-5 "
                "(gradient below 1e-10 of its scale)",
                f"{SOURCE}; L-5, L-11",
                1e-6,
                max(
                    float(np.abs(quartic**2 - squares).max()),
                    float(np.abs(exact**2 - held).max()),
                ),
            )
        ]
        _contours(ax, views, exact, np.sqrt(held), strength, count)
    axes[0].set_ylabel("second weight")
    axes[0].legend(frameon=True, fontsize=8, loc="upper left")
    text = (
        "Loss of two weights at three strengths of augmentation, darker is lower. Four minima "
        "become two and then one at zero as each mode is lost; ends of 2,000 descents (dots) lie "
        "on the predicted minima (crosses)."
    )
    return Part(claims, [Figure("two-weights", "Minima vanish one mode at a time", text, figure)])


def _ends(loss: Callable[..., Array], starts: np.ndarray, *arguments: Any, **options: Any) -> Any:
    """Return the points at which descents end, on the host."""
    return np.asarray(landscape.minimise_all(loss, starts, *arguments, **options).point)


def _distinct(points: np.ndarray) -> set[tuple[int, ...]]:
    """Return the sign patterns of ends, a weight below .02 counting as lost."""
    signs = np.where(np.abs(points) > 0.02, np.sign(points), 0).astype(int)
    return {tuple(row) for row in signs.tolist()}


def _contours(
    ax: object,
    views: landscape.Views,
    ends: np.ndarray,
    predicted: np.ndarray,
    strength: float,
    count: int,
) -> None:
    reach = np.maximum(1.6 * predicted, 0.8)
    grids = np.meshgrid(*(np.linspace(-r, r, 121) for r in reach))
    weights = np.stack(grids, -1)[..., None] * np.eye(2)
    values = np.asarray(_losses(weights, views))
    levels = np.quantile(values, np.linspace(0, 0.9, 16))
    ax.contourf(*grids, values, levels=np.unique(levels), cmap="cividis", extend="max")  # type: ignore[attr-defined]
    ax.plot(*ends[:200].T, "o", color="white", mec="black", ms=5, label="descents")  # type: ignore[attr-defined]
    corners = {(i * predicted[0], j * predicted[1]) for i in (-1, 1) for j in (-1, 1)}
    ax.plot(*np.array(sorted(corners)).T, "x", color="#d55e00", ms=8, mew=2, label="theory")  # type: ignore[attr-defined]
    plural = "minima" if count > 1 else "minimum"
    ax.set(title=f"augmentation {strength:g}: {count} {plural}", xlabel="first weight")  # type: ignore[attr-defined]


_losses = jax.jit(landscape.gaussian_info_nce)


def many_starts(settings: Settings) -> Part:
    """Minimise from thousands of starts, count where they end, and judge Hessians."""
    count = {"quick": 1000, "paper": 10_000, "large": 100_000}[settings.scale]
    draws = settings.generator(2)
    turned = np.linalg.qr(draws.normal(size=(2, 16, 16)))[0]
    data, noise = (
        (q * np.geomspace(high, 0.1, 16)) @ q.T for q, high in zip(turned, (2.0, 3.0), strict=True)
    )
    seen = landscape.from_loss("info_nce_euclidean", data, noise, placement=PLACEMENT, dim=8)
    starts = 0.3 * draws.normal(size=(count, 8, 16))
    ends = jax.device_get(landscape.minimise_all(quartic_loss, starts, seen.form))
    lowest = float(seen.minima.loss)
    gap = (ends.value - lowest) / -lowest
    few = landscape.from_moments(np.array([1.0, 0.8, 0.5, -0.4]), np.ones(4), 0.5, dim=2)
    worst, number = _hessians(few)
    second = landscape.from_loss(
        "info_nce_euclidean",
        [0.637, 1.73],
        [0.011, 1.632],
        placement="clean-augmented-augmented",
        weight_decay=0.3086,
        dim=1,
    )
    small = 0.8 * draws.normal(size=(2000, 1, 2))
    both = landscape.minimise_all(quartic_loss, small, second.form, tolerance=1e-9)
    every = collections.Counter(np.round(np.asarray(both.value), 6).tolist())
    reached = {level: n for level, n in every.items() if n >= 0.01 * len(small)}
    levels = sorted(
        float(second.stationary_loss(m)) for m in second.masks() if second.saddle_index(m) == 0
    )
    apart = max(min(abs(v - level) for level in levels) for v in reached)
    claims = [
        at_most(
            "landscape/one-minimum",
            f"d = 16, m = 8, B and Sigma not commuting: largest relative gap of {count:,} descents "
            "to the predicted minimum; every local minimum is global (gradient 1e-6)",
            f"{SOURCE}; L-6, L-7",
            1e-6,
            float(np.abs(gap).max()),
        ),
        close(
            "landscape/diverged",
            "starts among them that diverged",
            f"{SOURCE}; L-7",
            0,
            int(ends.diverged.sum()),
            0,
        ),
        at_most(
            "landscape/hessians",
            f"all {number} stationary points of a landscape with m = 2, d = 4: largest error of a "
            "Hessian eigenvalue against automatic differentiation",
            f"{SOURCE}; L-8",
            1e-9,
            worst,
        ),
        close(
            "landscape/two-minima",
            "clean anchors, augmented negatives, weight decay, one output: number of losses at "
            "which at least 1 % of 2,000 descents end (a saddle holds measure zero); with two "
            "covariances a local minimum need not be global",
            "beyond Ziyin et al. 2023; L-3, rows 3 and 4",
            2,
            len(reached),
            0,
        ),
        at_most(
            "landscape/two-minima-levels",
            "the same: largest distance of those losses to the masks of index 0 (rounded to 1e-6)",
            "beyond Ziyin et al. 2023; L-3, rows 3 and 4",
            1e-6,
            apart,
        ),
    ]
    return Part(claims, [_count_figure(few, second, reached, draws)])


def _hessians(seen: landscape.Landscape) -> tuple[float, int]:
    size = len(seen.form.signal)
    hessian = jax.jit(
        jax.hessian(lambda flat: quartic_loss(flat.reshape(seen.dim, size), seen.form))
    )
    worst, number = 0.0, 0
    for mask in seen.masks():
        weight = np.ravel(landscape.stationary_weight(seen.modes, mask, seen.dim))
        values = np.linalg.eigvalsh(np.asarray(hessian(weight)))[::-1]
        worst = max(worst, float(np.abs(values - np.asarray(seen.hessian_spectrum(mask))).max()))
        number += 1
    return worst, number


def _count_figure(
    few: landscape.Landscape,
    second: landscape.Landscape,
    reached: dict[float, int],
    draws: np.random.Generator,
) -> Figure:
    starts = 0.5 * draws.normal(size=(2000, 2, 4))
    ends = landscape.minimise_all(quartic_loss, starts, few.form)
    counted = collections.Counter(np.round(np.asarray(ends.value), 5).tolist())
    figure, axes = new_figure(2, width=4.6)
    cases = ((few, counted, "one covariance"), (second, reached, "two covariances, one output"))
    for ax, (seen, counts, title) in zip(axes, cases, strict=True):
        shown: dict[float, int] = {}
        for mask in seen.masks():
            level = round(float(seen.stationary_loss(mask)), 4)
            shown[level] = min(seen.saddle_index(mask), shown.get(level, 99))
        ordered = sorted(shown.items())
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
    axes[0].set_ylabel("descents that end there, of 2,000")
    text = (
        "How many of 2,000 descents end at each stationary point. With one covariance all end at "
        "the only minimum; the saddles, of index one or more, hold none. With two covariances, "
        "weight decay and a single output, two minima share them."
    )
    return Figure("minima-counted", "Minima counted over starts", text, figure)
