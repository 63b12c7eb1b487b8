"""Collapse that helps: augmentation removes nuisance directions from the embedding."""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.diagnostics import ridge_probe
from jssl.figures import new_figure
from jssl.papers.claims import at_least, close
from jssl.papers.landscape.common import Z, gaussian_loss, ranks, source
from jssl.papers.outcome import Part, Settings
from jssl.report.figure import Figure
from jssl.theory import landscape
from jssl.types import Array, Claim, Rival

DIM, SIGNAL, CLASSES, SHOTS, TESTS = 20, 5, 4, 15, 400
PLACEMENT = "clean-augmented-clean"
MULTIPLES = (0.0, 0.9, 1.5)
"""Augmentation strengths over the threshold at which the nuisance is lost."""


class Encoders(NamedTuple):
    """Encoders at each augmentation strength.

    Attributes:
        rank: measured.
        predicted: rank by theory.
        accuracy: for each strength, (trials,) accuracies of the probe.
    """

    rank: list[int]
    predicted: list[int]
    accuracy: list[np.ndarray]


def useful_collapse(settings: Settings) -> Part:
    """Test rank and probe accuracy as the augmentation of nuisance directions grows."""
    encoders = encode(settings)
    accuracy = encoders.accuracy
    trials = len(accuracy[0])
    figure, (ax,) = new_figure(1, width=4.8)
    bars = [Z * a.std(ddof=1) / np.sqrt(trials) for a in accuracy]
    ax.errorbar(MULTIPLES, [a.mean() for a in accuracy], bars, fmt="o-", color="#0072b2", capsize=3)
    labels = [f"{x:g}\nrank {r}" for x, r in zip(MULTIPLES, encoders.rank, strict=True)]
    ax.set_xticks(MULTIPLES, labels)
    ax.axvline(1, color="black", linestyle="--", linewidth=1)
    ax.margins(x=0.12, y=0.25)
    ax.set(
        xlabel="augmentation of the nuisance / threshold",
        ylabel=f"accuracy, {SHOTS} labels per class",
    )
    text = (
        f"Accuracy of a ridge probe with {SHOTS} labels per class on encoders of {DIM} dimensions, "
        f"{SIGNAL} of which carry the signal. It increases as augmentation shrinks the nuisance, "
        f"and again past the threshold (dashed), where the rank falls to {SIGNAL}."
    )
    picture = Figure("useful-collapse", "Collapse that helps", text, figure)
    return Part(_claims(encoders), [picture])


def encode(settings: Settings) -> Encoders:
    """Minimise exact InfoNCE at each strength and train probes on the embeddings."""
    trials = {"quick": 60, "paper": 300, "large": 1000}[settings.scale]
    key = jax.random.key(settings.seed)
    random = settings.generator(9)
    means = 0.8 * random.normal(size=(CLASSES, SIGNAL))
    means = means - means.mean(0)
    within = np.repeat([0.4, 1.5], [SIGNAL, DIM - SIGNAL])
    data = np.diag(within)
    data[:SIGNAL, :SIGNAL] += means.T @ means / CLASSES
    nuisance = np.eye(DIM)[:, SIGNAL:]
    threshold = landscape.collapsing_augmentation(data, nuisance, placement=PLACEMENT, margin=1e-12)
    background = 0.05 * np.eye(DIM)
    start = 0.2 * random.normal(size=(1, DIM, DIM))

    def draw(key: Array, count: int) -> tuple[Array, Array]:
        labels = jnp.tile(jnp.arange(CLASSES), count)
        x = jax.random.normal(key, (len(labels), DIM)) * np.sqrt(within)
        return x.at[:, :SIGNAL].add(jnp.asarray(means)[labels]), labels

    @jax.jit
    def probe(weight: Array) -> Array:
        def one(key: Array) -> Array:
            (train, own), (test, other) = (
                draw(k, n) for k, n in zip(jax.random.split(key), (SHOTS, TESTS), strict=True)
            )
            return ridge_probe(
                train @ weight.T, own, test @ weight.T, other, ridge=1e-3, classes=CLASSES
            )

        return jax.lax.map(one, jax.random.split(key, trials))

    encoders = Encoders([], [], [])
    for multiple in MULTIPLES:
        noise = background + multiple * np.asarray(threshold)
        views = landscape.views(data, noise, PLACEMENT)
        ends = landscape.minimise_all(gaussian_loss, start, views, 0.0, tolerance=1e-7)
        weight = np.asarray(ends.point)[0]
        options = {"placement": PLACEMENT, "dim": DIM}
        theory = landscape.from_loss("info_nce_euclidean", data, noise, **options)
        encoders.rank.append(int(ranks(weight, data)))
        encoders.predicted.append(theory.rank)
        encoders.accuracy.append(np.asarray(probe(weight)))
    return encoders


def _claims(encoders: Encoders) -> list[Claim]:
    trials = len(encoders.accuracy[0])
    gains = [b - a for a, b in itertools.pairwise(encoders.accuracy)]
    error = max(float(g.std(ddof=1) / np.sqrt(trials)) for g in gains)
    strengths = ", ".join(f"{multiple:g}" for multiple in MULTIPLES)
    return [
        close(
            "landscape/useful-collapse-rank",
            "With increasing augmentation of nuisance directions, the encoder has the predicted "
            "rank at every strength.",
            source("L-16"),
            0,
            sum(a != b for a, b in zip(encoders.rank, encoders.predicted, strict=True)),
            0,
            details=f"Encoders of {DIM} dimensions, {SIGNAL} of which carry the signal, minimise "
            f"InfoNCE on Gaussian data. The measured value is the number of strengths among "
            f"{strengths} times the threshold at which the rank is not the predicted one.",
            rivals=[
                Rival(
                    "no dimension is lost, as if all views are augmented",
                    sum(rank != DIM for rank in encoders.rank),
                )
            ],
        ),
        close(
            "landscape/useful-collapse-keeps-signal",
            "If the augmentation of nuisance directions exceeds its threshold, the rank of the "
            "encoder is the number of signal dimensions.",
            source("L-16"),
            SIGNAL,
            encoders.rank[-1],
            0,
            details=f"The strength of the augmentation is {MULTIPLES[-1]:g} times the threshold.",
            rivals=[
                Rival("the span of the class means alone", CLASSES - 1),
                Rival("no dimension is lost", DIM),
            ],
        ),
        at_least(
            "landscape/useful-collapse-accuracy",
            "A probe trained with few labels becomes more accurate as the augmentation of nuisance "
            "directions grows.",
            source("L-16"),
            Z * error,
            min(float(g.mean()) for g in gains),
            details=f"The ridge probe has {SHOTS} labels per class. The measured value is the "
            f"smallest increase of accuracy between successive strengths among {strengths} times "
            f"the threshold, the mean of {trials} paired trials. The bound is {Z} standard errors.",
            rivals=[Rival("collapse does not help", 0.0)],
            standard_error=error,
        ),
    ]
