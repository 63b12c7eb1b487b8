"""Losses of joint-embedding self-supervised learning: pure functions (za, zb) -> scalar.

Each takes two (n, dim) embeddings of the same n samples and keyword hyperparameters; numbers may
be traced, strings are static. `get(name, **hyperparameters)` makes the loss of a `Problem`.
"""

from jssl._lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    modules=(
        "common",
        "contrastive",
        "decorrelation",
        "distillation",
        "learnability",
        "linearized",
        "prediction",
        "registry",
    ),
    members={
        "ALIASES": "registry",
        "LOSSES": "registry",
        "LossSpec": "registry",
        "TrackTargetState": "distillation",
        "align_uniform": "contrastive",
        "barlow_twins": "decorrelation",
        "barlow_twins_linearized": "linearized",
        "byol_regression": "distillation",
        "decayed_alignment": "learnability",
        "decayed_cross_entropy": "learnability",
        "decayed_objective": "prediction",
        "decoupled_contrastive": "contrastive",
        "direct_objective": "prediction",
        "get": "registry",
        "info_nce": "contrastive",
        "iso_loss": "prediction",
        "jepa": "prediction",
        "linear_contrastive": "linearized",
        "linear_non_contrastive": "linearized",
        "nt_xent": "contrastive",
        "reconstruction_objective": "prediction",
        "simsiam": "distillation",
        "spectral_contrastive": "contrastive",
        "target_model": "distillation",
        "target_objective": "distillation",
        "track_target": "distillation",
        "vicreg": "decorrelation",
        "vicreg_squared": "decorrelation",
    },
)
