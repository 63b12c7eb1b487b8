"""The claims of *Understanding representation learnability of nonlinear SSL* (Yang et al. 2023)."""

from jssl.papers.learnability import comparison, laws, noise, phases, variants
from jssl.papers.learnability.base import STEPS
from jssl.papers.learnability.statistical import sizes
from jssl.papers.outcome import Experiment, Settings


def plan(settings: Settings) -> Experiment:
    """Return the studies of the paper at a scale."""
    return Experiment(
        {
            "self-supervised and supervised learning": comparison.comparison,
            "minima without noise": laws.minima,
            "view noise": noise.noise,
            "number of samples": laws.sampling,
            "duplicate rows": laws.duplicates,
            "phase diagrams": phases.phases,
            "other activations": variants.activations,
            "linear model": variants.linear,
        },
        {
            "seeds": sizes(settings).seeds,
            "steps": STEPS,
            "precision": "float32 for simulations",
        },
        (
            "The probability 2^(1-m) that m rows duplicate one another holds for the population. "
            "In a finite sample the four cells have unequal sizes, which favours one sign for all "
            "rows.",
        ),
    )
