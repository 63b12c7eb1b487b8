"""Steps are whole numbers from 0 to 2^31 - 1, and nothing wraps beyond."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_simulation import linear_problem

import jssl
from jssl.errors import InputError
from jssl.record_steps import check_count, checked_record_steps, log_spaced_steps
from jssl.theory import width

LAST = 2**31 - 1


@pytest.mark.parametrize(
    "steps",
    [
        [0, LAST + 1],
        [2**32 + 5],
        np.array([0, 2**40]),
        np.array([0.0, 3e9]),
        np.array([1, 2**63], np.uint64),
        [1e300],
    ],
)
def test_record_steps_beyond_32_bits_are_refused_in_one_line(steps):
    with pytest.raises(InputError, match=r"end at step 2\*\*31 - 1 = 2147483647; got") as caught:
        jssl.run(linear_problem(), steps)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="end at step"):
        jssl.sweep(lambda rate: linear_problem(), {"rate": [0.1]}, record_steps=steps)


@pytest.mark.parametrize(
    "steps",
    [
        np.array([5, 3], np.uint8),  # whose difference wraps to 254
        np.array([5, 3], np.uint64),
        np.array([-100, 100], np.int8),
        [0, np.inf],
        [0, np.nan],
        [[0, 1]],
        [0, [1, 2]],
        [True],
    ],
)
def test_record_steps_of_any_dtype_must_increase_from_zero(steps):
    with pytest.raises(InputError, match="increasing from 0 or more"):
        checked_record_steps(steps)


def test_small_dtypes_and_the_last_step_are_kept():
    found = checked_record_steps(np.array([0, 100, 200], np.uint8))
    assert (found.dtype, found.tolist()) == (np.int64, [0, 100, 200])
    assert checked_record_steps([0, LAST]).tolist() == [0, LAST]
    assert log_spaced_steps(LAST, 5)[-1] == LAST


def test_log_spaced_steps_end_where_steps_do():
    with pytest.raises(InputError, match=r"steps end at 2\*\*31 - 1"):
        log_spaced_steps(LAST + 1, 20)


@pytest.mark.parametrize("steps", [-1, LAST + 1, np.int64(2**40)])
def test_a_run_is_not_advanced_by_a_count_out_of_range(steps):
    simulation = jssl.simulate(linear_problem())
    state = simulation.init(jax.random.key(0))
    with pytest.raises(InputError, match="between 0 and"):
        simulation.advance(state, steps)
    check_count(LAST)


def test_the_last_steps_are_counted_right():
    """From a state one step before the end, as a run of that length would reach it."""
    simulation = jssl.simulate(linear_problem())
    state = simulation.init(jax.random.key(0))._replace(step=jnp.int32(LAST - 1))
    last, _ = simulation.advance(state, 1)
    assert int(last.step) == LAST
    np.testing.assert_allclose(float(last.t), 0.02 * LAST, rtol=1e-12)


@pytest.mark.parametrize("steps", [[0, LAST + 1], [0, 1.5]])
def test_a_kernel_model_descends_whole_steps_up_to_the_last(steps):
    model = width.KernelModel(jnp.eye(4), None)
    with pytest.raises(InputError, match="steps"):
        width.descend(model, jnp.ones((4, 1)), 0.02, steps)
