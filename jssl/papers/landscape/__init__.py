"""The claims of *What shapes the loss landscape of self-supervised learning?* (2023)."""

import functools

from jssl.papers.landscape import (
    classes,
    counts,
    flow,
    hard,
    mixture,
    networks,
    normalisation,
    picture,
    ranks,
    sampled,
    useful,
)
from jssl.papers.outcome import Experiment, Settings
from jssl.papers.sets import LABELS, image_sets


def plan(settings: Settings) -> Experiment:
    """Return the studies of the paper at a scale."""
    sets, caveats = image_sets(settings.scale)
    return Experiment(
        {
            "landscape of two weights": picture.two_weights,
            "minima from many starts": counts.many_starts,
            "rank and augmentation strength": ranks.staircases,
            "sampled negatives": sampled.sampled,
            "weight decay": ranks.weight_decay,
            "gradient flow": flow.one_by_one,
            "soft normalisation and bias": normalisation.phases,
            "hard normalisation": hard.hard_normalisation,
            "unequal classes": classes.imbalance,
            "useful collapse": useful.useful_collapse,
            "mixtures of Gaussians": mixture.thresholds,
        }
        | {
            f"convolutional network on {LABELS[name]}": functools.partial(networks.features, name)
            for name in sets
        },
        {"image sets": ", ".join(LABELS[name] for name in sets), "precision": "float64"},
        caveats,
    )
