"""Which of several unequal classes survive under augmentation and weight decay."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl import losses
from jssl.figures import new_figure
from jssl.papers.claims import at_most, close
from jssl.papers.landscape.common import ranks, source
from jssl.papers.outcome import Part, Settings
from jssl.report.figure import Figure
from jssl.theory import landscape
from jssl.types import Array, Claim, Rival

SHARES = np.array([0.5, 0.25, 0.15, 0.1])


def spectral_loss(weight: Array, first: Array, second: Array, decay: Array) -> Array:
    """Return the spectral contrastive loss of views with weight decay."""
    spectral = losses.get("spectral_contrastive", negatives="all")
    return spectral(first @ weight.T, second @ weight.T) + decay * jnp.sum(weight**2)


def imbalance(settings: Settings) -> Part:
    """Test which variance each of four unequal classes keeps under the spectral loss."""
    random = settings.generator(8)
    labels = np.repeat(np.arange(4), (100 * SHARES).astype(int))
    half = 2.0 * np.eye(4)[labels]
    x = np.concatenate([half, -half])
    # Noise that is orthogonal to the samples makes the moments of the views exact.
    draws = np.concatenate([x, random.normal(size=(len(x), 8))], 1)
    noise = np.linalg.qr(draws)[0][:, 4:] * np.sqrt(len(x))
    start = 0.5 * random.normal(size=(4, 4, 4))
    worst, kept = 0.0, []
    unaugmented, undecayed = 0.0, 0.0
    cases = [(0.0, 0.0), (0.3, 0.0), (1.0, 0.0), (0.0, 0.5), (0.3, 0.8)]
    for strength, decay in cases:
        scale = np.sqrt(strength)
        views = (x + scale * noise[:, :4], x + scale * noise[:, 4:])
        weight = _best(spectral_loss, start, *views, 2 * decay)
        variances = np.diagonal(weight.T @ weight) * (4 * SHARES + strength)
        expected = np.asarray(
            landscape.class_variances(SHARES, 2.0, augmentation=strength, weight_decay=decay)
        )
        worst = max(worst, _error(variances, strength, decay))
        unaugmented = max(unaugmented, _error(variances, 0.0, decay))
        undecayed = max(undecayed, _error(variances, strength, 0.0))
        kept.append((variances, expected, strength, decay))
    claims = [
        at_most(
            "landscape/imbalance",
            "Under the spectral contrastive loss, each of four unequal classes keeps the predicted "
            "variance in the embedding.",
            source("L-15"),
            1e-5,
            worst,
            details=f"The classes have shares {SHARES[0]:g} to {SHARES[-1]:g}. The measured value "
            f"is the largest absolute error of a variance over {len(cases)} pairs of augmentation "
            "strength and weight decay. Minimisation stops at a gradient of 1e-9.",
            rivals=[
                Rival("augmentation does not shrink a class", unaugmented),
                Rival("weight decay does not shrink a class", undecayed),
            ],
        ),
        *_one_sided(random),
    ]
    figure, (ax,) = new_figure(1, width=5.6)
    for index, (measured, expected, strength, decay) in enumerate(kept):
        places = np.arange(4) + 0.16 * (index - 2)
        label = f"augmentation {strength:g}, decay {decay:g}"
        ax.bar(places, measured, 0.14, label=label, color=_SHADES[index])
        ax.plot(places, expected, "_", color="black", ms=9, label="theory" if index == 0 else "")
    ax.set_xticks(np.arange(4), [f"share {share:g}" for share in SHARES])
    ax.set(ylabel="variance in the embedding", ylim=(0, 1.65))
    ax.legend(frameon=False, fontsize=8, ncols=2)
    text = (
        "Variance of each class in the embedding, by minimisation (bars) and by theory (dashes). "
        "Without augmentation and weight decay, every class keeps variance one. Augmentation "
        "shrinks the rare classes, and weight decay removes them."
    )
    return Part(claims, [Figure("imbalance", "Variance that unequal classes keep", text, figure)])


_SHADES = ("#0072b2", "#56b4e9", "#009e73", "#e69f00", "#d55e00")


def _error(variances: np.ndarray, strength: float, decay: float) -> float:
    """Return the largest difference from the predicted variances."""
    options = {"augmentation": strength, "weight_decay": decay}
    expected = np.asarray(landscape.class_variances(SHARES, 2.0, **options))
    return float(np.abs(variances - expected).max())


def class_loss(weight: Array, points: Array, shares: Array, strength: Array) -> Array:
    """Return InfoNCE of classes that are points, with clean anchors and negatives."""
    z = points @ weight.T
    square = jnp.sum((z[:, None] - z) ** 2, -1)
    repel = jax.nn.logsumexp(-square / 2, axis=1, b=shares)
    return strength * jnp.sum(weight**2) / 2 + jnp.sum(shares * repel)


def dot_loss(weight: Array, points: Array, shares: Array, decay: Array) -> Array:
    """Return InfoNCE with the dot score of classes that are points."""
    z = points @ weight.T
    repel = jax.nn.logsumexp(z @ z.T, axis=1, b=shares)
    return jnp.sum(shares * (repel - jnp.sum(z**2, 1))) + decay * jnp.sum(weight**2)


def second_moment_loss(weight: Array, points: Array, shares: Array, decay: Array) -> Array:
    """Return the spectral contrastive loss of classes that are points."""
    z = points @ weight.T
    squares = shares[:, None] * shares * (z @ z.T) ** 2
    return jnp.sum(squares) - 2 * jnp.sum(shares[:, None] * z**2) + decay * jnp.sum(weight**2)


def _best(loss: Callable[..., Array], starts: np.ndarray, *arguments: Any) -> np.ndarray:
    """Return the end of the descent with the lowest loss, on the host."""
    ends = landscape.minimise_all(loss, starts, *arguments, tolerance=1e-9)
    return np.asarray(ends.point)[np.argmin(ends.value)]


def _one_sided(random: np.random.Generator) -> list[Claim]:
    """Test InfoNCE on classes at +-e_k, and the dimensions that classes at +e_k keep."""
    starts = 0.5 * random.normal(size=(8, 4, 4))
    one = np.eye(4)
    both, halves = np.concatenate([one, -one]), np.concatenate([SHARES, SHARES]) / 2
    threshold = 2 * SHARES[0]
    below, above = (
        int(ranks(_best(class_loss, starts, both, halves, strength), one))
        for strength in (0.98 * threshold, 1.02 * threshold)
    )
    return [
        close(
            "landscape/imbalance-last-class",
            "If only positives are augmented, InfoNCE loses the largest class at the predicted "
            "augmentation strength.",
            source("L-9", "L-15"),
            1,
            float((below > 0) - (above > 0)),
            0,
            details="The classes are the points +e_k and -e_k. The predicted strength is 2 p for "
            "the share p of the largest class. The measured value is 1 if at least one dimension "
            "survives 2 % below this strength and none survives 2 % above it.",
            rivals=[Rival("a threshold of p, that of the dot score", 0.0)],
        ),
        *_dimension_claims(starts),
    ]


def _dimension_claims(starts: np.ndarray) -> list[Claim]:
    one = np.eye(4)
    info_nce, spectral = (
        int(ranks(_best(loss, starts, one, SHARES, 0.01), one))
        for loss in (dot_loss, second_moment_loss)
    )
    centred, uncentred = (
        int(
            (
                np.linalg.eigvalsh(landscape.class_covariance(SHARES, one_sided=True, centred=c))
                > 0.01
            ).sum()
        )
        for c in (True, False)
    )
    return [
        close(
            "landscape/one-sided-classes-info-nce",
            "For four classes at orthogonal unit vectors, InfoNCE with dot products keeps three "
            "dimensions, because it ignores the mean.",
            source("L-15"),
            centred,
            info_nce,
            0,
            details="The prediction is the number of eigenvalues of the centred covariance of the "
            "classes above the weight decay of 0.01.",
            rivals=[Rival("the mean counts, as under the spectral loss", uncentred)],
        ),
        close(
            "landscape/one-sided-classes-spectral",
            "For four classes at orthogonal unit vectors, the spectral contrastive loss keeps all "
            "four dimensions, because it does not ignore the mean.",
            source("L-15"),
            uncentred,
            spectral,
            0,
            details="The prediction is the number of eigenvalues of the uncentred second moment of "
            "the classes above the weight decay of 0.01.",
            rivals=[Rival("the mean does not count, as under InfoNCE", centred)],
        ),
    ]
