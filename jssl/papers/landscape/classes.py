"""Unequal classes, collapse that helps, and the mixture on which decoupled modes mislead."""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl import losses
from jssl.diagnostics import ridge_probe
from jssl.figures import new_figure
from jssl.papers.claims import at_least, at_most, close
from jssl.papers.landscape.common import SOURCE, Z, gaussian_loss, ranks
from jssl.papers.outcome import Part, Settings
from jssl.report.figure import Figure
from jssl.theory import landscape
from jssl.types import Array

SHARES = np.array([0.5, 0.25, 0.15, 0.1])
PLACEMENT = "clean-augmented-clean"


def spectral_loss(weight: Array, first: Array, second: Array, decay: Array) -> Array:
    """Return the spectral contrastive loss of views with weight decay."""
    spectral = losses.get("spectral_contrastive", negatives="all")
    return spectral(first @ weight.T, second @ weight.T) + decay * jnp.sum(weight**2)


def imbalance(settings: Settings) -> Part:
    """Minimise the spectral loss on unequal classes, under augmentation and weight decay."""
    random = settings.generator(8)
    labels = np.repeat(np.arange(4), (100 * SHARES).astype(int))
    half = 2.0 * np.eye(4)[labels]
    x = np.concatenate([half, -half])
    # Noise orthogonal to the samples and to each other: the views' moments are exact.
    draws = np.concatenate([x, random.normal(size=(len(x), 8))], 1)
    noise = np.linalg.qr(draws)[0][:, 4:] * np.sqrt(len(x))
    start = 0.5 * random.normal(size=(4, 4, 4))
    worst, kept = 0.0, []
    cases = [(0.0, 0.0), (0.3, 0.0), (1.0, 0.0), (0.0, 0.5), (0.3, 0.8)]
    for strength, decay in cases:
        scale = np.sqrt(strength)
        views = (x + scale * noise[:, :4], x + scale * noise[:, 4:])
        weight = _best(spectral_loss, start, *views, 2 * decay)
        variances = np.diagonal(weight.T @ weight) * (4 * SHARES + strength)
        expected = np.asarray(
            landscape.class_variances(SHARES, 2.0, augmentation=strength, weight_decay=decay)
        )
        worst = max(worst, float(np.abs(variances - expected).max()))
        kept.append((variances, expected, strength, decay))
    claims = [
        at_most(
            "landscape/imbalance",
            "spectral loss on four classes of shares .5 to .1, five pairs of augmentation and "
            "weight decay: largest error of the variance that each class keeps (gradient 1e-9)",
            f"{SOURCE}; L-15",
            1e-5,
            worst,
        ),
        *_one_sided(random),
    ]
    figure, (ax,) = new_figure(1, width=5.6)
    for index, (seen, expected, strength, decay) in enumerate(kept):
        places = np.arange(4) + 0.16 * (index - 2)
        label = f"augmentation {strength:g}, decay {decay:g}"
        ax.bar(places, seen, 0.14, label=label, color=_SHADES[index])
        ax.plot(places, expected, "_", color="black", ms=9, label="theory" if index == 0 else "")
    ax.set_xticks(np.arange(4), [f"share {share:g}" for share in SHARES])
    ax.set(ylabel="variance in the embedding", ylim=(0, 1.65))
    ax.legend(frameon=False, fontsize=8, ncols=2)
    text = (
        "Variance that each class keeps in the embedding, minimised (bars) and predicted "
        "(dashes). Without augmentation and weight decay every class keeps all of it; "
        "augmentation shrinks the rare classes and weight decay loses them."
    )
    return Part(claims, [Figure("imbalance", "What unequal classes keep", text, figure)])


_SHADES = ("#0072b2", "#56b4e9", "#009e73", "#e69f00", "#d55e00")


def class_loss(weight: Array, points: Array, shares: Array, strength: Array) -> Array:
    """Return InfoNCE, clean anchors and negatives, of classes that are points: no sampling."""
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
    """Return the lowest of the minima found, on the host."""
    ends = landscape.minimise_all(loss, starts, *arguments, tolerance=1e-9)
    return np.asarray(ends.point)[np.argmin(ends.value)]


def _one_sided(random: np.random.Generator) -> list:
    """Judge one-sided augmentation on classes at +-e_k, and the K - 1 modes of classes at +e_k."""
    starts = 0.5 * random.normal(size=(8, 4, 4))
    one = np.eye(4)
    both, halves = np.concatenate([one, -one]), np.concatenate([SHARES, SHARES]) / 2
    left = [
        int(ranks(_best(class_loss, starts, both, halves, strength), one))
        for strength in (0.98 * 2 * SHARES[0], 1.02 * 2 * SHARES[0])
    ]
    modes = [
        int(ranks(_best(loss, starts, one, SHARES, 0.01), one))
        for loss in (dot_loss, second_moment_loss)
    ]
    predicted = [
        int(
            (
                np.linalg.eigvalsh(landscape.class_covariance(SHARES, one_sided=True, centred=c))
                > 0.01
            ).sum()
        )
        for c in (True, False)
    ]
    return [
        close(
            "landscape/imbalance-last-class",
            "InfoNCE on classes at +-e_k, clean anchors and negatives: dimensions left 2 % below "
            "and 2 % above c = 2 p r^2 of the largest class (difference; complete collapse is "
            "exact for any data)",
            f"{SOURCE}; L-9, L-15",
            1,
            float((left[0] > 0) - (left[1] > 0)),
            0,
        ),
        close(
            "landscape/one-sided-classes-info-nce",
            "InfoNCE with the dot score on 4 classes at +e_k: dimensions kept, the mean being "
            "centred away",
            f"{SOURCE}; L-15",
            predicted[0],
            modes[0],
            0,
        ),
        close(
            "landscape/one-sided-classes-spectral",
            "the spectral loss on the same classes, not centred",
            f"{SOURCE}; L-15",
            predicted[1],
            modes[1],
            0,
        ),
    ]


def useful_collapse(settings: Settings) -> Part:
    """Train encoders under growing augmentation of nuisance; probe them with 15 labels a class."""
    trials = {"quick": 60, "paper": 300, "large": 1000}[settings.scale]
    d, signal, classes, shots, tests = 20, 5, 4, 15, 400
    key = jax.random.key(settings.seed)
    random = settings.generator(9)
    means = 0.8 * random.normal(size=(classes, signal))
    means = means - means.mean(0)
    within = np.repeat([0.4, 1.5], [signal, d - signal])
    data = np.diag(within)
    data[:signal, :signal] += means.T @ means / classes
    nuisance = np.eye(d)[:, signal:]
    threshold = landscape.collapsing_augmentation(data, nuisance, placement=PLACEMENT, margin=1e-12)
    background = 0.05 * np.eye(d)
    multiples = (0.0, 0.9, 1.5)
    start = 0.2 * random.normal(size=(1, d, d))

    def draw(key: Array, count: int) -> tuple[Array, Array]:
        labels = jnp.tile(jnp.arange(classes), count)
        x = jax.random.normal(key, (len(labels), d)) * np.sqrt(within)
        return x.at[:, :signal].add(jnp.asarray(means)[labels]), labels

    @jax.jit
    def probe(weight: Array) -> Array:
        def one(key: Array) -> Array:
            (train, own), (test, other) = (
                draw(k, n) for k, n in zip(jax.random.split(key), (shots, tests), strict=True)
            )
            z, judged = train @ weight.T, test @ weight.T
            return ridge_probe(z, own, judged, other, ridge=1e-3, classes=classes)

        return jax.lax.map(one, jax.random.split(key, trials))

    found, accuracy, predicted = [], [], []
    for multiple in multiples:
        noise = background + multiple * np.asarray(threshold)
        views = landscape.views(data, noise, PLACEMENT)
        ends = landscape.minimise_all(gaussian_loss, start, views, 0.0, tolerance=1e-7)
        weight = np.asarray(ends.point)[0]
        found.append(int(ranks(weight, data)))
        seen = landscape.from_loss("info_nce_euclidean", data, noise, placement=PLACEMENT, dim=d)
        predicted.append(seen.rank)
        accuracy.append(np.asarray(probe(weight)))
    gains = [b - a for a, b in itertools.pairwise(accuracy)]
    error = max(float(g.std(ddof=1) / np.sqrt(trials)) for g in gains)
    claims = [
        close(
            "landscape/useful-collapse-rank",
            "20 dimensions, 5 of signal: encoders, minimisers of exact InfoNCE, whose rank is not "
            "the predicted one, at 0, .9 and 1.5 of the threshold of nuisance",
            f"{SOURCE}; L-16",
            0,
            sum(a != b for a, b in zip(found, predicted, strict=True)),
            0,
        ),
        close(
            "landscape/useful-collapse-keeps-signal",
            "rank past the threshold: the dimensions of the signal",
            f"{SOURCE}; L-16",
            signal,
            found[-1],
            0,
        ),
        at_least(
            "landscape/useful-collapse-accuracy",
            f"accuracy of a {shots}-shot ridge probe: least gain from one strength to the next, "
            f"mean of {trials} paired trials; above 3.9 standard errors",
            f"{SOURCE}; L-16",
            Z * error,
            min(float(g.mean()) for g in gains),
        ),
    ]
    figure, (ax,) = new_figure(1, width=4.8)
    bars = [Z * a.std(ddof=1) / np.sqrt(trials) for a in accuracy]
    ax.errorbar(multiples, [a.mean() for a in accuracy], bars, fmt="o-", color="#0072b2", capsize=3)
    ax.set_xticks(multiples, [f"{x:g}\nrank {r}" for x, r in zip(multiples, found, strict=True)])
    ax.axvline(1, color="black", linestyle="--", linewidth=1)
    ax.margins(x=0.12, y=0.25)
    ax.set(
        xlabel="augmentation of nuisance over its threshold", ylabel="accuracy, 15 labels a class"
    )
    text = (
        "Accuracy of a ridge probe with 15 labels a class on encoders of 20 dimensions, 5 of them "
        "signal: it rises as augmentation shrinks the nuisance and again as the rank falls to 5 "
        "past the threshold (dashed)."
    )
    return Part(claims, [Figure("useful-collapse", "Collapse that helps", text, figure)])
