"""Predictions of five papers, one package or module for each.

`problem` reads the pairs and the weight that a prediction needs from a `jssl.Problem`.
"""

from jssl._lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    modules=("grassmann", "landscape", "learnability", "problem", "stepwise", "width"),
    members={},
)
