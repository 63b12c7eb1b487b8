"""Predictions, one package or module for each family of results.

`problem` reads the pairs and the weight that a prediction needs from a `jssl.Problem`.
"""

from jssl._lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    modules=(
        "distillation",
        "finite_width",
        "grassmann",
        "highdim",
        "isotropy",
        "landscape",
        "learnability",
        "problem",
        "sampling",
        "stepwise",
        "width",
    ),
    members={},
)
