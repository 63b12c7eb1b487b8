"""The claims of *Representation learning dynamics of SSL models* (Esser et al. 2023)."""

import functools

from jssl.papers.grassmann import deep, exact, images, literal, naive, wide
from jssl.papers.outcome import Experiment, Settings
from jssl.papers.sets import image_sets


def plan(settings: Settings) -> Experiment:
    """Return the studies of the paper at a scale."""
    sets, missing = image_sets(settings.scale)
    return Experiment(
        {
            "naive descent": naive.linear_collapse,
            "naive networks": naive.network_collapse,
            "exact flow": exact.descent,
            "spectral gap": exact.gap_sweep,
            "literal and safe forms": literal.literal_forms,
            "depth": deep.depths,
            "width of constrained layers": deep.widths,
            "order of links": deep.order_of_links,
        }
        | {
            f"images, {name}": functools.partial(images.constrained_against_naive, name)
            for name in sets
        }
        | {"kernel drift": wide.kernel_drift},
        {"image sets": ", ".join(sets), "precision": "float64"},
        (
            *missing,
            "With relu the loss of a net whose last layer alone is constrained is unbounded below: "
            "narrow ones diverge, so the widths of its study start at 1024.",
        ),
    )
