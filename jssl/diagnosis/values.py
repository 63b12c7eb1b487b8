"""The values of a diagnosis."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from jssl.diagnosis.checkpoints import CheckpointHistory
from jssl.diagnosis.classes import ClassSpectrum
from jssl.formulas.verdict import TOLERANCE as TOLERANCE
from jssl.formulas.verdict import Verdict
from jssl.report.metrics import Metrics


class Values(NamedTuple):
    """The metrics of embeddings, and a summary of them. `print` shows the summary.

    Attributes:
        verdict: kind of collapse: `KINDS[int(verdict.kind)]`.
        metrics: name -> Metric. Called, `diagnosis.metrics()`, a flat dictionary of name -> number
            for a logger.
        eigenvalues: (min(n, dim),) of the covariance, descending, float64.
        history: metrics over checkpoints, of the first run where several are given; None without.
        summary: the results as sentences, the verdict first.
        caveats: limits of the results: what was left out, and why.
        settings: rows, dimensions, sample, seed, thresholds.
        classes: the spectrum of each class; empty without labels.
        runs: name -> history of each run; a single run has an empty name.
    """

    verdict: Verdict
    metrics: Metrics
    eigenvalues: np.ndarray
    history: CheckpointHistory | None
    summary: tuple[str, ...]
    caveats: tuple[str, ...]
    settings: Mapping[str, Any]
    classes: tuple[ClassSpectrum, ...] = ()
    runs: Mapping[str, CheckpointHistory] = {}

    def __str__(self) -> str:
        """Return the summary, one sentence per line."""
        return "\n".join(self.summary)
