"""What the studies share: ranks of weights, and losses as they are used."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl import losses
from jssl.theory import landscape
from jssl.types import Array

Z = 3.9
"""Standard errors of a two-sided test at 1e-4."""

SOURCE = "Ziyin et al. 2023, arXiv 2210.00638"


def quartic_loss(weight: Array, form: landscape.Form) -> Array:
    """Return the loss of a weight in the quartic landscape."""
    return landscape.energy(form, weight)


def gaussian_loss(weight: Array, views: landscape.Views, decay: Any) -> Array:
    """Return InfoNCE on Gaussian data, infinitely many negatives, exactly."""
    return landscape.gaussian_info_nce(weight, views, weight_decay=decay)


def sampled_loss(
    weight: Array, anchor: Array, positive: Array, paired: Array, negatives: Array
) -> Array:
    """Return InfoNCE with sampled negatives: `paired` is the anchor of the negative pairs.

    A pair of a point with itself has score 0, so `info_nce` of (paired, paired) is the negative
    half of the loss alone.
    """
    za, zb, zp, zn = (x @ weight.T for x in (anchor, positive, paired, negatives))
    repel = losses.get("info_nce", score="euclidean", negatives=zn, include_positive=False)
    return jnp.mean(jnp.sum((za - zb) ** 2, 1)) / 2 + repel(zp, zp)


def stacked(views: Sequence[landscape.Views]) -> landscape.Views:
    """Return covariances of many cases as one (cases, d, d) each, on the host."""
    return landscape.Views(*(np.stack(matrices) for matrices in zip(*views, strict=True)))


def amplitudes(views: landscape.Views, weight_decay: Any = 0.0) -> np.ndarray:
    """Return w^2 of every mode (..., d) where the exact loss of diagonal views is least."""
    diagonals = (np.diagonal(view, axis1=-2, axis2=-1) for view in views)
    return np.asarray(_amplitudes(*diagonals, weight_decay=weight_decay))


_amplitudes = jax.jit(landscape.gaussian_amplitudes)


def ranks(weights: Any, spread: Any, floor: float = 1e-3) -> np.ndarray:
    """Return the number of eigenvalues of W Sigma W^T above a floor, of weights (..., m, d)."""
    weights = np.asarray(weights)
    values = np.linalg.eigvalsh(weights @ np.asarray(spread) @ np.swapaxes(weights, -1, -2))
    return (values > floor).sum(-1)
