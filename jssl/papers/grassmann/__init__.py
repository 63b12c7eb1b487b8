"""The claims of *Representation learning dynamics of SSL models* (Esser et al. 2023)."""

import functools

from jssl.papers.grassmann import deep, exact, images, literal, naive, networks, wide
from jssl.papers.outcome import Experiment, Settings
from jssl.papers.sets import LABELS, image_sets


def plan(settings: Settings) -> Experiment:
    """Return the studies of the paper at a scale."""
    sets, caveats = image_sets(settings.scale)
    return Experiment(
        {
            "linear encoders without a constraint": naive.linear_collapse,
            "networks without a constraint": networks.network_collapse,
            "gradient descent and the exact flow": exact.descent,
            "spectral gap": exact.gap_sweep,
            "closed forms in floating point": literal.literal_forms,
            "deep linear networks": deep.depths,
            "rectangular hidden layers": deep.widths,
            "rescaled updates": deep.order_of_links,
        }
        | {
            f"linear encoders on {LABELS[name]}": functools.partial(
                images.constrained_against_naive, name
            )
            for name in sets
        }
        | {"tangent kernel of wide networks": wide.kernel_drift},
        {"image sets": ", ".join(LABELS[name] for name in sets), "precision": "float64"},
        (
            *caveats,
            "With relu and orthonormal weights in the last layer only, the loss is unbounded below "
            "and training of narrow networks diverges. The study of wide networks therefore starts "
            "at width 1024.",
        ),
    )
