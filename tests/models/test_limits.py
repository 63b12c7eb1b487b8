"""Infinite-width kernels against closed forms, adaptive integration and recursions by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.special

from jssl.kernels.infinite import kernel
from jssl.models import centred, conv, deep_linear, linear, mlp, residual

X1 = np.random.default_rng(0).standard_normal((4, 3))
X2 = np.random.default_rng(1).standard_normal((5, 3))


def _arc_cosine(covariance, first, second):
    """E[phi phi] and E[phi' phi'] of relu (Cho and Saul 2009)."""
    size = np.sqrt(np.outer(first, second))
    angle = np.arccos(np.clip(covariance / size, -1, 1))
    value = size * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi)
    return value, (np.pi - angle) / (2 * np.pi)


def _arc_sine(covariance, first, second):
    """E[phi phi] and E[phi' phi'] of erf (Williams 1997)."""
    size = np.outer(1 + 2 * first, 1 + 2 * second)
    value = 2 / np.pi * np.arcsin(2 * covariance / np.sqrt(size))
    return value, 4 / np.pi / np.sqrt(size - 4 * covariance**2)


def _by_hand(dual, depth, gain, bias, x1, x2):
    """Sum over layers of the product of what lies below and the slopes above."""
    dimension = x1.shape[1]
    covariance = gain**2 * x1 @ x2.T / dimension + bias**2
    first, second = (gain**2 * (x**2).sum(1) / dimension + bias**2 for x in (x1, x2))
    below, slopes = [covariance], []
    for _ in range(depth):
        value, slope = dual(below[-1], first, second)
        below.append(gain**2 * value + bias**2)
        slopes.append(gain**2 * slope)
        first, second = (
            gain**2 * np.array([dual(np.array([[q]]), np.array([q]), np.array([q]))[0].item()
                                for q in variances]) + bias**2
            for variances in (first, second)
        )  # fmt: skip
    ntk = sum(np.prod([below[k], *slopes[k:]], axis=0) for k in range(depth + 1))
    return below[-1], ntk


@pytest.mark.parametrize(("activation", "dual"), [("relu", _arc_cosine), ("erf", _arc_sine)])
@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("bias", [0.0, 0.6])
def test_dense_kernels_are_the_closed_forms(activation, dual, depth, bias):
    model = mlp(3, 2, width=4, depth=depth, activation=activation, weight_std=1.3, bias_std=bias)
    for measured, expected in zip(
        model.kernel(X1, X2), _by_hand(dual, depth, 1.3, bias, X1, X2), strict=True
    ):
        np.testing.assert_allclose(measured, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.float32
def test_float32_inputs_give_float32_kernels_near_the_closed_form():
    model = mlp(3, 2, width=4, activation="erf", weight_std=1.3, bias_std=0.6)
    measured = model.kernel(jnp.asarray(X1, jnp.float32), jnp.asarray(X2, jnp.float32))
    for a, b in zip(measured, _by_hand(_arc_sine, 2, 1.3, 0.6, X1, X2), strict=True):
        assert a.dtype == jnp.float32
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def _integral(function, covariance, first, second):
    """E[f(u) f(v)] by adaptive integration in the plane."""
    slope, rest = covariance / np.sqrt(first), np.sqrt(max(second - covariance**2 / first, 0))

    def density(z):
        return np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)

    def inner(z):
        def integrand(w):
            return function(slope * z + rest * w) * density(w)

        return scipy.integrate.quad(integrand, -12, 12, epsabs=1e-13, epsrel=1e-12, limit=200)[0]

    def outer(z):
        return function(np.sqrt(first) * z) * inner(z) * density(z)

    return scipy.integrate.quad(outer, -12, 12, epsabs=1e-12, epsrel=1e-11, limit=200)[0]


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "gelu", "sin"])
def test_kernel_is_the_recursion_with_integrals(activation):
    model = mlp(3, 2, width=4, depth=1, activation=activation, weight_std=1.2, bias_std=0.3)
    function = {
        "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
        "sigmoid": (scipy.special.expit, lambda x: 1 / (2 + 2 * np.cosh(x))),
        "gelu": (
            lambda x: x * scipy.special.ndtr(x),
            lambda x: scipy.special.ndtr(x) + x * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi),
        ),
        "sin": (np.sin, np.cos),
    }[activation]  # fmt: skip
    a, b = X1[:1], X2[:1]
    below = 1.44 * float((a @ b.T).item()) / 3 + 0.09
    sizes = [1.44 * float((x**2).sum()) / 3 + 0.09 for x in (a, b)]
    value, slope = (_integral(f, below, *sizes) for f in function)
    nngp, ntk = model.kernel(a, b)
    np.testing.assert_allclose(nngp, 1.44 * value + 0.09, rtol=1e-8)
    np.testing.assert_allclose(ntk, 1.44 * value + 0.09 + below * 1.44 * slope, rtol=1e-8)


def test_full_sized_filter_makes_the_convolution_a_dense_layer():
    pixels = np.random.default_rng(2).standard_normal((4, 1, 1, 3))
    image = conv((1, 1, 3), 2, channels=4, layers=1, activation="erf", bias_std=0.2)
    # On one pixel a 3x3 filter sees 8 zeros, so the first layer's gain is a third.
    first = linear(3, 1).kernel(pixels, pixels)[1] / 27 + 0.04
    sizes = np.diag(first)
    value, slope = _arc_sine(np.asarray(first), sizes, sizes)
    for measured, expected in zip(
        image.kernel(pixels, pixels), (value + 0.04, value + 0.04 + first * slope), strict=True
    ):
        np.testing.assert_allclose(measured, expected, rtol=1e-10)


def test_kernel_can_be_differentiated_and_mapped():
    def trace(weight_std):
        return jnp.sum(mlp(3, 2, width=4, depth=1, weight_std=weight_std).kernel(X1, X2)[1])

    slope = jax.jit(jax.grad(trace))(1.2)
    below, at, above = jax.jit(jax.vmap(trace))(jnp.array([1.1999, 1.2, 1.2001]))
    np.testing.assert_allclose(slope, (above - below) / 2e-4, rtol=1e-5)
    np.testing.assert_allclose(at, trace(1.2), rtol=1e-10)


IMAGES = np.random.default_rng(4).integers(0, 256, (3, 4, 4, 1)).astype(np.uint8)
KERNELS = {
    "linear": linear(16, 2, bias=True),
    "deep_linear": deep_linear(16, 2, parametrisation="ntk"),
    "mlp": mlp(16, 2),
    "residual": residual(16, 2),
    "conv": conv((4, 4, 1), 2),
    "centred": centred(mlp(16, 2, activation="relu")),
}


@pytest.mark.parametrize("dtype", [np.uint8, bool])
@pytest.mark.parametrize("name", KERNELS)
def test_kernels_of_integer_inputs_are_those_of_the_same_numbers(name, dtype):
    """Products of uint8 wrap around at 256."""
    x = (IMAGES > 100) if dtype is bool else IMAGES.astype(dtype)
    for a, b in ((x, x), (jnp.asarray(x), x[:2].astype(float))):
        expected = KERNELS[name].kernel(jnp.asarray(a, float), jnp.asarray(b, float))
        for measured, known in zip(KERNELS[name].kernel(a, b), expected, strict=True):
            assert jnp.issubdtype(measured.dtype, jnp.floating)
            np.testing.assert_allclose(measured, known, rtol=1e-12)


@pytest.mark.parametrize("name", ["centred", "deep_linear", "residual"])
def test_gram_matrix_of_integers_is_that_of_the_same_numbers(name):
    """Of kernels that do not depend on the scale of pixels: those of others refuse them."""
    x = IMAGES.reshape(3, -1).astype(float)
    gram = kernel(KERNELS[name], jnp.asarray(IMAGES))
    np.testing.assert_allclose(gram, kernel(KERNELS[name], jnp.asarray(x)), rtol=1e-12)
