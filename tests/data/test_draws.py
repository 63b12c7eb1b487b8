"""Normals of the unrolled generator: its words, their quantiles, and the law of the draws."""

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jssl.data import normals
from jssl.data.draws import threefry
from jssl.errors import InputError


@pytest.mark.parametrize("count", [1, 2, 7])
def test_words_are_those_of_jax_threefry(count):
    key = jax.random.key(5)
    first, second = threefry(key, count)
    counters = jnp.concatenate([jnp.arange(count, dtype=jnp.uint32), jnp.zeros(count, jnp.uint32)])
    theirs = jax.extend.random.threefry_2x32(jax.random.key_data(key), counters)
    np.testing.assert_array_equal(jnp.concatenate([first, second]), theirs)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-9)])
def test_normals_are_quantiles_of_the_words(dtype, tolerance):
    key = jax.random.key(6)
    first, second = (np.asarray(w, np.uint64) for w in threefry(key, 500))
    if dtype == "float32":
        uniform = (np.r_[first, second] // 2**9 + 0.5) / 2**23
    else:
        uniform = (first // 2**5 * 2**26 + second // 2**6 + 0.5) / 2**53
    draws = normals(key, len(uniform), dtype)
    np.testing.assert_allclose(draws, scipy.stats.norm.ppf(uniform), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normals_are_standard_normal(dtype):
    draws = np.asarray(
        jax.jit(jax.vmap(lambda k: normals(k, 421, dtype)))(
            jax.random.split(jax.random.key(0), 300)
        ),
        float,
    )
    assert scipy.stats.kstest(draws.ravel(), "norm").pvalue > 1e-4
    assert np.isfinite(draws).all()
    count = draws.size
    for power, moment, spread in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((draws**power).mean() - moment) < 4 * (spread / count) ** 0.5
    beside = np.corrcoef(draws[:, :-1].ravel(), draws[:, 1:].ravel())[0, 1]
    halves = np.corrcoef(draws[:, :210].ravel(), draws[:, 211:].ravel())[0, 1]
    assert max(abs(beside), abs(halves)) < 4 / (count / 2) ** 0.5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_draws_have_a_shape_and_follow_the_key_alone(dtype):
    keys = jax.random.split(jax.random.key(1), 3)
    mapped = jax.jit(jax.vmap(lambda key: normals(key, (5, 3), dtype)))(keys)
    assert mapped.shape == (3, 5, 3)
    assert mapped.dtype == dtype
    for key, draws in zip(keys, mapped, strict=True):
        np.testing.assert_allclose(normals(key, 15, dtype).reshape(5, 3), draws, rtol=1e-6)


@pytest.mark.parametrize("key", [0, np.zeros(2, np.uint32), jax.random.key(0, impl="rbg")])
def test_other_keys_are_refused(key):
    with pytest.raises(InputError, match=r"draws need a threefry key|must be a typed key"):
        normals(key, 3)


@pytest.mark.parametrize("shape", [-1, 2.5, (2, 2.7), (2, -3), "3", None])
def test_shapes_are_whole_numbers(shape):
    with pytest.raises(InputError, match="a size of the shape must be a whole number"):
        normals(jax.random.key(0), shape)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", int])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(InputError, match="normals are float32 or float64; got"):
        normals(jax.random.key(0), 3, dtype)


@pytest.mark.float32
def test_float64_is_float32_where_64_bits_are_off():
    draws = normals(jax.random.key(0), 1000, "float64")
    np.testing.assert_array_equal(draws, normals(jax.random.key(0), 1000))


def test_many_keys_at_once_are_refused():
    with pytest.raises(InputError, match="key must be one key"):
        normals(jax.random.split(jax.random.key(0)), 3)
