"""Multilayer perceptrons at finite width, and their small starts."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.special

from jssl.errors import InputError
from jssl.models import centred, linear, mlp

X = np.random.default_rng(0).standard_normal((4, 3))
NUMPY = {
    "erf": scipy.special.erf,
    "gelu": lambda x: x * scipy.special.ndtr(x),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": scipy.special.expit,
    "silu": lambda x: x * scipy.special.expit(x),
    "sin": np.sin,
    "softplus": lambda x: np.logaddexp(0, x),
    "tanh": np.tanh,
}


def _gradients(model, params, x):
    rows = jax.jacrev(lambda p: model.apply(p, x)[:, 0])(params)
    return jnp.concatenate([leaf.reshape(len(x), -1) for leaf in jax.tree.leaves(rows)], 1)


@pytest.mark.parametrize("activation", sorted(NUMPY))
def test_apply_is_the_written_formula(activation):
    model = mlp(3, 2, width=7, depth=2, activation=activation, weight_std=1.3, bias_std=0.4)
    params = jax.jit(model.init)(jax.random.key(0))
    h = X
    for index, layer in enumerate(params):
        h = NUMPY[activation](h) if index else h
        weight, bias = np.asarray(layer["weight"]), np.asarray(layer["bias"])
        h = 1.3 / np.sqrt(h.shape[1]) * h @ weight.T + 0.4 * bias
    np.testing.assert_allclose(jax.jit(model.apply)(params, X), h, rtol=1e-6)


@pytest.mark.parametrize("output_scale", [1.0, 0.01])
def test_both_parametrisations_start_as_the_same_function(output_scale):
    options = {"width": 9, "activation": "relu", "bias_std": 0.4, "output_scale": output_scale}
    nets = [mlp(3, 2, parametrisation=name, **options) for name in ("ntk", "standard")]
    ntk, standard = (net.apply(net.init(jax.random.key(1)), X) for net in nets)
    np.testing.assert_allclose(ntk, standard, rtol=1e-9)
    assert nets[1].kernel is None
    assert nets[1].no_kernel


def test_relu_starts_with_gain_root_two_and_keeps_the_signal():
    z = {}
    for name, weight_std in (("own", None), ("given", np.sqrt(2.0))):
        model = mlp(3, 500, width=500, activation="relu", weight_std=weight_std)
        z[name] = np.asarray(model.apply(model.init(jax.random.key(1)), X))
    np.testing.assert_allclose(z["own"], z["given"])
    sizes = (z["own"] ** 2).mean(1) / (2 * (X**2).mean(1))
    np.testing.assert_allclose(sizes, 1, atol=0.3)


def test_float32_parameters_give_a_float32_embedding_inside_float64():
    model = mlp(3, 2, width=4, bias_std=0.1, dtype=jnp.float32)
    params = model.init(jax.random.key(0))
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(jnp.float32)}
    assert model.apply(params, jnp.asarray(X, jnp.float32)).dtype == jnp.float32


def test_bias_exists_only_where_it_is_asked_for():
    def names(bias_std):
        return set(mlp(3, 2, width=4, bias_std=bias_std).init(jax.random.key(0))[0])

    assert names(0.0) == names(0) == {"weight"}
    assert names(0.1) == {"weight", "bias"}


def test_output_scale_multiplies_the_initial_function_and_its_nngp():
    base, small = (
        mlp(3, 2, width=8, depth=1, activation="erf", bias_std=0.5, output_scale=s)
        for s in (1.0, 1e-3)
    )
    key = jax.random.key(2)
    expected = 1e-3 * base.apply(base.init(key), X)
    np.testing.assert_allclose(small.apply(small.init(key), X), expected, rtol=1e-10)
    np.testing.assert_allclose(small.kernel(X, X)[0], 1e-6 * base.kernel(X, X)[0], rtol=1e-10)


@pytest.mark.parametrize("output_scale", [0.3, 2.0])
def test_kernel_at_any_output_scale_is_the_mean_over_starts(output_scale):
    model = mlp(3, 1, width=6, depth=1, activation="erf", bias_std=0.5, output_scale=output_scale)

    @jax.vmap
    def sample(key):
        params = model.init(key)
        z, gradients = model.apply(params, X)[:, 0], _gradients(model, params, X)
        return jnp.outer(z, z), gradients @ gradients.T

    # With one hidden layer the mean over starts is the infinite-width kernel at every width.
    samples = jax.jit(sample)(jax.random.split(jax.random.key(3), 8000))
    for measured, expected in zip(samples, model.kernel(X, X), strict=True):
        error = np.std(measured, 0) / np.sqrt(len(measured))
        assert np.all(np.abs(np.mean(measured, 0) - expected) < 4.5 * error)


@pytest.mark.slow
def test_wide_net_approaches_its_kernel_as_one_over_root_width():
    def distance(width):
        model = mlp(3, 1, width=width, depth=2, activation="tanh", weight_std=1.2, bias_std=0.3)

        def ntk(key):
            gradients = _gradients(model, model.init(key), X)
            return gradients @ gradients.T

        nets = jax.jit(lambda keys: jax.lax.map(ntk, keys))(jax.random.split(jax.random.key(4), 12))
        limit = np.asarray(model.kernel(X, X)[1])
        return np.sqrt(np.mean((nets - limit) ** 2)) / np.abs(limit).max()

    narrow, wide = distance(16), distance(1024)
    assert wide < 0.03
    slope = np.log(wide / narrow) / np.log(1024 / 16)
    assert -0.65 < slope < -0.35


def test_centred_start_is_scaled_and_the_tangent_kernel_unchanged():
    base = mlp(3, 2, width=8, activation="erf", bias_std=0.5)
    small = centred(base, 1e-3)
    key = jax.random.key(5)
    params = small.init(key)
    expected = 1e-3 * base.apply(base.init(key), X)
    np.testing.assert_allclose(small.apply(params, X), expected, rtol=1e-9)
    moved = {**params, "params": jax.tree.map(lambda p: 1.1 * p, params["params"])}
    jacobian = [
        jax.jit(jax.jacrev(lambda p, f=f: f(p, X)[:, 0])) for f in (small.apply, base.apply)
    ]
    for point in (params, moved):
        ours, theirs = jacobian[0](point), jacobian[1](point["params"])
        same = functools.partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-14)
        jax.tree.map(same, ours["params"], theirs)
        assert all(bool(jnp.all(leaf == 0)) for leaf in jax.tree.leaves(ours["start"]))
    nngp, ntk = small.kernel(X, X)
    expected = base.kernel(X, X)
    np.testing.assert_allclose(nngp, 1e-6 * expected[0], rtol=1e-12)
    np.testing.assert_array_equal(ntk, expected[1])


@pytest.mark.parametrize("make", [optax.adam, lambda rate: optax.sgd(rate, momentum=0.9)])
def test_training_leaves_the_centred_start_alone_and_may_donate(make):
    model, optimiser = centred(mlp(3, 2, width=8), 1e-2), make(1e-2)
    params = jax.jit(model.init)(jax.random.key(6))
    first = jax.tree.map(np.array, params)

    def step(params, state):
        gradient = jax.grad(lambda p: jnp.mean((model.apply(p, X) - 1) ** 2))(params)
        updates, state = optimiser.update(gradient, state, params)
        return optax.apply_updates(params, updates), state

    step, state = jax.jit(step, donate_argnums=0), optimiser.init(params)
    for _ in range(10):
        params, state = step(params, state)
    jax.tree.map(np.testing.assert_array_equal, params["start"], first["start"])
    assert not np.allclose(params["params"][0]["weight"], first["params"][0]["weight"])


def test_centring_keeps_the_reason_for_no_kernel():
    model = centred(mlp(3, 2, width=8, parametrisation="standard"))
    assert model.kernel is None
    assert "standard" in model.no_kernel


def test_numbers_may_be_traced():
    def embed(weight_std, bias_std, output_scale):
        net = mlp(
            3, 2, width=8, weight_std=weight_std, bias_std=bias_std, output_scale=output_scale
        )
        return net.apply(net.init(jax.random.key(0)), X), net.kernel(X, X)[1]

    for a, b in zip(jax.jit(embed)(1.2, 0.3, 0.5), embed(1.2, 0.3, 0.5), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: mlp(3, 2, depth=-1), "depth is a number"),
        (lambda: mlp(3, 2, depth=1.5), "depth is a number"),
        (lambda: mlp(0, 2), "in_dim must be an integer of at least 1"),
        (lambda: mlp(3, 2, activation="thanh"), "did you mean 'tanh'"),
        (lambda: mlp(3, 2, parametrisation="nkt"), "did you mean 'ntk'"),
        (lambda: linear(3, 0), "out_dim must be an integer of at least 1"),
        (lambda: linear(3, 2).apply({"weight": jnp.ones((2, 3))}, X[:, :2]), "3 numbers per"),
    ],
)
def test_bad_input_is_one_clear_line(build, says):
    with pytest.raises(InputError, match=says) as caught:
        build()
    assert "\n" not in str(caught.value)
