"""Kernels of very small and very large inputs."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from jssl.kernels import infinite
from jssl.models import conv, mlp, residual
from jssl.types import Pairs

X = np.random.default_rng(7).standard_normal((5, 6))


@pytest.mark.float32
@pytest.mark.parametrize("where", ["host", "traced"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-13), ("float32", 2e-6)])
@pytest.mark.parametrize("scale", [1e-8, 1e-4, 1e-2, 0.3, 3.0])
def test_sine_keeps_its_digits_at_small_inputs(scale, dtype, tolerance, where):
    """E[sin u sin v] = exp(-(p + q) / 2) sinh(c), E[cos u cos v] = exp(-(p + q) / 2) cosh(c)."""
    x = (scale * X).astype(dtype)
    with jax.enable_x64(dtype == "float64"):
        model = mlp(6, 1, activation="sin", depth=1, weight_std=1.0)
        kernel = jax.jit(model.kernel) if where == "traced" else model.kernel
        found = kernel(x, x)
    with mp.workdps(40):
        c = [[mp.fdot(map(float, a), map(float, b)) / 6 for b in x] for a in x]
        rest = [[mp.exp(-(c[i][i] + c[j][j]) / 2) for j in range(5)] for i in range(5)]
        nngp = [[rest[i][j] * mp.sinh(c[i][j]) for j in range(5)] for i in range(5)]
        ntk = [
            [nngp[i][j] + c[i][j] * rest[i][j] * mp.cosh(c[i][j]) for j in range(5)]
            for i in range(5)
        ]
    for part, known in zip(found, (nngp, ntk), strict=True):
        known = np.array([[float(value) for value in row] for row in known])
        np.testing.assert_allclose(part, known, rtol=0, atol=tolerance * np.abs(known).max())


@pytest.mark.parametrize("scale", [1e3, 1e8, 1e16, 1e25, 1e70])
@pytest.mark.parametrize("activation", ["gelu", "silu", "softplus"])
def test_smooth_rectifiers_become_relu_at_large_inputs(activation, scale):
    """Corrections are of the order of 1 / scale."""
    x = scale * np.concatenate([X, X[:1] * (1 + 1e-9), -X[:1]])
    options = {"depth": 1, "weight_std": 1.0}
    found = infinite.kernel(mlp(6, 1, activation=activation, **options), x)
    relu = infinite.kernel(mlp(6, 1, activation="relu", **options), x)
    np.testing.assert_allclose(found, relu, rtol=0, atol=(10 / scale + 1e-12) * float(relu.max()))


@pytest.mark.float32
@pytest.mark.parametrize("activation", ["gelu", "silu"])
def test_smooth_rectifiers_keep_their_digits_in_float32(activation):
    for scale in (1.0, 300.0, 1e6, 1e8):
        x = scale * np.concatenate([X, X[:1] * (1 + 1e-5)])
        model = mlp(6, 1, activation=activation, depth=1)
        low = np.asarray(infinite.kernel(model, x.astype(np.float32)))
        with jax.enable_x64(True):
            high = np.asarray(infinite.kernel(model, x.astype(np.float32).astype(float)))
        np.testing.assert_allclose(low, high, rtol=0, atol=2e-6 * np.abs(high).max())


@pytest.mark.float32
@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_integers_beyond_those_of_jax_do_not_wrap_around(dtype):
    x = np.array([[3_000_000_000, 1], [2**32, 1]], dtype)
    model = mlp(2, 1, activation="linear", depth=0)
    exact = x.astype(float) @ x.astype(float).T / 2
    np.testing.assert_allclose(infinite.kernel(model, x), exact, rtol=1e-6)
    gram = infinite.gram(model, Pairs(x, x))
    np.testing.assert_allclose(gram, np.tile(exact, (2, 2)), rtol=1e-6)
    assert jnp.issubdtype(gram.dtype, jnp.floating)


def test_no_inputs_give_an_empty_kernel_without_a_warning():
    found = mlp(6, 1, activation="relu").kernel(X[:0], X)
    assert [part.shape for part in found] == [(0, 5), (0, 5)]


@pytest.mark.float32
@pytest.mark.parametrize("name", ["conv", "leaky conv", "residual", "mlp"])
@pytest.mark.parametrize("exponents", [(-100, -100), (-50, 100), (110, 100)])
def test_homogeneous_kernels_keep_their_digits_at_any_scale(name, exponents):
    """k(2^a x, 2^b x') = 2^(a + b) k(x, x') for networks without biases, traced as well."""
    models = {
        "conv": lambda: conv((6, 6, 1), 1),
        "leaky conv": lambda: conv((6, 6, 1), 1, activation="leaky_relu"),
        "residual": lambda: residual(36, 1),
        "mlp": lambda: mlp(36, 1, activation="relu"),
    }
    model = models[name]()
    x = np.random.default_rng(0).uniform(0, 1, (4, 6, 6, 1)).astype(np.float32)
    first, second = (np.float32(2.0 ** (e // 2)) * x for e in exponents)
    with jax.enable_x64(False):
        plain = model.kernel(x, x)
        for call in (model.kernel, jax.jit(model.kernel)):
            for found, known in zip(call(first, second), plain, strict=True):
                unit = 2.0 ** (exponents[0] // 2) * 2.0 ** (exponents[1] // 2)
                np.testing.assert_allclose(np.asarray(found) / unit, known, rtol=1e-5)
