"""Arrays in, numbers out: usable on anybody's embeddings."""

from jssl.diagnostics.alignment import subspace_overlap
from jssl.diagnostics.collapse import Collapse, collapse
from jssl.diagnostics.limit import Exponent, WidthDistance, distance_to_limit, paired_exponent
from jssl.diagnostics.probe import ridge_probe
from jssl.diagnostics.spectrum import covariance, cross_correlation, effective_rank, spectrum
from jssl.diagnostics.steps import Steps, detect_steps, half_times

__all__ = [
    "Collapse",
    "Exponent",
    "Steps",
    "WidthDistance",
    "collapse",
    "covariance",
    "cross_correlation",
    "detect_steps",
    "distance_to_limit",
    "effective_rank",
    "half_times",
    "paired_exponent",
    "ridge_probe",
    "spectrum",
    "subspace_overlap",
]
