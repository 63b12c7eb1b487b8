"""Diagnosis after training: what a set of embeddings holds, and how it came about."""

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
    members={"Diagnosis": "diagnosis", "Reading": "spectra", "diagnose": "diagnosis"},
)
