"""Barlow Twins and VICReg: special cases with closed forms, and their linear gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.losses.decorrelation import barlow_twins, vicreg, vicreg_squared
from jssl.losses.linearized import barlow_twins_linearized


def data(seed=0, n=9, dim=4):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, dim))
    return x, 0.7 * x + 0.5 * rng.normal(size=(n, dim)) + 0.2


def test_batch_norm_makes_it_the_correlation_matrix():
    za, zb = data()
    c = np.corrcoef(za, zb, rowvar=False)[:4, 4:]
    off = c - np.diag(np.diag(c))
    expected = np.sum((np.diag(c) - 1) ** 2) + 0.3 * np.sum(off**2)
    np.testing.assert_allclose(barlow_twins(za, zb, redundancy=0.3, epsilon=0.0), expected)
    shifted = barlow_twins(5 * za + 2, 0.1 * zb - 1, redundancy=0.3, epsilon=0.0)
    np.testing.assert_allclose(shifted, expected)


def test_epsilon_is_added_to_the_variance():
    # za = zb of variance v: C_ii = v / (v + epsilon)
    z = np.array([[0.3], [-0.3]])
    expected = (0.09 / (0.09 + 0.01) - 1) ** 2
    np.testing.assert_allclose(barlow_twins(z, z, epsilon=0.01), expected, rtol=1e-12)


@pytest.mark.parametrize("redundancy", [0.0051, 1.0, 2.5])
def test_without_batch_norm_only_the_antisymmetric_part_is_added(redundancy):
    za, zb = data()
    c = za.T @ zb / len(za)
    antisymmetric = redundancy * np.sum(((c - c.T) / 2) ** 2)
    plain = barlow_twins(za, zb, redundancy=redundancy, batch_norm=False)
    symmetrised = barlow_twins_linearized(za, zb, redundancy=redundancy)
    assert antisymmetric > 1e-5
    np.testing.assert_allclose(plain, symmetrised + antisymmetric, rtol=1e-12)


def test_hinge_stops_at_the_target():
    z = np.array([[1.0], [-1.0]]) * np.sqrt(0.5)  # unbiased variance one
    only = {"invariance": 0.0, "covariance": 0.0, "epsilon": 0.0}
    for scale, expected in [(0.25, 2 * 0.75), (1.0, 0.0), (3.0, 0.0)]:
        value = vicreg(scale * z, scale * z, variance=1.0, **only)
        np.testing.assert_allclose(value, expected, atol=1e-12)
    np.testing.assert_allclose(vicreg(z, z, variance=7.0, target_std=1.5, **only), 7.0)


def test_covariance_term_is_off_diagonal_over_dim():
    za, zb = data()
    expected = 0.0
    for z in (za, zb):
        cov = np.cov(z, rowvar=False)
        expected += (np.sum(cov**2) - np.sum(np.diag(cov) ** 2)) / 4
    value = vicreg(za, zb, invariance=0.0, variance=0.0, covariance=2.0)
    np.testing.assert_allclose(value, 2 * expected, rtol=1e-12)


@pytest.mark.parametrize("invariance", [0.0, 0.3, 1.0, 2.0])
def test_squared_vicreg_is_sigma_and_delta_of_the_data(invariance):
    x, y = data()
    n = len(x)
    w = np.random.default_rng(1).normal(size=(3, 4))
    sigma = (x.T @ x + y.T @ y) / (2 * n)
    gamma = (x.T @ y + y.T @ x) / (2 * n)
    delta = 2 * (sigma - gamma)
    expected = np.linalg.norm(w @ sigma @ w.T - np.eye(3)) ** 2
    expected += invariance * np.trace(w @ delta @ w.T)

    def loss(w):
        return vicreg_squared(x @ w.T, y @ w.T, invariance=invariance)

    value, gradient = jax.value_and_grad(loss)(jnp.asarray(w))
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    growth = (1 - invariance) * sigma + invariance * gamma
    flow = 4 * (w @ growth - w @ sigma @ w.T @ w @ sigma)
    np.testing.assert_allclose(-gradient, flow, rtol=1e-10, atol=1e-12)


def test_squared_vicreg_centres_by_the_mean_of_all_views():
    za, zb = data()
    mean = np.concatenate([za, zb]).mean(axis=0)
    plain = vicreg_squared(za - mean, zb - mean)
    np.testing.assert_allclose(vicreg_squared(za, zb, centre=True), plain, rtol=1e-12)
    moved = vicreg_squared(za + 5, zb + 5, centre=True)
    np.testing.assert_allclose(moved, plain, rtol=1e-12)
    assert vicreg_squared(za + 5, zb + 5) > 10 * plain


def test_constant_embeddings_are_not_rewarded():
    constant = np.ones((6, 3))
    assert vicreg(constant, constant) > 2 * 25 * 0.98
    np.testing.assert_allclose(barlow_twins(constant, constant), 3.0)
    np.testing.assert_allclose(vicreg_squared(constant, constant, centre=True), 3.0)
