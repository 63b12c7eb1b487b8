"""Finite batches: exact means and variances against simulation and known values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize_scalar

from jssl.errors import InputError
from jssl.losses import bhep, sigreg
from jssl.theory.isotropy.samples import (
    UNIT,
    expected_value,
    floor,
    grid_value,
    null_variance,
    pooled_views_value,
    shrunk_variance,
    slice_value,
    truncated_value,
)


def test_a_slice_has_the_known_values():
    found = [slice_value(0.0), slice_value(4.0), slice_value(0.5, 0.7, width=0.64)]
    np.testing.assert_allclose(found, [0.163136707, 0.094187022, 0.124397350], atol=1e-9)


@pytest.mark.parametrize(
    ("variance", "known"),
    [(0.0, (0.408923, 0.402234, 0.402048)), (2.0, (0.061572478, 0.061572188, 0.061572121))],
)
def test_grids_have_the_known_values(variance, known):
    found = [UNIT * slice_value(variance), truncated_value(variance, 3.0), grid_value(variance)]
    np.testing.assert_allclose(found, known, atol=1e-6 if variance == 0 else 1e-8)

    def gap(t):
        return (np.exp(-variance * t**2 / 2) - np.exp(-(t**2) / 2)) ** 2 * np.exp(-(t**2) / 2)

    for limit in (3.0, 5.0):
        expected = quad(gap, -limit, limit, epsabs=1e-13)[0]
        np.testing.assert_allclose(truncated_value(variance, limit), expected, rtol=1e-9)


def test_the_grid_of_the_paper_is_the_whole_line_for_small_variances_only():
    away = {v: grid_value(v, "paper") / (UNIT * slice_value(v)) - 1 for v in (0.0, 0.9, 4.0, 10.0)}
    assert max(abs(away[0.0]), abs(away[0.9])) < 2e-5
    assert away[4.0] > 0.02
    assert away[10.0] > 0.1
    t = np.linspace(-5, 5, 17)
    gap = (np.exp(-2 * t**2) - np.exp(-(t**2) / 2)) ** 2 * np.exp(-(t**2) / 2)
    np.testing.assert_allclose(grid_value(4.0, "paper"), np.trapezoid(gap, t), rtol=1e-12)


def test_floors_have_the_known_values():
    np.testing.assert_allclose(
        [floor(grid="exact"), floor(grid="code")], [1.059426, 1.052464], atol=1e-6
    )
    assert abs(floor(grid="paper") - floor(grid="exact")) < 3e-6
    assert floor(5, regulariser="bhep") == 1 - (1 + 0.8) ** -2.5


@pytest.mark.parametrize("grid", ["code", "exact"])
def test_the_floor_is_the_mean_of_the_loss_on_perfect_embeddings(grid):
    z = np.random.default_rng(0).normal(size=(2_000, 24, 3))
    a = np.eye(3)
    loss = jax.jit(jax.vmap(lambda z: sigreg(z, z, slices=a, grid=grid)))
    values = np.asarray(loss(jnp.asarray(z)))
    assert abs(values.mean() - floor(grid=grid)) < 4 * values.std() / len(z) ** 0.5


@pytest.mark.parametrize("samples", [2, 10])
def test_means_over_batches_are_exact_for_every_batch_size(samples):
    s = np.array([2.0, 0.3])
    z = np.random.default_rng(1).normal(size=(20_000, samples, 2)) * s**0.5
    values = np.asarray(jax.jit(jax.vmap(lambda z: bhep(z, z, width=1.0)))(jnp.asarray(z)))
    expected = expected_value(s, samples, regulariser="bhep", width=1.0)
    assert abs(values.mean() - expected) < 4 * values.std() / len(z) ** 0.5
    assert abs(values.mean() - expected_value(s, 4 * samples, regulariser="bhep", width=1.0)) > (
        8 * values.std() / len(z) ** 0.5
    )


def test_the_mean_of_sigreg_over_batches_and_directions_is_exact():
    s = np.array([2.0, 0.3, 1.0])
    rng = np.random.default_rng(2)
    z, a = rng.normal(size=(8_000, 6, 3)) * s**0.5, rng.normal(size=(8_000, 2, 3))
    loss = jax.vmap(lambda z, a: sigreg(z, z, slices=a, grid="exact"))
    values = np.asarray(jax.jit(loss)(jnp.asarray(z), jnp.asarray(a))) / (6 * UNIT)
    assert abs(values.mean() - expected_value(s, 6)) < 4 * values.std() / len(z) ** 0.5


def test_pooled_views_of_one_image_are_not_independent():
    s, noise, n = np.array([1.0, 0.6]), np.array([0.2, 0.1]), 10
    rng = np.random.default_rng(3)
    image = rng.normal(size=(20_000, n, 1, 2)) * (s - noise) ** 0.5
    z = (image + rng.normal(size=(20_000, n, 2, 2)) * noise**0.5).reshape(20_000, 2 * n, 2)
    values = np.asarray(jax.jit(jax.vmap(lambda z: bhep(z, z, width=1.0)))(jnp.asarray(z)))
    error = values.std() / len(z) ** 0.5
    expected = pooled_views_value(s, noise, n, 2, width=1.0)
    assert abs(values.mean() - expected) < 4 * error
    independent = expected_value(s, 2 * n, regulariser="bhep", width=1.0)
    assert abs(values.mean() - independent) > 20 * error


def test_variances_at_the_target_are_known_and_seen():
    found = [null_variance(), null_variance(samples=40)]
    np.testing.assert_allclose(found, [0.146880, 0.145230], atol=1e-6)
    z = np.random.default_rng(4).normal(size=(40_000, 12, 3))
    values = 12 * np.asarray(jax.jit(jax.vmap(lambda z: bhep(z, z)))(jnp.asarray(z)))
    away = (values - values.mean()) ** 2
    error = 4 * away.std() / len(z) ** 0.5
    assert abs(away.mean() - null_variance(3, 12, width=2 / 3)) < error
    assert abs(values.mean() - floor(3, regulariser="bhep")) < 4 * values.std() / len(z) ** 0.5


def test_shrinkage_has_the_known_values_and_is_the_minimum_of_the_mean():
    found = [shrunk_variance(n) for n in (16, 64, 256)]
    np.testing.assert_allclose(found, [0.878766, 0.968992, 0.992203], atol=1e-6)
    np.testing.assert_allclose(
        shrunk_variance(64, 8, regulariser="bhep", width=1.0), 0.990595, atol=1e-6
    )
    for regulariser, width in (("sigreg", None), ("bhep", None), ("bhep", 1.0)):

        def mean(v, regulariser=regulariser, width=width):
            s = np.full(4, v)
            return expected_value(s, 32, regulariser=regulariser, width=width)

        least = minimize_scalar(mean, bounds=(0.5, 1.2), method="bounded", options={"xatol": 1e-9})
        stated = shrunk_variance(32, 4, regulariser=regulariser, width=width)
        np.testing.assert_allclose(stated, least.x, atol=1e-6)
        assert stated < 0.99


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: expected_value(np.ones(2), 1), "at least 2; got 1"),
        (lambda: null_variance(3, 1), "at least 2; got 1"),
        (lambda: shrunk_variance(1), "samples in a batch must be a number at least 2"),
        (lambda: floor(0, regulariser="bhep"), "dim must be a whole number"),
        (lambda: floor(grid="codes"), "a grid is one of code, paper, exact"),
        (lambda: floor(np.nan), "dim must be a whole number"),
        (lambda: slice_value(-1.0), "variance must be a number at least 0"),
        (lambda: slice_value(1.0, width=-1.0), "width must be a number above 0"),
        (lambda: grid_value(np.inf), "variance must be a number at least 0"),
        (lambda: grid_value(1.0, "codes"), "unknown grid 'codes'; did you mean 'code'"),
        (lambda: truncated_value(-1.0, 3.0), "variance must be a number at least 0"),
        (lambda: pooled_views_value(np.ones(2), np.ones(2), 10, 0), "views must be a whole number"),
    ],
)
def test_wrong_input_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
