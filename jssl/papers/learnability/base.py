"""The base case of the paper: its sizes, its certificate, and how trained weights are measured."""

import functools

import jax
import numpy as np

from jssl.papers.learnability.seeds import Numbers
from jssl.theory.learnability import (
    Certificate,
    SupervisedMinima,
    certificate,
    projections,
    shares,
    supervised_minima,
)
from jssl.types import Array

STEPS = 4000
SUPERVISED_STEPS = 8000
BASE = Numbers()
CENTRES = np.array([[1, 0], [-1, 0], [1, BASE.tau], [-1, BASE.tau]])
"""Centres of the four cells, as coefficients of the label feature e1 and the hidden feature e2."""


@functools.lru_cache
def base_certificate() -> Certificate:
    """Return the inverse-function-theorem certificate of the base case."""
    return certificate(BASE.tau, BASE.decay, noise=BASE.noise, samples=100, dim=10)


@functools.lru_cache
def base_supervised() -> SupervisedMinima:
    """Return the supervised minima of the base case."""
    return supervised_minima(BASE.tau, BASE.decay)


def alignments(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the projections P(e_j) and the shares |w . e_j| / |w| averaged over rows.

    Both have shape (seeds, 2), for weights (seeds, m, d). P(e_j) is the norm of the projection of
    feature e_j onto the span of the rows.
    """
    projection, share = jax.device_get(_alignments(weights))
    return projection, share.mean(1)


@jax.jit
def _alignments(weights: Array) -> tuple[Array, Array]:
    return projections(weights), shares(weights)


def opposite(weights: np.ndarray) -> np.ndarray:
    """Return whether the first two of the rows (..., m, d) have label weights of opposite sign."""
    return np.asarray(weights[..., 0, 0] * weights[..., 1, 0] < 0)
