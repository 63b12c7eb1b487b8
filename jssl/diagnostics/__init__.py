"""Arrays in, numbers out: usable on anybody's embeddings."""

from jssl.diagnostics.alignment import subspace_overlap
from jssl.diagnostics.collapse import Collapse, collapse
from jssl.diagnostics.probe import ridge_probe
from jssl.diagnostics.spectrum import covariance, cross_correlation, effective_rank, spectrum
from jssl.diagnostics.steps import Steps, detect_steps, half_times

__all__ = [
    "Collapse",
    "Steps",
    "collapse",
    "covariance",
    "cross_correlation",
    "detect_steps",
    "effective_rank",
    "half_times",
    "ridge_probe",
    "spectrum",
    "subspace_overlap",
]
