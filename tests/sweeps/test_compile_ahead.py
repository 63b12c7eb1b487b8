import threading
import time

import jax
import numpy as np
import pytest
from sweep_problems import linear_problem

import jssl
from jssl.sweeps import run
from jssl.sweeps.compile_ahead import CompileAhead


@pytest.fixture
def compiled():
    """Names of the threads on which whole runs were compiled."""
    names = []

    def hear(event, seconds, **details):
        del seconds
        if "backend_compile" in event and "run_whole" in str(details.get("fun_name")):
            names.append(threading.current_thread().name)

    jax.monitoring.register_event_duration_secs_listener(hear)
    yield names
    jax.monitoring.unregister_event_duration_listener(hear)


def test_programs_compile_once_beside_the_runs(compiled):
    axes = {"learning_rate": [0.011], "loss": ["vicreg", "nt_xent"]}
    result = jssl.sweep(linear_problem, {**axes, "seed": 2}, record_steps=[0, 4])
    assert len(compiled) == 2
    assert all(name.startswith("compile") for name in compiled)
    alone = jssl.sweep(
        linear_problem, {**axes, "loss": axes["loss"][1:], "seed": 2}, record_steps=[0, 4]
    )
    assert len(compiled) == 2  # the same program in this process, compiled before
    np.testing.assert_array_equal(result.sel(loss=["nt_xent"]).eigenvalues, alone.eigenvalues)


def test_only_the_next_program_is_compiled_early():
    asked = []

    class Lowered:
        def compile(self):
            return None

    def lower(name):
        asked.append(name)
        return Lowered()

    with CompileAhead("aabbcd", lower) as compiler:
        compiler.ready("a")
        assert asked == ["a", "b"]
        compiler.ready("a")
        compiler.ready("c")  # b was taken by another process
        assert asked == ["a", "b", "c", "d"]


def test_what_a_compilation_raises_is_raised_where_its_program_is_wanted():
    class Lowered:
        def compile(self):
            raise MemoryError

    with CompileAhead("ab", lambda name: Lowered()) as compiler, pytest.raises(MemoryError):
        compiler.ready("a")


def test_waiting_for_launched_work_is_no_compilation(monkeypatch):
    real = run._arguments

    class Slow:
        """A jitted function whose calls wait, as they do where a device has enough to do."""

        def __init__(self, function):
            self.function = function
            self.lower = function.lower

        def __call__(self, *arguments):
            """Wait, and then launch."""
            time.sleep(0.3)
            return self.function(*arguments)

    def slow(*arguments):
        functions, lanes = real(*arguments)
        return functions._replace(whole=Slow(functions.whole)), lanes

    seen = []
    options = {"record_steps": [0, 4], "seed_block": 1, "chunk_seconds": 1e-9, "progress": False}
    axes = {"learning_rate": [0.012], "seed": 4}
    jssl.sweep(linear_problem, axes, **options)  # compiles
    monkeypatch.setattr(run, "_arguments", slow)
    jssl.sweep(linear_problem, axes, **options | {"progress": seen.append})
    assert seen[-1].spent["compute"] >= 4 * 0.3
    assert seen[-1].spent["compile"] < seen[-1].spent["compute"]


def test_other_work_is_done_once_while_the_first_program_is_compiled():
    order, lock = [], threading.Event()

    class Lowered:
        def compile(self):
            lock.wait(60)
            order.append("compiled")

    def meanwhile():
        order.append("meanwhile")
        lock.set()

    with CompileAhead([0, 1], lambda _: Lowered(), meanwhile) as compiler:
        compiler.ready(0)
        compiler.ready(1)
    assert order[0] == "meanwhile"
    assert order.count("meanwhile") == 1
