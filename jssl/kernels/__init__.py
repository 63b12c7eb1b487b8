"""Gram matrices of finite and infinite nets, and the contrastive kernel built on them."""

from jssl._lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    modules=(
        "checkpoint",
        "contrastive",
        "definite",
        "dense",
        "empirical",
        "gradients",
        "host_lanczos",
        "infinite",
        "inputs",
        "krylov",
        "lanczos",
        "matrix_free",
        "pairing",
        "processes",
        "products",
        "tiles",
    ),
    members={
        "ContrastiveModes": "contrastive",
        "Repaired": "definite",
        "SquareRoot": "dense",
        "block_for": "empirical",
        "contrastive_kernel": "contrastive",
        "contrastive_modes": "contrastive",
        "embed": "contrastive",
        "empirical_ntk": "empirical",
        "leading_modes": "matrix_free",
        "ntk_product": "products",
        "peak_bytes": "empirical",
        "repair_psd": "definite",
        "square_root": "dense",
        "swap": "pairing",
        "tangent_embedding": "products",
        "tangent_modes": "products",
        "two_view_gram": "pairing",
    },
)
