"""Metrics of embeddings during training: `jssl.Monitor`, and a callback for Lightning."""

from jssl._lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    modules=("judged", "libraries", "lightning", "measures", "monitor", "sums"),
    members={"Monitor": "monitor"},
)
