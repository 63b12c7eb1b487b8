"""Losses, placements of the augmentation and ranks that several studies use."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jssl import losses
from jssl.theory import landscape
from jssl.types import Array

Z = 3.9
"""Number of standard errors of a two-sided test at level 1e-4."""

SOURCE = "Ziyin et al. 2023, arXiv 2210.00638"


def source(*equations: str) -> str:
    """Return the source of a claim.

    Example:
        >>> source("L-5", "L-11")
        'Ziyin et al. 2023, arXiv 2210.00638; L-5 and L-11 in docs/equations.md'
    """
    return f"{SOURCE}; {' and '.join(equations)} in docs/equations.md"


AUGMENTED = {
    "augmented-augmented-augmented": "all views are augmented",
    "clean-augmented-clean": "only positives are augmented",
    "clean-augmented-augmented": "positives and negatives are augmented",
    "augmented-augmented-clean": "anchors and positives are augmented",
    "augmented-augmented-both_clean": "only the views of positive pairs are augmented",
    "alignment weight 2": "the alignment term is doubled and all views are augmented",
}
"""Placement of the augmentation -> the condition in words."""


def quartic_loss(weight: Array, form: landscape.Form) -> Array:
    """Return the loss of a weight in the quartic landscape."""
    return landscape.energy(form, weight)


def gaussian_loss(weight: Array, views: landscape.Views, decay: Any) -> Array:
    """Return InfoNCE on Gaussian data with infinitely many negatives, exactly."""
    return landscape.gaussian_info_nce(weight, views, weight_decay=decay)


def sampled_loss(
    weight: Array, anchor: Array, positive: Array, paired: Array, negatives: Array
) -> Array:
    """Return InfoNCE with sampled negatives; `paired` is the anchor of the negative pairs.

    A pair of a point with itself has score 0, so `info_nce` of (paired, paired) contains only the
    term of the negatives. With one negative in both, the difference of (anchor, positive) and
    (anchor, anchor) is minus the score of the positive pair.
    """
    za, zb, zp, zn = (x @ weight.T for x in (anchor, positive, paired, negatives))
    options = {"score": "euclidean", "include_positive": False}
    repel = losses.get("info_nce", negatives=zn, **options)
    pull = losses.get("info_nce", negatives=zn[:1], **options)
    return pull(za, zb) - pull(za, za) + repel(zp, zp)


def stacked(views: Sequence[landscape.Views]) -> landscape.Views:
    """Return the covariances of many cases as arrays (cases, d, d) on the host."""
    return landscape.Views(*(np.stack(matrices) for matrices in zip(*views, strict=True)))


def amplitudes(views: landscape.Views, weight_decay: Any = 0.0) -> np.ndarray:
    """Return w^2 of every mode (..., d) at the minimum of the exact loss of diagonal views."""
    diagonals = (np.diagonal(view, axis1=-2, axis2=-1) for view in views)
    return np.asarray(_amplitudes(*diagonals, weight_decay=weight_decay))


_amplitudes = jax.jit(landscape.gaussian_amplitudes)


def ranks(weights: Any, spread: Any, floor: float = 1e-3) -> np.ndarray:
    """Return the number of eigenvalues of W Sigma W^T above a floor, for weights (..., m, d)."""
    weights = np.asarray(weights)
    values = np.linalg.eigvalsh(weights @ np.asarray(spread) @ np.swapaxes(weights, -1, -2))
    return (values > floor).sum(-1)
