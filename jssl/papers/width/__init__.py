"""Wide self-supervised networks: when they become kernel models, and when they do not.

The claims of Fleissner, Anil, Ghoshdastidar 2024 (arXiv 2411.11176) and Anil, Esser, Ghoshdastidar
2024 (arXiv 2403.08673), together with the kernel model of Simon et al. 2023 (arXiv 2303.15438).
"""

from jssl.papers.outcome import Experiment, Settings
from jssl.papers.sets import LABELS, image_sets
from jssl.papers.width import divergence, drift, features, leak, limits, random_kernels


def plan(settings: Settings) -> Experiment:
    """Return the studies of width at a scale."""
    sets, caveats = image_sets(settings.scale)
    return Experiment(
        {
            "infinite-width limit": limits.distances,
            "leak between outputs": leak.leak_between_outputs,
            "drift of the tangent kernel": drift.drifts,
            "divergence under the dot-product loss": divergence.divergence,
            "random features with orthonormal outputs": features.random_features,
            "kernels of random networks": random_kernels.mean_kernels,
        },
        {
            "image sets": ", ".join(LABELS[name] for name in sets),
            "precision": "float64; float32 for the drift of the tangent kernel",
        },
        (
            *caveats,
            "Anil et al. state that the tangent kernel becomes constant for cosine losses and not "
            "for dot-product losses. The linear dot-product loss confirms this at long times only; "
            "at a fixed time its drift also decreases as 1 / width. The spectral contrastive loss "
            "is made of dot products too, but it is bounded below, and its kernel becomes "
            "constant.",
            "For relu the drift decreases more slowly than 1 / width, as theory predicts from the "
            "kink of relu.",
        ),
    )
