"""How many pairs does a predicted staircase need? Errors, bias and order of eigenvalues (P-1...7).

Predictions are made from n pairs. What they would be from all N pairs is known here, so the
theory of `jssl.theory.sampling` is tested by subsets of a reference set.
"""

from collections.abc import Callable

from jssl.papers.outcome import Experiment, Part, Settings
from jssl.papers.samples import fashion, kernel, linear
from jssl.papers.sets import LABELS, image_sets


def plan(settings: Settings) -> Experiment:
    """Return the studies at a scale."""
    sets, caveats = image_sets(settings.scale)
    studies: dict[str, Callable[[Settings], Part]] = {
        "linear encoder": linear.linear_encoder,
        kernel.KERNEL: kernel.network,
    }
    if "fashion_mnist" in sets:
        studies |= {
            f"{kernel.KERNEL} on Fashion-MNIST": fashion.dense_network,
            f"{fashion.CONV} on Fashion-MNIST": fashion.convolutional_network,
        }
    return Experiment(
        studies,
        {
            "image sets": ", ".join(LABELS[name] for name in sets),
            "pairs in a subset": ", ".join(map(str, linear.SIZES)),
            "precision": "float64; float32 for the products of 25,000 pairs",
        },
        (
            *caveats,
            "The theory is the leading order in 1 / n. Where it predicts a rotation of a mode that "
            "is not small, the order of its modes is not resolved and its values are not claimed.",
        ),
    )
