"""The claims of *On the stepwise nature of self-supervised learning* (Simon et al. 2023)."""

import functools

from jssl.papers.outcome import Experiment, Settings
from jssl.papers.sets import LABELS, image_sets
from jssl.papers.stepwise import kernel, linear, loss, networks, starts, variants


def plan(settings: Settings) -> Experiment:
    """Return the studies of the paper at a scale."""
    sets, caveats = image_sets(settings.scale)
    return Experiment(
        {
            f"linear model on {LABELS[name]}": functools.partial(linear.linear_model, name)
            for name in sets
        }
        | {
            "loss of a linear model": loss.of_cross_moment,
            "error exponents of generic initialisation": starts.error_exponents,
            "learning-rate limit": starts.learning_rates,
            "momentum": starts.no_time_under_momentum,
            "small off-diagonal weight": variants.off_diagonal_weight,
            "VICReg": variants.vicreg,
            "spectral contrastive loss": variants.spectral,
            "InfoNCE near zero": variants.infonce,
            "kernel model at unseen points": kernel.closed_form,
            "spectrum of the contrastive kernel": kernel.spectra,
            "wide networks": kernel.wide_networks,
            "multilayer and convolutional networks": networks.networks,
        },
        {"image sets": ", ".join(LABELS[name] for name in sets), "precision": "float64"},
        caveats,
    )
