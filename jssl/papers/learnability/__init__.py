"""The claims of *Understanding representation learnability of nonlinear SSL* (Yang et al. 2023)."""

from jssl.papers.learnability import known, laws, phases, variants
from jssl.papers.learnability.judge import sizes
from jssl.papers.outcome import Experiment, Settings


def plan(settings: Settings) -> Experiment:
    """Return the studies of the paper at a scale."""
    return Experiment(
        {
            "self-supervision and supervision": known.comparison,
            "minima": laws.minima,
            "view noise": laws.noise,
            "samples": laws.sampling,
            "duplicate rows": laws.duplicates,
            "phase diagrams": phases.phases,
            "activations": variants.activations,
            "linear model": variants.linear,
        },
        {
            "seeds": sizes(settings).seeds,
            "steps": known.STEPS,
            "precision": "float32 runs",
        },
        (
            "The duplicate-row law 2^(1-m) is the population's: a finite sample fills its cells "
            "unevenly, which tilts all rows the same way.",
        ),
    )
