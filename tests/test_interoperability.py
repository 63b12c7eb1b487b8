"""Encoders of flax, equinox and PyTorch inside jssl, and jssl's losses in a plain optax loop."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jssl
from jssl import losses
from jssl.data import pairs, toy
from jssl.optim import gradient_descent

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

KEY = jax.random.key(0)
DATA = toy.gaussian_pairs(KEY, 60, [2.0, 1.0, 0.5], 0.1)


def of_flax(scale=1.0):
    """Return (params, apply) of a flax nnx network, by its split into graph and state."""
    from flax import nnx

    class Encoder(nnx.Module):
        def __init__(self, rngs):
            self.hidden = nnx.Linear(3, 8, rngs=rngs, param_dtype=jnp.float64)
            self.out = nnx.Linear(8, 2, rngs=rngs, param_dtype=jnp.float64)

        def __call__(self, x):
            return scale * self.out(jnp.tanh(self.hidden(x)))

    graph, params = nnx.split(Encoder(nnx.Rngs(0)))
    return params, lambda params, x: nnx.merge(graph, params)(x)


def of_equinox(scale=1.0):
    """Return (params, apply) of an equinox network: arrays apart from the rest."""
    import equinox as eqx

    net = eqx.nn.MLP(3, 2, 8, 1, activation=jnp.tanh, dtype=jnp.float64, key=KEY)
    params, rest = eqx.partition(net, eqx.is_inexact_array)
    return params, lambda params, x: scale * jax.vmap(eqx.combine(params, rest))(x)


@pytest.mark.parametrize("library", [of_flax, of_equinox])
@pytest.mark.parametrize("name", ["barlow_twins", "simclr"])
def test_losses_fall_in_a_plain_optax_loop(library, name):
    params, apply = library()
    loss = losses.get(name)
    optimiser = optax.adam(3e-2)

    @jax.jit
    def step(params, state):
        def objective(params):
            return loss(apply(params, DATA.first), apply(params, DATA.second))

        value, gradients = jax.value_and_grad(objective)(params)
        updates, state = optimiser.update(gradients, state, params)
        return optax.apply_updates(params, updates), state, value

    state, values = optimiser.init(params), []
    for _ in range(40):
        params, state, value = step(params, state)
        values.append(float(value))
    assert values[-1] < 0.95 * values[0]


@pytest.mark.parametrize("library", [of_flax, of_equinox])
def test_encoders_are_simulated_predicted_and_diagnosed(library):
    params, apply = library(scale=1e-2)
    model = jssl.Model(lambda key: params, apply)
    loss = losses.get("barlow_twins_linearized")
    forecast = jssl.predict(
        DATA, loss="barlow_twins_linearized", dim=2, apply=apply, params=params, scale=1.0
    )
    assert np.isfinite(forecast.steps).all()
    problem = jssl.Problem(pairs.fixed(DATA), model, loss, gradient_descent(1e-2))
    run = jssl.run(problem, [0, 400])(KEY)
    assert float(run.observables["loss"][-1]) < float(run.observables["loss"][0])
    assert jssl.diagnose(apply(params, DATA.first)).eigenvalues.shape == (2,)


def test_features_of_pytorch_are_diagnosed_and_predicted_without_a_copy_of_the_graph():
    torch = pytest.importorskip("torch")
    net = torch.nn.Linear(3, 2)
    views = [torch.tensor(np.asarray(view), dtype=torch.float32) for view in DATA[:2]]
    features = net(views[0])
    assert features.requires_grad
    assert jssl.diagnose(features).eigenvalues.shape == (2,)
    assert jssl.predict(views, loss="barlow_twins", dim=2, kernel="linear").distinguishable > 0
    loss = losses.get("simclr")(jnp.asarray(features.detach().numpy()), DATA.second[:, :2])
    assert np.isfinite(float(loss))
