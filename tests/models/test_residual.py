"""Residual nets and mup: infinite-width kernels by recursion, Monte Carlo, orders in the width."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.errors import InputError
from jssl.kernels import empirical_ntk, infinite
from jssl.models import conv, mlp, residual

X = np.random.default_rng(0).standard_normal((4, 3))
IMAGES = np.random.default_rng(1).standard_normal((4, 4, 4, 1))


def _relu_dual(covariance):
    size = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    angle = np.arccos(np.clip(covariance / size, -1, 1))
    value = size * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi)
    return value, (np.pi - angle) / (2 * np.pi)


def _erf_dual(covariance):
    variance = 1 + 2 * np.diag(covariance)
    size = np.outer(variance, variance)
    value = 2 / np.pi * np.arcsin(2 * covariance / np.sqrt(size))
    return value, 4 / np.pi / np.sqrt(size - 4 * covariance**2)


@pytest.mark.parametrize(("activation", "dual"), [("relu", _relu_dual), ("erf", _erf_dual)])
@pytest.mark.parametrize("bias", [0.0, 0.5])
def test_residual_kernel_is_the_recursion_with_arc_cosine_and_arc_sine(activation, dual, bias):
    gain, branch = 1.3, 0.7
    options = {"weight_std": gain, "branch_std": branch, "bias_std": bias}
    model = residual(3, 2, width=4, blocks=2, activation=activation, **options)
    nngp = gain**2 * X @ X.T / 3 + bias**2
    ntk = nngp
    for _ in range(2):
        value, slope = dual(nngp)
        step = branch**2 * value + bias**2
        nngp, ntk = nngp + step, ntk + step + branch**2 * slope * ntk
    value, slope = dual(nngp)
    nngp = gain**2 * value + bias**2
    ntk = nngp + gain**2 * slope * ntk
    off = ~np.eye(len(X), dtype=bool)
    # At a cosine of 1, on the diagonal, the angle of relu's dual has half the digits.
    tolerance = 2e-8 if activation == "relu" else 1e-10
    for measured, expected in zip(model.kernel(X, X), (nngp, ntk), strict=True):
        np.testing.assert_allclose(measured, expected, rtol=tolerance)
        np.testing.assert_allclose(np.asarray(measured)[off], np.asarray(expected)[off], rtol=1e-10)


@pytest.mark.parametrize(
    ("model", "x"),
    [
        (residual(3, 2, width=512, blocks=1, activation="erf", bias_std=0.3), X),
        (conv((4, 4, 1), 2, channels=256, layers=1), IMAGES),
        (mlp(3, 2, width=512, depth=2, activation="tanh"), X),
    ],
    ids=["residual", "conv", "mlp"],
)
def test_kernels_are_the_mean_over_wide_nets_within_its_standard_error(model, x):
    keys = jax.random.split(jax.random.key(1), 24)
    init = jax.jit(model.init)
    one = jax.jit(lambda params: empirical_ntk(model.apply, params, jnp.asarray(x)))
    drawn = np.stack([one(init(key)) for key in keys])
    error = drawn.std(0, ddof=1) / len(drawn) ** 0.5
    bias = 10 / 512 * np.abs(drawn.mean(0))  # the mean's own distance from the limit, ~ 1 / width
    apart = np.abs(drawn.mean(0) - infinite.kernel(model, x))
    assert (apart < 4.5 * error + bias).all()
    assert (4.5 * error + bias < 0.2 * drawn.mean(0).max()).all()


def test_mup_starts_smaller_and_moves_features_by_order_one_at_every_width():
    x = jnp.asarray(X)

    def outputs(width):
        model = mlp(3, 2, width=width, depth=2, parametrisation="mup", activation="tanh")
        params = jax.jit(model.init)(jax.random.key(0))
        loss = lambda p: jnp.mean((model.apply(p, x) - 1) ** 2)  # noqa: E731
        moved = jax.tree.map(lambda a, g: a - 0.1 * g, params, jax.jit(jax.grad(loss))(params))
        feature = lambda p: width**0.5 * x @ p[0]["weight"].T / 3**0.5  # noqa: E731
        change = jnp.abs(feature(moved) - feature(params)).mean()
        return float(jnp.std(model.apply(params, x))), float(change)

    (narrow, near), (wide, far) = outputs(64), outputs(1024)
    assert 2.5 < narrow / wide < 6.5  # 1 / sqrt(width): 4
    assert 0.6 < near / far < 1.7  # order one


@pytest.mark.parametrize("build", [mlp, residual])
@pytest.mark.parametrize("name", ["standard", "mup"])
def test_parametrisations_without_a_limit_say_what_to_do(build, name):
    model = build(3, 2, parametrisation=name)
    with pytest.raises(InputError, match=r"parametrisation='ntk'.*empirical_ntk") as refused:
        infinite.kernel(model, X)
    assert "\n" not in str(refused.value)
