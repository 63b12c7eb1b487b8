"""Ranks against NumPy, SciPy and loops, on spectra with known answers and on degenerate ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import entropy

from jssl.diagnostics import (
    KINDS,
    alpha_req,
    collapse_verdict,
    effective_rank,
    lidar,
    participation_ratio,
    rankme,
)
from jssl.errors import InputError

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(40, 6)) * np.array([5.0, 3, 1, 1, 0.3, 0.1]) + 4


def test_rankme_is_scipys_entropy_of_singular_values_without_centring():
    values = np.linalg.svd(Z, compute_uv=False)
    np.testing.assert_allclose(rankme(Z), np.exp(entropy(values)), rtol=1e-12)
    assert abs(rankme(Z) - effective_rank(Z)) > 0.1


def test_rankme_is_at_most_the_smaller_side_and_scale_free():
    wide = RNG.normal(size=(5, 30))
    assert 4 < rankme(wide) <= 5
    np.testing.assert_allclose(rankme(1e-12 * wide), rankme(wide), rtol=1e-10)


def test_a_constant_embedding_has_the_least_ranks():
    z = np.ones((30, 5)) * RNG.normal(size=5)
    values = jnp.zeros(5)
    assert rankme(z) == pytest.approx(1, abs=1e-5)
    assert effective_rank(z) == 0
    assert participation_ratio(values) == 0
    assert lidar(jnp.ones((10, 2, 3))) == 0
    assert np.isnan(alpha_req(values).exponent)


def test_rows_of_zeros_and_fewer_points_than_dimensions_have_finite_ranks():
    z = np.concatenate([RNG.normal(size=(3, 8)), np.zeros((2, 8))])
    assert 2 < effective_rank(z) <= 4
    assert 2 < rankme(z) <= 3 + 1e-9


def test_participation_ratio_agrees_with_the_traces_of_the_covariance():
    sigma = np.cov(Z.T, bias=True)
    expected = np.trace(sigma) ** 2 / np.trace(sigma @ sigma)
    found = participation_ratio(jnp.linalg.eigvalsh(sigma))
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    assert participation_ratio(jnp.full(7, 1e-300)) == pytest.approx(7)


def test_alpha_agrees_with_a_weighted_polynomial_fit():
    values = np.sort(RNG.exponential(size=50))[::-1]
    j = np.arange(1, 51)
    for first, last in ((1, 50), (5, 30)):
        used = slice(first - 1, last)
        slope, at = np.polyfit(np.log(j[used]), np.log(values[used]), 1, w=j[used] ** -0.5)
        law = alpha_req(jnp.asarray(values), first=first, last=last)
        np.testing.assert_allclose(law.exponent, -slope, rtol=1e-9)
        x, y, w = np.log(j[used]), np.log(values[used]), 1 / j[used]
        residual = np.sum(w * (y - slope * x - at) ** 2)
        total = np.sum(w * (y - np.average(y, weights=w)) ** 2)
        np.testing.assert_allclose(law.fit, 1 - residual / total, rtol=1e-9)


def test_alpha_ignores_what_is_rounding_error():
    values = np.concatenate([np.arange(1.0, 21) ** -2, np.full(20, 1e-18)])
    np.testing.assert_allclose(alpha_req(jnp.asarray(values)).exponent, 2, rtol=1e-9)


def loops_of_lidar(clouds, ridge):
    samples, views, dim = clouds.shape
    means = [sum(c) / views for c in clouds]
    overall = sum(means) / samples
    between = sum(np.outer(m - overall, m - overall) for m in means) / samples
    within = ridge * np.eye(dim)
    for cloud, mean in zip(clouds, means, strict=True):
        for z in cloud:
            within += np.outer(z - mean, z - mean) / (samples * views)
    values, vectors = np.linalg.eigh(within)
    root = vectors / np.sqrt(values) @ vectors.T
    return np.exp(entropy(np.linalg.eigvalsh(root @ between @ root)))


def test_lidar_agrees_with_loops_over_samples_and_views():
    clouds = RNG.normal(size=(20, 1, 4)) * np.array([3.0, 1, 1, 0.1]) + RNG.normal(size=(20, 3, 4))
    for ridge in (1e-4, 0.5):
        np.testing.assert_allclose(
            lidar(clouds, ridge=ridge), loops_of_lidar(clouds, ridge), rtol=1e-9
        )


def test_lidar_does_not_count_noise_dimensions_where_rankme_does():
    signal = RNG.normal(size=(400, 1, 2)) * np.ones((400, 2, 1))
    noise = RNG.normal(size=(400, 2, 6))
    clouds = np.concatenate([signal + 0.01 * RNG.normal(size=signal.shape), noise], axis=-1)
    assert lidar(clouds) < 2.1
    assert rankme(clouds.reshape(-1, 8)) > 7


@pytest.mark.parametrize(
    ("eigenvalues", "mean_square", "points", "kind", "rank"),
    [
        ([1.0, 0.5, 0.1], 1.6, 100, "none", 3),
        ([1.0, 0.5, 1e-7], 1.5, 100, "dimensional", 2),
        ([1.0, 0.5, 0.0], 1.5, 3, "none", 2),  # three points span two dimensions
        ([1.0, 0.0, 0.0], 1.0, 3, "dimensional", 1),
        ([1e-5, 1e-5, 1e-5], 1.0, 100, "complete", 0),
        ([0.0, 0.0, 0.0], 0.0, 100, "complete", 0),
        ([0.0, 0.0, 0.0], 7.0, 100, "complete", 0),
    ],
)
def test_the_verdict_names_the_collapse(eigenvalues, mean_square, points, kind, rank):
    seen = collapse_verdict(jnp.array(eigenvalues), mean_square, points)
    assert (KINDS[int(seen.kind)], int(seen.rank)) == (kind, rank)


def test_thresholds_of_the_verdict_are_those_that_are_given():
    values = jnp.array([1.0, 0.01])
    assert int(collapse_verdict(values, 1.01, 9).kind) == 0
    assert int(collapse_verdict(values, 1.01, 9, tolerance=0.02).kind) == 1
    assert int(collapse_verdict(values, 100.0, 9, constant=0.02).kind) == 2


def test_everything_maps_over_leading_axes_and_jits():
    batch = jnp.asarray(RNG.normal(size=(3, 20, 5)))
    clouds = jnp.asarray(RNG.normal(size=(3, 20, 2, 5)))
    spectra = jnp.linalg.eigvalsh(batch.mT @ batch)[..., ::-1]
    for function, x in (
        (rankme, batch),
        (effective_rank, batch),
        (lidar, clouds),
        (participation_ratio, spectra),
        (lambda v: alpha_req(v).exponent, spectra),
        (lambda v: collapse_verdict(v, 1e9, 20).kind, spectra),
    ):
        whole, single = jax.jit(function)(x), jax.jit(function)
        np.testing.assert_allclose(whole, [single(one) for one in x], rtol=1e-10)
        np.testing.assert_allclose(whole, jax.jit(jax.vmap(function))(x), rtol=1e-10)


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="two or more views"):
        lidar(jnp.ones((5, 1, 3)))
    with pytest.raises(InputError, match="ridge"):
        lidar(jnp.ones((5, 2, 3)), ridge=0.0)
    with pytest.raises(InputError, match="last"):
        alpha_req(jnp.ones(5), last=6)
    with pytest.raises(InputError, match="tolerance"):
        collapse_verdict(jnp.ones(5), 1.0, 9, tolerance=1.0)
