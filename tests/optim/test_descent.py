import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jssl.errors import InputError
from jssl.optim import gradient_descent, stiefel_adam, stiefel_sgd


def test_it_composes_with_optax():
    params = {"a": jnp.ones(3), "b": jnp.ones(2)}
    chained = optax.chain(optax.clip_by_global_norm(1e-3), gradient_descent(0.5))
    updates, _ = chained.update(params, chained.init(params), params)
    np.testing.assert_allclose(optax.tree.norm(updates), 0.5e-3, rtol=1e-6)
    parted = optax.multi_transform(
        {"x": gradient_descent(0.5), "y": optax.set_to_zero()}, {"a": "x", "b": "y"}
    )
    updates, _ = parted.update(params, parted.init(params), params)
    np.testing.assert_allclose(updates["a"], -0.5)
    np.testing.assert_allclose(updates["b"], 0.0)


def test_what_is_no_plain_descent_does_not_claim_a_time():
    assert not hasattr(optax.chain(optax.clip(1.0), gradient_descent(0.5)), "learning_rate")


@pytest.mark.parametrize("factory", [gradient_descent, stiefel_sgd, stiefel_adam])
@pytest.mark.parametrize("rate", [-0.1, float("nan"), "fast"])
def test_a_learning_rate_that_is_none_is_refused(factory, rate):
    with pytest.raises(InputError, match="learning_rate"):
        factory(rate)
