"""SimSiam, BYOL and the averaged target network."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jssl.errors import InputError
from jssl.losses.distillation import (
    byol_regression,
    simsiam,
    target_model,
    target_objective,
    track_target,
)
from jssl.types import Model, Pairs


def views(seed=0, n=6, dim=3):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(2, n, dim)))


def linear(params, x):
    return x @ params.T


def start(seed=0):
    online, predictor, target = np.random.default_rng(seed).normal(size=(3, 3, 3))
    return {
        "online": jnp.asarray(online),
        "predictor": jnp.asarray(predictor),
        "target": jnp.asarray(target),
    }


def normed(z):
    return z / np.linalg.norm(z, axis=1, keepdims=True)


def test_each_view_is_compared_with_the_other_views_target():
    za, zb = views()
    ta, tb = views(1)
    matrix = np.random.default_rng(2).normal(size=(3, 3))
    pa, pb = (normed(np.asarray(z) @ matrix) for z in (za, zb))
    ua, ub = normed(ta), normed(tb)
    options = {"predictor": lambda z: z @ matrix, "targets": (ta, tb)}
    distance = np.sum((pa - ub) ** 2 + (pb - ua) ** 2) / 6
    cosine = -np.sum(pa * ub + pb * ua) / 12
    np.testing.assert_allclose(byol_regression(za, zb, **options), distance, rtol=1e-12)
    np.testing.assert_allclose(simsiam(za, zb, **options), cosine, rtol=1e-12)
    np.testing.assert_allclose(distance, 4 + 4 * cosine, rtol=1e-12)


@pytest.mark.parametrize("loss", [simsiam, byol_regression])
def test_no_gradient_reaches_the_targets(loss):
    za, zb = views()
    gradients = jax.grad(lambda t: loss(za, zb, targets=t))((za, zb))
    assert all(bool(jnp.all(g == 0)) for g in gradients)


def test_stop_gradient_halves_the_gradient_of_the_plain_cosine():
    # without a predictor the plain loss -cos(za, zb) sends gradient through both sides
    za, zb = views()

    def plain(za, zb):
        cosine = jnp.sum(za * zb, axis=1)
        return -jnp.mean(cosine / jnp.linalg.norm(za, axis=1) / jnp.linalg.norm(zb, axis=1))

    ours = jax.grad(simsiam, (0, 1))(za, zb)
    for half, whole in zip(ours, jax.grad(plain, (0, 1))(za, zb), strict=True):
        np.testing.assert_allclose(2 * half, whole, rtol=1e-11)


@pytest.mark.parametrize(("loss", "unit"), [(simsiam, 1), (byol_regression, 4)])
def test_objective_predicts_the_target_networks_embeddings(loss, unit):
    params, x = start(), views(3)
    objective = target_objective(linear, linear, loss)
    value, gradient = jax.jit(jax.value_and_grad(objective))(params, Pairs(*x), jax.random.key(0))
    w, q, target = (np.asarray(params[name]) for name in ("online", "predictor", "target"))
    pa, pb = (normed(v @ w.T @ q.T) for v in np.asarray(x))
    ta, tb = (normed(v @ target.T) for v in np.asarray(x))
    cosine = -np.sum(pa * tb + pb * ta) / 12
    np.testing.assert_allclose(value, cosine if unit == 1 else 4 + 4 * cosine, rtol=1e-12)
    assert bool(jnp.all(gradient["target"] == 0))
    assert float(jnp.abs(gradient["predictor"]).max()) > 1e-3
    assert float(jnp.abs(gradient["online"]).max()) > 1e-3


def test_without_a_target_network_the_objective_is_simsiam():
    params, x = start(), views(3)
    params.pop("target")
    za, zb = (linear(params["online"], v) for v in x)
    objective = target_objective(linear, linear, simsiam)
    expected = simsiam(za, zb, predictor=lambda z: linear(params["predictor"], z))
    np.testing.assert_allclose(objective(params, Pairs(*x), None), expected, rtol=1e-13)


@pytest.mark.parametrize("decay", [0.0, 0.9, 0.999])
def test_target_is_the_exponential_average_of_the_online_network(decay):
    params, x = start(), views(3)
    objective = target_objective(linear, linear)
    link = track_target(optax.adam(0.05), decay)
    first, state = params["target"], link.init(params)

    @jax.jit
    def step(params, state):
        gradient = jax.grad(objective)(params, Pairs(*x), jax.random.key(0))
        updates, state = link.update(gradient, state, params)
        return optax.apply_updates(params, updates), state

    history = []
    for _ in range(12):
        params, state = step(params, state)
        history.append(np.asarray(params["online"]))
    # unrolled: decay^k target_0 + (1 - decay) sum_j decay^(k-1-j) online_j
    k = len(history)
    expected = decay**k * np.asarray(first)
    expected += (1 - decay) * sum(decay ** (k - 1 - j) * w for j, w in enumerate(history))
    np.testing.assert_allclose(params["target"], expected, rtol=1e-12, atol=1e-13)
    assert int(state.step) == k
    assert np.abs(history[-1] - history[0]).max() > 0.05


def test_online_network_moves_as_under_the_bare_optimiser():
    params, x = start(), views(3)
    gradient = jax.grad(target_objective(linear, linear))(params, Pairs(*x), None)
    bare = optax.adamw(0.05, weight_decay=0.3)
    link = track_target(bare, 0.9)
    updates, _ = link.update(gradient, link.init(params), params)
    trained = {name: params[name] for name in ("online", "predictor")}
    alone, _ = bare.update({name: gradient[name] for name in trained}, bare.init(trained), trained)
    for name in trained:
        np.testing.assert_array_equal(updates[name], alone[name])


def test_decay_may_be_a_schedule_or_traced():
    params = {"online": jnp.ones(2), "target": jnp.zeros(2)}
    zero = jax.tree.map(jnp.zeros_like, params)
    link = track_target(optax.sgd(0.1), lambda step: jnp.where(step == 0, 0.5, 0.75))
    state = link.init(params)
    for expected in (0.5, 0.625):
        updates, state = link.update(zero, state, params)
        params = optax.apply_updates(params, updates)
        np.testing.assert_allclose(params["target"], expected)

    def moved(decay):
        link = track_target(optax.sgd(0.1), decay)
        updates, _ = link.update(zero, link.init(params), params)
        return updates["target"][0]

    decays = jnp.array([0.2, 0.6])
    np.testing.assert_allclose(jax.vmap(moved)(decays), (1 - decays) * 0.375, rtol=1e-12)


def test_target_keeps_its_dtype():
    params = {"online": jnp.ones(2, jnp.bfloat16), "target": jnp.zeros(2, jnp.bfloat16)}
    link = track_target(optax.sgd(0.1), jnp.float32(0.5))
    updates, _ = link.update(params, link.init(params), params)
    assert updates["target"].dtype == jnp.bfloat16


def test_model_starts_with_equal_networks_and_an_independent_predictor():
    encoder = Model(lambda key: jax.random.normal(key, (3, 3)), linear)
    model = target_model(encoder, encoder)
    key = jax.random.key(5)
    params = model.init(key)
    np.testing.assert_array_equal(params["online"], encoder.init(key))
    np.testing.assert_array_equal(params["target"], params["online"])
    assert float(jnp.abs(params["predictor"] - params["online"]).max()) > 0.1
    x = views()[0]
    np.testing.assert_array_equal(model.apply(params, x), linear(params["online"], x))
    assert model.kernel is None
    assert model.no_kernel


def test_wrong_use_says_what_to_do():
    params = {"online": jnp.ones(2), "target": jnp.zeros(2)}
    for decay in (1.5, 1.0, -0.1, np.nan):
        with pytest.raises(InputError, match="at least 0 and below 1; got"):
            track_target(optax.sgd(0.1), decay)
    link = track_target(optax.sgd(0.1), 0.5)
    with pytest.raises(InputError, match=r"call update\(updates, state, params\)"):
        link.update(params, link.init(params))
    za, zb = views()
    with pytest.raises(InputError, match="targets must be embeddings of shape"):
        simsiam(za, zb, targets=(za[:3], zb[:3]))
    with pytest.raises(InputError, match="the predictor's output must be"):
        byol_regression(za, zb, predictor=lambda z: z[:, :2])
