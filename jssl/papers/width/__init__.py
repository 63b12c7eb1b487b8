"""Width: when a wide self-supervised net becomes its kernel, and when not.

The claims of Fleissner, Anil, Ghoshdastidar 2024 (arXiv 2411.11176) and Anil, Esser, Ghoshdastidar
2024 (arXiv 2403.08673), beside the kernel model of Simon et al. 2023 (arXiv 2303.15438).
"""

from jssl.papers.outcome import Experiment, Settings
from jssl.papers.sets import image_sets
from jssl.papers.width import divergence, drift, features, limits


def plan(settings: Settings) -> Experiment:
    """Return the studies of width at a scale."""
    sets, missing = image_sets(settings.scale)
    return Experiment(
        {
            "infinite-width limit": limits.distances,
            "kernel drift": drift.drifts,
            "divergence": divergence.divergence,
            "random features": features.random_features,
        },
        {
            "image sets": ", ".join(sets),
            "precision": "float64; drift without constraint float32",
        },
        (
            *missing,
            "That the kernel becomes constant for cosine losses and not for dot products (Anil et "
            "al.) is true of the linear dot product, and of it in the long run: at a fixed time "
            "its drift falls as 1 / width too. Spectral contrastive is made of dot products, is "
            "bounded below, and its kernel does become constant.",
            "For relu the drift falls more slowly than 1 / width, as its kinks predict.",
        ),
    )
