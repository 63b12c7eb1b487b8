"""The kernel of all outputs between modes (F-5), the leak (F-3), against the kernel itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.errors import InputError
from jssl.kernels import empirical_ntk
from jssl.models import conv, mlp
from jssl.theory.finite_width import leak, mode_kernel

X = np.random.default_rng(0).normal(size=(12, 5))
WEIGHTS = np.random.default_rng(1).normal(size=(12, 4))


def _net(width=16, **options):
    model = mlp(5, 3, width=width, depth=2, activation="tanh", **options)
    return model.apply, model.init(jax.random.key(0))


def test_entries_are_the_blocks_of_the_empirical_kernel_between_the_weights():
    apply, params = _net(bias_std=0.1)
    theta = np.asarray(empirical_ntk(apply, params, jnp.asarray(X), outputs="full"))
    expected = np.einsum("xi,xykl,yj->ikjl", WEIGHTS, theta, WEIGHTS)
    found = mode_kernel(apply, params, jnp.asarray(X), jnp.asarray(WEIGHTS))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_blocks_of_rows_and_little_memory_give_the_same_matrix(monkeypatch):
    apply, params = _net()
    whole = mode_kernel(apply, params, jnp.asarray(X), jnp.asarray(WEIGHTS))
    monkeypatch.setattr("jssl.theory.finite_width.blocks._ROWS", 5)
    shares = []
    parts = mode_kernel(
        apply, params, jnp.asarray(X), jnp.asarray(WEIGHTS), memory_bytes=1, progress=shares.append
    )
    np.testing.assert_allclose(parts, whole, rtol=1e-9, atol=1e-9)
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_a_convolutional_network_and_images_give_the_same_blocks():
    model = conv((4, 4, 1), 2, channels=4, activation="relu", layers=2)
    x = jnp.asarray(np.random.default_rng(2).normal(size=(6, 4, 4, 1)))
    params = model.init(jax.random.key(1))
    theta = np.asarray(empirical_ntk(model.apply, params, x, outputs="full"))
    weights = WEIGHTS[:6]
    expected = np.einsum("xi,xykl,yj->ikjl", weights, theta, weights)
    found = mode_kernel(model.apply, params, x, jnp.asarray(weights))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_leak_is_the_off_diagonal_block_applied_to_the_coefficients():
    apply, params = _net()
    a, u = WEIGHTS[:, 0], np.array([0.6, 0.0, 0.8])
    theta = np.asarray(empirical_ntk(apply, params, jnp.asarray(X), outputs="full"))
    expected = np.einsum("xykl,y,l->xk", theta, a, u)
    found = leak(apply, params, jnp.asarray(X), jnp.asarray(a), jnp.asarray(u))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_first_order_change_of_the_outputs_is_the_leak():
    """A finite difference of the network along J_u^T a."""
    apply, params = _net()
    x, a = jnp.asarray(X), jnp.asarray(WEIGHTS[:, 1])
    gradient = jax.grad(lambda p: (apply(p, x)[:, 0] * a).sum())(params)
    step = 1e-5
    ahead, behind = (
        apply(jax.tree.map(lambda p, g, e=e: p + e * g, params, gradient), x) for e in (step, -step)
    )
    found = leak(apply, params, x, a, jnp.eye(3)[0])
    np.testing.assert_allclose(found, (ahead - behind) / (2 * step), rtol=1e-6, atol=1e-8)


def test_leak_falls_as_the_root_of_the_width_and_the_own_block_does_not():
    x, a = jnp.asarray(X), jnp.asarray(WEIGHTS[:, 0])
    sizes = []
    for width in (64, 1024):
        model = mlp(5, 2, width=width, depth=2, activation="tanh")
        moved = [
            leak(model.apply, model.init(jax.random.key(seed)), x, a, jnp.eye(2)[0])
            for seed in range(12)
        ]
        sizes.append(np.sqrt(np.mean(np.square(moved), (0, 1))))
    ratio = sizes[0] / sizes[1]
    assert 0.9 < ratio[0] < 1.1
    assert 2.8 < ratio[1] < 5.6  # sqrt(16) = 4; 12 seeds of an almost Gaussian size


@pytest.mark.parametrize("weights", [np.ones(12), np.ones((11, 2))])
def test_weights_of_another_shape_are_refused(weights):
    apply, params = _net()
    with pytest.raises(InputError, match=r"weights must be \(12, modes\)"):
        mode_kernel(apply, params, jnp.asarray(X), jnp.asarray(weights))


def test_a_direction_of_another_shape_is_refused():
    apply, params = _net()
    with pytest.raises(InputError, match=r"direction must be \(3,\)"):
        leak(apply, params, jnp.asarray(X), jnp.asarray(WEIGHTS[:, 0]), jnp.ones(2))
