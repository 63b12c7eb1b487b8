"""The claims of *On the stepwise nature of self-supervised learning* (Simon et al. 2023)."""

from collections.abc import Callable

from jssl.experiments.outcome import Outcome, Part, Settings
from jssl.experiments.sets import image_sets
from jssl.experiments.stepwise import kernel, linear, networks, starts, variants


def run(settings: Settings) -> Outcome:
    """Run every claim of the paper at a scale.

    Args:
        settings: scale, seed and progress.

    Returns:
        Outcome with claims, figures, settings and remarks.
    """
    sets, missing = image_sets(settings.scale)
    studies: list[tuple[str, Callable[[], Part]]] = [
        *(
            (f"linear model on {name}", lambda name=name: linear.figure_one(name, settings))
            for name in sets
        ),
        ("generic starts", lambda: starts.rates(settings)),
        ("learning rates", lambda: starts.learning_rates(settings)),
        ("momentum", lambda: starts.no_time_under_momentum(settings)),
        ("small off-diagonal weight", lambda: variants.redundancy(settings)),
        ("VICReg", lambda: variants.vicreg(settings)),
        ("spectral contrastive", lambda: variants.spectral(settings)),
        ("InfoNCE near zero", lambda: variants.infonce(settings)),
        ("kernel model", lambda: kernel.closed_form(settings)),
        ("contrastive kernel", lambda: kernel.spectra(settings)),
        ("wide networks", lambda: kernel.wide_networks(settings)),
        ("networks", lambda: networks.networks(settings)),
    ]
    claims, figures = [], []
    for index, (description, study) in enumerate(studies):
        settings.progress(description, 0.5 * index / len(studies))
        part = study()
        claims += part.claims
        figures += part.figures
    remarks = list(missing)
    if not any(claim.name == "stepwise/width-exponent" for claim in claims):
        remarks.append(
            "Wide networks were not compared with their infinite-width kernel: neural-tangents is "
            "not usable here; `jssl doctor` says what to do."
        )
    return Outcome(
        tuple(claims),
        tuple(figures),
        {"image sets": ", ".join(sets), "precision": "float64"},
        tuple(remarks),
    )
