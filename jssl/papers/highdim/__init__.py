"""The claims on high-dimensional one-pass SGD (2024) and on hard negatives (2023)."""

from jssl.papers.highdim import features, hard, passes
from jssl.papers.outcome import Experiment, Settings


def plan(settings: Settings) -> Experiment:
    """Return the studies of the paper at a scale."""
    return Experiment(
        {
            "one-pass training": passes.one_pass,
            "fluctuations": passes.fluctuations,
            "noise of the views": passes.noise_of_views,
            "which feature is learned": features.selection,
            "hard negatives": hard.hard_negatives,
        },
        {"runs": passes.SIZES[settings.scale], "precision": "float64"},
        (
            "Runs in many dimensions follow overlap and norm alone, which has exactly the law of "
            "gradient descent on vectors.",
            "The growth of the escape time with the logarithm of the dimension is not tested: its "
            "correction at finite dimension is 15 % up to 3,200 dimensions.",
        ),
    )
