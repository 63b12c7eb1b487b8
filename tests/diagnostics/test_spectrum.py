import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.diagnostics import (
    covariance,
    cross_correlation,
    effective_rank,
    spectrum,
    subspace_overlap,
)


def test_cross_correlation_is_the_symmetrised_mean_of_outer_products():
    za, zb = np.random.default_rng(0).normal(size=(2, 7, 3))
    by_hand = sum(np.outer(a, b) + np.outer(b, a) for a, b in zip(za, zb, strict=True)) / 14
    np.testing.assert_allclose(cross_correlation(za, zb), by_hand, rtol=1e-12)


def test_covariance_agrees_with_numpy():
    z = np.random.default_rng(0).normal(size=(9, 4)) + 5
    np.testing.assert_allclose(covariance(jnp.asarray(z)), np.cov(z.T, bias=True), rtol=1e-10)
    second = covariance(jnp.asarray(z), centre=False)
    np.testing.assert_allclose(second, z.T @ z / 9, rtol=1e-12)


def test_spectrum_is_descending_and_batched():
    matrices = jnp.stack([jnp.diag(jnp.array([1.0, 5.0, 3.0])), jnp.diag(jnp.array([-1.0, 0, 2]))])
    np.testing.assert_allclose(spectrum(matrices), [[5, 3, 1], [2, 0, -1]], atol=1e-12)


def test_effective_rank_uses_singular_values_not_eigenvalues():
    z = jnp.diag(jnp.array([3.0, 1.0]))
    p = np.array([0.75, 0.25])
    expected = np.exp(-np.sum(p * np.log(p)))
    np.testing.assert_allclose(effective_rank(z, centre=False), expected, rtol=1e-10)


def test_a_constant_embedding_is_complete_collapse():
    z = jnp.ones((20, 1)) * jnp.array([3.0, -1.0, 0.1])
    assert effective_rank(z) == 0
    np.testing.assert_allclose(effective_rank(z, centre=False), 1.0, rtol=1e-6)


def test_after_centring_the_rank_is_at_most_the_smaller_of_samples_less_one_and_dimension():
    z = jax.random.normal(jax.random.key(0), (4, 10))
    assert effective_rank(z) <= 3 + 1e-9
    assert effective_rank(z) > 2


def test_effective_rank_has_finite_gradients():
    z = jax.random.normal(jax.random.key(0), (6, 3))
    assert jnp.all(jnp.isfinite(jax.grad(effective_rank)(z)))


def test_overlap_of_rotated_bases_is_one_and_of_orthogonal_ones_zero():
    a = jax.random.normal(jax.random.key(0), (8, 3))
    np.testing.assert_allclose(subspace_overlap(a, a @ jnp.ones((3, 3)) + a), 1.0, atol=1e-9)
    assert subspace_overlap(jnp.eye(6)[:, :3], jnp.eye(6)[:, 3:]) == 0


def test_random_subspaces_overlap_by_chance_d_over_n():
    keys = jax.random.split(jax.random.key(0), 400)
    draws = jax.vmap(lambda key: subspace_overlap(*jax.random.normal(key, (2, 20, 4))))(keys)
    error = draws.std() / np.sqrt(len(keys))
    assert float(abs(draws.mean() - 4 / 20)) < 4 * float(error)


@pytest.mark.float32
def test_dtype_is_kept():
    z = jnp.ones((4, 2), jnp.float32)
    assert covariance(z).dtype == cross_correlation(z, z).dtype == jnp.float32


def test_one_nan_makes_every_eigenvalue_nan():
    """LAPACK returns finite eigenvalues of the blocks that the NaN does not touch."""
    matrix = jnp.eye(4).at[0, 1].set(jnp.nan).at[1, 0].set(jnp.nan)
    assert np.isnan(spectrum(matrix)).all()
    whole = spectrum(jnp.stack([matrix, jnp.eye(4)]))
    assert np.isnan(whole[0]).all()
    np.testing.assert_array_equal(whole[1], 1)


@pytest.mark.float32
def test_a_large_mean_costs_no_digits_and_equal_rows_have_no_covariance():
    z = np.random.default_rng(0).integers(0, 64, (1000, 3)) / 64 + 2.0**17
    found = covariance(jnp.float32(z))
    np.testing.assert_allclose(found, np.cov(z.T, bias=True), rtol=1e-4, atol=1e-5)
    assert not covariance(jnp.full((1001, 3), 0.1)).any()
