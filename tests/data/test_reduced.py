import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.data.pairs import check_pairs
from jssl.data.reduced import compress
from jssl.errors import InputError
from jssl.types import Pairs


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


@pytest.mark.parametrize("shape", [(4,), (3, 2, 1)])
def test_compression_keeps_gamma_with_negative_eigenvalues(shape):
    pairs = random_pairs(n=50, shape=shape)
    small = compress(pairs)
    gamma = loop_gamma(pairs)
    assert np.linalg.eigvalsh(gamma).min() < -1e-3
    assert small.first.shape == (gamma.shape[0], gamma.shape[0])
    np.testing.assert_allclose(loop_gamma(small), gamma, atol=1e-13)


def test_compression_needs_only_as_many_pairs_as_the_rank():
    basis = np.random.default_rng(3).normal(size=(2, 6))
    latent = random_pairs(n=30, shape=(2,))
    pairs = Pairs(latent.first @ basis, latent.second @ basis)
    small = compress(pairs)
    assert small.first.shape == (2, 6)
    np.testing.assert_allclose(loop_gamma(small), loop_gamma(pairs), atol=1e-13)


@pytest.mark.parametrize("features", [1, 3])
def test_compression_of_rank_one_and_zero_pads_to_two_pairs(features):
    x = jnp.ones((5, features))
    for pairs in [Pairs(x, -2 * x), Pairs(0 * x, x)]:
        small = check_pairs(compress(pairs))
        assert small.first.shape == (2, features)
        np.testing.assert_allclose(loop_gamma(small), loop_gamma(pairs), atol=1e-14)


def test_compression_to_a_given_rank_keeps_the_largest_modes_under_jit():
    pairs = random_pairs()
    values, vectors = np.linalg.eigh(loop_gamma(pairs))
    kept = np.argsort(-abs(values))[:3]
    expected = vectors[:, kept] * values[kept] @ vectors[:, kept].T
    small = jax.jit(lambda p: compress(p, rank=3))(pairs)
    np.testing.assert_allclose(loop_gamma(small), expected, atol=1e-13)


def test_linear_training_cannot_tell_compressed_pairs_apart():
    pairs = random_pairs(n=40)
    weight = jnp.asarray(np.random.default_rng(4).normal(size=(2, 4)))

    def loss(w, data):
        za, zb = data.first @ w.T, data.second @ w.T
        c = (za.T @ zb + zb.T @ za) / (2 * len(za))
        return jnp.sum((c - jnp.eye(2)) ** 2)

    full, small = (jax.jit(jax.grad(loss))(weight, data) for data in (pairs, compress(pairs)))
    np.testing.assert_allclose(small, full, rtol=1e-12, atol=1e-12)


def test_float32_pairs_stay_float32_inside_double_precision():
    x = jnp.ones((3, 2), jnp.float32)
    shapes = jax.eval_shape(lambda x: compress(Pairs(x, x), rank=1), x)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(shapes)} == {"float32"}


@pytest.mark.parametrize("rank", [0, 4])
def test_a_rank_out_of_range_is_refused_in_one_line(rank):
    x = jnp.ones((5, 3))
    with pytest.raises(InputError) as error:
        compress(Pairs(x, x), rank=rank)
    assert "\n" not in str(error.value)
