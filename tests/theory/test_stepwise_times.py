"""Times of the steps against events of the integrated flow and against iterated descent."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from jssl.theory import stepwise


def crossings(start, g, levels):
    """Times at which g s^2 crosses the levels, as events of the integrated flow."""
    events = [lambda _, s, level=level: g * s[0] ** 2 - level for level in levels]
    run = solve_ivp(
        lambda _, s: 4 * g * s * (1 - g * s**2),
        (0, 60 / g),
        [start],
        "DOP853",
        events=events,
        rtol=1e-12,
        atol=1e-14,
        max_step=0.1 / g,
    )
    return [times[0] for times in run.t_events]


def test_half_rise_and_loss_times_are_those_of_the_flow():
    start, g = 0.02, 0.4
    low, half, high, early, middle, late = crossings(
        start, g, [0.1, 0.5, 0.9, 1 - 0.9**0.5, 1 - 0.5**0.5, 1 - 0.1**0.5]
    )
    scales, eigenvalues = jnp.array([start]), jnp.array([g])
    np.testing.assert_allclose(stepwise.half_time(scales, eigenvalues), [half], rtol=1e-9)
    np.testing.assert_allclose(stepwise.rise_time(eigenvalues), [high - low], rtol=1e-9)
    step = stepwise.loss_step_time(eigenvalues)
    np.testing.assert_allclose(step.duration, [late - early], rtol=1e-9)
    np.testing.assert_allclose(step.lead, [half - middle], rtol=1e-9)
    np.testing.assert_allclose(step.duration * 8 * g, [3.688], atol=5e-4)
    np.testing.assert_allclose(step.lead * 8 * g, [0.881], atol=5e-4)


def test_critical_time_is_the_half_time_of_a_vanishing_start():
    scales, eigenvalues = jnp.array([1e-4, 1e-7]), jnp.array([2.0, 0.3])
    critical, half = (f(scales, eigenvalues) for f in (stepwise.critical_time, stepwise.half_time))
    # half - critical = log(1 - u) / (8 g) with u = g s_0^2.
    np.testing.assert_allclose(critical - half, [2e-8 / 16, 3e-15 / 2.4], rtol=1e-4, atol=4e-15)


@pytest.mark.parametrize("function", [stepwise.critical_time, stepwise.half_time])
def test_times_are_infinite_or_undefined_where_they_should_be(function):
    times = function(jnp.array([0.1, 0.1, 0.0, 2.0, 0.1]), jnp.array([-1.0, 0.0, 1.0, 1.0, 1.0]))
    assert np.isposinf(times[:3]).all()
    assert np.isnan(times[3])
    assert np.isfinite(times[4])
    slopes = jax.grad(lambda g: function(jnp.full(3, 0.1), g)[0])(jnp.array([1.0, 0.0, -1.0]))
    assert np.isfinite(slopes).all()
    np.testing.assert_array_equal(slopes[1:], 0)


def test_a_start_too_small_to_be_squared_is_not_a_start_of_zero():
    scales = jnp.array([1e-25], jnp.float32)
    time = 25 * np.log(10) / 4
    for function in (stepwise.critical_time, stepwise.half_time):
        np.testing.assert_allclose(function(scales, jnp.ones(1, jnp.float32)), [time], rtol=1e-6)
    rate = jnp.asarray(1e-6, jnp.float32)
    found = stepwise.descent_half_time(scales, jnp.ones(1, jnp.float32), rate)
    np.testing.assert_allclose(found, [time], rtol=1e-4)


def test_half_time_is_undefined_from_one_half_and_critical_time_from_one():
    scales, eigenvalues = jnp.array([0.8, 1.1]), jnp.ones(2)
    assert np.isnan(stepwise.half_time(scales, eigenvalues)).all()
    np.testing.assert_array_equal(
        np.isnan(stepwise.critical_time(scales, eigenvalues)), [False, True]
    )


def start_that_is_half_learned_after(steps, growth):
    """Start scale (g = 1) that iterated descent takes to exactly s^2 = 1/2, by bisection."""
    low, high = 1e-12, 0.5**0.5
    for _ in range(200):
        middle = (low * high) ** 0.5
        s = middle
        for _ in range(steps):
            s += growth * s * (1 - s * s)
        low, high = (low, middle) if s * s > 0.5 else (middle, high)
    return middle


@pytest.mark.parametrize(("growth", "steps"), [(0.4, 12), (0.2, 60), (0.1, 3), (0.05, 300)])
def test_descent_half_time_is_that_of_the_iterated_map(growth, steps):
    start = jnp.array([start_that_is_half_learned_after(steps, growth)])
    g = jnp.array([2.5])
    rate = growth / (4 * 2.5)
    time = stepwise.descent_half_time(start / 2.5**0.5, g, rate)
    assert abs(float(time[0]) / rate - steps) < growth**2 / 4
    flow = float(stepwise.half_time(start / 2.5**0.5, g)[0]) / rate
    assert abs(flow - steps) > 3 * growth**2  # the flow alone does not explain it


def test_descent_half_time_tends_to_the_flow_and_stops_where_descent_overshoots():
    scales, g = jnp.array([1e-3, 1e-3, 0.1]), jnp.array([1.0, -1.0, 1.0])
    small = stepwise.descent_half_time(scales, g, 1e-7)
    np.testing.assert_allclose(small, stepwise.half_time(scales, g), rtol=1e-6)
    assert np.isnan(stepwise.descent_half_time(scales, g, 0.13)[0])


def test_descent_delay_is_exact_for_a_small_mode():
    rate, g, steps = 0.05, jnp.array([0.8, -0.8, 0.0]), 100
    growth = (1 + 4 * rate * g) ** steps
    flow = jnp.log(growth[:2]) / (4 * g[:2])
    delay = stepwise.descent_delay(g, rate)
    np.testing.assert_allclose(delay[:2], steps * rate / flow, rtol=1e-12)
    assert delay[2] == 1
    np.testing.assert_allclose(stepwise.descent_delay(g, 1e-4) - 1, 2e-4 * g, rtol=1e-3)
