"""What experiments on networks watch: covariances of embeddings, and when they are learned."""

import jax.numpy as jnp
import numpy as np

from jssl.diagnostics import covariance
from jssl.types import Array


def of_both_views(za: Array, zb: Array) -> Array:
    """Return the covariance of the embeddings of both views together."""
    return covariance(jnp.concatenate([za, zb]))


def of_directions(za: Array, zb: Array) -> Array:
    """Return the covariance of the embeddings' directions, all that a cosine loss sees."""
    z = jnp.concatenate([za, zb])
    return covariance(z / jnp.linalg.norm(z, axis=1, keepdims=True))


def second_over_first(values: np.ndarray, level: float = 1.0) -> float:
    """Return the second over the first eigenvalue when the first is first at half its level."""
    at = int(np.argmax(values[:, 0] >= level / 2))
    return float(values[at, 1] / values[at, 0])
