"""The claims of *Representation learning dynamics of SSL models* (Esser et al. 2023)."""

from collections.abc import Callable

from jssl.experiments.grassmann import deep, exact, images, literal, naive, wide
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
    studies: list[tuple[str, Callable[[Settings], Part]]] = [
        ("naive descent", naive.linear_collapse),
        ("naive networks", naive.network_collapse),
        ("exact flow", exact.descent),
        ("spectral gap", exact.gap_sweep),
        ("literal and safe forms", literal.literal_forms),
        ("depth", deep.depths),
        ("width of constrained layers", deep.widths),
        ("order of links", deep.order_of_links),
        *(
            (f"images, {name}", lambda s, name=name: images.constrained_against_naive(name, s))
            for name in sets
        ),
        ("kernel drift", wide.kernel_drift),
    ]
    claims, figures = [], []
    for index, (description, study) in enumerate(studies):
        settings.progress(description, index / len(studies))
        part = study(settings._replace(progress=lambda *_: None))
        claims += part.claims
        figures += part.figures
    remarks = (
        *missing,
        "With relu the loss of a net whose last layer alone is constrained is unbounded below: "
        "narrow ones diverge, so the widths of its study start at 1024.",
    )
    return Outcome(
        tuple(claims),
        tuple(figures),
        {"image sets": ", ".join(sets), "precision": "float64"},
        remarks,
    )
