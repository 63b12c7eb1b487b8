"""Riemannian chains inside what optax offers; what a link after the last one does."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jssl.manifolds import Stiefel
from jssl.optim import manifold_error, retract, stiefel_adam, stiefel_sgd

RNG = np.random.default_rng(8)


PARAMS = {
    "encoder": np.linalg.qr(RNG.normal(size=(8, 3)))[0],
    "decoder": np.linalg.qr(RNG.normal(size=(8, 3)))[0],
    "head": RNG.normal(size=3),
}
ON = {"encoder": Stiefel(), "decoder": Stiefel(), "head": None}
TARGET = {name: RNG.normal(size=x.shape) for name, x in PARAMS.items()}


def loss(params):
    return sum(jnp.sum(params[k] * TARGET[k]) for k in params) + jnp.sum(params["head"] ** 2)


GRADIENT = jax.grad(loss)


def train(tx, steps=5, params=PARAMS, gradient=GRADIENT):
    params = jax.tree.map(jnp.asarray, params)
    state, update = tx.init(params), jax.jit(tx.update)
    for _ in range(steps):
        updates, state = update(gradient(params), state, params)
        params = optax.apply_updates(params, updates)
    return params


LABELS = {"encoder": "manifold", "decoder": "manifold", "head": "plain"}


@pytest.mark.parametrize("combine", [optax.multi_transform, optax.partition])
def test_labels_send_some_leaves_to_the_manifold_and_others_to_adamw(combine):
    tx = combine({"manifold": stiefel_adam(1e-1), "plain": optax.adamw(1e-2)}, LABELS)
    params = train(tx)
    assert manifold_error(params, ON) < 1e-14
    alone = train(optax.adamw(1e-2), params=PARAMS)
    np.testing.assert_allclose(params["head"], alone["head"], rtol=1e-12)
    assert np.abs(params["encoder"] - PARAMS["encoder"]).max() > 1e-2


@pytest.mark.parametrize("tree", [Stiefel(), {"encoder": Stiefel(), "decoder": None, "head": None}])
def test_masked_leaves_pass_by(tree):
    mask = {"encoder": True, "decoder": False, "head": False}
    masked = optax.masked(stiefel_sgd(0.1, manifold=tree), mask)
    rest = optax.masked(optax.set_to_zero(), {name: not on for name, on in mask.items()})
    params = train(optax.chain(masked, rest))
    assert manifold_error(params, ON) < 1e-14
    np.testing.assert_array_equal(params["decoder"], PARAMS["decoder"])


def test_multi_steps_takes_one_step_on_the_mean_gradient():
    multi = optax.MultiSteps(stiefel_sgd(0.1, manifold=ON), 4)
    tx = optax.GradientTransformation(multi.init, multi.update)
    four, one = train(tx, steps=4), train(stiefel_sgd(0.1, manifold=ON), steps=1)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-13), four, one)
    assert manifold_error(four, ON) < 1e-14


@pytest.mark.parametrize("make", [stiefel_sgd, stiefel_adam])
def test_hyperparameters_are_injected_and_scheduled(make):
    tx = optax.inject_hyperparams(make)(learning_rate=0.1, manifold=ON)
    state = tx.init(PARAMS)
    assert "learning_rate" in state.hyperparams
    state.hyperparams["learning_rate"] = jnp.asarray(0.05)
    updates, _ = tx.update(GRADIENT(PARAMS), state, PARAMS)
    plain = make(0.05, manifold=ON)
    expected, _ = plain.update(GRADIENT(PARAMS), plain.init(PARAMS), PARAMS)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), updates, expected)
    schedule = optax.linear_schedule(0.1, 0.0, 4)
    assert manifold_error(train(make(schedule, manifold=ON)), ON) < 1e-14
    scheduled = optax.inject_hyperparams(make)(learning_rate=schedule, manifold=ON)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12),
        train(scheduled),
        train(make(schedule, manifold=ON)),
    )


def test_apply_if_finite_skips_a_bad_gradient():
    tx = optax.apply_if_finite(stiefel_adam(0.1, manifold=ON), 3)
    params = train(tx, gradient=lambda p: jax.tree.map(lambda x: x * jnp.nan, p), steps=2)
    jax.tree.map(np.testing.assert_array_equal, params, PARAMS)
    assert manifold_error(train(tx), ON) < 1e-14


BEFORE = {
    "clip": optax.clip_by_global_norm(0.1),
    "decay": optax.add_decayed_weights(0.3),
    "elementwise": optax.scale_by_adam(),
    "noise": optax.add_noise(0.1, 0.55, 0),
}


@pytest.mark.parametrize("name", BEFORE)
def test_any_link_before_the_last_stays_on_the_manifold(name):
    tx = optax.chain(BEFORE[name], optax.scale(-0.1), retract(ON))
    assert manifold_error(train(tx), ON) < 1e-14


def test_clipping_before_a_chain_shortens_its_step():
    tx = optax.chain(optax.clip_by_global_norm(1e-3), stiefel_sgd(1.0, manifold=ON))
    updates, _ = tx.update(GRADIENT(PARAMS), tx.init(PARAMS), PARAMS)
    assert optax.tree.norm(updates) <= 1e-3 * (1 + 1e-9)


AFTER = {
    "scale": optax.scale(0.5),
    "clip": optax.clip(1e-2),
    "decay": optax.add_decayed_weights(-1e-2),
    "average": optax.ema(0.9, debias=False),
}


@pytest.mark.parametrize("name", AFTER)
def test_any_link_after_the_last_leaves_the_manifold(name):
    tx = optax.chain(stiefel_sgd(0.3, manifold=ON), AFTER[name])
    assert manifold_error(train(tx), ON) > 1e-3


def test_many_seeds_at_once_equal_one_by_one():
    """Sixty-four vmapped starts against a loop, to the rounding of reordered sums."""
    starts = jnp.asarray(np.linalg.qr(RNG.normal(size=(64, 8, 3)))[0])
    targets = jnp.asarray(RNG.normal(size=(64, 8, 3)))
    tx = stiefel_adam(0.1)

    def run(x, target):
        def step(carry, _):
            x, state = carry
            updates, state = tx.update(target * x**2, state, x)
            return (optax.apply_updates(x, updates), state), None

        return jax.lax.scan(step, (x, tx.init(x)), None, length=10)[0][0]

    together, alone = jax.jit(jax.vmap(run))(starts, targets), jax.jit(run)
    for i in range(64):
        np.testing.assert_allclose(together[i], alone(starts[i], targets[i]), atol=1e-12)
