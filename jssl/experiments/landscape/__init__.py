"""The claims of *What shapes the loss landscape of self-supervised learning?* (2023)."""

from collections.abc import Callable

from jssl.experiments.landscape import (
    classes,
    flow,
    mixture,
    networks,
    normalisation,
    picture,
    ranks,
)
from jssl.experiments.outcome import Outcome, Part, Settings
from jssl.experiments.sets import image_sets


def run(settings: Settings) -> Outcome:
    """Run every claim of the paper at a scale.

    Args:
        settings: scale, seed and progress.

    Returns:
        Outcome with claims, figures, settings and remarks.
    """
    sets, missing = image_sets(settings.scale)
    studies: list[tuple[str, Callable[[], Part]]] = [
        ("two weights", lambda: picture.two_weights(settings)),
        ("thousands of starts", lambda: picture.many_starts(settings)),
        ("rank against augmentation", lambda: ranks.staircases(settings)),
        ("sampled negatives", lambda: ranks.sampled(settings)),
        ("weight decay", lambda: ranks.weight_decay(settings)),
        ("gradient flow", lambda: flow.one_by_one(settings)),
        ("soft normalisation and bias", lambda: normalisation.phases(settings)),
        ("hard normalisation", lambda: normalisation.hard(settings)),
        ("unequal classes", lambda: classes.imbalance(settings)),
        ("useful collapse", lambda: classes.useful_collapse(settings)),
        ("mixture", lambda: mixture.thresholds(settings)),
        *(
            (f"conv net on {name}", lambda name=name: networks.features(name, settings))
            for name in sets
        ),
    ]
    parts = []
    for index, (description, study) in enumerate(studies):
        settings.progress(description, index / len(studies))
        parts.append(study())
    remarks = [*(remark for part in parts for remark in part.remarks), *missing]
    return Outcome(
        tuple(claim for part in parts for claim in part.claims),
        tuple(figure for part in parts for figure in part.figures),
        {"image sets": ", ".join(sets), "precision": "float64"},
        tuple(remarks),
    )
