"""The growth of a small mode under heavy ball, against heavy ball."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jssl.theory.stepwise import momentum_growth


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("gamma", [1.0, 0.01])
def test_growth_is_that_of_optax_sgd_with_momentum_on_the_linearised_loss(momentum, gamma):
    rate = 0.02
    optimiser = optax.sgd(rate, momentum=momentum)
    w, state, logs = jnp.array(1e-30), None, []
    state = optimiser.init(w)
    for _ in range(1500 if gamma < 0.1 else 300):
        updates, state = optimiser.update(-4 * gamma * w, state)
        w = w + updates
        logs.append(float(jnp.log(w)))
    found = float(momentum_growth(jnp.array(gamma), rate, momentum))
    np.testing.assert_allclose(logs[-1] - logs[-2], found, rtol=1e-4)


def test_momentum_of_nine_tenths_at_a_tenth_of_the_stable_rate_is_worth_a_factor_of_three():
    """4 rate gamma = .1: not the factor 1 / (1 - .9) = 10."""
    growth = momentum_growth(jnp.array(1.0), 0.025, jnp.array([0.0, 0.9]))
    assert 2.8 < growth[1] / growth[0] < 2.9


def test_without_growth_nothing_grows():
    assert float(momentum_growth(jnp.array(0.0), 0.1, 0.0)) == 0
    assert float(momentum_growth(jnp.array(0.0), 0.1, 0.9)) == 0
