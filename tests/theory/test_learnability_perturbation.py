"""Shifts and certificates of the row's minimum against minimisers, Monte Carlo and sampling."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from scipy.special import expit

from jssl.errors import InputError
from jssl.theory.learnability import (
    certificate,
    expected_loss,
    minimum,
    noise_shift,
    noisy_minimum,
    projections,
    row_objective,
    sampling_law,
    shares,
)

TAU, DECAY = 4.0, 1 / 300
CENTRES = np.array([[1, 0], [-1, 0], [1, TAU], [-1, TAU]])
PRIME = lambda h: expit(h) * expit(-h)  # noqa: E731
SECOND = lambda h: PRIME(h) * (1 - 2 * expit(h))  # noqa: E731


def hessian(point):
    h = CENTRES @ point
    bend = PRIME(h) ** 2 + expit(h) * SECOND(h)
    return 2 * DECAY * np.eye(2) - (bend * CENTRES.T) @ CENTRES / 2


@pytest.mark.parametrize("correlation", [0.0, -0.6, 1.0])
def test_noisy_objective_is_the_mean_over_draws(correlation):
    row, rho, view = np.array([1.3, 0.4, 0.8]), 0.5, 0.4
    rng = np.random.default_rng(0)
    xi, e, f = rng.standard_normal((3, 400_000, 3))
    f = correlation * e + np.sqrt(1 - correlation**2) * f
    clean = np.c_[CENTRES, np.zeros(4)][rng.integers(0, 4, len(xi))] + rho * xi
    draws = expit((clean + view * e) @ row) * expit((clean + view * f) @ row)
    expected = -draws.mean() + DECAY * row @ row
    value = row_objective(
        jnp.asarray(row), TAU, DECAY, noise=rho, view_noise=view, correlation=correlation
    )
    assert abs(value - expected) < 4 * draws.std() / len(draws) ** 0.5 + 1e-6


def test_expected_loss_is_the_mean_of_n_1_over_view_noise():
    rng = np.random.default_rng(1)
    x, row, rho = rng.normal(size=(6, 3)), np.array([0.7, -0.4, 1.1]), 0.2
    e = rho * rng.standard_normal((2, 100_000, 6, 3))
    draws = (expit((x + e[0]) @ row) * expit((x + e[1]) @ row)).mean(1)
    expected = -draws.mean() + DECAY * row @ row
    value = expected_loss(jnp.asarray(row), jnp.asarray(x), noise=rho, decay=DECAY, nodes=5)
    assert abs(value - expected) < 4 * draws.std() / len(draws) ** 0.5
    two = expected_loss(jnp.asarray(row), jnp.asarray(x), noise=rho, decay=DECAY)
    assert abs(two - value) < 1e-4


@pytest.mark.parametrize("correlation", [0.0, -1.0])
def test_noisy_minimum_is_that_of_a_minimiser(correlation):
    def fall(point):
        return float(
            row_objective(
                jnp.asarray(point), TAU, DECAY, noise=0.2, view_noise=0.2, correlation=correlation
            )
        )

    start = minimum(TAU, DECAY)
    best = scipy.optimize.minimize(fall, start, method="Nelder-Mead", options={"xatol": 1e-8}).x
    found = noisy_minimum(TAU, DECAY, 0.2, correlation=correlation)
    np.testing.assert_allclose(found, best, atol=1e-6)


@pytest.mark.parametrize(
    ("sample", "view", "correlation"), [(1.0, 1.0, 0.0), (0.0, 1.0, 0.0), (1.0, 0.7, -0.8)]
)
def test_noise_shift_is_the_limit_of_small_noise(sample, view, correlation):
    rho = 0.004
    moved = noisy_minimum(
        TAU, DECAY, rho * sample, view_noise=rho * view, correlation=correlation
    ) - minimum(TAU, DECAY)
    shift = noise_shift(TAU, DECAY, sample=sample, view=view, correlation=correlation)
    np.testing.assert_allclose(moved / rho**2, shift, rtol=2e-3, atol=2e-3)


def test_the_pages_2_5_rho_squared_is_the_shift_of_u_by_view_noise_alone():
    view, both = noise_shift(7.0, 1 / 800, sample=0.0), noise_shift(7.0, 1 / 800)
    assert abs(view[0] - 2.5) < 0.05
    assert np.linalg.norm(both) > 4.5


def test_sampling_law_is_the_spread_of_minimisers():
    """Noise-free samples: only the cells' counts vary, so a Newton step a draw is cheap."""
    rng = np.random.default_rng(2)
    n, point = 40_000, minimum(TAU, DECAY)
    counts = rng.multinomial(n, [0.25] * 4, size=4000) / n

    def gradient(p, share):
        h = CENTRES @ p
        return 2 * DECAY * p - 2 * (share * expit(h) * PRIME(h)) @ CENTRES

    ends = np.array(
        [scipy.optimize.root(gradient, point, share, tol=1e-10).x for share in counts[:1500]]
    )
    law = sampling_law(TAU, DECAY, noise=0.0, dim=5)
    np.testing.assert_allclose(n * np.cov(ends.T), law.covariance, rtol=0.15, atol=0.01)
    assert law.shift == pytest.approx(np.sqrt(np.trace(law.covariance)))
    assert law.orthogonal == 0


def test_orthogonal_spread_is_that_of_the_gradient_over_its_curvature():
    law = sampling_law(7.0, 1 / 800, noise=0.1, dim=10)
    rng = np.random.default_rng(3)
    point = minimum(7.0, 1 / 800)
    centres = np.array([[1, 0], [-1, 0], [1, 7], [-1, 7]])
    h = (centres @ point)[rng.integers(0, 4, 200_000)]
    kick = 2 * expit(h) * PRIME(h) * 0.1 * rng.standard_normal(len(h))
    np.testing.assert_allclose(law.orthogonal, kick.var() / (2 / 800) ** 2, rtol=0.03)


def test_certificate_holds_on_its_ball_and_is_not_loose():
    found = certificate(TAU, DECAY, noise=0.05, samples=100, dim=10)

    def largest(radius):
        turn = np.linspace(0, 2 * np.pi, 361)
        rim = np.stack([np.cos(turn), np.sin(turn)], 1)
        ball = [found.point + share * radius * r for share in (0.5, 1.0) for r in rim]
        change = [np.linalg.solve(found.hessian, hessian(p)) - np.eye(2) for p in ball]
        return np.linalg.norm(change, 2, axis=(1, 2)).max()

    np.testing.assert_allclose(found.hessian, hessian(found.point), rtol=1e-10)
    assert 0.45 < largest(found.radius) <= 0.5
    inverse = np.linalg.norm(np.linalg.inv(found.hessian), 2)
    assert found.inverse_norm == pytest.approx(inverse)
    assert found.inverse_norm_full == pytest.approx(max(inverse, 1 / (2 * DECAY)))
    assert found.covered == pytest.approx(found.radius / (2 * inverse))


def test_a_covered_perturbation_leaves_a_root_in_the_ball_and_a_large_one_does_not():
    found = certificate(7.0, 1 / 800, noise=10**-1.5, samples=100, dim=10)
    assert abs(found.radius - 0.06) < 0.002
    assert found.inverse_norm == pytest.approx(87.5, abs=0.05)
    assert found.inverse_norm_full == pytest.approx(400)
    assert found.noise_inside
    moved = np.linalg.norm(noisy_minimum(7.0, 1 / 800, 10**-1.5) - found.point)
    assert moved < found.radius
    assert not found.sampling_inside
    many = certificate(7.0, 1 / 800, noise=10**-1.5, samples=found.samples_needed, dim=10)
    fewer = certificate(7.0, 1 / 800, noise=10**-1.5, samples=found.samples_needed - 9, dim=10)
    assert many.sampling_inside
    assert not fewer.sampling_inside


def test_projection_is_ill_conditioned_where_rows_are_nearly_parallel_and_the_share_is_not():
    rows = jnp.array([[2.6, 1e-6, 0.0], [-2.6, 1e-6, 0.0]])
    np.testing.assert_allclose(projections(rows), [1, 1], atol=1e-9)
    np.testing.assert_allclose(shares(rows)[:, 1], 1e-6 / 2.6, rtol=1e-6)


def test_projection_is_that_of_the_definition():
    weight = np.asarray(jax.random.normal(jax.random.key(0), (4, 2, 5)))
    for rows, seen in zip(weight, projections(jnp.asarray(weight)), strict=True):
        a = rows.T
        projector = a @ np.linalg.inv(a.T @ a) @ a.T
        np.testing.assert_allclose(seen, np.linalg.norm(projector[:, :2], axis=0), rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: certificate(7.0, 0.01, noise=-1, samples=100, dim=10), "noise must be 0 or more"),
        (lambda: certificate(7.0, 0.01, noise=0.1, samples=3, dim=10), "samples must be at least"),
        (lambda: noisy_minimum(7.0, 1 / 800, 3.0), "the minimum disappears at noise"),
        (
            lambda: noisy_minimum(7.0, 1 / 800, 0.1, view_noise=0.2, correlation=-1.0),
            "may not be negatively correlated",
        ),
    ],
)
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(InputError, match=message):
        call()
