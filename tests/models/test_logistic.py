"""Expectations of the logistic activations against integration on composite grids in the plane."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from jssl.models import activations, logistic, mlp
from jssl.models.logistic import DUALS, TERMS, mixture

expit = scipy.special.expit
PLAIN = {
    "sigmoid": (expit, lambda x: expit(x) * expit(-x)),
    "silu": (lambda x: x * expit(x), lambda x: expit(x) * (1 + x * expit(-x))),
    "softplus": (lambda x: np.logaddexp(0, x), expit),
    "tanh": (np.tanh, lambda x: 1 / np.cosh(np.clip(x, -350, 350)) ** 2),
}
CASES = [(name, k) for name in PLAIN for k in (0, 1)]
IDS = [f"{name} {('value', 'slope')[k]}" for name, k in CASES]

_SMALL = np.concatenate([np.linspace(0, 4, 9), np.arange(5, 41)])
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)


def grid(mean, size):
    """Return Gauss nodes and weights for N(mean, size^2) times a function that bends near 0."""
    ends = mean + size * np.linspace(-9, 9, 37)
    near = np.concatenate([-_SMALL[:0:-1], _SMALL])
    cuts = np.unique(np.concatenate([ends, near[(near > ends[0]) & (near < ends[-1])]]))
    half = np.diff(cuts)[:, None] / 2
    at = (cuts[1:, None] + cuts[:-1, None]) / 2 + half * _NODES
    density = np.exp(-(((at - mean) / size) ** 2) / 2) / (size * np.sqrt(2 * np.pi))
    return at.ravel(), (half * _WEIGHTS * density).ravel()


def integral(function, first, second, correlation, rest):
    """E[f(u) f(v)] for standard deviations of u, v; rest = sqrt(1 - correlation^2)."""
    u, weights = grid(0.0, first)
    means = correlation * second / first * u
    if rest == 0:
        return weights @ (function(u) * function(means))
    inner = [w @ function(v) for v, w in (grid(mean, second * rest) for mean in means)]
    return weights @ (function(u) * np.array(inner))


SIZES = [(1e-3, 1e-3), (0.03, 3.0), (1.0, 1.0), (16.0, 4.0), (255.0, 255.0), (1e3, 1e3)]
NEAR = 1e-6
CORRELATIONS = [(1, 0.0), (-1, 0.0), (0.7, np.sqrt(0.51)), (-0.2, np.sqrt(0.96))]
CORRELATIONS += [(s * (1 - NEAR), np.sqrt(NEAR * (2 - NEAR))) for s in (1, -1)]
POINTS = [(a, b, *c) for a, b in SIZES for c in CORRELATIONS]


@pytest.mark.parametrize(("name", "order"), CASES, ids=IDS)
def test_expectations_are_the_integrals_at_every_scale_and_correlation(name, order):
    """Standard deviations from 1e-3 to 1e3, correlations up to both ends: relative, no floor."""
    first, second, correlation, _ = np.array(POINTS).T
    found = jax.jit(jax.vmap(DUALS[name][order]))(
        jnp.asarray(correlation * first * second), jnp.asarray(first**2), jnp.asarray(second**2)
    )
    expected = [integral(PLAIN[name][order], *point) for point in POINTS]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.float32
@pytest.mark.parametrize(("name", "order"), CASES, ids=IDS)
def test_expectations_in_float32_keep_their_digits_at_every_scale(name, order):
    points = [p for p in POINTS if p[2] in (1, 0.7, -0.2)]  # float32 holds no 1 - 1e-6 times q
    first, second, correlation, _ = np.array(points).T
    arguments = (correlation * first * second, first**2, second**2)
    found = jax.vmap(DUALS[name][order])(*(jnp.asarray(a, jnp.float32) for a in arguments))
    assert found.dtype == jnp.float32
    expected = [integral(PLAIN[name][order], *point) for point in points]
    held = (first == second) | (correlation < 1)  # rounding of a covariance moves it off 1
    np.testing.assert_allclose(found[held], np.array(expected)[held], rtol=1e-5)


@pytest.mark.parametrize("name", PLAIN)
def test_slope_is_the_derivative_with_respect_to_the_covariance(name):
    point = (jnp.float64(-0.7), jnp.float64(2.0), jnp.float64(0.5))
    np.testing.assert_allclose(jax.grad(DUALS[name].value)(*point), DUALS[name].slope(*point))


def test_constant_inputs_have_finite_expectations():
    zero, one = jnp.float64(0.0), jnp.float64(1.0)
    assert float(DUALS["tanh"].value(zero, zero, one)) == 0
    np.testing.assert_allclose(DUALS["sigmoid"].value(zero, zero, one), 0.25, rtol=1e-12)
    for name in PLAIN:
        for mean in DUALS[name]:
            assert np.isfinite(mean(zero, zero, zero))
            assert np.isfinite(jax.grad(mean, (0, 1, 2))(zero, zero, zero)).all()


def test_mixture_is_the_logistic_function():
    k, weights = mixture()
    x = np.linspace(-50, 50, 2001)
    assert len(k) == TERMS
    assert (weights > 0).all()
    np.testing.assert_allclose(weights.sum(), 1, rtol=1e-14)
    mixed = scipy.special.ndtr(x[:, None] / (2 * k)) @ weights
    np.testing.assert_allclose(mixed, expit(x), rtol=0, atol=1e-8)


def test_arctangent_keeps_its_digits_and_its_derivative():
    x = jnp.linspace(-1, 1, 2001)
    np.testing.assert_allclose(logistic.arctan(x), np.arctan(x), rtol=1e-12)
    slope = jax.vmap(jax.grad(logistic.arctan))(x)
    np.testing.assert_allclose(slope, 1 / (1 + np.square(x)), rtol=1e-10)


def test_every_activation_without_a_kernel_in_neural_tangents_is_here():
    theirs = {"erf", "gelu", "leaky_relu", "linear", "relu", "sin"}
    assert set(DUALS) | theirs == set(activations.ACTIVATIONS)


@pytest.mark.parametrize("rms", [1e-3, 1.0, 8.0, 255.0, 1e3])
def test_tanh_kernel_of_inputs_of_any_scale_is_the_integral(rms):
    """One hidden layer; on, near and off the diagonal, at correlations near 1 and -1."""
    angle = np.array([0.0, 1e-3, 1.0, np.pi - 1e-3, np.pi])
    x = rms * np.sqrt(2) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    nngp, ntk = mlp(2, 1, activation="tanh", depth=1).kernel(jnp.asarray(x), jnp.asarray(x))
    at = [(rms, rms, np.cos(a), 0.0 if a in (0, np.pi) else np.sin(a)) for a in angle]
    value, slope = (np.array([integral(f, *point) for point in at]) for f in PLAIN["tanh"])
    np.testing.assert_allclose(nngp[0], value, rtol=1e-8)
    np.testing.assert_allclose(ntk[0], value + rms**2 * np.cos(angle) * slope, rtol=1e-8)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("scale", [1e-2, 1.0, 100.0])
def test_kernels_of_deep_nets_are_positive_semi_definite(name, scale):
    x = scale * np.random.default_rng(3).normal(size=(12, 3))
    for gram in mlp(3, 1, activation=name, depth=3).kernel(jnp.asarray(x), jnp.asarray(x)):
        values = np.linalg.eigvalsh(gram)
        assert values[0] > -1e-14 * values[-1]
