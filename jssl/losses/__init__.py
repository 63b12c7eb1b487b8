"""Losses of joint-embedding self-supervised learning: pure functions (za, zb) -> scalar.

Each takes two (n, dim) embeddings of the same n samples and keyword hyperparameters; numbers may
be traced, strings are static. `get(name, **hyperparameters)` makes the loss of a `Problem`.
"""

from jssl._lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    modules=(
        "characteristic",
        "common",
        "contrastive",
        "decorrelation",
        "distillation",
        "hard_negatives",
        "isotropy",
        "learnability",
        "linearized",
        "prediction",
        "registry",
        "slices",
    ),
    members={
        "ALIASES": "registry",
        "LOSSES": "registry",
        "LossSpec": "registry",
        "TrackTargetState": "distillation",
        "align_uniform": "contrastive",
        "barlow_twins": "decorrelation",
        "barlow_twins_linearized": "linearized",
        "bhep": "isotropy",
        "byol_regression": "distillation",
        "decayed_alignment": "learnability",
        "decayed_cross_entropy": "learnability",
        "decayed_objective": "prediction",
        "decoupled_contrastive": "contrastive",
        "direct_objective": "prediction",
        "directions": "slices",
        "get": "registry",
        "hard_info_nce": "hard_negatives",
        "info_nce": "contrastive",
        "iso_loss": "prediction",
        "jepa": "prediction",
        "lejepa": "isotropy",
        "linear_contrastive": "linearized",
        "linear_non_contrastive": "linearized",
        "nt_xent": "contrastive",
        "reconstruction_objective": "prediction",
        "sigreg": "isotropy",
        "simsiam": "distillation",
        "sliced_objective": "isotropy",
        "spectral_contrastive": "contrastive",
        "target_model": "distillation",
        "target_objective": "distillation",
        "track_target": "distillation",
        "vicreg": "decorrelation",
        "vicreg_squared": "decorrelation",
        "view_sigreg": "isotropy",
    },
)
