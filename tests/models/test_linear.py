"""Linear encoders, shallow and deep."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.errors import InputError
from jssl.models import deep_linear, linear, mlp

X1 = np.random.default_rng(0).standard_normal((4, 3))
X2 = np.random.default_rng(1).standard_normal((5, 3))


def _ntk(model, params, x1, x2):
    """Tangent kernel of output 0, summed over all parameters."""

    def gradients(x):
        rows = jax.jacrev(lambda p: model.apply(p, x)[:, 0])(params)
        leaves = [np.asarray(leaf).reshape(len(x), -1) for leaf in jax.tree.leaves(rows)]
        return np.concatenate(leaves, 1)

    return gradients(x1) @ gradients(x2).T


@pytest.mark.parametrize("bias", [False, True])
def test_linear_tangent_kernel_is_exact_and_free_of_the_scale(bias):
    model = linear(3, 2, scale=1e-2, bias=bias)
    params = model.init(jax.random.key(0))
    ntk = model.kernel(jnp.asarray(X1), jnp.asarray(X2))[1]
    np.testing.assert_allclose(ntk, _ntk(model, params, X1, X2), rtol=1e-12)
    np.testing.assert_allclose(ntk, X1 @ X2.T + bias, rtol=1e-12)


def test_linear_apply_is_the_plain_product_and_follows_the_input_dtype():
    model = linear(12, 2, dtype=jnp.float32)
    params = model.init(jax.random.key(0))
    images = jax.random.normal(jax.random.key(1), (5, 2, 3, 2), jnp.float32)
    z = model.apply(params, images)
    assert z.dtype == jnp.float32
    expected = np.asarray(images).reshape(5, 12) @ np.asarray(params["weight"]).T
    np.testing.assert_allclose(z, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_linear_covariance_of_the_start_is_its_nngp(scale):
    model = linear(3, 20_000, scale=scale)
    z = np.asarray(model.apply(model.init(jax.random.key(0)), X1))
    products = z[:, None] * z[None]
    error = products.std(-1) / np.sqrt(z.shape[1])
    nngp = model.kernel(jnp.asarray(X1), jnp.asarray(X1))[0]
    assert np.all(np.abs(products.mean(-1) - nngp) < 4.5 * error)


def test_deep_linear_standard_is_the_product_of_its_weights():
    model = deep_linear(3, 2, width=7, depth=2, scale=0.5)
    params = model.init(jax.random.key(0))
    product = functools.reduce(lambda a, b: b @ a, [np.asarray(p["weight"]) for p in params])
    np.testing.assert_allclose(model.apply(params, X1), X1 @ product.T, rtol=1e-10)
    assert model.kernel is None
    assert "parametrisation='ntk'" in model.no_kernel


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_both_parametrisations_start_as_the_same_function(depth):
    nets = [
        deep_linear(3, 2, width=7, depth=depth, scale=0.3, parametrisation=name)
        for name in ("ntk", "standard")
    ]
    ntk, standard = (net.apply(net.init(jax.random.key(2)), X1) for net in nets)
    np.testing.assert_allclose(ntk, standard, rtol=1e-10)


@pytest.mark.parametrize("scale", [0.4, 1.5])
def test_deep_linear_kernel_is_the_mean_over_starts(scale):
    model = deep_linear(3, 1, width=6, depth=1, scale=scale, parametrisation="ntk")

    @jax.vmap
    def sample(key):
        params = model.init(key)
        z = model.apply(params, X1)[:, 0]
        rows = jax.jacrev(lambda p: model.apply(p, jnp.asarray(X1))[:, 0])(params)
        flat = jnp.concatenate([leaf.reshape(4, -1) for leaf in jax.tree.leaves(rows)], 1)
        return jnp.outer(z, z), flat @ flat.T

    samples = jax.jit(sample)(jax.random.split(jax.random.key(3), 6000))
    for measured, expected in zip(samples, model.kernel(X1, X1), strict=True):
        error = np.std(measured, 0) / np.sqrt(len(measured))
        assert np.all(np.abs(np.mean(measured, 0) - expected) < 4.5 * error)


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_deep_linear_kernel_is_that_of_a_linear_mlp(depth):
    deep = deep_linear(3, 2, width=4, depth=depth, parametrisation="ntk")
    same = mlp(3, 2, width=4, depth=depth, activation="linear")
    for a, b in zip(deep.kernel(X1, X2), same.kernel(X1, X2), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), "small", [1.0, 2.0], np.ones(1)])
def test_a_scale_that_is_not_positive_is_refused(scale):
    factories = (
        lambda: linear(3, 2, scale=scale),
        lambda: deep_linear(3, 2, scale=scale),
        lambda: mlp(3, 2, output_scale=scale),
        lambda: mlp(3, 2, weight_std=scale),
        lambda: mlp(3, 2, bias_std=-1.0 if scale == 0 else scale),
    )
    for factory in factories:
        with pytest.raises(InputError, match="scale of a start"):
            factory()
