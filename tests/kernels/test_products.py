"""Products with the tangent kernel against the kernel itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.errors import InputError
from jssl.kernels import (
    contrastive_modes,
    embed,
    empirical_ntk,
    ntk_product,
    tangent_embedding,
    tangent_modes,
)
from jssl.types import Pairs

OUTPUTS = 3


def _apply(params, x):
    hidden = jnp.tanh(x.reshape(len(x), -1) @ params["in"].T / params["depth"])
    return jnp.sin(hidden @ params["out"].T)


def _params(dtype=jnp.float64):
    keys = jax.random.split(jax.random.key(0))
    return {
        "in": jax.random.normal(keys[0], (30, 6), dtype),
        "out": jax.random.normal(keys[1], (OUTPUTS, 30), dtype) / 5,
        "depth": jnp.asarray(2),
    }


def _pairs(n=12, dtype=jnp.float64):
    common, first, second = jax.random.normal(jax.random.key(1), (3, n, 2, 3), dtype)
    return Pairs(common + 0.3 * first, common + 0.3 * second)


@pytest.mark.parametrize("block", [1, 5, 256])
def test_product_is_that_of_the_dense_kernel(block):
    params, (x1, x2, _) = _params(), _pairs()
    v = jax.random.normal(jax.random.key(2), (12, 4))
    found = jax.jit(lambda p: ntk_product(_apply, p, x1[:7], x2, v, block=block))(params)
    dense = empirical_ntk(_apply, params, x1[:7], x2)
    np.testing.assert_allclose(found, dense @ v, rtol=1e-11, atol=1e-12)


def test_modes_and_embedding_are_those_of_the_dense_route():
    params, pairs = _params(), _pairs()
    views = jnp.concatenate(pairs[:2])
    x = jax.random.normal(jax.random.key(3), (5, 2, 3))
    dense = contrastive_modes(empirical_ntk(_apply, params, views), 4)
    free = tangent_modes(_apply, params, pairs, 4)
    np.testing.assert_allclose(free.eigenvalues, dense.eigenvalues, rtol=1e-9)
    z = embed(dense, empirical_ntk(_apply, params, x, views))
    mine = tangent_embedding(_apply, params, pairs, free, x)
    signs = np.sign(np.sum(z * mine, axis=0))
    np.testing.assert_allclose(mine * signs, z, rtol=1e-6, atol=1e-7)


@pytest.mark.float32
def test_modes_converge_in_single_precision():
    params, pairs = _params(jnp.float32), _pairs(dtype=jnp.float32)
    free = tangent_modes(_apply, params, pairs, 3)
    dense = contrastive_modes(empirical_ntk(_apply, params, jnp.concatenate(pairs[:2])), 3)
    assert free.eigenvalues.dtype == jnp.float32
    np.testing.assert_allclose(free.eigenvalues, dense.eigenvalues, rtol=1e-4)


def test_integer_vectors_are_not_what_the_product_is_rounded_to():
    params, pairs = _params(), _pairs()
    vectors = jnp.arange(12)[:, None] % 3 - 1
    found = ntk_product(_apply, params, *pairs[:2], vectors)
    expected = ntk_product(_apply, params, *pairs[:2], vectors.astype(float))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("n", [1, 2])
def test_modes_of_one_pair_are_those_of_the_dense_route(n):
    params, pairs = _params(), Pairs(*(part[:n] for part in _pairs()[:2]))
    gram = empirical_ntk(_apply, params, jnp.concatenate(pairs[:2]))
    found = tangent_modes(_apply, params, pairs, 1, block=1)
    expected = contrastive_modes(gram, 1).eigenvalues
    np.testing.assert_allclose(found.eigenvalues, expected, rtol=1e-8)


def test_nothing_grows_with_the_square_of_the_samples():
    """XLA's own account of temporary memory: a (2n, 2n) kernel would take 128 MB."""
    n, params = 2000, _params()
    x = jax.ShapeDtypeStruct((2 * n, 2, 3), jnp.float64)
    v = jax.ShapeDtypeStruct((2 * n, 4), jnp.float64)
    program = jax.jit(lambda p, x, v: ntk_product(_apply, p, x, x, v)).lower(params, x, v)
    assert program.compile().memory_analysis().temp_size_in_bytes < 16e6


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p, d: tangent_modes(_apply, p, d, 13), "dim is 13 but 12 pairs .* give more pairs"),
        (lambda p, d: tangent_modes(lambda p, x: x, p, d, 1), r"apply must return \(n, dim\)"),
        (lambda p, d: ntk_product(_apply, p, *d[:2], jnp.ones((3, 1))), r"vectors must be \(12,"),
        (lambda p, d: ntk_product(_apply, p, *d[:2], jnp.ones((12, 1)), block=0), "block must be"),
        (lambda p, d: ntk_product(_apply, p, *d[:2], jnp.ones((12, 0))), "vectors must be"),
        (lambda p, d: ntk_product(_apply, p, d[0][:0], d[1], jnp.ones((12, 1))), "at least one"),
    ],
)
def test_bad_input_says_what_to_do(call, message):
    with pytest.raises(InputError, match=message):
        call(_params(), _pairs())
