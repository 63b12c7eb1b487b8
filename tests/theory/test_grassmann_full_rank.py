"""The flow from any start and of frozen features, against scipy's integrator."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from grassmann_oracles import breaks, integrate, symmetric

from jssl.theory import grassmann

RNG = np.random.default_rng(3)
C = symmetric(RNG, 7) / 2
W = RNG.normal(size=(7, 3)) / 4
PHI = RNG.normal(size=(12, 8)) / 2
KERNEL = PHI.T @ PHI
PAIRING = np.asarray(grassmann.pairing_matrix(4)) * 1.0
READOUT = np.linalg.qr(RNG.normal(size=(12, 2)))[0]


def relaxed_velocity(w):
    return -2 * (C @ w - w @ (w.T @ C @ w))


def test_outer_product_solves_the_flow_from_any_start():
    for time in (0.0, 0.8, 4.0):
        end = integrate(relaxed_velocity, W, time) if time else W
        np.testing.assert_allclose(
            grassmann.outer_product(C, W, time), end @ end.T, rtol=1e-7, atol=1e-8
        )


def test_outer_product_equals_the_literal_form_early_and_outlives_it():
    def literal(t):
        e = scipy.linalg.expm(-2 * t * C)
        middle = np.eye(3) + W.T @ (e @ e - np.eye(7)) @ W
        return e @ W @ np.linalg.inv(middle) @ W.T @ e

    early = grassmann.outer_product(C, W, 0.3)
    np.testing.assert_allclose(early, literal(0.3), atol=1e-10)
    late = np.asarray(grassmann.outer_product(C, W, 25.0))
    end = integrate(relaxed_velocity, W, 25.0)
    np.testing.assert_allclose(late, end @ end.T, atol=1e-8)
    assert breaks(lambda: literal(25.0), late, 0.1)


def test_outer_product_from_an_orthonormal_start_is_the_projector():
    w = np.linalg.qr(W)[0]
    times = np.array([0.0, 0.5, 3.0])
    np.testing.assert_allclose(
        grassmann.outer_product(C, w, times), grassmann.projector(C, w, times), atol=1e-10
    )


def test_positive_directions_shrink_without_overflow():
    c = np.diag([1.0, 2.0, 3.0])
    w = np.array([[0.3], [0.2], [0.4]])
    seen = np.asarray(grassmann.outer_product(c, w, np.array([0.5, 200.0, 1000.0])))
    end = integrate(lambda w: -2 * (c @ w - w @ (w.T @ c @ w)), w, 0.5)
    np.testing.assert_allclose(seen[0], end @ end.T, rtol=1e-8)
    assert np.isfinite(seen).all()
    np.testing.assert_allclose(seen[1:], 0, atol=1e-30)


def test_a_blow_up_in_finite_time_gives_nan_from_there_on():
    """Here s' = 2 (s^3 - s) from s = 2 for C = I in the plane: s^-2 = 1 - (3/4) e^{4t}."""
    c, w = np.eye(2), np.array([[2.0], [0.0]])
    blow_up = np.log(4 / 3) / 4
    before, after = grassmann.outer_product(c, w, blow_up * np.array([0.9, 1.1]))
    expected = 1 / (1 - 0.75 * np.exp(4 * 0.9 * blow_up))
    np.testing.assert_allclose(before[0, 0], expected, rtol=1e-10)
    assert np.isnan(after[0, 0])


def test_frozen_features_follow_the_constrained_descent_of_their_readout():
    objective = PHI @ PAIRING @ PHI.T
    gradient = jax.jit(jax.grad(lambda w: jnp.trace(w.T @ objective @ w)))

    def velocity(w):
        g = np.asarray(gradient(w))
        return -(g - w @ (w.T @ g))

    for time in (0.5, 6.0):
        f = integrate(velocity, READOUT, time).T @ PHI
        seen = grassmann.frozen_gram(KERNEL, PAIRING, READOUT.T @ PHI, time)
        np.testing.assert_allclose(seen, f.T @ f, atol=1e-7)


def test_frozen_gram_is_closed_in_the_kernel():
    """F' = -2 F M (K - F^T F), integrated without the features."""

    def velocity(f):
        return -2 * f @ PAIRING @ (KERNEL - f.T @ f)

    f = integrate(velocity, READOUT.T @ PHI, 2.0)
    seen = grassmann.frozen_gram(KERNEL, PAIRING, READOUT.T @ PHI, 2.0)
    np.testing.assert_allclose(seen, f.T @ f, atol=1e-8)


def test_frozen_gram_equals_the_literal_form_early_and_outlives_it():
    f = READOUT.T @ PHI

    def literal(t):
        g = f @ scipy.linalg.expm(-2 * t * PAIRING @ KERNEL)
        change = scipy.linalg.expm(-4 * t * KERNEL @ PAIRING) - np.eye(8)
        return g.T @ np.linalg.inv(np.eye(2) + f @ np.linalg.inv(KERNEL) @ change @ f.T) @ g

    np.testing.assert_allclose(
        grassmann.frozen_gram(KERNEL, PAIRING, f, 0.05), literal(0.05), atol=1e-8
    )
    values, vectors = np.linalg.eigh(PHI @ PAIRING @ PHI.T)
    time = 60.0 / (values[2] - values[1])
    late, bottom = grassmann.frozen_gram(KERNEL, PAIRING, f, time), PHI.T @ vectors[:, :2]
    np.testing.assert_allclose(late, bottom @ bottom.T, atol=1e-8)
    assert breaks(lambda: literal(time), late, 0.1)


def test_a_point_used_twice_makes_no_difference():
    phi = PHI.copy()
    phi[:, 5] = phi[:, 1]  # K is singular
    f = READOUT.T @ phi
    kernel = phi.T @ phi
    end = integrate(lambda f: -2 * f @ PAIRING @ (kernel - f.T @ f), f, 2.0)
    seen = grassmann.frozen_gram(kernel, PAIRING, f, 2.0)
    np.testing.assert_allclose(seen, end.T @ end, atol=1e-7)


def test_fewer_features_than_points_leave_the_rest_of_the_spectrum_out():
    """Of three eigenvalues one is negative, so the null space of K would come second of dim = 2."""
    phi, readout = PHI[:3], np.linalg.qr(RNG.normal(size=(3, 2)))[0]
    objective = phi @ PAIRING @ phi.T
    sign = 1 if np.sum(np.linalg.eigvalsh(objective) < 0) == 1 else -1
    assert np.sum(np.linalg.eigvalsh(sign * objective) < 0) == 1
    kernel, f = phi.T @ phi, readout.T @ phi
    end = integrate(lambda f: -2 * sign * f @ PAIRING @ (kernel - f.T @ f), f, 2.0)
    seen = grassmann.frozen_gram(kernel, sign * PAIRING, f, 2.0)
    np.testing.assert_allclose(seen, end.T @ end, atol=1e-7)


def test_supervised_outputs_follow_gradient_descent_of_the_squared_error():
    targets = RNG.normal(size=(2, 8))
    gradient = jax.jit(jax.grad(lambda v: jnp.square(v.T @ PHI - targets).sum() / 2))
    end = integrate(lambda v: -np.asarray(gradient(v)), READOUT, 0.7)
    seen = grassmann.supervised_outputs(KERNEL, READOUT.T @ PHI, targets, np.array([0.7]))
    np.testing.assert_allclose(seen[0], end.T @ PHI, atol=1e-8)
