"""Which features nonlinear self-supervised and supervised models learn.

Yang, Li, Jiang, Li, "Understanding representation learnability of nonlinear self-supervised
learning", AAAI 2023, arXiv 2401.03214. Symbols: sigma is the activation,
alpha (and beta, gamma) the weight decay, rho the noise, tau the strength of the hidden feature, (u,
v) the coordinates of a row along the label-related and the hidden feature.
"""

from jssl.theory.learnability.basins import basin_map, duplicate_probability, safe_rate
from jssl.theory.learnability.certificate import Certificate, certificate
from jssl.theory.learnability.metrics import projections, shares
from jssl.theory.learnability.objective import cells, expected_loss, row_objective
from jssl.theory.learnability.perturbation import (
    SamplingLaw,
    noise_shift,
    noisy_minimum,
    sampling_law,
)
from jssl.theory.learnability.stationary import (
    StationaryPoints,
    largest_decay,
    minimum,
    stationary_points,
)
from jssl.theory.learnability.supervised import (
    SupervisedMinima,
    supervised_minima,
    supervised_objective,
)

__all__ = [
    "Certificate",
    "SamplingLaw",
    "StationaryPoints",
    "SupervisedMinima",
    "basin_map",
    "cells",
    "certificate",
    "duplicate_probability",
    "expected_loss",
    "largest_decay",
    "minimum",
    "noise_shift",
    "noisy_minimum",
    "projections",
    "row_objective",
    "safe_rate",
    "sampling_law",
    "shares",
    "stationary_points",
    "supervised_minima",
    "supervised_objective",
]
