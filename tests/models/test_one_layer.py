"""The one-layer model and its supervised sibling."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import erf, expit

from jssl.errors import InputError
from jssl.models import one_layer, two_layer

X = np.random.default_rng(0).normal(size=(4, 6))


@pytest.mark.parametrize(("name", "act"), [("sigmoid", expit), ("tanh", np.tanh), ("erf", erf)])
def test_one_layer_is_the_activation_of_the_product(name, act):
    model = one_layer(6, 3, activation=name)
    params = model.init(jax.random.key(0))
    z = model.apply(params, jnp.asarray(X))
    np.testing.assert_allclose(z, act(X @ np.asarray(params["weight"]).T), rtol=1e-12)


def test_two_layer_is_the_head_on_the_same_rows():
    model = two_layer(6, 3)
    params = model.init(jax.random.key(1))
    rows = one_layer(6, 3).apply({"weight": params["weight"]}, jnp.asarray(X))
    logits = model.apply(params, jnp.asarray(X))
    assert logits.shape == (4, 1)
    np.testing.assert_allclose(logits[:, 0], np.asarray(rows) @ params["head"], rtol=1e-12)


def test_starts_are_standard_normal():
    params = two_layer(300, 100).init(jax.random.key(2))
    assert abs(params["weight"].mean()) < 4 / 30_000**0.5
    assert abs(params["weight"].var() - 1) < 4 * (2 / 30_000) ** 0.5
    assert abs(params["head"].var() - 1) < 4 * (2 / 100) ** 0.5


def test_no_infinite_width_kernel_is_claimed():
    model = one_layer(6)
    assert model.kernel is None
    assert "infinite-width" in model.no_kernel


@pytest.mark.parametrize("sizes", [(0, 2), (6, 0)])
def test_sizes_must_be_positive(sizes):
    for factory in (one_layer, two_layer):
        with pytest.raises(InputError):
            factory(*sizes)
