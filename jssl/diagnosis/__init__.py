"""Diagnosis after training: spectra, ranks, collapse, views and labels of a set of embeddings."""

from jssl._lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    modules=(
        "checkpoint_table",
        "checkpoints",
        "classes",
        "classifiers",
        "copies",
        "diagnosis",
        "drawing",
        "history",
        "homogeneity",
        "judgement",
        "labels",
        "matching",
        "outliers",
        "page",
        "probes",
        "result",
        "row_metrics",
        "runs",
        "spectra",
        "summary",
        "tables",
        "values",
        "verdict_sentences",
        "views",
    ),
    members={
        "CheckpointHistory": "checkpoints",
        "Diagnosis": "result",
        "Metric": "spectra",
        "diagnose": "diagnosis",
    },
)
