"""The kernel model: of a linear net, descent in function space is descent in weight space."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.errors import InputError
from jssl.models import linear, mlp
from jssl.theory import width
from jssl.types import Pairs

Z = jax.random.normal(jax.random.key(0), (8, 3), jnp.float32)
PAIRS = Pairs(Z[:3], Z[3:6])
OTHERS = Z[6:]


def _weights(steps, rate=0.01):
    weight = 0.3 * np.asarray(jax.random.normal(jax.random.key(1), (2, 3)), float)
    z = np.asarray(Z, float)
    gamma = (z[:3].T @ z[3:6] + z[3:6].T @ z[:3]) / 6
    for _ in range(steps):
        weight = weight - rate * 4 * (weight @ gamma @ weight.T - np.eye(2)) @ weight @ gamma
    return weight


@pytest.mark.parametrize("source", ["infinite", "tangent"])
def test_descent_of_the_kernel_model_is_descent_of_a_linear_net(source):
    pairs, others = jax.tree.map(jnp.float64, (PAIRS, OTHERS))
    net = linear(3, 2)
    if source == "infinite":
        kernel = width.infinite(net, pairs, 1, others)
    else:
        kernel = width.tangent(net.apply, net.init(jax.random.key(0)), pairs, 1, others)
    points = np.asarray(Z, float)
    steps = [0, 1, 7, 50]
    f = width.descend(kernel, jnp.asarray(points @ _weights(0).T), 0.01, steps)
    for found, step in zip(f, steps, strict=True):
        np.testing.assert_allclose(found, points @ _weights(step).T, rtol=1e-9)


def test_closed_form_is_where_descent_goes_from_a_small_start():
    pairs, others = jax.tree.map(jnp.float64, (PAIRS, OTHERS))
    kernel = width.infinite(linear(3, 2), pairs, 1, others)
    points = jnp.asarray(Z, jnp.float64)
    start = 1e-4 * points @ jnp.asarray([[1.0], [-2.0], [0.5]])
    steps = np.array([0, 2_000, 40_000])
    rate = 0.002 / float(kernel.modes.eigenvalues[0])
    slow = width.descend(kernel, start, rate, steps)
    closed = width.embeddings(kernel, rate * steps, start)
    np.testing.assert_allclose(slow[-1], closed[-1], rtol=1e-3, atol=1e-3)
    assert np.abs(closed[-1]).max() > 0.1


def test_wrong_shapes_and_steps_are_refused():
    kernel = width.infinite(linear(3, 2), PAIRS, 1)
    with pytest.raises(InputError, match=r"start must be \(6, dim\)"):
        width.descend(kernel, jnp.ones((8, 1)), 0.1, [1])
    with pytest.raises(InputError, match="increasing"):
        width.descend(kernel, jnp.ones((6, 1)), 0.1, [3, 2])
    with pytest.raises(InputError, match="learning_rate"):
        width.descend(kernel, jnp.ones((6, 1)), -0.1, [3])
    with pytest.raises(InputError, match="empirical_ntk"):
        width.infinite(mlp(3, 2, parametrisation="mup"), PAIRS, 1)
