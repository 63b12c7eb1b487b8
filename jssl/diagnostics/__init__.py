"""Metrics of embeddings, from any encoder: functions from arrays to numbers.

| what | range | good | paper |
|---|---|---|---|
| `effective_rank` | 0, or 1 to min(n - 1, dim) | high | Roy and Vetterli 2007 |
| `rankme` | 1 to min(n, dim) | high | arXiv 2210.02885 |
| `participation_ratio` | 0, or 1 to dim | high | |
| `alpha_req` | any | near 1 | Agrawal et al. 2022 |
| `lidar` | 0, or 1 to min(samples - 1, dim) | high where views agree | arXiv 2312.04000 |
| `alignment` | 0 to 4 | low | arXiv 2005.10242 |
| `uniformity` | about -4 to 0 | low | arXiv 2005.10242 |
| `gaussian_distance` | about 0 to 1 | 0 for LeJEPA | Henze and Wagner 1997 |
| `collapse_verdict` | none, dimensional, complete, undefined | none | arXiv 2110.09348 |
| `cka`, `subspace_overlap` | 0 to 1 | high where two encoders should agree | arXiv 1905.00414 |
| `debiased_cka` | -1 to 1, with an error | likewise | arXiv 1905.00414 |
| `ridge_probe`, `knn_probe` | chance to 1 | high | arXiv 1805.01978 |
| `detect_steps` | | | arXiv 2303.15438 |

Arrays may be of NumPy, JAX or PyTorch: each function computes with their library, on their device,
and returns its arrays. Gradients pass through under JAX and PyTorch, and under JAX the functions
can be compiled, vectorised and sharded. (`collapse` computes with JAX; `moments`, `cross_scatter`,
`distance_to_limit` and `paired_exponent` with NumPy on the host.) The two libraries are imported
only where arrays of them are given.

Embeddings may be integers or half precision: all is computed in float32 at least, in the dtype of
the embeddings where that is wider. A value that is not finite gives NaN (counts: -1), or raises
an error.
"""

from jssl.diagnostics.collapse import Collapse, collapse
from jssl.diagnostics.lidar import lidar, lidar_from_covariances
from jssl.diagnostics.limit import Exponent, WidthDistance, distance_to_limit, paired_exponent
from jssl.diagnostics.normality import gaussian_distance
from jssl.diagnostics.probe import knn_probe, ridge_probe
from jssl.diagnostics.ranks import (
    alpha_req,
    entropy_rank,
    participation_ratio,
    rankme,
)
from jssl.diagnostics.similarity import cka, debiased_cka, subspace_overlap
from jssl.diagnostics.spectrum import covariance, cross_correlation, effective_rank, spectrum
from jssl.diagnostics.sphere import alignment, uniformity
from jssl.diagnostics.steps import detect_steps, half_times
from jssl.diagnostics.verdict import collapse_verdict
from jssl.formulas.moments import Moments, cross_scatter, moments
from jssl.formulas.ranks import PowerLaw
from jssl.formulas.sphere import Measured
from jssl.formulas.steps import Steps
from jssl.formulas.verdict import KINDS, Verdict

__all__ = [
    "KINDS",
    "Collapse",
    "Exponent",
    "Measured",
    "Moments",
    "PowerLaw",
    "Steps",
    "Verdict",
    "WidthDistance",
    "alignment",
    "alpha_req",
    "cka",
    "collapse",
    "collapse_verdict",
    "covariance",
    "cross_correlation",
    "cross_scatter",
    "debiased_cka",
    "detect_steps",
    "distance_to_limit",
    "effective_rank",
    "entropy_rank",
    "gaussian_distance",
    "half_times",
    "knn_probe",
    "lidar",
    "lidar_from_covariances",
    "moments",
    "paired_exponent",
    "participation_ratio",
    "rankme",
    "ridge_probe",
    "spectrum",
    "subspace_overlap",
    "uniformity",
]
