"""Critical points and Hessians against automatic differentiation, stability against descent."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.errors import InputError
from jssl.theory import stepwise

EIGENVALUES = np.array([1.0, 0.6, 0.3, -0.2, -0.7])


def rotated(eigenvalues, seed=0):
    m = len(eigenvalues)
    columns = np.linalg.qr(np.random.default_rng(seed).standard_normal((m, m)))[0]
    return (columns * eigenvalues) @ columns.T


def direct_spectrum(weight, gamma):
    """Hessian spectrum by differences of the gradient, exact since that is a cubic polynomial."""
    weight, (dim, m) = np.asarray(weight), weight.shape

    def gradient(w):
        return 4 * (w @ gamma @ w.mT - np.eye(dim)) @ w @ gamma

    directions = np.eye(dim * m).reshape(-1, dim, m)
    one, two = (
        gradient(weight + h * directions) - gradient(weight - h * directions) for h in (1, 2)
    )
    return np.linalg.eigvalsh(((8 * one - two) / 12).reshape(dim * m, -1))[::-1]


GAMMA = rotated(EIGENVALUES)
ROTATION = np.linalg.qr(np.random.default_rng(5).standard_normal((4, 4)))[0]


@pytest.mark.parametrize("dim", [1, 2, 3, 4])
def test_hessian_at_the_end_of_a_small_start(dim):
    rotation = np.linalg.qr(ROTATION[:dim, :dim])[0]
    weight = stepwise.final_weight(stepwise.modes(GAMMA, dim), jnp.asarray(rotation))
    found = stepwise.hessian_spectrum(jnp.asarray(EIGENVALUES), dim)
    np.testing.assert_allclose(found, direct_spectrum(weight, GAMMA), atol=1e-11)


@pytest.mark.parametrize("learned", [(), (0,), (1,), (0, 2), (1, 2), (0, 1, 2)])
def test_hessian_at_every_other_critical_point(learned):
    every, dim = stepwise.modes(GAMMA), 3
    mask = np.isin(np.arange(5), learned)
    values, rows = every.eigenvalues[mask], every.eigenvectors[mask]
    frame = np.linalg.qr(ROTATION[:3, :3])[0][:, : len(learned)]
    weight = jnp.asarray(frame @ (values[:, None] ** -0.5 * rows))
    found = jax.jit(stepwise.hessian_spectrum, static_argnums=1)(
        jnp.asarray(EIGENVALUES), dim, jnp.asarray(mask)
    )
    np.testing.assert_allclose(found, direct_spectrum(weight, GAMMA), atol=1e-11)

    point = stepwise.criticality(weight, GAMMA)
    np.testing.assert_allclose(point.gradient_norm, 0, atol=1e-13)
    np.testing.assert_allclose(point.projector_defect, 0, atol=1e-13)
    np.testing.assert_allclose(point.rank, len(learned), atol=1e-13)
    np.testing.assert_allclose(point.loss, dim - len(learned), atol=1e-13)
    levels = stepwise.critical_points(jnp.asarray(EIGENVALUES), dim)
    assert bool(levels.saddle[len(learned)]) == (found[-1] < -1e-9)


def test_the_loss_alone_does_not_select_the_top_modes():
    eigenvalues = jnp.asarray(EIGENVALUES)
    for learned in ([True, True, False, False, False], [False, True, True, False, False]):
        spectrum = stepwise.hessian_spectrum(eigenvalues, 2, jnp.array(learned))
        assert (spectrum > 0).sum() == 3
        assert (spectrum < 0).sum() == 0


def test_critical_levels_stop_at_the_positive_modes():
    levels = stepwise.critical_points(jnp.asarray(EIGENVALUES), 4)
    assert levels.rank.tolist() == [0, 1, 2, 3, 4]
    assert levels.loss.tolist() == [4, 3, 2, 1, 0]
    assert levels.exists.tolist() == [True, True, True, True, False]
    assert levels.saddle.tolist() == [True, True, True, False, False]


def test_a_weight_that_is_not_critical_is_told_so():
    weight = jnp.asarray(0.3 * ROTATION[:2, :4] @ np.eye(4, 5))
    point = stepwise.criticality(weight, GAMMA)
    assert point.gradient_norm > 0.01
    assert point.projector_defect > 0.01


def test_no_start_gets_stuck():
    """From 200 starts of every size, descent ends at dim - min(dim, positive modes)."""
    for dim, end in ((2, 0.0), (4, 1.0)):
        draws = np.random.default_rng(dim).standard_normal((200, dim, 5))
        starts = jnp.asarray(draws * np.geomspace(0.01, 1, 200)[:, None, None])

        def step(_, w):
            return w + 0.02 * stepwise.velocity(w, GAMMA)

        weights = jax.jit(lambda w: jax.lax.fori_loop(0, 4000, step, w))(starts)
        np.testing.assert_allclose(stepwise.loss(weights, GAMMA), end, atol=1e-8)


def test_descent_is_stable_below_the_threshold_and_slides_above_it():
    threshold = stepwise.stability_threshold(jnp.asarray(EIGENVALUES))
    np.testing.assert_allclose(threshold, 0.25)
    top = stepwise.modes(GAMMA, 2)
    end = stepwise.final_weight(top)
    start = end + 1e-4 * np.random.default_rng(0).standard_normal(end.shape)

    def descend(rate):
        def step(_, w):
            return w + rate * stepwise.velocity(w, GAMMA)

        return jax.lax.fori_loop(0, 20000, step, start)

    stable, slid = descend(0.98 * threshold), descend(1.06 * threshold)
    assert np.linalg.norm(stable - end) < 1e-3
    assert np.linalg.norm(slid - end) > 1e-2
    assert stepwise.loss(slid, GAMMA) < 1e-8
    assert stepwise.sharpness(slid, GAMMA) <= 2 / (1.06 * threshold) * 1.02


def test_the_stability_threshold_is_two_over_the_sharpness():
    end = stepwise.final_weight(stepwise.modes(GAMMA, 2))
    sharpness = stepwise.sharpness(end, GAMMA)
    np.testing.assert_allclose(sharpness, 8.0, rtol=1e-12)
    np.testing.assert_allclose(
        stepwise.stability_threshold(jnp.asarray(EIGENVALUES)), 2 / sharpness
    )
    assert np.isinf(stepwise.stability_threshold(jnp.zeros(2)))


@pytest.mark.parametrize(("scale", "dim"), [(0.0, 2), (0.01, 2), (0.5, 2), (2.0, 4)])
def test_sharpness_is_the_largest_hessian_eigenvalue(scale, dim):
    draws = np.random.default_rng(dim)
    weight = jnp.asarray(scale * draws.standard_normal((dim, 5)))
    exact = direct_spectrum(weight, GAMMA)[0]
    np.testing.assert_allclose(stepwise.sharpness(weight, GAMMA), exact, rtol=1e-9)


def test_sharpness_may_be_negative_and_needs_few_products():
    positive = rotated(np.array([3.0, 2.0, 1.0]))
    np.testing.assert_allclose(stepwise.sharpness(jnp.zeros((2, 3)), positive), -4.0, rtol=1e-9)
    gamma = rotated(np.geomspace(1, 1e-3, 30))
    weight = jnp.asarray(np.random.default_rng(1).standard_normal((6, 30)))
    exact = direct_spectrum(weight, gamma)[0]
    np.testing.assert_allclose(stepwise.sharpness(weight, gamma), exact, rtol=1e-6)


@pytest.mark.parametrize("function", [stepwise.critical_points, stepwise.hessian_spectrum])
def test_a_dim_below_one_is_refused(function):
    with pytest.raises(InputError, match="dim"):
        function(jnp.asarray(EIGENVALUES), 0)
