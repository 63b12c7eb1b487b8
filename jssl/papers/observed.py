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


def next_to_half_learned(values: np.ndarray, level: float) -> float:
    """Return how large the next eigenvalue is, relative to each when that is half learned.

    The geometric mean over all eigenvalues but the last.

    Example:
        >>> values = np.array([[0.1, 0.0, 0.0], [0.5, 0.2, 0.0], [1.0, 0.5, 0.05]])
        >>> print(round(next_to_half_learned(values, 1.0), 3))  # (0.4 x 0.1) ** (1 / 2)
        0.2

    Args:
        values: (points, dim) eigenvalues over training, descending in each row.
        level: of a learned eigenvalue.
    """
    at = np.argmax(values[:, :-1] >= level / 2, axis=0)
    modes = np.arange(len(at))
    ratios = values[at, modes + 1] / values[at, modes]
    learned = (values[:, :-1] >= level / 2).any(0)
    ratios = np.where(learned, np.clip(ratios, 1e-12, None), np.nan)  # rounding can be negative
    return float(np.exp(np.log(ratios).mean()))
