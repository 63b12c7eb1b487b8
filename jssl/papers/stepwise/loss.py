"""The loss of a linear model depends on the data through the symmetric matrix Gamma alone (S-2)."""

import jax.numpy as jnp

from jssl import losses
from jssl.data import pairs
from jssl.papers.claims import close
from jssl.papers.outcome import Part, Settings
from jssl.papers.stepwise.linear import image_pairs
from jssl.theory import stepwise
from jssl.types import Rival

DIM = 10


def of_cross_moment(settings: Settings) -> Part:
    """Compare the loss of embeddings with that of Gamma, at a random weight."""
    data = image_pairs("digits", settings, 100)
    gamma, count = pairs.cross_moment(data), len(data.first)
    draws = settings.generator(11).normal(size=(DIM, len(gamma)))
    weight = jnp.asarray(draws) / jnp.sqrt(jnp.trace(gamma))
    measured = losses.get("barlow_twins_linearized")(data.first @ weight.T, data.second @ weight.T)
    predicted = float(stepwise.loss(weight, gamma))
    one_order = weight @ data.first.T @ data.second @ weight.T / count
    claim = close(
        "stepwise/loss-of-gamma",
        "The loss of a linear model on digits is that of the symmetrised cross-correlation matrix "
        "Gamma of the views.",
        "Simon et al. 2023, section 4; S-1 to S-3 in docs/equations.md",
        predicted,
        float(measured),
        1e-10 * predicted,
        details="Views are shifted by up to one pixel, and the weight is Gaussian. The tolerance "
        "covers rounding in double precision.",
        rivals=[
            Rival(
                "the cross-correlation of one order of the views",
                float(jnp.sum((one_order - jnp.eye(DIM)) ** 2)),
            ),
            Rival(
                "twice Gamma, for both orders of a pair", float(stepwise.loss(weight, 2 * gamma))
            ),
        ],
    )
    return Part([claim], [])
