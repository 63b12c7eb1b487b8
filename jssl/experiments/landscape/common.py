"""What the studies share: ranks of weights, and losses as they are used."""

from typing import Any

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


def ranks(weights: Array, spread: Array, floor: float = 1e-3) -> np.ndarray:
    """Return the number of eigenvalues of W Sigma W^T above a floor, of weights (..., m, d)."""
    values = jnp.linalg.eigvalsh(weights @ spread @ jnp.swapaxes(weights, -1, -2))
    return np.asarray((values > floor).sum(-1))
