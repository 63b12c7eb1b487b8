"""The claims of *On the stepwise nature of self-supervised learning* (Simon et al. 2023)."""

import functools

from jssl.papers.outcome import Experiment, Settings
from jssl.papers.sets import image_sets
from jssl.papers.stepwise import kernel, linear, networks, starts, variants


def plan(settings: Settings) -> Experiment:
    """Return the studies of the paper at a scale."""
    sets, missing = image_sets(settings.scale)
    return Experiment(
        {f"linear model on {name}": functools.partial(linear.figure_one, name) for name in sets}
        | {
            "generic starts": starts.rates,
            "learning rates": starts.learning_rates,
            "momentum": starts.no_time_under_momentum,
            "small off-diagonal weight": variants.redundancy,
            "VICReg": variants.vicreg,
            "spectral contrastive": variants.spectral,
            "InfoNCE near zero": variants.infonce,
            "kernel model": kernel.closed_form,
            "contrastive kernel": kernel.spectra,
            "wide networks": kernel.wide_networks,
            "networks": networks.networks,
        },
        {"image sets": ", ".join(sets), "precision": "float64"},
        missing,
    )
