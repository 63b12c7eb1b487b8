"""Pure samplers of positive pairs: toy data, images, views, and the moments of pairs."""

from jssl._lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    modules=("images", "masks", "moments", "pairs", "reduced", "toy", "views"),
    members={
        "FixedPairs": "pairs",
        "Images": "images",
        "Moments": "moments",
        "VIEWS": "views",
        "available": "images",
        "batch_view": "views",
        "centre": "pairs",
        "check_pairs": "pairs",
        "compose": "views",
        "compress": "reduced",
        "cross_moment": "pairs",
        "expected_cross_moment": "pairs",
        "fixed": "pairs",
        "flatten": "pairs",
        "four_cells": "toy",
        "fresh": "pairs",
        "gaussian": "toy",
        "gaussian_pairs": "toy",
        "load": "images",
        "make_pairs": "pairs",
        "masked_moments": "masks",
        "masked_pairs": "masks",
        "mixture": "toy",
        "named": "views",
        "pair_moments": "moments",
        "pairs_with_cross_moment": "toy",
        "pairs_with_moments": "moments",
        "subset": "images",
    },
)
