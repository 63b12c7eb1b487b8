"""Predictions of stated problems against their simulation."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jssl
from jssl import losses, models
from jssl.data import pairs
from jssl.data.masks import masked_moments
from jssl.data.moments import Moments, pairs_with_moments
from jssl.errors import InputError
from jssl.losses import (
    decayed_objective,
    jepa,
    reconstruction_objective,
    simsiam,
    target_objective,
    track_target,
)
from jssl.models import aligned, linear_head, linear_stack
from jssl.optim import gradient_descent
from jssl.theory import distillation

TURN = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
LAM, RHO = np.array([1.0, 0.6, -0.3]), np.array([0.7, 0.4, -0.2])
DATA = Moments(*(TURN.T @ np.diag(d) @ TURN for d in (LAM / RHO, LAM, LAM * RHO + 0.2)))
KEY = jax.random.key(1)
PLAIN = target_objective(linear_stack, linear_head, jepa)


def both_ways(za, zb, *, predictor, targets):
    assert targets is None
    return (jepa(za, zb, predictor=predictor) + jepa(zb, za, predictor=predictor)) / 2


def problem(objective="jepa", depth=1, start=0.2, rate=0.01, moments=DATA, **options):
    if objective == "mae":
        stated = reconstruction_objective(linear_stack, linear_head)
    else:
        stated = target_objective(linear_stack, linear_head, options.pop("loss", jepa))
    return jssl.Problem(
        pairs.fixed(pairs_with_moments(moments)),
        aligned(
            len(moments.context), depth=depth, start=start, decoder=objective == "mae", **options
        ),
        jepa,
        gradient_descent(rate),
        stated,
    )


@pytest.mark.parametrize("objective", ["jepa", "mae"])
@pytest.mark.parametrize("depth", [1, 2])
def test_simulation_follows_the_prediction_for_all_modes(objective, depth):
    stated = problem(objective, depth)
    simulation = jax.jit(jssl.run(stated, np.arange(0, 2001, 100)))(KEY)
    prediction = distillation.predict(stated, simulation.t, KEY)
    seen = jssl.compare(prediction, simulation)
    # first order in the step: a mode is late by at most 2 lr, at a slope below 1
    assert seen.largest["eigenvalues"] < 0.02
    assert seen.largest["loss"] < 0.02
    assert prediction.observables["eigenvalues"][0, -1] < 0
    halved = stated._replace(optimiser=gradient_descent(0.005))
    simulation = jax.jit(jssl.run(halved, np.arange(0, 4001, 200)))(KEY)
    finer = jssl.compare(distillation.predict(halved, simulation.t, KEY), simulation)
    assert finer.largest["loss"] < 0.6 * seen.largest["loss"]


def test_a_loss_over_both_directions_has_the_mean_moments():
    target = DATA.target + 0.3 * np.outer(TURN[0], TURN[0])
    moments = DATA._replace(target=target)
    stated = problem(moments=moments, loss=both_ways)
    read = distillation.prediction.read(stated, KEY)
    mean = (DATA.context + target) / 2
    np.testing.assert_allclose(read.variances, np.diag(TURN @ mean @ TURN.T), rtol=1e-9)
    simulation = jax.jit(jssl.run(stated, np.arange(0, 2001, 100)))(KEY)
    prediction = distillation.predict(stated, simulation.t, KEY)
    assert jssl.compare(prediction, simulation).largest["eigenvalues"] < 0.02


def test_masked_digits_are_predicted_where_moments_nearly_commute():
    x = np.random.default_rng(0).normal(size=(4000, 2, 2, 1))
    x += x.mean((1, 2), keepdims=True) * 2
    moments = masked_moments(x, patch=1, kept=2)
    unit = np.linalg.eigvalsh(moments.cross)[-1]
    stated = problem(moments=Moments(*(m / unit for m in moments)), start=0.3)
    simulation = jax.jit(jssl.run(stated, np.arange(0, 1501, 100)))(KEY)
    prediction = distillation.predict(stated, simulation.t, KEY)
    assert jssl.compare(prediction, simulation).largest["eigenvalues"] < 0.02


def test_steps_of_a_prediction_are_those_of_the_learning_rate():
    found = distillation.predict(problem(rate=0.5), np.array([0.0, 3.0]), KEY)
    assert found.step.tolist() == [0, 6]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimiser": optax.adam(0.1)}, "no gradient-flow time"),
        ({"optimiser": track_target(gradient_descent(0.1), 0.9)}, "averaged_time"),
        ({"objective": None}, "state the predictor as an objective"),
        ({"objective": target_objective(linear_stack, linear_head, simsiam)}, "is neither JEPA"),
        (
            {"objective": decayed_objective(PLAIN, 1.0)},
            "weight decay",
        ),
        ({"model": models.linear(3, 3)}, "the model must be jssl.models.aligned"),
        ({"model": aligned(3, 2)}, "with as many outputs as inputs"),
        ({"model": aligned(3, noise=0.1)}, "the start must be aligned"),
        ({"model": aligned(3, predictor_start=1.0)}, "the start must be aligned"),
        (
            {
                "pairs": lambda key: jax.tree.map(
                    lambda x: x + jax.random.normal(key), pairs.fixed(pairs_with_moments(DATA))(key)
                )
            },
            "the pairs change with the key",
        ),
    ],
)
def test_problems_that_the_theory_does_not_cover_are_refused_in_one_line(change, message):
    with pytest.raises(InputError, match=message) as caught:
        distillation.predict(problem()._replace(**change), jnp.ones(1), KEY)
    assert "\n" not in str(caught.value)


def test_moments_that_do_not_commute_are_refused():
    turn = np.array([[0.8, 0.6, 0], [-0.6, 0.8, 0], [0, 0, 1]])
    cross = turn @ np.diag([1.0, 0.4, 0.1]) @ turn.T
    moments = Moments(np.diag([4.0, 1.0, 1.0]), cross, 4 * np.eye(3))
    with pytest.raises(InputError, match="do not commute"):
        distillation.predict(problem(moments=moments), jnp.ones(1), KEY)
    skewed = Moments(
        np.eye(3), np.array([[0.5, 0.4, 0], [-0.4, 0.5, 0], [0, 0, 0.5]]), 4 * np.eye(3)
    )
    with pytest.raises(InputError, match="not symmetric"):
        distillation.predict(problem(moments=skewed), jnp.ones(1), KEY)


def test_the_loss_of_another_objective_is_not_recognised_as_jepa():
    def leaky(za, zb, *, predictor, targets):
        assert targets is None
        return jnp.mean(jnp.sum((predictor(za) - zb) ** 2, 1)) / 2

    with pytest.raises(InputError, match="is neither JEPA"):
        distillation.predict(problem(loss=leaky), jnp.ones(1), KEY)
    assert losses.get("jepa").func is jepa
