"""JEPA, IsoLoss, DirectPred and masked autoencoders, alone and under `jssl.simulate` and sweeps."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jssl
from jssl import models
from jssl.data import masks, moments, pairs
from jssl.data.moments import Moments
from jssl.errors import InputError
from jssl.losses import (
    decayed_objective,
    direct_objective,
    iso_loss,
    jepa,
    reconstruction_objective,
    target_model,
    target_objective,
    track_target,
)
from jssl.models import aligned, linear_head, linear_stack
from jssl.optim import gradient_descent
from jssl.theory import distillation
from jssl.types import Pairs

LAM, RHO = np.array([1.0, 0.6]), np.array([0.7, 0.4])
DATA = moments.pairs_with_moments(
    Moments(np.diag(LAM / RHO), np.diag(LAM), np.diag(LAM * RHO + 0.2))
)


def views(seed=0, n=6, dim=3):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(2, n, dim)))


def by_columns(z):
    return z @ jnp.asarray(np.random.default_rng(2).normal(size=(3, 3)))


def test_the_target_is_the_second_view_or_the_averaged_network():
    za, zb = views()
    ta, tb = views(1)
    prediction = np.asarray(by_columns(za))
    for loss in (jepa, iso_loss):
        plain = np.sum((prediction - np.asarray(zb)) ** 2) / 12
        np.testing.assert_allclose(loss(za, zb, predictor=by_columns), plain, rtol=1e-12)
        slow = np.sum((prediction - np.asarray(tb)) ** 2) / 12
        found = loss(za, zb, predictor=by_columns, targets=(ta, tb))
        np.testing.assert_allclose(found, slow, rtol=1e-12)


@pytest.mark.parametrize("loss", [jepa, iso_loss])
def test_no_gradient_reaches_the_target(loss):
    za, zb = views()
    assert bool(jnp.all(jax.grad(lambda zb: loss(za, zb, predictor=by_columns))(zb) == 0))
    gradients = jax.grad(lambda t: loss(za, zb, targets=t))((za, zb))
    assert all(bool(jnp.all(g == 0)) for g in gradients)


def test_the_gradient_of_isoloss_lacks_the_predictor():
    za, zb = views()
    rest = (by_columns(za) - zb) / 6
    np.testing.assert_allclose(jax.grad(iso_loss)(za, zb, predictor=by_columns), rest, rtol=1e-12)
    matrix = jax.jacobian(by_columns)(jnp.zeros((1, 3)))[0, :, 0, :]
    np.testing.assert_allclose(
        jax.grad(jepa)(za, zb, predictor=by_columns), rest @ matrix, rtol=1e-11
    )


def test_a_masked_autoencoder_reconstructs_the_view_itself():
    x, y = views()
    params = {"online": by_columns(jnp.eye(3)), "predictor": views(4)[0][:3]}

    def linear(w, x):
        return x @ w.T

    objective = reconstruction_objective(linear, linear)
    decoded = np.asarray(x) @ np.asarray(params["online"]).T @ np.asarray(params["predictor"]).T
    expected = np.sum((decoded - np.asarray(y)) ** 2) / 12
    np.testing.assert_allclose(objective(params, Pairs(x, y), None), expected, rtol=1e-12)
    with pytest.raises(InputError, match="the decoder returns 3 numbers a sample"):
        objective(params, Pairs(x, y[:, :2]), None)


def test_the_direct_predictor_is_a_power_of_the_correlation():
    x, y = views()
    w = by_columns(jnp.eye(3))

    def linear(w, x):
        return x @ w.T

    z = np.asarray(linear(w, x))
    values, vectors = np.linalg.eigh(z.T @ z / 6)
    v = (vectors * values**0.3) @ vectors.T
    for loss in (jepa, iso_loss):
        objective = direct_objective(linear, 0.3, loss)
        found, gradient = jax.value_and_grad(objective)({"online": w}, Pairs(x, y), None)
        target = linear(w, y)
        expected, plain = jax.value_and_grad(
            lambda w, loss=loss, target=target: loss(
                linear(w, x), target, predictor=lambda z: z @ v
            )
        )(w)
        np.testing.assert_allclose(found, expected, rtol=1e-11)
        np.testing.assert_allclose(gradient["online"], plain, rtol=1e-9, atol=1e-12)


def test_decay_of_the_objective_is_weight_decay_of_descent_without_the_target():
    params = {
        "online": jnp.ones(2),
        "predictor": {"weight": 2 * jnp.ones(3)},
        "target": jnp.ones(2),
    }
    objective = decayed_objective(lambda params, pairs, key: 0.0 * params["online"].sum(), 0.1)
    gradient = jax.grad(objective)(params, None, None)
    np.testing.assert_allclose(gradient["online"], 0.1)
    np.testing.assert_allclose(gradient["predictor"]["weight"], 0.2)
    assert bool(jnp.all(gradient["target"] == 0))
    with pytest.raises(InputError, match=r"decay must be >= 0; got -0\.1"):
        decayed_objective(objective, -0.1)


def problem(start=0.1, depth=1, learning_rate=0.05, objective="jepa", averaged=False, **options):
    decoder = objective == "mae"
    if decoder:
        made = reconstruction_objective(linear_stack, linear_head)
    else:
        made = target_objective(linear_stack, linear_head, jepa)
    optimiser = gradient_descent(learning_rate)
    return jssl.Problem(
        pairs.fixed(DATA),
        aligned(2, depth=depth, start=start, decoder=decoder, averaged=averaged, **options),
        jepa,
        track_target(optimiser, 0.9) if averaged else optimiser,
        made,
    )


def sizes(params, _):
    product = linear_stack(params["online"], jnp.eye(2)).T
    return {"amplitudes": jnp.linalg.norm(product, axis=0)}


@pytest.mark.parametrize("objective", ["jepa", "mae"])
@pytest.mark.parametrize("depth", [1, 2])
def test_descent_follows_the_modes_of_theory(objective, depth):
    learning_rate, start = 0.02, 0.25
    record = np.arange(0, 1201, 100)
    stated = problem(start, depth, learning_rate, objective)
    keys = jax.random.split(jax.random.key(0), 3)
    seen = jax.jit(jax.vmap(jssl.run(stated, record, sizes)))(keys)
    w = distillation.amplitude(
        seen.t[0][:, None], LAM, RHO, start, depth=depth, objective=objective
    )
    # A step delays a mode by lr/2 log(f_1 / f_0), less than 2 lr here; dw/dt is below 0.4.
    for amplitudes in seen.observables["amplitudes"]:
        np.testing.assert_allclose(amplitudes, w**depth, atol=2 * learning_rate * 0.4 * depth)
    other = "mae" if objective == "jepa" else "jepa"
    wrong = distillation.amplitude(1e4, LAM, RHO, start, depth=depth, objective=other)
    assert np.abs(seen.observables["amplitudes"][0, -1] - wrong**depth).max() > 0.1


def test_without_stop_gradient_the_encoder_collapses():
    def leaky(za, zb, *, predictor, targets):
        assert targets is None
        return jnp.mean(jnp.sum((predictor(za) - zb) ** 2, 1)) / 2

    stated = problem(0.5)
    record = np.arange(0, 2001, 100)
    held = jssl.run(stated, record, sizes)(jax.random.key(0))
    dropped = stated._replace(objective=target_objective(linear_stack, linear_head, leaky))
    lost = jssl.run(dropped, record, sizes)(jax.random.key(0))
    np.testing.assert_allclose(held.observables["amplitudes"][-1], RHO, rtol=0.02)
    rate = LAM * RHO + 0.2 - LAM * RHO
    bound = 0.5 * np.exp(-rate * np.asarray(lost.t)[:, None])
    assert np.all(lost.observables["amplitudes"] <= bound * (1 + 1e-6))


def test_an_averaged_target_delays_but_does_not_change_the_end():
    record = np.arange(0, 6001, 200)
    plain = jssl.run(problem(0.1), record, sizes)(jax.random.key(0))
    slow = jssl.run(problem(0.1, averaged=True), record, sizes)(jax.random.key(0))
    assert slow.t is None
    a, b = (np.asarray(r.observables["amplitudes"]) for r in (plain, slow))
    np.testing.assert_allclose(b[-1], RHO, rtol=1e-3)
    assert np.all(b[1:10] <= a[1:10] + 1e-6)
    assert np.abs(b - a).max() > 0.01


def test_masks_networks_and_averaged_targets_run_for_many_seeds():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(12, 4, 4, 1)), jnp.float64)
    net = models.mlp(16, 3, width=8, depth=1)
    head = models.linear(3, 3, scale=0.1)
    stated = jssl.Problem(
        masks.masked_pairs(x, patch=2, kept=2),
        target_model(net, head),
        jepa,
        track_target(gradient_descent(0.05), 0.95),
        target_objective(lambda p, x: net.apply(p, x.reshape(len(x), -1)), head.apply, jepa),
    )
    stated = stated._replace(
        model=stated.model._replace(
            apply=lambda p, x: net.apply(p["online"], x.reshape(len(x), -1))
        )
    )
    keys = jax.random.split(jax.random.key(0), 2)
    seen = jax.jit(jax.vmap(jssl.run(stated, [0, 5, 20])))(keys)
    assert np.isfinite(seen.observables["loss"]).all()
    assert np.all(np.asarray(seen.first_bad_step) == -1)


def test_a_model_without_averaged_target_has_no_target():
    params = target_model(models.linear(3, 2), models.linear(2, 2), averaged=False).init(
        jax.random.key(0)
    )
    assert sorted(params) == ["online", "predictor"]


def test_a_sweep_over_starts_depths_widths_and_seeds_follows_theory():
    def make_problem(start, depth, dim):
        return problem(start, depth, 0.02)._replace(model=aligned(2, dim, depth=depth, start=start))

    def observe(stated):
        return sizes

    several = jax.device_count() > 1
    with pytest.warns(UserWarning, match="LAPACK") if several else contextlib.nullcontext():
        found = jssl.sweep(
            make_problem,
            {"start": [0.2, 0.3], "depth": [1, 2], "dim": [1, 2], "seed": 2},
            record_steps=[0, 400],
            observe=observe,
        )
    array = found["amplitudes"].sel(dim=2, step=400)
    for start in (0.2, 0.3):
        for depth in (1, 2):
            w = np.asarray(distillation.amplitude(8.0, LAM, RHO, start, depth=depth))
            here = array.sel(start=start, depth=depth).values.reshape(2, 2)
            np.testing.assert_allclose(here, np.tile(w**depth, (2, 1)), atol=0.016 * depth)


def test_an_aligned_start_is_balanced_and_its_noise_is_relative():
    for decoder in (False, True):
        params = aligned(4, 2, depth=3, start=0.1, decoder=decoder).init(jax.random.key(0))
        weights = [layer["weight"] for layer in params["online"]]
        assert [w.shape for w in weights] == [(2, 4), (2, 2), (2, 2)]
        balance = distillation.balance(
            distillation.Weights(tuple(weights), params["predictor"]["weight"])
        )
        assert all(float(jnp.abs(b).max()) < 1e-15 for b in balance)
    quiet, noisy = (
        aligned(4, depth=2, start=0.1, noise=n).init(jax.random.key(0)) for n in (0.0, 0.01)
    )
    change = noisy["online"][0]["weight"] - quiet["online"][0]["weight"]
    assert 3e-4 < float(change.std()) < 2e-3
    np.testing.assert_array_equal(quiet["online"][1]["weight"], noisy["online"][1]["weight"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 0}, "depth must be a whole number"),
        ({"out_dim": 4}, r"out_dim must be a whole number in \[1, 3\]"),
        ({"out_dim": 0}, r"out_dim must be a whole number in \[1, 3\]"),
        ({"start": 0.0}, "start must be positive"),
        ({"predictor_start": -1.0}, "predictor_start must be positive"),
        ({"noise": -1.0}, "noise must be a number"),
    ],
)
def test_starts_that_cannot_be_are_refused_in_one_line(arguments, message):
    with pytest.raises(InputError, match=message) as caught:
        aligned(3, **arguments)
    assert "\n" not in str(caught.value)


def test_targets_must_be_two():
    z = jnp.ones((4, 2))
    with pytest.raises(InputError, match=r"two arrays, \(target_a, target_b\); got 4"):
        jepa(z, z, targets=z)


@pytest.mark.parametrize("start", ["a", np.inf, -1.0])
def test_a_start_is_a_positive_number(start):
    with pytest.raises(InputError, match="start must be positive and finite"):
        aligned(3, start=start)
