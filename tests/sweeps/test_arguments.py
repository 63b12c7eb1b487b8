"""`jssl.sweep` refuses what it cannot use by one line, whatever its type."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sweep_problems import linear_problem, mlp_problem

from jssl import models
from jssl.errors import InputError
from jssl.sweeps import Target, sweep_until
from jssl.sweeps.sweep import sweep

AXES = {"learning_rate": [0.1]}


@pytest.fixture(autouse=True)
def _memory(monkeypatch):
    """Pretend that 10 GB are free, so that what does not fit here fits on no machine."""
    for place in ("jssl.memory", "jssl.sweeps.workload", "jssl.sweeps.plan"):
        monkeypatch.setattr(f"{place}.free_memory", lambda: 1e10)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"make_problem": None}, "make_problem must be a function; got None"),
        ({"make_problem": lambda learning_rate, /: None}, "learning_rate"),
        ({"axes": [1]}, "axes must be a table"),
        ({"axes": {1: [0.1]}}, "an axis cannot be called 1"),
        ({"axes": {"learning_rate": {0.1, 0.2}}}, "must be a list of values"),
        ({"axes": {"learning_rate": b"ab"}}, "must be a list of values"),
        ({"axes": {"learning_rate": np.float64(0.1)}}, "must be a list of values"),
        ({"axes": {"learning_rate": np.array(0.1)}}, "got the one value 0.1"),
        ({"axes": {"learning_rate": range(10**9)}}, "more than 1,000,000 values"),
        ({"axes": {"learning_rate": [2**63, 1]}}, "beyond 64 bits"),
        ({"axes": {"learning_rate": [10**400, 0.5]}}, "beyond 64 bits"),
        ({"axes": {"learning_rate": [2**100_000]}}, "a number of 30,103 digits, beyond 64 bits"),
        ({"axes": {"learning_rate": [[1, float("nan")]]}}, "not finite"),
        ({"axes": {"learning_rate": [{"a": 1}]}}, "cannot be compared"),
        ({"axes": {"learning_rate": [0.1], "seed": 2**32 + 1}}, "at most 4294967296"),
        ({"axes": {"learning_rate": [0.1], "seed": 2**32}}, "does not fit in memory"),
        ({"record_steps": range(10**9)}, "more than 1,000,000 steps"),
        ({"record_steps": [[1], [2, 3]]}, "non-empty list of whole numbers"),
        ({"record_steps": [1, float("inf")]}, "non-empty list of whole numbers"),
        ({"record_steps": [1, float("nan")]}, "non-empty list of whole numbers"),
        ({"record_steps": np.array([5, 3], np.uint64)}, "increasing"),
        ({"record_steps": [1, 2**31]}, "end at step 2"),
        ({"seed": True}, "seed must be a whole number"),
        ({"zip": "learning_rate"}, "zip must be a list of lists"),
        ({"zip": [[]]}, "zip contains a group without an axis"),
        ({"static": "learning_rate"}, "static must be a list of non-empty strings"),
        ({"parallel": "seeds"}, 'parallel must be "batch" or "seed"'),
        ({"precision": "high precision"}, "precision is that of matrix products"),
        ({"shard": (0, 1, 2)}, "shard must be two whole numbers"),
        ({"shard": ("0", 2)}, "shard must be two whole numbers"),
        ({"points": 5}, "points must be a list of tables"),
        ({"points": [5]}, "point 0 must be a table"),
        ({"observe": 3}, "observe must be a function"),
        ({"progress": 3}, "progress must be a function"),
        ({"dims": 3}, "dims must be a table"),
        ({"store": ""}, "store must be the path of a folder"),
        ({"store": 3}, "store must be the path of a folder"),
        ({"store": "a\0b"}, "cannot write the store 'a\\x00b' (embedded null byte)"),
        ({"store": "x" * 5000}, "file name too long"),
        ({"chunk_seconds": float("nan")}, "chunk_seconds must be a number above 0"),
        ({"memory": "1GB"}, "memory must be a number above 0"),
        ({"seed_block": True}, "seed_block must be a whole number"),
        ({"segment": 1.5}, "segment must be a whole number"),
    ],
)
def test_arguments_that_cannot_be_used_are_one_line(options, says):
    given = {"make_problem": linear_problem, "axes": AXES, "record_steps": [0, 1]} | options
    with pytest.raises(InputError) as caught:
        sweep(**given)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.float32
def test_values_that_are_equal_in_the_precision_of_the_runs_are_one_value():
    near = {"learning_rate": [0.1, 0.1 + 1e-9]}
    with pytest.raises(InputError, match=r"0\.1 and 0\.100000001, which are equal in float32"):
        sweep(linear_problem, near, record_steps=[0, 1])
    points = [{"learning_rate": 0.1, "scale": 1.0}, {"learning_rate": 0.1 + 1e-9, "scale": 1.0}]
    with pytest.raises(InputError, match="which are equal in float32"):
        sweep(linear_problem, {}, points=points, record_steps=[0, 1])
    for value in (1e39, 1e-39):
        with pytest.raises(InputError, match="which is out of the range of float32"):
            sweep(linear_problem, {"learning_rate": [value]}, record_steps=[0, 1])
    static = sweep(linear_problem, near, static=["learning_rate"], record_steps=[0, 1])
    assert static.sizes["learning_rate"] == 2  # Python numbers, told apart as such


def test_values_that_double_precision_tells_apart_are_two():
    near = {"learning_rate": [0.1, 0.1 + 1e-9]}
    assert sweep(linear_problem, near, record_steps=[0, 1]).sizes["learning_rate"] == 2


@pytest.mark.parametrize("make", [np.array, jnp.array, iter, tuple])
def test_any_ordered_collection_is_an_axis(make):
    result = sweep(linear_problem, {"learning_rate": make([0.25, 0.5])}, record_steps=[0, 1])
    np.testing.assert_array_equal(result["learning_rate"], [0.25, 0.5])


@pytest.mark.float32
@pytest.mark.parametrize("widths", [[10**9], [8, 10**9], [2**31 - 1]])
def test_a_width_that_cannot_fit_is_refused_before_memory_is_taken(widths):
    with pytest.raises(InputError, match=r"GB of memory|needs about"):
        sweep(mlp_problem, {"width": widths}, record_steps=[0, 1])


def test_a_net_that_cannot_fit_is_refused_wherever_it_starts():
    with pytest.raises(InputError, match="the start of 2,000,000,002 neurons needs"):
        models.mlp(3, 2, width=10**9).init(jax.random.key(0))


def test_too_many_programs_are_refused_by_their_number():
    def problem(a, b, c): ...

    axes = {name: list(range(100)) for name in "abc"}
    with pytest.raises(InputError, match="into 1,000,000 programs"):
        sweep(problem, axes, record_steps=[0, 1])


def test_what_the_users_own_problem_raises_is_one_line_that_says_where():
    def broken(learning_rate):
        message = "two\nlines"
        raise RuntimeError(message)

    with pytest.raises(
        InputError, match=r"RuntimeError: two \(in test_arguments.py, line"
    ) as found:
        sweep(broken, AXES, record_steps=[0, 1])
    assert isinstance(found.value.__cause__, RuntimeError)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"least": True}, "least of the target must be a whole number"),
        ({"half_width": float("nan")}, "half_width of the target must be a finite number"),
        ({"select": {"mode": 2}}, "select.mode must be from 0 to 1; got 2"),
        ({"select": {"step": 0}}, "unknown dimension of 'eigenvalues' 'step'"),
        ({"observable": "first_bad_step"}, "unknown observable"),
    ],
)
def test_a_target_that_cannot_be_is_refused_before_a_run(tmp_path, change, says):
    target = Target("eigenvalues", half_width=0.1, select={"mode": 0})._replace(**change)
    store = tmp_path / "store"
    with pytest.raises(InputError) as caught:
        sweep_until(linear_problem, AXES, target, record_steps=[0, 1], store=store)
    assert says in str(caught.value)
    assert list(tmp_path.iterdir()) == []
