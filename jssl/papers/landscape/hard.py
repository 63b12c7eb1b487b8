"""Hard normalisation: the curvature of a cosine loss at zero weights."""

import jax
import numpy as np

from jssl import losses
from jssl.papers.claims import close
from jssl.papers.landscape.common import source
from jssl.papers.landscape.normalisation import DATA
from jssl.papers.outcome import Part, Settings
from jssl.theory import landscape
from jssl.types import Array, Rival


def hard_normalisation(settings: Settings) -> Part:
    """Test the curvature of cosine InfoNCE at zero weights against L-14.

    The embedding is z = a W x + b, and the curvature is that in a at a = 0.
    """
    draws = settings.generator(7)
    x = draws.normal(size=(3, 300, 3)) * np.sqrt(DATA)
    weight, bias = draws.normal(size=(3, 3)), np.array([1.0, -0.5, 2])
    temperature = 0.5

    def loss(a: Array) -> Array:
        za, zb, zn = (a * v @ weight.T + bias for v in x)
        value = losses.get(
            "info_nce",
            score="cosine",
            negatives=zn,
            include_positive=False,
            temperature=temperature,
        )
        return value(za, zb)

    apart, near = x[0][:, None] - x[2], x[0] - x[1]
    signal = np.einsum("nki,nkj->ij", apart, apart) / apart[..., 0].size
    signal = (signal - near.T @ near / len(near)) / 2
    unprojected = -2 * np.sum((weight @ signal) * weight) / (bias @ bias) / temperature
    predicted = 2 * landscape.hard_normalised_loss(weight, bias, signal, temperature=temperature)
    return Part(
        [
            close(
                "landscape/hard-normalisation",
                "With hard normalisation and a bias, the curvature of cosine InfoNCE at zero "
                "weights is the predicted one.",
                source("L-14"),
                float(predicted),
                float(jax.jit(jax.hessian(loss))(0.0)),
                1e-9 * abs(float(predicted)),
                details="The embedding is a W x + b, and the curvature is that in a at a = 0. The "
                "prediction uses the signal matrix B of the sample, for which the identity is "
                "exact. The tolerance covers rounding.",
                rivals=[
                    Rival("the part along the bias counts too", float(unprojected)),
                    Rival("without the temperature", float(predicted) * temperature),
                ],
            )
        ],
        [],
    )
