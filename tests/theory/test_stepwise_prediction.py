"""Reading a problem and predicting it, against plain descent."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jssl.data.pairs import fixed
from jssl.errors import InputError
from jssl.losses.decorrelation import barlow_twins
from jssl.losses.linearized import barlow_twins_linearized
from jssl.models.linear import deep_linear, linear
from jssl.optim import gradient_descent
from jssl.theory import stepwise
from jssl.types import Model, Pairs, Problem, start_key

EIGENVALUES = np.array([1.0, 0.5, 0.2, -0.3])
KEY = jax.random.key(7)


def make_pairs(eigenvalues=EIGENVALUES):
    m = len(eigenvalues)
    columns = np.linalg.qr(np.random.default_rng(0).standard_normal((m, m)))[0]
    first = np.sqrt(m * np.abs(eigenvalues)) * columns
    return Pairs(jnp.asarray(first.T), jnp.asarray((first * np.sign(eigenvalues)).T))


def make_problem(scale=1e-4, dim=3, rate=0.005, **changes):
    pairs = fixed(make_pairs())
    model = linear(4, dim, scale=scale)
    problem = Problem(pairs, model, barlow_twins_linearized, gradient_descent(rate))
    return problem._replace(**changes)


def descend(problem, steps, every):
    """Loss and spectrum every so many steps of gradient descent on the problem, in NumPy."""
    x, y = (np.asarray(view) for view in problem.pairs(KEY)[:2])
    gamma = (x.T @ y + y.T @ x) / (2 * len(x))
    w = np.asarray(problem.model.init(start_key(KEY))["weight"])
    losses, spectra = [], []
    for step in range(steps):
        c = w @ gamma @ w.T
        if step % every == 0:
            losses.append(np.square(c - np.eye(len(c))).sum())
            spectra.append(np.linalg.eigvalsh(c)[::-1])
        w = w - problem.optimiser.learning_rate * 4 * (c - np.eye(len(c))) @ w @ gamma
    return np.array(losses), np.array(spectra)


def test_prediction_is_what_descent_does():
    problem = make_problem()
    losses, spectra = descend(problem, 4000, 50)
    times = 0.005 * 50 * jnp.arange(80)
    found = stepwise.predict(problem, times, KEY)
    # Steps come late by 2 lr gamma of the half time (.02), at a slope of 2 gamma_1 a unit of time;
    # the generic start misses the spectrum by 1e-4.
    assert np.abs(found.observables["eigenvalues"] - spectra).max() < 0.06
    assert np.abs(found.observables["loss"] - losses).max() < 0.12
    np.testing.assert_allclose(found.step, 50 * np.arange(80), rtol=1e-12)
    np.testing.assert_array_equal(found.t, times)
    assert found.first_bad_step is None
    middle = [np.interp(0.5, spectra[:, j], times) for j in range(3)]
    alignment = stepwise.align(
        stepwise.read(problem, KEY).start_weight,
        stepwise.modes(stepwise.read(problem, KEY).cross_moment, 3),
    )
    expected = stepwise.descent_half_time(
        alignment.start_scales, jnp.asarray(EIGENVALUES[:3]), 0.005
    )
    np.testing.assert_allclose(middle, expected, atol=0.02)


def test_reading_returns_the_moment_and_the_start_of_the_run():
    setting = stepwise.read(make_problem(), KEY)
    np.testing.assert_allclose(
        np.linalg.eigvalsh(setting.cross_moment)[::-1], EIGENVALUES, atol=1e-12
    )
    start = make_problem().model.init(start_key(KEY))["weight"]
    np.testing.assert_allclose(setting.start_weight, start, rtol=1e-14)
    assert setting.learning_rate == 0.005


def test_any_encoder_whose_only_parameters_are_w_is_read():
    model = Model(
        lambda key: 1e-3 * jax.random.normal(key, (4, 2)),
        lambda params, x: x.reshape(len(x), -1) @ params,
    )
    pairs = jax.tree.map(lambda x: x.reshape(4, 2, 2), make_pairs())
    problem = make_problem(model=model, pairs=lambda key: pairs)
    setting = stepwise.read(problem, KEY)
    assert setting.start_weight.shape == (2, 4)
    np.testing.assert_allclose(setting.start_weight.T, model.init(start_key(KEY)), rtol=1e-14)


def test_more_dimensions_than_positive_modes_end_above_zero():
    found = stepwise.predict(make_problem(dim=6), jnp.array([0.0, 100.0]), KEY)
    np.testing.assert_allclose(found.observables["loss"], [6, 3], atol=1e-6)
    np.testing.assert_allclose(found.observables["eigenvalues"][1], [1] * 3 + [0] * 3, atol=1e-6)


@pytest.mark.parametrize("optimiser", [optax.adam(0.1), gradient_descent(lambda step: 0.1)])
def test_without_a_constant_learning_rate_there_are_times_but_no_steps(optimiser):
    found = stepwise.predict(make_problem(optimiser=optimiser), jnp.array([0.0, 1.0]), KEY)
    assert np.isnan(found.step).all()
    assert found.t.tolist() == [0.0, 1.0]


def test_a_start_too_large_for_the_gap_warns():
    pairs = fixed(make_pairs(np.array([1.0, 0.9, 0.2, -0.3])))
    problem = make_problem(pairs=pairs, model=linear(4, 1, scale=1e-4))
    with pytest.warns(stepwise.IdentifiabilityWarning, match="not identifiable"):
        stepwise.predict(problem, jnp.array([1.0]), KEY)


def test_a_start_too_large_for_close_modes_warns():
    pairs = fixed(make_pairs(np.array([1.0, 0.45, -0.1, -0.3])))
    problem = make_problem(pairs=pairs, model=linear(4, 2, scale=0.09))
    with pytest.warns(stepwise.IdentifiabilityWarning, match="use a smaller"):
        stepwise.predict(problem, jnp.array([1.0]), KEY)


def test_assessment_uses_the_start_relative_to_the_end():
    for factor in (1.0, 100.0):
        gamma = factor * jnp.diag(jnp.array([1.0, 0.5]))
        setting = stepwise.Setting(gamma, 1e-4 * jnp.eye(1, 2) / factor**0.5, None)
        np.testing.assert_allclose(stepwise.assess(setting).leakage, 1e-2, rtol=1e-10)


def test_trajectories_jit_and_map_over_seeds():
    gamma = jnp.diag(jnp.asarray(EIGENVALUES))
    starts = 1e-3 * jax.random.normal(KEY, (3, 2, 4))
    run = jax.jit(jax.vmap(stepwise.trajectory, (None, None, 0, None)))
    found = run(jnp.linspace(0, 10, 5), gamma, starts, 0.1)
    alone = stepwise.trajectory(jnp.linspace(0, 10, 5), gamma, starts[2], 0.1)
    np.testing.assert_allclose(found.observables["loss"][2], alone.observables["loss"], atol=1e-12)


def with_zero_start(key):
    return {"weight": jnp.zeros((3, 4))}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"loss": barlow_twins}, "linearised Barlow Twins"),
        ({"loss": lambda za, zb: barlow_twins_linearized(za, zb, redundancy=0.5)}, "linearised"),
        ({"model": linear(4, 3, bias=True)}, "without bias"),
        ({"model": deep_linear(4, 3, width=5)}, "depth"),
        ({"model": deep_linear(4, 3, depth=0, parametrisation="ntk")}, "factors"),
        ({"model": Model(linear(4, 3).init, lambda p, x: jnp.tanh(x @ p["weight"].T))}, "z = W x"),
        ({"model": linear(4, 3)._replace(init=with_zero_start)}, "stationary"),
        ({"objective": lambda params, pairs, key: 0.0}, "objective"),
        (
            {"pairs": lambda key: Pairs(*jax.random.normal(key, (2, 5, 4)))},
            "expected_cross_moment",
        ),
        ({"pairs": fixed(Pairs(jnp.full((5, 4), jnp.nan), jnp.ones((5, 4))))}, "finite"),
        ({"pairs": fixed(Pairs(jnp.ones((1, 4)), jnp.ones((1, 4))))}, "two or more"),
    ],
)
def test_problems_the_theory_does_not_cover_are_refused(changes, says):
    with pytest.raises(InputError, match=says) as error:
        stepwise.predict(make_problem(**changes), jnp.array([1.0]), KEY)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("times", [[-1.0], [np.nan], [np.inf]])
def test_bad_times_are_refused(times):
    with pytest.raises(InputError, match="times"):
        stepwise.predict(make_problem(), jnp.array(times), KEY)
