"""Diagnosis after training: spectra, ranks, collapse, views and labels of a set of embeddings."""

from jssl._lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    modules=(
        "checkpoints",
        "copies",
        "diagnosis",
        "drawing",
        "history",
        "homogeneity",
        "labels",
        "matching",
        "probes",
        "spectra",
        "summary",
        "views",
    ),
    members={
        "CheckpointHistory": "checkpoints",
        "Diagnosis": "diagnosis",
        "Metric": "spectra",
        "diagnose": "diagnosis",
    },
)
