"""A state may be donated: no buffer of it comes twice, and none belongs to somebody else."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jssl
from jssl import losses, models
from jssl.data import pairs
from jssl.losses.distillation import target_model, target_objective, track_target
from jssl.models import MODELS, centred
from jssl.optim import gradient_descent, grassmann_adam, stiefel_adam, stiefel_sgd
from jssl.studies import OPTIMISERS

IMAGES = ("conv", "resnet")
SHAPE = (4, 4, 1)
KEY = 0
KEPT = {"weight": jnp.ones((3, 16))}


def registered(name):
    return models.get(name, SHAPE if name in IMAGES else 16, 3)


MADE = {
    **{name: lambda name=name: registered(name) for name in MODELS},
    "centred": lambda: centred(models.mlp(16, 3, width=4)),
    "target": lambda: target_model(models.linear(16, 3)),
    "target and predictor": lambda: target_model(models.linear(16, 3), models.linear(3, 3)),
    "target of a centred model": lambda: target_model(centred(models.linear(16, 3))),
}


def twice(tree):
    return jax.tree.map(lambda leaf: 2 * leaf, tree)


@pytest.mark.parametrize("name", MADE)
def test_the_parameters_of_every_model_can_be_donated(name):
    params = MADE[name]().init(jax.random.key(KEY))
    before = jax.tree.map(np.asarray, params)
    after = jax.jit(twice, donate_argnums=0)(params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(2 * a, b), before, after)


def problem_of(model, optimiser, objective=None):
    x = np.random.default_rng(0).normal(size=(2, 6, 16))
    return jssl.Problem(
        pairs.fixed(jssl.Pairs(*jnp.asarray(x))), model, losses.get("vicreg"), optimiser, objective
    )


def donated_twice(problem):
    """Return two states of one key, each advanced with the state before it donated."""
    simulation = jssl.simulate(problem)
    advance = jax.jit(simulation.advance, donate_argnums=0)
    key, ends = jax.random.key(KEY), []
    for _ in range(2):
        state, _ = advance(simulation.init(key), 1)
        ends.append(advance(state, 2)[0])
    return ends


RULES = {
    **{name: lambda make=make: make(0.01) for name, make in OPTIMISERS.items()},
    "averaged": lambda: optax.chain(optax.sgd(0.01), optax.ema(0.9)),
    "schedule free": lambda: optax.contrib.schedule_free_sgd(0.01),
    "kept start": lambda: optax.contrib.dowg(),
    "stiefel_adam": lambda: stiefel_adam(0.01),
    "stiefel_sgd": lambda: stiefel_sgd(0.01, 0.9),
    "grassmann_adam": lambda: grassmann_adam(0.01),
}


def column_model():
    def init(key):
        return jnp.linalg.qr(jax.random.normal(key, (16, 3)))[0]

    return jssl.Model(init, lambda w, x: x @ w)


@pytest.mark.parametrize("name", RULES)
def test_the_state_of_every_optimiser_can_be_donated(name):
    first, second = donated_twice(problem_of(column_model(), RULES[name]()))
    np.testing.assert_array_equal(first.params, second.params)
    assert int(first.step) == 3


def test_a_run_with_a_target_network_can_be_donated():
    model = target_model(models.linear(16, 3), models.linear(3, 3))
    objective = target_objective(models.linear(16, 3).apply, models.linear(3, 3).apply)
    rule = track_target(gradient_descent(0.01), 0.9)
    first, _ = donated_twice(problem_of(model, rule, objective))
    online, target = (first.params[name]["weight"] for name in ("online", "target"))
    assert not np.allclose(online, target)


def test_arrays_that_a_model_keeps_outlive_a_donated_run():
    model = models.linear(16, 3)._replace(init=lambda key: KEPT)
    first, second = donated_twice(problem_of(model, gradient_descent(0.01)))
    np.testing.assert_array_equal(first.params["weight"], second.params["weight"])
    np.testing.assert_array_equal(KEPT["weight"], 1)
