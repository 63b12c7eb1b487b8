"""The landscape of two weights has 4, then 2, then 1 minima as the augmentation grows."""

from collections.abc import Callable
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
    quartic_loss,
    sampled_loss,
    source,
)
from jssl.papers.outcome import Part, Settings
from jssl.report.figure import Figure
from jssl.theory import landscape
from jssl.theory.landscape.dictionary import SIMCLR
from jssl.types import Array, Claim, Rival

DATA = (1.0, 0.4)
STRENGTHS = {0.2: 4, 1.2: 2, 2.5: 1}
"""Augmentation strength c -> number of minima. B = (1, 0.4) - c/2 has negative entries from c = 0.8
and c = 2 on."""
PLACEMENT = "clean-augmented-clean"


class Ends(NamedTuple):
    """Ends (starts, 2) of descents on two weights, for each loss.

    Attributes:
        quartic: the quartic approximation.
        exact: InfoNCE on Gaussian data.
        sampled: InfoNCE with sampled negatives, from fewer starts.
        samples: number of sampled anchors, and of negatives.
    """

    quartic: np.ndarray
    exact: np.ndarray
    sampled: np.ndarray
    samples: int


def two_weights(settings: Settings) -> Part:
    """Test the minima of W = diag(w1, w2) as the augmentation crosses its thresholds."""
    draws = settings.generator(1)
    starts = draws.uniform(-1.5, 1.5, size=(2000, 2))
    size = {"quick": 300, "paper": 1000, "large": 3000}[settings.scale]
    noises = draws.normal(size=(3, size, 2))
    claims = []
    figure, axes = new_figure(3, width=3.6, height=3.5)
    for ax, (strength, count) in zip(axes, STRENGTHS.items(), strict=True):
        views = landscape.views(DATA, strength, PLACEMENT)
        ends = _descend(strength, starts, noises)
        claims += _claims(strength, count, ends)
        _contours(ax, views, ends.exact, np.sqrt(amplitudes(views)), strength, count)
    axes[0].set_ylabel("second weight")
    axes[0].legend(frameon=True, fontsize=8, loc="upper left")
    text = (
        "Loss of two weights at three strengths of augmentation; darker is lower. Four minima "
        "become two and then one at zero as each mode is lost. The ends of descents from random "
        "starts (dots) lie on the predicted minima (crosses)."
    )
    return Part(claims, [Figure("two-weights", "Minima vanish one mode at a time", text, figure)])


def _descend(strength: float, starts: np.ndarray, noises: np.ndarray) -> Ends:
    """Minimise the three losses, with samples made from standard normals (3, samples, 2)."""
    views = landscape.views(DATA, strength, PLACEMENT)
    form = landscape.form("info_nce_euclidean", DATA, strength, placement=PLACEMENT)
    clean, noise, other = noises
    x = clean * np.sqrt(DATA)
    batch = (x, x + noise * np.sqrt(strength), other * np.sqrt(DATA))
    return Ends(
        quartic=_ends(_diagonal_quartic, starts, form, tolerance=1e-10),
        exact=_ends(_diagonal_exact, starts, views, tolerance=1e-10),
        sampled=_ends(_diagonal_sampled, starts[:64], *batch, batch=16),
        samples=len(clean),
    )


def _diagonal_exact(w: Array, views: landscape.Views) -> Array:
    return gaussian_loss(jnp.diag(w), views, 0.0)


def _diagonal_quartic(w: Array, form: landscape.Form) -> Array:
    return quartic_loss(jnp.diag(w), form)


def _diagonal_sampled(w: Array, anchor: Array, positive: Array, negatives: Array) -> Array:
    return sampled_loss(jnp.diag(w), anchor, positive, anchor, negatives)


def _claims(strength: float, count: int, ends: Ends) -> list[Claim]:
    form = landscape.form("info_nce_euclidean", DATA, strength, placement=PLACEMENT)
    squares = np.maximum(np.diagonal(form.signal), 0) / (1.5 * np.square(DATA))
    exact = amplitudes(landscape.views(DATA, strength, PLACEMENT))
    others = amplitudes(landscape.views(DATA, strength, SIMCLR))
    rivals = [
        Rival(name, other)
        for name, other in (
            ("no mode is lost, as if all views are augmented", 4),
            ("no mode survives, as without negatives", 1),
            ("the second mode alone is lost", 2),
        )
        if other != count
    ]
    minima = f"{count} {'minima' if count > 1 else 'minimum'}"
    return [
        close(
            f"landscape/minima-gaussian-{strength:g}",
            f"At augmentation strength {strength:g}, the InfoNCE loss of an encoder with two "
            f"weights has {minima} on Gaussian data.",
            source("L-11"),
            count,
            len(_distinct(ends.exact)),
            0,
            details="The measured value is the number of different minima reached from "
            f"{len(ends.exact):,} random starts. The loss has infinitely many negatives.",
            rivals=rivals,
        ),
        close(
            f"landscape/minima-sampled-{strength:g}",
            f"At augmentation strength {strength:g}, the InfoNCE loss of an encoder with two "
            f"weights and sampled negatives has {minima}.",
            source("L-11"),
            count,
            len(_distinct(ends.sampled)),
            0,
            details="The measured value is the number of different minima reached from "
            f"{len(ends.sampled)} random starts, with {ends.samples} anchors and {ends.samples} "
            "negatives.",
            rivals=rivals,
        ),
        at_most(
            f"landscape/amplitudes-{strength:g}",
            f"At augmentation strength {strength:g}, an encoder with two weights has the predicted "
            "squared weights at minima of InfoNCE and of its quartic approximation.",
            source("L-5", "L-11"),
            1e-6,
            max(
                float(np.abs(ends.quartic**2 - squares).max()),
                float(np.abs(ends.exact**2 - exact).max()),
            ),
            details="The measured value is the largest absolute error of a squared weight over "
            f"{len(ends.exact):,} random starts and both losses. Minimisation stops at a relative "
            "gradient of 1e-10.",
            rivals=[
                Rival(
                    f"the squared weights if {AUGMENTED[SIMCLR]}",
                    float(np.abs(ends.exact**2 - others).max()),
                )
            ],
        ),
    ]


def _ends(loss: Callable[..., Array], starts: np.ndarray, *arguments: Any, **options: Any) -> Any:
    """Return the ends of descents on the host."""
    return np.asarray(landscape.minimise_all(loss, starts, *arguments, **options).point)


def _distinct(points: np.ndarray) -> set[tuple[int, ...]]:
    """Return the different sign patterns of ends; a weight below 0.02 counts as zero."""
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
