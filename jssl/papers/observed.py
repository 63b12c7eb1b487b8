"""Quantities recorded while networks train: covariances of embeddings and eigenvalue ratios."""

import jax.numpy as jnp
import numpy as np

from jssl.diagnostics import covariance
from jssl.types import Array


def covariance_of_views(za: Array, zb: Array) -> Array:
    """Return the covariance of the embeddings of both views together."""
    return covariance(jnp.concatenate([za, zb]))


def covariance_of_directions(za: Array, zb: Array) -> Array:
    """Return the covariance of the normalised embeddings, on which a cosine loss depends."""
    z = jnp.concatenate([za, zb])
    return covariance(z / jnp.linalg.norm(z, axis=1, keepdims=True))


def second_to_first_ratio(values: np.ndarray, level: float = 1.0) -> float:
    """Return the ratio of the second to the first eigenvalue when the first is half learned.

    Args:
        values: (points, dim) eigenvalues over training, descending in each row.
        level: of a learned eigenvalue.
    """
    half_learned = int(np.argmax(values[:, 0] >= level / 2))
    return float(values[half_learned, 1] / values[half_learned, 0])
