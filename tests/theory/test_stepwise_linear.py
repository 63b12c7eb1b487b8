"""The exact solution of the linear model against direct integration."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy.integrate import solve_ivp

from jssl.data.pairs import cross_moment
from jssl.errors import InputError
from jssl.losses.linearized import barlow_twins_linearized
from jssl.theory import stepwise
from jssl.types import Pairs

EIGENVALUES = np.array([1.0, 0.6, 0.3, 0.0, -0.2, -0.7])
TIMES = np.array([0.0, 0.5, 1.5, 3.0, 6.0, 12.0])


def basis(m, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((m, m)))[0]


def integrate(start, gamma, times):
    """W at the times, by Runge-Kutta of order 8 on the flow written out once more."""
    shape, identity = start.shape, np.eye(len(start))

    def rate(_, w):
        w = w.reshape(shape)
        return (-4 * (w @ gamma @ w.T - identity) @ w @ gamma).ravel()

    run = solve_ivp(rate, (0, times[-1]), start.ravel(), "DOP853", times, rtol=1e-12, atol=1e-14)
    return run.y.T.reshape(-1, *shape)


def aligned_case(dim):
    columns = basis(len(EIGENVALUES))
    gamma = jnp.asarray((columns * EIGENVALUES) @ columns.T)
    top = stepwise.modes(gamma, dim)
    rotation, start_scales = basis(dim, 1), np.linspace(0.1, 0.3, dim)
    start = rotation @ (start_scales[:, None] * np.asarray(top.eigenvectors))
    return gamma, top, jnp.asarray(rotation), jnp.asarray(start_scales), start


def test_loss_and_velocity_are_those_of_barlow_twins_on_the_pairs():
    x, y, w = (
        np.random.default_rng(s).standard_normal(n)
        for s, n in ((0, (9, 4)), (1, (9, 4)), (2, (3, 4)))
    )
    gamma = cross_moment(Pairs(jnp.asarray(x), jnp.asarray(y)))
    value, slope = jax.value_and_grad(lambda w: barlow_twins_linearized(x @ w.T, y @ w.T))(w)
    np.testing.assert_allclose(stepwise.loss(jnp.asarray(w), gamma), value, rtol=1e-13)
    np.testing.assert_allclose(stepwise.velocity(jnp.asarray(w), gamma), -slope, rtol=1e-11)


def test_loss_derivatives_are_those_of_its_formula():
    gamma, _, _, _, start = aligned_case(2)
    weight = jnp.asarray(start) + 0.1

    def plain(weight, gamma):
        return ((weight @ gamma @ weight.T - jnp.eye(len(weight))) ** 2).sum()

    def derivatives(of):
        f, both = lambda w, g: of(w, (g + g.T) / 2), (0, 1)  # symmetric, as it has to be
        rows = jax.jacrev(jax.jacrev(f, both), both), jax.jacfwd(jax.jacrev(f, both), both)
        return jax.jit(lambda *at: (jax.grad(f, both)(*at), rows[0](*at), rows[1](*at)))

    check_grads(jax.jit(stepwise.loss), (weight, gamma), order=2, rtol=1e-5)
    for argument in (0, 1):
        here, there = (jax.jit(jax.grad(f, argument)) for f in (stepwise.loss, plain))
        np.testing.assert_allclose(
            here(weight, gamma), there(weight, gamma), rtol=1e-11, atol=1e-12
        )
    here, there = (derivatives(f)(weight, gamma) for f in (stepwise.loss, plain))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11), here, there)


def test_modes_are_descending_rows_that_rebuild_the_moment():
    gamma, *_ = aligned_case(2)
    values, rows = stepwise.modes(gamma)
    np.testing.assert_allclose(values, EIGENVALUES, atol=1e-14)
    np.testing.assert_allclose(rows.T @ (values[:, None] * rows), gamma, atol=1e-14)
    top = stepwise.modes(jnp.stack([gamma, 2 * gamma]), dim=2)
    np.testing.assert_allclose(top.eigenvalues[1], 2 * EIGENVALUES[:2], atol=1e-14)
    assert top.eigenvectors.shape == (2, 2, 6)


def test_weight_follows_the_flow_for_modes_of_every_sign():
    gamma, top, rotation, start_scales, start = aligned_case(5)
    exact = stepwise.weight(jnp.asarray(TIMES), start_scales, top, rotation)
    np.testing.assert_allclose(exact, integrate(start, np.asarray(gamma), TIMES), atol=1e-9)


def test_a_mode_above_its_end_comes_down_as_the_flow_does():
    scale = solve_ivp(
        lambda _, s: 4 * s * 0.5 * (1 - 0.5 * s**2), (0, 1), [3.0], "DOP853", rtol=1e-12, atol=1e-14
    ).y[0, -1]
    found = stepwise.scales(jnp.array(1.0), jnp.array([3.0]), jnp.array([0.5]))
    np.testing.assert_allclose(found, [scale], rtol=1e-9)


def test_mode_eigenvalues_and_staircase_are_those_of_the_weight():
    gamma, top, rotation, start_scales, _ = aligned_case(5)
    t = jnp.asarray(TIMES)
    w = stepwise.weight(t, start_scales, top, rotation)
    spectrum = np.linalg.eigvalsh(np.asarray(w @ gamma @ w.mT))
    found = stepwise.mode_eigenvalues(t, start_scales, top.eigenvalues)
    np.testing.assert_allclose(np.sort(found, axis=-1), spectrum, atol=1e-13)
    losses = stepwise.loss_staircase(t, start_scales, top.eigenvalues)
    np.testing.assert_allclose(losses, stepwise.loss(w, gamma), atol=1e-12)


def test_eigenvalue_is_the_sigmoid_about_its_critical_time():
    start, g = jnp.array([1e-4]), jnp.array([0.7])
    t = jnp.linspace(0, 6, 50)
    sigmoid = 1 / (1 + jnp.exp(-8 * g * (t - stepwise.critical_time(start, g))))
    found = stepwise.mode_eigenvalues(t, start, g)[:, 0]
    np.testing.assert_allclose(found, sigmoid, atol=2 * 0.7 * 1e-8)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_scales_and_gradients_are_finite_at_any_time(dtype):
    g = jnp.array([2.0, 1e-30, 0.0, -1e-30, -2.0], dtype)
    start = jnp.full(5, 1e-6, dtype)
    for t in (0.0, 1e-20, 1.0, 1e4, 1e30):
        value, slopes = jax.value_and_grad(lambda *a: stepwise.scales(*a).sum(), argnums=(0, 1, 2))(
            jnp.asarray(t, dtype), start, g
        )
        assert value.dtype == dtype
        assert all(np.isfinite(x).all() for x in (value, *slopes)), t


def test_gradients_are_those_of_finite_differences_on_both_sides_of_zero():
    start, t = jnp.full(3, 0.3), jnp.array(0.7)
    g = jnp.array([0.4, 0.0, -0.4])
    slope = jax.grad(lambda g: stepwise.scales(t, start, g).sum())(g)
    h = 1e-6
    numeric = (stepwise.scales(t, start, g + h) - stepwise.scales(t, start, g - h)) / (2 * h)
    np.testing.assert_allclose(slope, numeric, rtol=1e-8)


def test_limits_are_the_inverse_root_the_start_and_zero():
    g, start = jnp.array([4.0, 0.0, -1.0]), jnp.full(3, 1e-8)
    end = stepwise.scales(jnp.array(1e6), start, g)
    np.testing.assert_allclose(end, [0.5, 1e-8, 0.0], rtol=1e-14)
    np.testing.assert_allclose(stepwise.final_scales(g), [0.5, 0.0, 0.0])


def test_a_scale_of_zero_never_moves():
    for t in (1.0, 1e5):
        s = stepwise.scales(jnp.array(t), jnp.zeros(3), jnp.array([1.0, 0.0, -1.0]))
        assert (s == 0).all()


def test_final_weight_is_the_zero_loss_solution_of_least_norm():
    gamma, top, rotation, start_scales, _ = aligned_case(2)
    end = stepwise.final_weight(top, rotation)
    np.testing.assert_allclose(end, stepwise.weight(1e5, start_scales, top, rotation), atol=1e-13)
    assert stepwise.loss(end, gamma) < 1e-25
    norm = np.square(end).sum()
    np.testing.assert_allclose(norm, 1 / 1.0 + 1 / 0.6, rtol=1e-12)
    np.testing.assert_allclose(stepwise.minimum_norm(jnp.asarray(EIGENVALUES), 2), norm, rtol=1e-12)
    every = stepwise.modes(gamma)
    for chosen in itertools.combinations(range(3), 2):
        other = stepwise.final_weight(stepwise.Modes(*(x[np.array(chosen)] for x in every)))
        assert stepwise.loss(other, gamma) < 1e-25
        assert np.square(other).sum() >= norm - 1e-12


@pytest.mark.parametrize("m", [6, 40])
def test_a_mode_of_eigenvalue_zero_is_zero_whatever_the_sign_of_its_rounding(m):
    """Every basis rounds the zero eigenvalue in its own way, to either sign."""
    values = np.append(np.linspace(1, 0.1, m - 2), [0.0, -0.3])
    for seed in range(20):
        columns = basis(m, seed)
        found = stepwise.modes(jnp.asarray((columns * values) @ columns.T))
        assert (np.asarray(found.eigenvalues) > 0).sum() == m - 2
        assert np.square(stepwise.final_weight(found)).sum() < m * 10 + 1
    slopes = jax.jacobian(lambda g: stepwise.modes(g).eigenvalues.sum())(jnp.diag(values))
    np.testing.assert_allclose(slopes, np.eye(m), atol=1e-12)  # of the trace


def test_only_positive_modes_are_learned():
    gamma, top, rotation, _, start = aligned_case(5)
    end = stepwise.final_weight(top, rotation)
    np.testing.assert_allclose(stepwise.loss(end, gamma), 5 - 3, rtol=1e-12)
    late = integrate(start, np.asarray(gamma), np.array([0.0, 30.0]))[-1]
    np.testing.assert_allclose(stepwise.loss(late, gamma), 2, atol=1e-6)
    assert np.isinf(stepwise.minimum_norm(jnp.asarray(EIGENVALUES), 5))


def test_everything_jits_and_maps_over_seeds_and_times():
    gamma, top, _, start_scales, _ = aligned_case(3)

    @jax.jit
    def run(gamma, start_scales, t):
        return stepwise.weight(t, start_scales, stepwise.modes(gamma, 3))

    seeds = jnp.stack([start_scales, 2 * start_scales])
    t = jnp.asarray(TIMES).reshape(2, 3)
    found = jax.vmap(run, (None, 0, None))(gamma, seeds, t)
    assert found.shape == (2, 2, 3, 3, 6)
    alone = stepwise.weight(t[1, 2], seeds[1], top)
    np.testing.assert_allclose(found[1, 1, 2], alone, atol=1e-12)


@pytest.mark.parametrize(
    ("gamma", "dim", "says"),
    [
        (np.ones((2, 3)), None, "square"),
        (np.array([[1.0, np.nan], [np.nan, 1.0]]), None, "NaN"),
        (np.array([[1.0, np.inf], [np.inf, 1.0]]), None, "infinity"),
        (np.array([[1.0, 0.5], [0.1, 1.0]]), None, "symmetric"),
        (np.eye(2), 3, "dim"),
        (np.eye(2), 0, "dim"),
    ],
)
def test_bad_moments_are_refused(gamma, dim, says):
    with pytest.raises(InputError, match=says) as error:
        stepwise.modes(jnp.asarray(gamma), dim)
    assert "\n" not in str(error.value)
