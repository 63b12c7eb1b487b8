"""Pure samplers of positive pairs: toy data, images, views, and the moments of pairs."""

from jssl._lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    modules=("images", "pairs", "reduced", "toy", "views"),
    members={
        "FixedPairs": "pairs",
        "Images": "images",
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
        "mixture": "toy",
        "named": "views",
        "pairs_with_cross_moment": "toy",
        "subset": "images",
    },
)
