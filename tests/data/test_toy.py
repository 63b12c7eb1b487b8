import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.data import toy
from jssl.data.pairs import cross_moment
from jssl.errors import InputError

KEY = jax.random.key(3)
N = 20_000


def deviation(draws, expected):
    """Largest |sample mean - expected| in standard errors, entry by entry."""
    error = draws.std(0, ddof=1) / np.sqrt(len(draws))
    return (np.abs(draws.mean(0) - expected) / np.maximum(error, 1e-12)).max()


def products(a, b):
    return np.asarray(a)[:, :, None] * np.asarray(b)[:, None, :]


def rotated(spectrum, seed=0):
    q = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(spectrum),) * 2))[0]
    return q * np.asarray(spectrum) @ q.T, q


def test_gaussian_has_its_mean_and_covariance():
    spectrum = [3.0, 1.0, 0.0]
    covariance, q = rotated(spectrum)
    x = toy.gaussian(KEY, N, spectrum, rotation=q)
    assert deviation(np.asarray(x), 0) < 5
    assert deviation(products(x, x), covariance) < 5
    plain = toy.gaussian(KEY, N, spectrum)
    assert deviation(products(plain, plain), np.diag(spectrum)) < 5
    np.testing.assert_allclose(x, plain @ q.T, atol=1e-12)


@pytest.mark.parametrize("correlation", [-1.0, -0.4, 0.0, 0.7, 1.0])
def test_pairs_have_the_chosen_moments_for_any_noise_correlation(correlation):
    data, _ = rotated([2.0, 1.0, 0.3], 1)
    augmentation, _ = rotated([0.5, 0.0, 1.5], 2)  # singular and not commuting
    first, second, _ = toy.gaussian_pairs(KEY, N, data, augmentation, noise_correlation=correlation)
    assert deviation(products(first, first), data + augmentation) < 5
    assert deviation(products(second, second), data + augmentation) < 5
    assert deviation(products(first, second), data + correlation * augmentation) < 5
    if correlation == 1:
        np.testing.assert_allclose(first, second, atol=1e-14)


def test_second_placement_has_a_clean_anchor():
    pairs = toy.gaussian_pairs(KEY, N, [2.0, 0.5], 0.3, placement="second")
    assert deviation(products(pairs.first, pairs.first), np.diag([2.0, 0.5])) < 5
    difference = pairs.second - pairs.first
    assert deviation(products(difference, difference), 0.3 * np.eye(2)) < 5
    assert deviation(products(pairs.first, difference), 0) < 5


def test_samples_do_not_depend_on_placement_or_correlation():
    both = toy.gaussian_pairs(KEY, 5, [2.0, 0.5], [0.0, 0.1])
    second = toy.gaussian_pairs(KEY, 5, [2.0, 0.5], [0.0, 0.1], placement="second")
    negative = toy.gaussian_pairs(KEY, 5, [2.0, 0.5], [0.0, 0.1], noise_correlation=-0.5)
    np.testing.assert_array_equal(both.first[:, 0], second.first[:, 0])
    np.testing.assert_array_equal(both.first, negative.first)


def test_strength_and_correlation_may_be_traced():
    def second(strength, correlation):
        return toy.gaussian_pairs(
            KEY, 5, jnp.ones(2), strength * jnp.ones(2), noise_correlation=correlation
        ).second

    traced = jax.jit(second)(0.3, 0.2)
    np.testing.assert_allclose(traced, second(0.3, 0.2), rtol=1e-12)
    assert np.isfinite(jax.grad(lambda c: second(0.3, c).sum())(0.2))


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("n", [None, 4, 11])
def test_cross_moment_has_exactly_the_given_eigenvalues(key, n):
    spectrum = np.array([1.0, 0.25, 0.0, -0.5])
    pairs = toy.pairs_with_cross_moment(spectrum, n, key=key)
    assert pairs.first.shape == (n or 4, 4)
    x, y = np.asarray(pairs.first), np.asarray(pairs.second)
    gamma = (x.T @ y + y.T @ x) / (2 * len(x))
    np.testing.assert_allclose(np.linalg.eigvalsh(gamma), np.sort(spectrum), atol=1e-14)
    if key is None:
        np.testing.assert_allclose(gamma, np.diag(spectrum), atol=1e-14)
    else:
        assert np.abs(gamma - np.diag(np.diag(gamma))).max() > 0.01


def test_one_mode_gives_two_pairs_and_spectra_may_be_traced():
    pairs = toy.pairs_with_cross_moment([-2.0])
    assert pairs.first.shape == (2, 1)
    np.testing.assert_allclose(cross_moment(pairs), [[-2.0]])
    gap = jax.jit(lambda g: cross_moment(toy.pairs_with_cross_moment(jnp.array([1.0, g]), key=KEY)))
    np.testing.assert_allclose(np.linalg.eigvalsh(gap(0.5)), [0.5, 1.0], atol=1e-14)


def test_mixture_has_its_weights_means_and_covariance():
    means = np.array([[2.0, 0.0], [0.0, -1.0], [1.0, 1.0]])
    weights = np.array([1.0, 2.0, 5.0])
    covariance, _ = rotated([0.5, 0.1], 3)
    x, labels = toy.mixture(KEY, N, means, covariance, weights)
    x, labels = np.asarray(x), np.asarray(labels)
    assert deviation(np.eye(3)[labels], weights / 8) < 5
    for k in range(3):
        inside = x[labels == k]
        assert deviation(inside, means[k]) < 5
        assert deviation(products(inside - means[k], inside - means[k]), covariance) < 5
    _, equal = toy.mixture(KEY, N, means)
    assert deviation(np.eye(3)[np.asarray(equal)], 1 / 3) < 5


def test_four_cells_are_equally_likely_and_carry_their_features():
    tau, rho = 7.0, 0.2
    x, label, hidden = (np.asarray(v) for v in toy.four_cells(KEY, N, 5, tau, rho))
    assert set(np.unique(label)) == {-1, 1}
    assert set(np.unique(hidden)) == {0, 1}
    assert deviation(np.eye(4)[(label > 0) + 2 * hidden], 0.25) < 5
    rest = x.copy()
    rest[:, 0] -= label
    rest[:, 1] -= tau * hidden
    assert deviation(rest, 0) < 5
    assert deviation(products(rest, rest), rho**2 * np.eye(5)) < 5


def test_four_cells_without_noise_have_the_population_second_moment():
    x, _, _ = toy.four_cells(KEY, N, 3, 2.0, 0.0)
    assert deviation(products(x, x), np.diag([1.0, 2.0, 0.0])) < 5  # diag(1, tau^2 / 2, 0)


def test_samplers_are_deterministic_and_jit():
    for draw in [
        lambda key: toy.gaussian(key, 4, jnp.ones(2)),
        lambda key: toy.gaussian_pairs(key, 4, jnp.ones(2), 0.1).first,
        lambda key: toy.mixture(key, 4, jnp.eye(2))[0],
        lambda key: toy.four_cells(key, 4, 3, 7.0, 0.1)[0],
    ]:
        jitted = jax.jit(draw)
        np.testing.assert_array_equal(jitted(KEY), jitted(KEY))
        assert (np.asarray(jitted(jax.random.key(9))) != np.asarray(jitted(KEY))).all()


def test_draws_have_the_dtype_of_their_arguments():
    single = jnp.ones(3, jnp.float32)
    for draw in [
        lambda v: toy.gaussian(KEY, 2, v),
        lambda v: toy.gaussian_pairs(KEY, 2, v, 0.1).second,
        lambda v: toy.gaussian_pairs(KEY, 2, v, jnp.eye(3)).second,
        lambda v: toy.pairs_with_cross_moment(v, key=KEY).second,
        lambda v: toy.mixture(KEY, 2, v[None])[0],
        lambda v: toy.four_cells(KEY, 4, 3, v[0], 0.1)[0],
    ]:
        assert jax.eval_shape(draw, single).dtype == jnp.float32
        assert jax.eval_shape(draw, jnp.ones(3)).dtype == jnp.float64
    assert toy.gaussian(KEY, 2, [1, 2]).dtype == jnp.float64


@pytest.mark.parametrize(
    "call",
    [
        lambda: toy.gaussian(KEY, 0, [1.0]),
        lambda: toy.gaussian(KEY, 3, [1.0, -1.0]),
        lambda: toy.gaussian(KEY, 3, [1.0, jnp.nan]),
        lambda: toy.gaussian(KEY, 3, 1.0),
        lambda: toy.gaussian(KEY, 3, [1.0, 2.0], rotation=jnp.eye(3)),
        lambda: toy.gaussian_pairs(KEY, 3, [1.0, 2.0], [1.0, 2.0, 3.0]),
        lambda: toy.gaussian_pairs(KEY, 3, [1.0, 2.0], -jnp.eye(2)),
        lambda: toy.gaussian_pairs(KEY, 3, jnp.ones((2, 3)), 0.1),
        lambda: toy.gaussian_pairs(KEY, 3, [1.0], 0.1, placement="first"),
        lambda: toy.gaussian_pairs(KEY, 3, [1.0], 0.1, noise_correlation=1.1),
        lambda: toy.gaussian_pairs(KEY, 3, [1.0], 0.1, placement="second", noise_correlation=0.5),
        lambda: toy.pairs_with_cross_moment([1.0, 2.0], 1),
        lambda: toy.pairs_with_cross_moment(jnp.eye(2)),
        lambda: toy.mixture(KEY, 3, [1.0, 2.0]),
        lambda: toy.mixture(KEY, 3, jnp.eye(2), weights=[1.0]),
        lambda: toy.mixture(KEY, 3, jnp.eye(2), weights=[1.0, -1.0]),
        lambda: toy.four_cells(KEY, 4, 1, 7.0, 0.1),
        lambda: toy.four_cells(KEY, 4, 2, 7.0, -0.1),
        lambda: toy.four_cells(KEY, 3, 2, 7.0, 0.1),
    ],
)
def test_bad_input_is_refused_in_one_line(call):
    with pytest.raises(InputError) as error:
        call()
    assert "\n" not in str(error.value)
