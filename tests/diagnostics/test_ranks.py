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
    entropy_rank,
    lidar,
    participation_ratio,
    rankme,
)
from jssl.errors import InputError
from jssl.formulas.verdict import effective_directions

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
    within = np.zeros((dim, dim))
    for cloud, mean in zip(clouds, means, strict=True):
        for z in cloud:
            within += np.outer(z - mean, z - mean) / (samples * views)
    within += ridge * (np.trace(between) + np.trace(within)) / dim * np.eye(dim)
    values, vectors = np.linalg.eigh(within)
    root = vectors / np.sqrt(values) @ vectors.T
    return np.exp(entropy(np.linalg.eigvalsh(root @ between @ root)))


def test_lidar_agrees_with_loops_over_samples_and_views():
    clouds = RNG.normal(size=(20, 1, 4)) * np.array([3.0, 1, 1, 0.1]) + RNG.normal(size=(20, 3, 4))
    for ridge in (1e-4, 0.5):
        np.testing.assert_allclose(
            lidar(clouds, ridge=ridge), loops_of_lidar(clouds, ridge), rtol=1e-9
        )


def test_lidar_counts_noise_little_beside_views_that_agree_where_rankme_counts_it_fully():
    signal = RNG.normal(size=(400, 1, 2)) * np.ones((400, 2, 1))
    noise = RNG.normal(size=(400, 2, 6))
    clouds = np.concatenate([signal + 0.01 * RNG.normal(size=signal.shape), noise], axis=-1)
    assert lidar(clouds) < 2.1
    assert rankme(clouds.reshape(-1, 8)) > 7


@pytest.mark.parametrize("views", [2, 50])
def test_lidar_of_pure_noise_is_nearly_the_dimension_however_many_views(views):
    noise = RNG.normal(size=(1000, views, 16))
    assert 15.7 < lidar(noise) <= 16


def test_lidar_of_signal_and_noise_is_that_of_the_eigenvalues_in_its_docstring():
    views, ridge = 5, 0.1
    between, within = np.array([9.0, 3.0, 0.0, 0.0]), np.array([1.0, 2.0, 1.0, 100.0])
    shape = (20_000, views, 4)
    clouds = np.sqrt(between) * RNG.normal(size=(shape[0], 1, 4))
    clouds = clouds + np.sqrt(within) * RNG.normal(size=shape)
    added = ridge * 4 / np.sum(between + within)  # the ridge is in units of the mean variance
    values = (between + within / views) / (within * (1 - 1 / views) + ridge)
    assert values[3] == pytest.approx(1 / (views - 1), rel=2e-3)
    assert lidar(clouds, ridge=added) == pytest.approx(np.exp(entropy(values)), rel=0.02)


@pytest.mark.float32
@pytest.mark.parametrize("scale", [1e-12, 0.1, 1e3, 1e12])
def test_lidar_of_a_constant_is_zero_and_of_identical_views_that_of_their_covariance(scale):
    constant = np.full((20, 4, 8), scale, np.float32) * np.arange(1.0, 9.0, dtype=np.float32)
    assert lidar(constant) == 0
    samples = np.float32(scale) * RNG.normal(size=(50, 1, 3)).astype(np.float32)
    values = np.linalg.eigvalsh(np.cov(samples[:, 0].T.astype(float) / scale))
    np.testing.assert_allclose(
        lidar(samples * np.ones((50, 4, 1), np.float32)), np.exp(entropy(values)), rtol=1e-5
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_lidar_is_finite_where_views_agree_in_a_direction_or_in_all(dtype):
    """The rounding error of the within covariance is the least that is added to it."""
    noise = RNG.normal(size=(100, 4, 2))
    singular = np.concatenate([noise, noise[..., :1] + noise[..., 1:]], -1)
    equal = np.repeat(RNG.normal(size=(100, 1, 5)), 3, axis=1)
    one = np.zeros((100, 3, 400))
    one[..., 0] = RNG.normal(size=(100, 3))
    for clouds in (singular, equal, one):
        for ridge in (1e-12, 1e-4, 1e-2):
            value = lidar(jnp.asarray(clouds, dtype), ridge=ridge)
            assert value.dtype == jnp.float32
            assert 1 - 1e-5 <= value <= clouds.shape[-1]


def test_lidar_does_not_depend_on_the_scale():
    clouds = RNG.normal(size=(30, 1, 4)) + 0.3 * RNG.normal(size=(30, 3, 4))
    np.testing.assert_allclose(lidar(1e-5 * clouds), lidar(clouds), rtol=1e-9)
    np.testing.assert_allclose(lidar(1e5 * clouds), lidar(clouds), rtol=1e-9)


@pytest.mark.float32
def test_rounding_in_a_gram_matrix_is_no_rank():
    """Rank 3 by construction; the square roots of 61 eigenvalues of zero would make it 3.4."""
    factor = np.linalg.qr(RNG.normal(size=(64, 3)))[0].astype(np.float32)
    values = jnp.linalg.eigvalsh(jnp.matmul(factor, factor.T, precision="highest"))[::-1]
    values = values.at[3:].set(4e-7 * jnp.where(jnp.arange(61) % 2, 1, -1))
    assert jnp.exp(jnp.asarray(entropy(np.sqrt(np.abs(values))))) > 3.05
    assert entropy_rank(values, squares=True) == pytest.approx(3, abs=1e-4)
    assert jnp.isnan(entropy_rank(jnp.sqrt(values)))
    assert entropy_rank(values) == pytest.approx(3, abs=1e-3)


def test_eigenvalues_have_the_rank_of_their_singular_values():
    values = np.linalg.svd(Z, compute_uv=False)
    found = entropy_rank(jnp.asarray(values**2), squares=True)
    np.testing.assert_allclose(found, rankme(Z), rtol=1e-9)
    assert np.isfinite(jax.grad(lambda v: entropy_rank(v, squares=True))(jnp.arange(3.0))).all()


def test_values_that_are_negative_beyond_rounding_have_no_rank():
    assert np.isnan(entropy_rank(jnp.array([1.0, -0.1])))
    assert np.isnan(entropy_rank(jnp.array([1.0, -0.1]), squares=True))
    assert entropy_rank(jnp.array([1.0, -1e-17])) == 1


@pytest.mark.float32
def test_ranks_hold_at_the_ends_of_float32_and_need_no_memory_beyond_the_rows():
    wide = RNG.normal(size=(30, 5)).astype(np.float32)
    for scale in (1e-30, 1e18, 1e37):
        np.testing.assert_allclose(rankme(np.float32(scale) * wide), rankme(wide), rtol=1e-5)
        np.testing.assert_allclose(
            effective_rank(np.float32(scale) * wide), effective_rank(wide), rtol=1e-5
        )
    rows = jax.ShapeDtypeStruct((100_000, 4), "float32")
    held = jax.jit(rankme).lower(rows).compile().memory_analysis().temp_size_in_bytes
    assert held < 100 * 100_000 * 4 * 4


@pytest.mark.float32
def test_a_weak_dimension_of_many_rows_is_not_taken_for_rounding():
    """A floor of rows x eps of the norm, 6e-3 here, would drop a share of 1e-3."""
    z = np.zeros((50_000, 2), np.float32)
    z[:, 0], z[::2, 1], z[1::2, 1] = np.resize([1, 1, -1, -1], 50_000), 1e-3, -1e-3
    np.testing.assert_allclose(effective_rank(z), np.exp(entropy([1, 1e-3])), rtol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_the_verdict_on_values_that_are_not_finite_is_undefined(bad):
    for values, square in (([1.0, bad], 2.0), ([1.0, 0.5], bad), ([bad, bad], bad)):
        seen = jax.jit(lambda v, s: collapse_verdict(v, s, 9)._replace(possible=0))(
            jnp.array(values), square
        )
        assert KINDS[int(seen.kind)] == "undefined"
        assert seen.rank == -1
        assert np.isnan(seen.spread)


@pytest.mark.parametrize(
    ("eigenvalues", "mean_square", "points", "kind", "rank"),
    [
        ([1.0] * 8, 8.0, 100, "none", 8),
        ([1.0] * 3 + [1e-7], 3.0, 100, "none", 3),  # a quarter of the directions is empty
        ([1.0] * 2 + [1e-7] * 5, 2.0, 100, "dimensional", 2),  # 1.3 sqrt(7) is 3.4
        ([1, 0.8, 0.7] + [2e-6] * 97, 2.5, 10_000, "dimensional", 100),  # an effective rank of 4
        ([1, 0.8, 0.7] + [1e-5] * 97, 2.5, 10_000, "none", 100),  # of 6, above sqrt(100) / 2
        ([1.0] * 4 + [1e-7] * 5, 4.0, 100, "none", 4),  # four effective directions
        ([1.0] + [1e-3] * 9, 1.01, 100, "dimensional", 10),
        ([1.0, 0.5, 0.0], 1.5, 3, "none", 2),  # three points span two dimensions
        ([1.0, 0.5], 1.5, 100, "none", 2),  # two dimensions have few directions
        ([1e-7, 1e-7, 1e-7], 1.0, 100, "complete", 0),
        ([1e-5, 1e-5, 1e-5], 1.0, 100, "none", 3),  # a constant offset beside equal directions
        ([0.0, 0.0, 0.0], 0.0, 100, "complete", 0),
        ([0.0, 0.0, 0.0], 7.0, 100, "complete", 0),
    ],
)
def test_the_verdict_names_the_collapse(eigenvalues, mean_square, points, kind, rank):
    seen = collapse_verdict(jnp.array(eigenvalues), mean_square, points)
    assert (KINDS[int(seen.kind)], int(seen.rank)) == (kind, rank)


def test_thresholds_of_the_verdict_are_those_that_are_given():
    values = jnp.array([1.0, 0.5, 0.25, 0.125] + [0.01] * 8)  # 2.9 effective directions

    def kind(square=1.96, **options):
        return int(collapse_verdict(values, square, 99, **options).kind)

    assert kind(dimensional=few(1.5)) == 0
    assert kind(dimensional=few(3.5)) == 1
    assert kind(dimensional=few(4.5)) == 0  # twelve are fewer than three times as many
    assert kind(dimensional=few(1.5), tolerance=0.02) == 0
    assert int(collapse_verdict(values, 1.96, 99, tolerance=0.02).rank) == 4
    assert kind(190.0, dimensional=few(1.5), point=0.02) == 2
    assert kind(dimensional=few(1.5), directional=0.001, line=0.5) == 2
    # the leading direction has 51 % of the variance
    assert kind(dimensional=few(1.5), directional=0.001, line=0.6) == 0
    assert kind(dimensional=few(1.5), directional=0.5, line=0.5) == 0


def few(directions):
    return [(directions, np.inf)]


def test_one_pair_of_limits_is_enough_for_a_dimensional_collapse():
    """One direction beside 99 equal ones, whose rank grows with the others' variance."""

    def kind(share, **options):  # of the variance in the leading direction
        values = np.array([share, *[(1 - share) / 99] * 99])
        return KINDS[int(collapse_verdict(values, 2.0, 10**6, **options).kind)]

    def rank(share):
        return float(entropy_rank(np.array([share, *[(1 - share) / 99] * 99]), squares=True))

    assert rank(0.92) > 40  # 1 / .92^2 = 1.18 directions: a collapse at any rank
    assert (kind(0.92), kind(0.9)) == ("dimensional", "none")
    # 1.19 to 1.4 directions: a collapse up to a rank of 2 sqrt(100) = 20, here by 3 others or by 99
    concentrated = np.array([0.87, *[0.13 / 3] * 3, *[1e-12] * 96])
    seen = collapse_verdict(concentrated, 2.0, 10**6)
    assert 1.2 < float(seen.directions) < 1.4
    assert KINDS[int(seen.kind)] == "dimensional"
    assert kind(0.87) == "none"
    with_one_pair = collapse_verdict(concentrated, 2.0, 10**6, dimensional=few(1.2))
    assert KINDS[int(with_one_pair.kind)] == "none"


@pytest.mark.parametrize("dim", [64, 144, 400])
def test_an_effective_rank_below_its_threshold_is_a_collapse(dim):
    def kind(strong, weak, low=1.5, most=1e9):
        values = jnp.array([1.0] * strong + [weak**2] * (dim - strong))
        seen = collapse_verdict(values, 2 * values.sum(), 10_000, dimensional=[(most, low)])
        return KINDS[int(seen.kind)]

    some, many = round(1.2 * dim**0.5), round(1.8 * dim**0.5)
    assert (kind(some, 1.1e-3), kind(many, 1.1e-3)) == ("dimensional", "none")
    assert (kind(some, 1.1e-3, low=1), kind(many, 1.1e-3, low=2.2)) == ("none", "dimensional")
    assert kind(some, 1.1e-3, most=some + 0.5) == "dimensional"
    assert kind(some, 1.1e-3, most=some - 0.5) == "none"  # more directions than a collapse has
    assert kind(some, 0.1) == "none"  # others with a tenth of the standard deviation count
    assert kind(round(0.6 * dim), 1.1e-3, low=0.9 * dim**0.5) == "none"  # more than half


@pytest.mark.parametrize("dim", [16, 100, 1000])
def test_the_scale_of_the_threshold_is_one_direction_that_equals_all_others_together(dim):
    values = np.array([1.0] + [1 / (dim - 1) ** 2] * (dim - 1))
    assert entropy_rank(values, squares=True) == pytest.approx(2 * (dim - 1) ** 0.5)


@pytest.mark.parametrize("points", [33, 65, 1000])
def test_effective_directions_of_few_rows_are_those_of_the_population(points):
    """The participation ratio of isotropic rows is n dim / (n + dim); corrected it is dim."""
    scales = np.concatenate([np.full(8, 2.0), np.full(56, 0.5)])
    true = np.sum(scales**2) ** 2 / np.sum(scales**4)
    found, plain = [], []
    for seed in range(40):
        z = np.random.default_rng(seed).normal(size=(points, 64)) * scales
        values = np.linalg.eigvalsh(np.cov(z.T))[::-1]
        found.append(float(effective_directions(values, points, np)))
        plain.append(float(participation_ratio(jnp.asarray(values))))
    error = np.std(found) / np.sqrt(40)
    assert np.mean(found) == pytest.approx(true, abs=4 * error + 0.02 * true)
    assert np.mean(plain) < np.mean(found)
    assert points > 100 or np.mean(plain) < 0.9 * true


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
    for bad in ([(0.5, 1.0)], [(1.5, -1.0)], [], [(1.5,)], [(float("nan"), 1.0)], 3, "few", None):
        with pytest.raises(InputError, match="dimensional must be one or more pairs"):
            collapse_verdict(jnp.ones(5), 1.0, 9, dimensional=bad)
    with pytest.raises(InputError, match="tolerance"):
        collapse_verdict(jnp.ones(5), 1.0, 9, tolerance=1.0)
