"""The exact flow against scipy's integrator, the literal formula, and retracted descent."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.linalg
from grassmann_oracles import breaks, integrate, symmetric
from hypothesis import given, settings
from hypothesis import strategies as st

import jssl
from jssl.optim import grassmann_sgd, stiefel_sgd
from jssl.theory import grassmann

RNG = np.random.default_rng(2)
C = symmetric(RNG, 8) / 2
W = np.linalg.qr(RNG.normal(size=(8, 3)))[0]


def riemannian_velocity(w):
    """-(I - W W^T) dL/dW, the gradient taken by JAX."""
    g = np.asarray(_gradient(w))
    return -(g - w @ (w.T @ g))


_gradient = jax.jit(jax.grad(lambda w: jnp.trace(w.T @ C @ w)))


def literal(c, w, t):
    """G-6 as the paper writes it, at twice its time."""
    e = scipy.linalg.expm(-2 * t * c) @ w
    return e @ np.linalg.inv(e.T @ e) @ e.T


def test_velocity_is_minus_the_riemannian_gradient_of_the_loss():
    np.testing.assert_allclose(grassmann.velocity(C, W), riemannian_velocity(W), atol=1e-12)


def test_loss_falls_at_the_squared_norm_of_the_velocity():
    h = 1e-5
    before, after = grassmann.excess_loss(C, W, np.array([0.3 - h, 0.3 + h]))
    basis = grassmann.subspace(C, W, 0.3)
    rate = -np.sum(np.square(grassmann.velocity(C, basis)))
    np.testing.assert_allclose((after - before) / (2 * h), rate, rtol=1e-6)


def test_projector_solves_the_flow():
    end = integrate(riemannian_velocity, W, 1.3)
    np.testing.assert_allclose(grassmann.projector(C, W, 1.3), end @ end.T, atol=1e-9)


def test_safe_form_equals_the_literal_one_early_and_outlives_it():
    times = np.array([0.0, 0.5, 2.0])
    expected = [literal(C, W, t) for t in times]
    np.testing.assert_allclose(grassmann.projector(C, W, times), expected, atol=1e-9)
    late = np.asarray(grassmann.projector(C, W, 40.0))
    np.testing.assert_allclose(late @ late, late, atol=1e-12)
    np.testing.assert_allclose(np.trace(late), 3, rtol=1e-12)
    assert breaks(lambda: literal(C, W, 40.0), late, 0.1)


def test_a_basis_of_the_span_is_all_that_the_start_contributes():
    mixed = W @ RNG.normal(size=(3, 3))
    np.testing.assert_allclose(
        grassmann.projector(C, mixed, 0.8), grassmann.projector(C, W, 0.8), atol=1e-11
    )


def test_angles_and_excess_loss_are_those_of_the_projector():
    values, vectors = np.linalg.eigh(C)
    p = np.asarray(grassmann.projector(C, W, 0.6))
    cosines = np.linalg.svd(vectors[:, :3].T @ scipy.linalg.orth(p), compute_uv=False)
    np.testing.assert_allclose(np.cos(grassmann.optimum_angles(C, W, 0.6)), cosines, atol=1e-10)
    np.testing.assert_allclose(
        grassmann.excess_loss(C, W, 0.6), np.trace(p @ C) - values[:3].sum(), rtol=1e-10
    )
    np.testing.assert_allclose(grassmann.optimal_loss(C, 3), values[:3].sum(), rtol=1e-12)


def test_angles_below_rounding_keep_decaying_at_the_convergence_rate():
    rate = float(grassmann.convergence_rate(C, 3))
    times = np.array([40.0, 60.0]) / rate
    largest = np.asarray(grassmann.optimum_angles(C, W, times))[:, -1]
    assert largest.max() < 1e-15
    np.testing.assert_allclose(-np.diff(np.log(largest))[0], 20.0, rtol=1e-6)
    excess = np.asarray(grassmann.excess_loss(C, W, times))
    np.testing.assert_allclose(-np.diff(np.log(excess))[0], 40.0, rtol=1e-6)


def descend(make, rate, steps, **options):
    tx = make(rate, **options)

    def step(carry, _):
        w, state = carry
        updates, state = tx.update(_gradient(w), state, w)
        return (optax.apply_updates(w, updates), state), None

    start = (jnp.asarray(W), tx.init(jnp.asarray(W)))
    return np.asarray(jax.jit(lambda c: jax.lax.scan(step, c, None, length=steps)[0][0])(start))


def distance(a, b):
    return float(np.linalg.norm(np.asarray(a) - np.asarray(b)))


@pytest.mark.parametrize("make", [stiefel_sgd, grassmann_sgd])
def test_retracted_descent_meets_the_flow_at_learning_rate_times_step(make):
    """The error is first order: it halves with the learning rate (to second order, 10 %)."""
    exact = grassmann.projector(C, W, 1.0)
    errors = []
    for rate in (0.02, 0.01):
        w = descend(make, rate, round(1.0 / rate))
        errors.append(distance(w @ w.T, exact))
    assert errors[1] < 0.02
    np.testing.assert_allclose(errors[0] / errors[1], 2.0, rtol=0.1)


def test_descent_contracts_by_the_predicted_local_factor():
    """Every mode contracts by 1 - 2 lr (l_i - l_j), so the slowest decides after many steps."""
    rate = 0.5 * float(grassmann.stable_learning_rate(C))
    bottom = np.linalg.eigh(C)[1][:, :3]
    sines = []
    for steps in (150, 151):
        w = descend(grassmann_sgd, rate, steps)
        sines.append(np.linalg.norm(w - bottom @ (bottom.T @ w), 2))
    expected = 1 - rate * float(grassmann.convergence_rate(C, 3))
    np.testing.assert_allclose(sines[1] / sines[0], expected, rtol=1e-4)


@pytest.mark.parametrize("factor", [0.95, 1.05])
def test_stable_learning_rate_is_the_border_at_the_optimum(factor):
    """For dim = 1 the top mode grows exactly when 2 lr (l_d - l_1) > 2."""
    vectors = np.linalg.eigh(C)[1]
    rate = factor * float(grassmann.stable_learning_rate(C))
    w = jnp.asarray(vectors[:, :1] + 1e-6 * vectors[:, -1:])
    w = w / jnp.linalg.norm(w)
    tx = grassmann_sgd(rate)
    for _ in range(8):
        w = optax.apply_updates(w, tx.update(_gradient(w), tx.init(w), w)[0])
    tilt = abs(float(vectors[:, -1] @ w[:, 0]))
    assert (tilt > 1e-6) == (factor > 1)


@pytest.mark.parametrize(("metric", "expected"), [("canonical", 3.0), ("euclidean", 2.0)])
def test_depth_speeds_the_product_by_its_multiplier(metric, expected):
    """Three layers, integrated; hidden layers move on O(8), the last on St(8, 3)."""
    assert grassmann.depth_multiplier(3, metric) == expected
    manifold = jssl.manifolds.Stiefel(metric=metric)
    start = np.concatenate([*(np.linalg.qr(RNG.normal(size=(8, 8)))[0] for _ in range(2)), W], 1)

    def end_to_end(layers):
        return layers[:, :8] @ layers[:, 8:16] @ layers[:, 16:]

    gradient = jax.grad(lambda x: jnp.trace(end_to_end(x).T @ C @ end_to_end(x)))

    @jax.jit
    def velocity(layers):
        g = gradient(layers)
        parts = zip(*(jnp.split(a, [8, 16], axis=1) for a in (layers, g)), strict=True)
        return -jnp.concatenate([manifold.gradient(x, part) for x, part in parts], axis=1)

    end = end_to_end(integrate(lambda x: np.asarray(velocity(x)), start, 0.4))
    exact = grassmann.projector(C, end_to_end(start), 0.4 * expected)
    np.testing.assert_allclose(end @ end.T, exact, atol=1e-8)


def test_a_start_that_misses_a_bottom_eigenvector_is_refused():
    vectors = np.linalg.eigh(C)[1]
    for solve in (grassmann.projector, grassmann.outer_product):
        with pytest.raises(jssl.InputError, match="orthogonal to one of the bottom 2"):
            solve(C, vectors[:, [0, 4]], 1.0)


def test_square_weights_are_refused():
    with pytest.raises(jssl.InputError, match="dim"):
        grassmann.projector(C, np.eye(8), 1.0)


def test_flow_is_compiled_mapped_and_differentiated():
    starts = jnp.asarray(np.linalg.qr(RNG.normal(size=(4, 8, 3)))[0])
    solve = jax.jit(jax.vmap(lambda w: grassmann.projector(C, w, jnp.array([0.1, 1.0]))))
    one = grassmann.projector(C, starts[2], 1.0)
    np.testing.assert_allclose(solve(starts)[2, 1], one, atol=1e-12)
    slope = jax.grad(lambda t: grassmann.excess_loss(C, W, t))(0.3)
    rate = -np.sum(np.square(grassmann.velocity(C, grassmann.subspace(C, W, 0.3))))
    np.testing.assert_allclose(slope, rate, rtol=1e-10)


@settings(max_examples=12, deadline=None)
@given(
    shape=st.sampled_from([(2, 1), (4, 2), (5, 4)]),
    scale=st.floats(0.01, 10),
    time=st.floats(0, 100),
    seed=st.integers(0, 2**20),
)
def test_projector_is_one_of_rank_dim_that_only_improves(shape, scale, time, seed):
    d, dim = shape
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(d, d)) * scale
    c, w = (a + a.T) / 2, np.linalg.qr(rng.normal(size=(d, dim)))[0]
    p = np.asarray(grassmann.projector(c, w, time))
    np.testing.assert_allclose(p @ p, p, atol=1e-11)
    np.testing.assert_allclose(np.trace(p), dim, rtol=1e-11)
    best = np.linalg.eigvalsh(c)[:dim].sum()
    loss, start = np.trace(p @ c), np.trace(w.T @ c @ w)
    assert best - 1e-10 * scale * d <= loss <= start + 1e-10 * scale * d
