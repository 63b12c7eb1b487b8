import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.diagnostics import detect_steps, half_times
from jssl.errors import InputError


def sigmoids(t, middles, rates=4.0, heights=1.0):
    return jnp.asarray(heights) / (
        1 + jnp.exp(-jnp.asarray(rates) * (t[:, None] - jnp.asarray(middles)))
    )


def test_half_times_of_sigmoids_are_their_middles():
    t = jnp.linspace(0, 20, 400)
    middles = np.array([2.0, 7.3, 11.1])
    np.testing.assert_allclose(half_times(t, sigmoids(t, middles)), middles, atol=2e-3)


def test_rise_time_is_log_81_over_the_rate():
    t = jnp.linspace(0, 20, 2000)
    steps = detect_steps(t, sigmoids(t, [5.0, 12.0], rates=[4.0, 2.0]))
    np.testing.assert_allclose(steps.rise_times, np.log(81) / np.array([4.0, 2.0]), rtol=1e-3)


def test_a_staircase_has_as_many_steps_as_dimensions():
    t = jnp.linspace(0, 40, 800)
    steps = detect_steps(t, sigmoids(t, [5.0, 12.0, 20.0, 30.0]))
    assert int(steps.learned) == int(steps.distinct) == 4
    assert steps.separate.all()


def test_modes_learned_together_are_one_step():
    t = jnp.linspace(0, 40, 800)
    steps = detect_steps(t, sigmoids(t, [5.0, 5.05, 20.0, 20.1]))
    assert int(steps.learned) == 4
    assert int(steps.distinct) == 2


def test_unlearned_modes_are_not_counted():
    t = jnp.linspace(0, 10, 300)
    steps = detect_steps(t, sigmoids(t, [5.0, 30.0]))
    assert int(steps.learned) == 1
    assert int(steps.distinct) == 1
    assert np.isnan(steps.half_times[1])


def test_heights_do_not_matter_above_the_share():
    t = jnp.linspace(0, 40, 800)
    steps = detect_steps(t, sigmoids(t, [5.0, 15.0, 25.0], heights=[3.0, 1.0, 0.5]))
    assert int(steps.distinct) == 3


def test_a_spectrum_there_from_the_start_has_no_separate_steps():
    steps = detect_steps(jnp.linspace(0, 10, 50), jnp.ones((50, 3)))
    assert int(steps.learned) == 3
    assert int(steps.distinct) == 1


def test_a_spectrum_that_stays_zero_has_no_step():
    steps = detect_steps(jnp.linspace(0, 10, 50), jnp.zeros((50, 3)))
    assert int(steps.learned) == int(steps.distinct) == 0


def test_seeds_are_batched_and_jitted():
    t = jnp.linspace(0, 40, 400)
    runs = jnp.stack([sigmoids(t, [5.0, 15.0]), sigmoids(t, [5.0, 5.0])])
    counts = jax.jit(jax.vmap(lambda v: detect_steps(t, v).distinct))(runs)
    np.testing.assert_array_equal(counts, [2, 1])


def test_a_known_level_finds_steps_in_a_spectrum_that_grows_on():
    t = jnp.linspace(0, 40, 800)
    values = sigmoids(t, [5.0, 15.0]) + 0.2 * jnp.maximum(t[:, None] - 15, 0) ** 2
    assert int(detect_steps(t, values).distinct) == 1
    assert int(detect_steps(t, values, 1.0).distinct) == 2


def test_a_value_that_is_nan_hides_the_crossing_after_it_and_no_other():
    t = jnp.linspace(0, 20, 400)
    values = sigmoids(t, [5.0, 12.0])
    early, late = values.at[10, 0].set(jnp.nan), values.at[395, 0].set(jnp.nan)
    np.testing.assert_allclose(half_times(t, early), [np.nan, 12.0], atol=2e-3)
    np.testing.assert_allclose(half_times(t, late), [5.0, 12.0], atol=2e-3)
    steps = detect_steps(t, early)
    assert (int(steps.learned), int(steps.distinct)) == (2, -1)
    steps = detect_steps(t, values.at[-1, 0].set(jnp.nan))
    assert (int(steps.learned), int(steps.distinct)) == (-1, -1)
    assert not steps.separate.any()


def test_integer_times_and_values_do_not_wrap_around():
    t = np.array([-100, 100], np.int8)  # 200 apart, more than int8 holds
    np.testing.assert_allclose(half_times(t, np.array([[0], [100]], np.int8)), [0.0])


def test_times_and_levels_that_do_not_fit_are_refused():
    values = jnp.ones((5, 2))
    with pytest.raises(InputError, match="steps need times"):
        half_times(jnp.arange(3.0), values)
    with pytest.raises(InputError, match="levels must be"):
        half_times(jnp.arange(5.0), values, jnp.ones(3))
    np.testing.assert_array_equal(half_times(jnp.arange(5.0), values, 1.0), [0, 0])
