"""G of dense layers from their factors, against products with the Jacobian."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.errors import InputError
from jssl.models import mlp
from jssl.models.activations import activation
from jssl.models.factors import dense_factors
from jssl.theory.finite_width import layered_mode_kernel, mode_kernel

X = np.random.default_rng(0).normal(size=(12, 5))
WEIGHTS = np.random.default_rng(1).normal(size=(12, 4))


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
@pytest.mark.parametrize(("name", "bias"), [("relu", 0.0), ("tanh", 0.0), ("erf", 0.3)])
def test_factors_give_the_kernel_of_all_outputs(name, bias, depth):
    """Layers with more inputs than rows, and with fewer."""
    for width in (7, 16):
        model = mlp(5, 3, width=width, depth=depth, activation=name, bias_std=bias)
        params = model.init(jax.random.key(depth))
        expected = mode_kernel(model.apply, params, jnp.asarray(X), jnp.asarray(WEIGHTS))
        phi = activation(name)
        factors = dense_factors(
            params, jnp.asarray(X), function=phi.function, weight_std=phi.weight_std, bias_std=bias
        )
        found = layered_mode_kernel(factors, jnp.asarray(WEIGHTS))
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_layers_with_other_rows_than_the_weights_are_refused():
    layer = (jnp.ones((3, 2)), jnp.ones((3, 2)), jnp.eye(2))
    with pytest.raises(InputError, match="the 4 rows of weights"):
        layered_mode_kernel([layer], jnp.ones((4, 1)))
