"""Gram matrices of finite and infinite nets, and the contrastive kernel built on them."""

from jssl._lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    modules=("contrastive", "dense", "empirical", "infinite", "lanczos"),
    members={
        "ContrastiveModes": "contrastive",
        "SquareRoot": "dense",
        "block_for": "empirical",
        "contrastive_kernel": "contrastive",
        "contrastive_modes": "contrastive",
        "embed": "contrastive",
        "empirical_ntk": "empirical",
        "peak_bytes": "empirical",
        "square_root": "dense",
        "swap": "contrastive",
        "two_view_gram": "contrastive",
    },
)
