import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.data import pairs as P
from jssl.data.views import brightness, compose, noise
from jssl.errors import InputError
from jssl.types import Pairs

KEY = jax.random.key(0)


def random_pairs(n=20, shape=(4,), seed=1):
    rng = np.random.default_rng(seed)
    return Pairs(*(jnp.asarray(rng.normal(size=(n, *shape))) for _ in range(2)))


def loop_gamma(pairs):
    """Gamma by the sum that defines it, sample by sample."""
    total = 0
    for a, b in zip(np.asarray(pairs.first), np.asarray(pairs.second), strict=True):
        a, b = a.ravel(), b.ravel()
        total = total + np.outer(a, b) + np.outer(b, a)
    return total / (2 * len(pairs.first))


def test_cross_moment_is_the_sum_over_pairs_for_vectors_and_images():
    for shape in [(4,), (2, 3, 1)]:
        pairs = random_pairs(shape=shape)
        np.testing.assert_allclose(P.cross_moment(pairs), loop_gamma(pairs), atol=1e-14)


def test_cross_moment_gives_the_embedding_cross_covariance():
    pairs, weight = random_pairs(), np.random.default_rng(2).normal(size=(3, 4))
    za, zb = pairs.first @ weight.T, pairs.second @ weight.T
    c = sum(np.outer(a, b) + np.outer(b, a) for a, b in zip(za, zb, strict=True)) / (2 * len(za))
    np.testing.assert_allclose(weight @ P.cross_moment(pairs) @ weight.T, c, atol=1e-13)


def test_expected_gamma_of_additive_noise_is_the_second_moment():
    x = jnp.asarray(np.random.default_rng(5).normal(size=(6, 4)))
    mean, error = P.expected_cross_moment(KEY, x, noise(0.5), 4000)
    expected = np.asarray(x).T @ np.asarray(x) / 6
    assert np.abs((mean - expected) / error).max() < 5
    # Entry (j, k) of one draw averages (a_j b_k + a_k b_j) / 2 over samples, a = x + e, b = x + e'.
    s2, second = 0.25, expected
    diagonal = np.diag(second)
    variance = (s2 * (diagonal[:, None] + diagonal[None, :]) / 2 + s2**2 / 2) / 6
    np.fill_diagonal(variance, (2 * s2 * diagonal + s2**2) / 6)
    np.testing.assert_allclose(error, np.sqrt(variance / 4000), rtol=6 / np.sqrt(2 * 4000))


def test_expected_gamma_of_correlated_views_of_one_sample_is_not_the_noisy_covariance():
    x = jnp.ones((5, 3))
    scaled = compose(brightness(0.5), noise(0.3))
    mean, error = P.expected_cross_moment(KEY, x, scaled, 2000)
    assert np.abs((mean - 1) / error).max() < 5  # E b E b' = 1, no variance on the diagonal
    mean, error = P.expected_cross_moment(KEY, x, noise(0.3), 2000, placement="second")
    assert np.abs((mean - 1) / error).max() < 5


def test_streamed_mean_and_error_equal_those_of_stored_draws():
    x = jnp.asarray(np.random.default_rng(6).normal(size=(3, 2)))
    mean, error = P.expected_cross_moment(KEY, x, noise(1.0), 7)
    draw = jax.jit(P.fresh(x, noise(1.0)))
    draws = np.stack([loop_gamma(draw(jax.random.fold_in(KEY, k))) for k in range(7)])
    np.testing.assert_allclose(mean, draws.mean(0), rtol=1e-12)
    np.testing.assert_allclose(error, draws.std(0, ddof=1) / np.sqrt(7), rtol=1e-12)


def test_fixed_pairs_ignore_the_key_and_pass_through_jit():
    pairs = random_pairs()
    sampler = P.fixed(pairs)
    assert isinstance(sampler, P.FixedPairs)
    assert sampler.pairs is pairs
    out = jax.jit(lambda s, key: s(key))(sampler, KEY)
    np.testing.assert_array_equal(out.first, pairs.first)


def test_fresh_views_differ_between_keys_and_views_but_not_between_calls():
    x = jnp.zeros((8, 3))
    sampler = jax.jit(P.fresh(x, noise(1.0)))
    one, again, other = sampler(KEY), sampler(KEY), sampler(jax.random.key(1))
    np.testing.assert_array_equal(one.first, again.first)
    np.testing.assert_array_equal(one.second, again.second)
    everything = np.concatenate([v.ravel() for v in (*one[:2], *other[:2])])
    assert len(np.unique(everything)) == everything.size


def test_a_batch_holds_different_samples_and_both_views_show_the_same_one():
    x = jnp.arange(10.0)[:, None] * jnp.ones(2)
    sampler = jax.jit(P.fresh(x, noise(0.01), batch=6))
    seen = set()
    for seed in range(20):
        first, second, _ = sampler(jax.random.key(seed))
        rows = np.round(np.asarray(first)).astype(int)[:, 0]
        assert first.shape == (6, 2)
        assert len(set(rows.tolist())) == 6
        np.testing.assert_array_equal(rows, np.round(np.asarray(second)).astype(int)[:, 0])
        seen |= set(rows.tolist())
    assert seen == set(range(10))


def test_samplers_vmap_over_keys():
    sampler = P.fresh(jnp.zeros((5, 3)), noise(1.0), batch=2)
    keys = jax.random.split(KEY, 4)
    batched = jax.jit(jax.vmap(sampler))(keys)
    np.testing.assert_allclose(batched.first[2], jax.jit(sampler)(keys[2]).first, rtol=1e-12)


def test_second_placement_leaves_the_first_view_clean():
    x = jnp.ones((4, 3))
    for pairs in [
        P.make_pairs(KEY, x, noise(1.0), placement="second"),
        P.fresh(x, noise(1.0), batch=4, placement="second")(KEY),
    ]:
        np.testing.assert_array_equal(pairs.first, x)
        assert (pairs.second != x).all()


def test_float32_samples_stay_float32_inside_double_precision():
    x = jnp.ones((3, 2), jnp.float32)
    for function in [
        lambda x: P.make_pairs(KEY, x, noise(0.1)),
        lambda x: P.expected_cross_moment(KEY, x, noise(0.1), 2),
    ]:
        leaves = jax.tree.leaves(jax.eval_shape(function, x))
        assert {leaf.dtype.name for leaf in leaves} == {"float32"}


def test_flatten_keeps_rows_and_negatives():
    x = jnp.arange(12.0).reshape(2, 3, 2)
    flat = P.flatten(Pairs(x, x, -x))
    np.testing.assert_array_equal(flat.negative, -np.arange(12.0).reshape(2, 6))
    assert P.flatten(Pairs(x, x)).negative is None


def test_centring_removes_the_mean_of_all_views_and_keeps_their_difference():
    pairs = random_pairs()
    pairs = Pairs(pairs.first + 3, pairs.second - 1, pairs.first)
    centred = P.centre(pairs)
    both = np.concatenate([centred.first, centred.second])
    np.testing.assert_allclose(both.mean(0), 0, atol=1e-14)
    np.testing.assert_allclose(
        centred.first - centred.second, pairs.first - pairs.second, atol=1e-14
    )
    np.testing.assert_allclose(centred.negative - centred.first, -3, atol=1e-14)


def test_check_pairs_counts_and_places_values_that_are_not_finite():
    first = jnp.ones((4, 3)).at[jnp.array([0, 1, 2, 3]), jnp.array([2, 0, 1, 1])].set(jnp.nan)
    with pytest.raises(InputError, match=r"first has 4 values .* at \(0, 2\), \(1, 0\), \(2, 1\)"):
        P.check_pairs(Pairs(first, jnp.ones((4, 3))))
    good = jnp.ones((4, 3))
    with pytest.raises(InputError, match=r"negative has 1 value .* at \(0, 0\)"):
        P.check_pairs(Pairs(good, good, good.at[0, 0].set(-jnp.inf)))


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        (np.ones((3, 2)), np.ones((4, 2)), r"\(4, 2\)"),
        (np.ones((3, 2)), np.ones((3, 1)), r"\(3, 1\)"),
        (np.ones((1, 2)), np.ones((1, 2)), "two or more"),
        (np.ones(3), np.ones(3), "two or more"),
        (np.ones((3, 2), int), np.ones((3, 2), int), "floating"),
    ],
)
def test_check_pairs_refuses(first, second, reason):
    with pytest.raises(InputError, match=reason) as error:
        P.check_pairs(Pairs(first, second))
    assert "\n" not in str(error.value)


def test_check_pairs_returns_good_pairs_unchanged():
    pairs = random_pairs()
    assert P.check_pairs(pairs) is pairs


@pytest.mark.parametrize(
    "call",
    [
        lambda x: P.fresh(x, noise(), batch=0),
        lambda x: P.fresh(x, noise(), batch=6),
        lambda x: P.fresh(x, noise(), batch=2.0),
        lambda x: P.fresh(x, noise(), placement="first"),
        lambda x: P.make_pairs(KEY, x, noise(), placement="first"),
        lambda x: P.make_pairs(KEY, x.astype(int), noise()),
        lambda x: P.make_pairs(KEY, x[:, 0], noise()),
        lambda x: P.expected_cross_moment(KEY, x, noise(), 1),
    ],
)
def test_bad_input_is_refused_in_one_line(call):
    with pytest.raises(InputError) as error:
        call(jnp.ones((5, 3)))
    assert "\n" not in str(error.value)


def test_cross_moment_of_views_that_do_not_match_is_refused():
    with pytest.raises(InputError, match="views must match"):
        P.cross_moment(Pairs(jnp.ones((5, 3)), jnp.ones((4, 3))))


@pytest.mark.float32
@pytest.mark.parametrize("dtype", ["uint8", "int8", "float16", "bfloat16"])
def test_cross_moment_of_integers_and_half_precision_is_that_of_the_same_numbers(dtype):
    """Products of bytes wrap around at 256; sums of 3,000 squares of 100 overflow float16."""
    rng = np.random.default_rng(0)
    values = [rng.integers(100, 128, (3000, 3)).astype(float) for _ in range(2)]
    pairs = Pairs(*(jnp.asarray(x, dtype) for x in values))
    np.testing.assert_allclose(P.cross_moment(pairs), loop_gamma(Pairs(*values)), rtol=1e-5)
    assert P.cross_moment(pairs).dtype == "float32"


@pytest.mark.float32
def test_expected_moment_of_half_precision_samples_is_averaged_in_float32():
    x = jnp.full((2000, 2), 100.0, "float16")
    mean, error = P.expected_cross_moment(KEY, x, noise(0.1), 3)
    assert mean.dtype == error.dtype == "float32"
    np.testing.assert_allclose(mean, 1e4, rtol=1e-3)
