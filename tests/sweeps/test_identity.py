"""A store belongs to what its problem computes: not to its text, its layout or its process."""

import dataclasses
import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sweep_problems import data, linear_problem, mlp_problem

import jssl
from jssl import losses
from jssl.data import pairs
from jssl.eigenvalues import EigenvaluesOf
from jssl.errors import InputError
from jssl.optim import gradient_descent
from jssl.sweeps.grid import make_grid
from jssl.sweeps.programs import Spec
from jssl.sweeps.study import make_study
from jssl.sweeps.workload import differences, identity, make_workload

AXES = {"learning_rate": [0.01, 0.02], "seed": 2}
SIZE = 1.0


def make(store, problem, **options):
    given = {"axes": AXES, "record_steps": [0, 3], **options}
    return jssl.sweep(problem, given.pop("axes"), store=store, **given)


def of_data(values):
    """Return a problem of fixed pairs."""
    views = pairs.fixed(jssl.Pairs(jnp.asarray(values), jnp.asarray(values)))
    return linear_problem()._replace(pairs=views)


def with_global(learning_rate):
    scaled = pairs.fixed(jax.tree.map(lambda x: SIZE * x, data()))
    return linear_problem(learning_rate)._replace(pairs=scaled)


def closed_over(rate):
    def make_problem(learning_rate):
        return linear_problem(rate * learning_rate)

    return make_problem


class Callable:
    """A problem with state; `==` compares the state, so that it has no hash."""

    def __init__(self, weight):
        self.weight = weight

    def __call__(self, learning_rate):
        """Return the problem."""
        loss = losses.get("vicreg", variance=self.weight)
        return linear_problem(learning_rate)._replace(loss=loss)

    def __eq__(self, other):
        return isinstance(other, Callable) and self.weight == other.weight


class Held:
    """A problem whose state changes in place."""

    scale = 1.0

    def __call__(self, learning_rate):
        """Return the problem."""
        return linear_problem(learning_rate, scale=self.scale)


HELD = Held()


def changed_in_place(value, tmp_path, monkeypatch):
    monkeypatch.setattr(HELD, "scale", value)
    return HELD


def over_array(array, learning_rate):
    return of_data(array)._replace(optimiser=gradient_descent(learning_rate))


def big(entry):
    array = np.random.default_rng(0).normal(size=(2000, 3))
    array[1000, 1] = entry  # text of a large array leaves this out
    return functools.partial(over_array, array)


def from_file(path, learning_rate):
    return of_data(np.load(path))._replace(optimiser=gradient_descent(learning_rate))


def changed_global(value, tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "SIZE", value)
    return with_global


def changed_file(value, tmp_path, monkeypatch):
    path = tmp_path / "data.npy"
    np.save(path, np.full((4, 3), value))
    return functools.partial(from_file, path)


def changed_loss(value, tmp_path, monkeypatch):
    def loss(za, zb):
        return value * (za * zb).mean()

    return lambda learning_rate: linear_problem(learning_rate)._replace(loss=loss)


def changed_start(value, tmp_path, monkeypatch):
    return lambda learning_rate: linear_problem(learning_rate, scale=value)


CHANGES = {
    "a global constant": (changed_global, "other data"),
    "a value closed over": (lambda v, *_: closed_over(v), "another optimiser"),
    "the state of a callable": (lambda v, *_: Callable(v), "another model or loss"),
    "the state of one object": (changed_in_place, "other initial parameters"),
    "an array of a partial": (lambda v, *_: big(v), "other data"),
    "the content of a file": (changed_file, "other data"),
    "a constant of the loss": (changed_loss, "another model or loss"),
    "the scale of the start": (changed_start, "other initial parameters"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_store_of_another_problem_of_the_same_source_is_refused(what, tmp_path, monkeypatch):
    change, says = CHANGES[what]
    store = tmp_path / "store"
    first = make(store, change(0.5, tmp_path, monkeypatch))
    with pytest.raises(InputError, match=says) as caught:
        make(store, change(0.25, tmp_path, monkeypatch))
    assert "\n" not in str(caught.value)
    again = make(store, change(0.5, tmp_path, monkeypatch))
    np.testing.assert_array_equal(first.eigenvalues, again.eigenvalues)


@pytest.mark.parametrize("what", CHANGES)
def test_a_sweep_in_memory_never_returns_what_another_problem_gave(what, tmp_path, monkeypatch):
    change, _ = CHANGES[what]
    first = make(None, change(0.5, tmp_path, monkeypatch))
    other = make(None, change(0.25, tmp_path, monkeypatch))
    lasts = [found.isel(step=-1, learning_rate=-1) for found in (first, other)]
    assert not np.allclose(lasts[0].eigenvalues, lasts[1].eigenvalues, rtol=1e-9) or not (
        np.allclose(lasts[0].loss, lasts[1].loss, rtol=1e-9)
    )


def test_another_observable_of_the_same_source_is_refused(tmp_path):
    def observe(power):
        return lambda problem: lambda params, _: {"size": jnp.sum(params["weight"] ** power)}

    make(tmp_path / "store", linear_problem, observe=observe(2))
    with pytest.raises(InputError, match=r"\(other observables\)"):
        make(tmp_path / "store", linear_problem, observe=observe(4))


def test_a_difference_in_one_program_names_it_and_the_argument_behind_it(tmp_path):
    def problem(learning_rate, loss, scale):
        if loss == "vicreg":
            return linear_problem(learning_rate, loss=loss, scale=scale)
        return linear_problem(learning_rate, loss=loss)

    axes = {**AXES, "loss": ["nt_xent", "vicreg"]}
    make(tmp_path / "store", functools.partial(problem, scale=0.3), axes=axes)
    with pytest.raises(
        InputError,
        match=r"make_problem.scale: 0.3 in the store, 0.2 asked; "
        "other initial parameters at loss=vicreg",
    ):
        make(tmp_path / "store", functools.partial(problem, scale=0.2), axes=axes)


def test_the_text_of_a_problem_is_not_its_identity(tmp_path):
    def renamed(learning_rate):
        """Say the same in other words, with a computation that nothing uses."""
        jnp.sum(jnp.arange(7.0))
        return linear_problem(learning_rate, loss="barlow_twins_linearized")

    make(tmp_path / "store", linear_problem)
    make(tmp_path / "store", renamed)


def test_the_layout_is_not_the_identity():
    axes = {"width": [4, 8], "learning_rate": [0.01], "seed": 4}
    listed = [
        make_workload(make_grid(make_study(mlp_problem, axes, [0, 3], **layout))).settings[
            "programs"
        ]
        for layout in ({}, {"chunk_seconds": 1e-9, "seed_block": 1}, {"memory": 1e7})
    ]
    assert listed[0] == listed[1] == listed[2]
    assert [program["at"] for program in listed[0]] == ["width=4", "width=8"]


def test_the_gradient_counts_where_the_value_is_the_same():
    @jax.custom_vjp
    def plain(x):
        return x

    @jax.custom_vjp
    def reversed_(x):
        return x

    plain.defvjp(lambda x: (x, None), lambda _, g: (g,))
    reversed_.defvjp(lambda x: (x, None), lambda _, g: (-g,))

    def of(function):
        def loss(za, zb):
            return function(((za - zb) ** 2).mean())

        return identity(Spec(lambda: linear_problem()._replace(loss=loss)), (), ())

    first, second = of(plain), of(reversed_)
    assert [part for part in first if first[part] != second[part]] == ["objective"]


def constant(value):
    """Return the identity of a problem whose loss holds a constant in a nested program."""

    def inside(x):
        held = jnp.asarray(value)
        if jnp.issubdtype(held.dtype, jax.dtypes.prng_key):
            held = jax.random.normal(held, ())
        return x * jnp.sum(held.astype(float))

    def loss(za, zb):
        x = ((za - zb) ** 2).mean()
        x, _ = jax.lax.scan(lambda x, _: (jax.jit(inside)(x), None), x, length=2)
        return jax.lax.cond(x > 0, inside, lambda x: x, x)

    return identity(Spec(lambda: linear_problem()._replace(loss=loss)), (), ())["objective"]


def test_constants_in_nested_programs_count_by_their_bytes():
    values = [
        1.0,
        2.0,
        np.float32(0.1),
        np.arange(3.0),
        np.arange(3.0) + np.finfo(float).eps,
        np.arange(3),
        jnp.arange(3, dtype=jnp.bfloat16),
        np.array([True, False]),
        jax.random.key(0),
        jax.random.key(1),
    ]
    found = [constant(value) for value in values]
    assert len(set(found)) == len(values)
    assert [constant(value) for value in values] == found


def test_a_schedule_and_the_eigenvalues_asked_for_count():
    def of(rate=0.1, observe=None):
        def problem():
            return linear_problem()._replace(optimiser=gradient_descent(rate))

        return identity(Spec(problem, observe), (), ())

    def weight(problem):
        return lambda params, _: {"m": params["weight"] @ params["weight"].T}

    def values(problem):
        return lambda params, _: {"m": EigenvaluesOf(params["weight"] @ params["weight"].T)}

    fast, slow = (of(optax.linear_schedule(0.1, 0.0, n)) for n in (5, 50))
    assert [part for part in fast if fast[part] != slow[part]] == ["optimiser"]
    assert of(observe=weight)["observables"] != of(observe=values)["observables"]


PRINT = """
import json, sys
import jax, jax.numpy as jnp
from sweep_problems import linear_problem, mlp_problem
import jssl, optax
from jssl import models
from jssl.sweeps.grid import make_grid
from jssl.sweeps.study import make_study
from jssl.sweeps.workload import make_workload

jssl.use_all_cores(int(sys.argv[1]))
for unrelated in range(int(sys.argv[1])):
    jax.jit(lambda x: x + unrelated)(1.0)

class Named:
    def __str__(self):
        return object.__repr__(self)

def problem(width, kind, learning_rate):
    names = {"alpha", "beta", "gamma", "delta"}  # iterated in an order of this process
    plain = mlp_problem(width, learning_rate)
    def init(key):
        inner = plain.model.init(key)
        return {"net": inner, **{name: jnp.zeros(()) for name in names}}
    model = plain.model._replace(init=init, apply=lambda p, x: plain.model.apply(p["net"], x))
    return plain._replace(model=model, optimiser=optax.adam(learning_rate))

axes = {"width": [4, 8], "kind": [Named()], "learning_rate": [0.01], "seed": 2}
json.dump(make_workload(make_grid(make_study(problem, axes, [0, 3]))).settings, sys.stdout)
"""


@pytest.mark.float32
def test_processes_with_other_hashes_addresses_and_devices_find_the_same_identity():
    root = Path(__file__).parents[2]
    path = {"PYTHONPATH": f"{root}{os.pathsep}{Path(__file__).parent}"}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PRINT, str(devices)],
            env=os.environ | path | {"PYTHONHASHSEED": str(seed)},
            stdout=subprocess.PIPE,
        )
        for devices, seed in ((1, 0), (3, 1))
    ]
    found = [json.loads(process.communicate()[0]) for process in started]
    assert found[0] == found[1]
    assert found[0]["axes"]["kind"] == ["<__main__.Named object>"]


def test_a_store_of_another_version_of_jax_says_so_where_programs_differ():
    program = {"at": "", "data": "a"}
    stored = {"seed": 0, "jax": "0.9.9", "programs": [program]}
    assert differences(stored, {**stored, "jax": "0.10.0"}) == []
    (line,) = differences(
        stored, {**stored, "jax": "0.10.0", "programs": [{**program, "data": "b"}]}
    )
    assert line.startswith("JAX 0.9.9 in the store, JAX 0.10.0 here")
    assert differences(stored, {**stored, "jax": "0.10.0", "seed": 1}) == [
        "seed: 0 in the store, 1 asked"
    ]


def test_a_problem_that_is_none_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(InputError, match=r"must return a jssl\.Problem; got NoneType"):
        make(tmp_path / "store", lambda learning_rate: None)
    assert list(tmp_path.iterdir()) == []


def test_an_image_file_written_anew_is_read_anew(tmp_path):
    from jssl.studies import named_problem

    path = tmp_path / "images.npz"
    seen = []
    for value in (0.25, 0.75):
        np.savez(path, images=np.full((6, 4, 4, 1), value, np.float32))
        problem = named_problem(data=str(path), samples=4, model="linear", learning_rate=0.1)
        seen.append(float(problem.pairs(jax.random.key(0)).first.mean()))
        os.utime(path, ns=(0, len(seen)))
    assert seen == pytest.approx([0.25, 0.75], rel=1e-6)


def test_a_problem_may_be_a_dataclass_with_arrays():
    @dataclasses.dataclass
    class Stated:
        values: np.ndarray

        def __call__(self, learning_rate):
            return of_data(self.values)._replace(optimiser=gradient_descent(learning_rate))

    first, second = (make(None, Stated(size * np.eye(3))) for size in (1.0, 2.0))
    assert np.isfinite(first.eigenvalues).all()
    assert (first.eigenvalues != second.eigenvalues).all()
