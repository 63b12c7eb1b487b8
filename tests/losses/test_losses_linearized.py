"""The losses that theory solves: their linear forms, gradients and plateaus."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.errors import InputError
from jssl.losses.linearized import (
    barlow_twins_linearized,
    linear_contrastive,
    linear_non_contrastive,
)


def data(seed=0, n=9, dim=4):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, dim))
    return x, 0.7 * x + 0.5 * rng.normal(size=(n, dim))


def test_barlow_twins_gradient_is_the_flow_of_the_linear_model():
    x, y = data()
    gamma = (x.T @ y + y.T @ x) / (2 * len(x))
    w = np.random.default_rng(1).normal(size=(3, 4))
    c = w @ gamma @ w.T

    def loss(w):
        return barlow_twins_linearized(x @ w.T, y @ w.T)

    value, gradient = jax.value_and_grad(loss)(jnp.asarray(w))
    np.testing.assert_allclose(value, np.linalg.norm(c - np.eye(3)) ** 2, rtol=1e-12)
    flow = -4 * (c - np.eye(3)) @ w @ gamma
    np.testing.assert_allclose(-gradient, flow, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("redundancy", [0.0051, 0.3])
def test_plateaus_of_small_redundancy(rank, redundancy):
    # On plateau k the best C is c P, P a projector with equal diagonal k/d:
    # c = 1/(kappa + redundancy (1 - kappa)), L = d redundancy (1 - kappa) c.
    dim = 4
    hadamard = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2
    kappa = rank / dim
    c = 1 / (kappa + redundancy * (1 - kappa))
    z = np.sqrt(rank) * hadamard[:rank]  # rank samples whose second moment is P

    def loss(size):
        return barlow_twins_linearized(
            jnp.sqrt(size) * z, jnp.sqrt(size) * z, redundancy=redundancy
        )

    value, slope = jax.value_and_grad(loss)(c)
    np.testing.assert_allclose(value, dim * redundancy * (1 - kappa) * c, rtol=1e-12)
    np.testing.assert_allclose(slope, 0, atol=1e-12)
    if (rank, redundancy) == (1, 0.0051):
        np.testing.assert_allclose([c, value], [3.93972, 0.060278], rtol=1e-5)


def test_barlow_twins_eigenvalues_may_be_negative():
    z = np.eye(2)
    np.testing.assert_allclose(barlow_twins_linearized(z, -z), 2 * 1.5**2)


def test_contrastive_is_a_trace_with_explicit_negatives():
    x, y = data()
    negative = data(3)[0]
    w = np.random.default_rng(1).normal(size=(4, 2))  # (in, out): x -> W^T x
    c = x.T @ (negative - y) / len(x)
    expected = np.trace(w.T @ (c + c.T) / 2 @ w)
    value = linear_contrastive(x @ w, y @ w, negatives=negative @ w)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    gradient = jax.grad(lambda w: linear_contrastive(x @ w, y @ w, negatives=negative @ w))(w)
    np.testing.assert_allclose(gradient, (c + c.T) @ w, rtol=1e-11, atol=1e-13)


def test_non_contrastive_is_a_trace():
    x, y = data()
    w = np.random.default_rng(1).normal(size=(4, 2))
    c = -(x.T @ y + y.T @ x) / (2 * len(x))
    np.testing.assert_allclose(
        linear_non_contrastive(x @ w, y @ w), np.trace(w.T @ c @ w), rtol=1e-12
    )


def test_default_negatives_average_the_other_samples():
    # centred second views: their mean over the others is -zb_i / (n - 1)
    za, zb = data()
    zb = zb - zb.mean(axis=0)
    n = len(za)
    expected = linear_non_contrastive(za, zb) * n / (n - 1)
    np.testing.assert_allclose(linear_contrastive(za, zb), expected, rtol=1e-12)


def test_each_anchor_needs_one_negative():
    za, zb = data()
    with pytest.raises(InputError, match=r"negatives must be embeddings of shape \(9, 4\)"):
        linear_contrastive(za, zb, negatives=zb[:5])
    linear_contrastive(za[:1], zb[:1], negatives=zb[1:2])
