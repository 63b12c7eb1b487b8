"""Naive descent against scipy's integrator and matrix exponential; the rate of collapse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from grassmann_oracles import integrate, symmetric

from jssl.theory import grassmann

RNG = np.random.default_rng(1)


C, W = symmetric(RNG, 6) / 3, RNG.normal(size=(6, 3))
PHI = RNG.normal(size=(10, 8)) / 3
KERNEL, PAIRING = PHI.T @ PHI, np.asarray(grassmann.pairing_matrix(4)) * 1.0
F = RNG.normal(size=(2, 8))


def test_naive_weight_solves_the_gradient_flow_of_the_loss():
    loss_gradient = jax.jit(jax.grad(lambda w: jnp.trace(w.T @ C @ w)))
    end = integrate(lambda w: -np.asarray(loss_gradient(w)), W, 1.5)
    np.testing.assert_allclose(grassmann.naive_weight(C, W, 1.5), end, rtol=1e-8)


def test_naive_descent_at_a_fixed_norm_is_its_own_flow():
    def velocity(w):
        return -2 * (C @ w - np.trace(w.T @ C @ w) / np.sum(w * w) * w)

    end = integrate(velocity, W, 3.0)
    seen = grassmann.naive_weight(C, W, 3.0, fixed_norm=True)
    np.testing.assert_allclose(seen, end, rtol=1e-7, atol=1e-9)


def test_naive_outputs_equal_the_matrix_exponential():
    times = np.array([0.0, 0.7, 5.0])
    expected = [F @ scipy.linalg.expm(-2 * t * PAIRING @ KERNEL) for t in times]
    np.testing.assert_allclose(
        grassmann.naive_outputs(KERNEL, PAIRING, F, times), expected, rtol=1e-9, atol=1e-11
    )


def test_naive_outputs_follow_gradient_descent_of_the_features_readout():
    """F = V^T Phi under V' = -dL/dV: the factor 2 and the order M K."""
    readout = RNG.normal(size=(10, 2))
    loss_gradient = jax.jit(jax.grad(lambda v: jnp.trace(v.T @ PHI @ PAIRING @ PHI.T @ v)))
    end = integrate(lambda v: -np.asarray(loss_gradient(v)), readout, 1.0)
    seen = grassmann.naive_outputs(KERNEL, PAIRING, readout.T @ PHI, 1.0)
    np.testing.assert_allclose(seen, end.T @ PHI, rtol=1e-7, atol=1e-9)


def test_naive_outputs_need_no_inverse_of_the_kernel():
    thin = PHI[:3]
    kernel = thin.T @ thin  # rank 3 of 8
    expected = F @ scipy.linalg.expm(-2 * PAIRING @ kernel)
    np.testing.assert_allclose(
        grassmann.naive_outputs(kernel, PAIRING, F, 1.0), expected, rtol=1e-9, atol=1e-11
    )


def test_outputs_at_a_fixed_norm_keep_their_direction_and_never_overflow():
    plain = np.asarray(grassmann.naive_outputs(KERNEL, PAIRING, F, 2.0))
    scaled = np.asarray(grassmann.naive_outputs(KERNEL, PAIRING, F, 2.0, fixed_norm=True))
    np.testing.assert_allclose(
        scaled / np.linalg.norm(F), plain / np.linalg.norm(plain), rtol=1e-9, atol=1e-12
    )
    late = grassmann.naive_outputs(KERNEL, PAIRING, F, 1e5, fixed_norm=True)
    np.testing.assert_allclose(np.linalg.norm(late), np.linalg.norm(F), rtol=1e-12)


@pytest.mark.parametrize("fixed_norm", [False, True])
def test_singular_values_part_at_the_predicted_rate_with_or_without_a_norm(fixed_norm):
    """The slope's own correction is e^{-2 (l3 - l1) t}: below 1e-4 at these times."""
    objective = np.diag([-1.0, -0.6, 0.4, 0.5, 0.9, 1.0])
    times = np.array([5.0, 8.0])
    weights = grassmann.naive_weight(objective, W, times, fixed_norm=fixed_norm)
    s = np.linalg.svd(weights, compute_uv=False)
    slope = np.diff(np.log(s[:, 1] / s[:, 0]))[0] / 3.0
    np.testing.assert_allclose(-slope, grassmann.collapse_rate(objective), rtol=1e-4)
    np.testing.assert_allclose(grassmann.collapse_rate(objective), 0.8, rtol=1e-12)


def test_outputs_collapse_at_the_rate_of_the_kernel_objective():
    rate = float(grassmann.collapse_rate(grassmann.kernel_objective(KERNEL, PAIRING)))
    times = np.array([20.0, 24.0]) / rate
    f = np.array([F @ scipy.linalg.expm(-2 * t * PAIRING @ KERNEL) for t in times])
    s = np.linalg.svd(f, compute_uv=False)
    slope = np.diff(np.log(s[:, 1] / s[:, 0]))[0] / (times[1] - times[0])
    np.testing.assert_allclose(-slope, rate, rtol=1e-2)
