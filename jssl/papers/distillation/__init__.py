"""The claims of the theory of self-distillation: JEPA, masked autoencoders, BYOL, SimSiam.

Littwin et al. 2024, Tian et al. 2021, Halvagal et al. 2023 and Bao 2023; the formulas are derived
anew (docs/equations.md, D-1 to D-39). Each claim names the rival theories that it rejects.
"""

from jssl.papers.distillation import (
    averaged,
    collapse,
    cosine,
    digits,
    ends,
    isotropic,
    masks,
    takeover,
    times,
)
from jssl.papers.outcome import Experiment, Settings


def plan(settings: Settings) -> Experiment:
    """Return the studies at a scale."""
    return Experiment(
        {
            "critical times and order": times.critical_times,
            "end states": ends.end_states,
            "takeover of a learned mode": takeover.takeover,
            "weight decay and learning rates": collapse.collapse,
            "IsoLoss": isotropic.isotropic,
            "cosine loss": cosine.cosine,
            "averaged target": averaged.averaged,
            "masked digits: moments": masks.moments,
            "masked digits: times": digits.times,
            "masked digits: reversal by noise": digits.reversal,
            "masked digits: bottleneck": digits.bottleneck,
        },
        {
            "images": f"digits, masked, {digits.components(settings)} components",
            "precision": "float64",
        },
        (
            "The full texts of the four papers were not available. The formulas are derived here, "
            "and each is compared with an independent integration in the test suite.",
        ),
    )
