"""The claims of *What shapes the loss landscape of self-supervised learning?* (2023)."""

import functools

from jssl.papers.landscape import (
    classes,
    flow,
    mixture,
    networks,
    normalisation,
    picture,
    ranks,
)
from jssl.papers.outcome import Experiment, Settings
from jssl.papers.sets import image_sets


def plan(settings: Settings) -> Experiment:
    """Return the studies of the paper at a scale."""
    sets, missing = image_sets(settings.scale)
    return Experiment(
        {
            "two weights": picture.two_weights,
            "thousands of starts": picture.many_starts,
            "rank against augmentation": ranks.staircases,
            "sampled negatives": ranks.sampled,
            "weight decay": ranks.weight_decay,
            "gradient flow": flow.one_by_one,
            "soft normalisation and bias": normalisation.phases,
            "hard normalisation": normalisation.hard,
            "unequal classes": classes.imbalance,
            "useful collapse": classes.useful_collapse,
            "mixture": mixture.thresholds,
        }
        | {f"conv net on {name}": functools.partial(networks.features, name) for name in sets},
        {"image sets": ", ".join(sets), "precision": "float64"},
        missing,
    )
