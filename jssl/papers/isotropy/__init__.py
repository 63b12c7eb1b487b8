"""The claims on isotropic regularisers: LeJEPA (2025) and its learning dynamics."""

from jssl.papers.isotropy import digits, ends, identifiable, learning, sampled
from jssl.papers.outcome import Experiment, Settings


def plan(settings: Settings) -> Experiment:
    """Return the studies of the paper at a scale."""
    return Experiment(
        {
            "digits": digits.digits,  # the longest, so that it starts first
            "floor and shrinkage": sampled.floor_and_shrinkage,
            "training on small batches": sampled.small_batches,
            "one dimension after another": learning.staircase,
            "plateaus and overshoot": learning.plateaus,
            "what is kept": ends.kept,
            "identifiability": identifiable.identifiability,
        },
        {"runs": sampled.SIZES[settings.scale].runs, "precision": "float64"},
        (
            "Population losses are minimised through jax.grad of their value; the formulas of "
            "their slopes are used for the prediction only.",
        ),
    )
