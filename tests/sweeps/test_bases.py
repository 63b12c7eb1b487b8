"""A sweep in eigenbases has the numbers of one without them, and its store says which it is."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

import jssl
from jssl import losses, models
from jssl.data import pairs
from jssl.optim import gradient_descent
from jssl.sweeps.grid import make_grid
from jssl.sweeps.plan import make_plan, to_json
from jssl.sweeps.study import make_study
from jssl.sweeps.workload import make_workload

RNG = np.random.default_rng(0)
FIRST = RNG.normal(size=(40, 6))
SECOND = FIRST + 0.3 * RNG.normal(size=FIRST.shape)


def make_problem(learning_rate, loss="barlow_twins_linearized"):
    fixed = pairs.fixed(jssl.Pairs(jnp.asarray(FIRST), jnp.asarray(SECOND)))
    model = models.linear(6, 2, scale=0.1)
    return jssl.Problem(fixed, model, losses.get(loss), gradient_descent(learning_rate))


def observe(problem):
    del problem
    return lambda params, batch: {"weight": params["weight"], "first": batch.first.sum()}


@pytest.fixture
def worth(monkeypatch):
    """Set the predicted seconds from which the eigenbasis is tried."""
    return lambda seconds: monkeypatch.setattr("jssl.sweeps.bases.WORTH", seconds)


def planned(problem, axes):
    study = make_study(problem, axes, [0, 10])
    return to_json(make_plan(make_workload(make_grid(study)), measure=False)[0])


def same_with_and_without(worth, problem, axes, steps, see=None):
    """Compare a sweep with its bases and without them; return both."""
    found = []
    for seconds in (0.0, np.inf):
        worth(seconds)
        found.append(jssl.sweep(problem, axes, record_steps=steps, observe=see, progress=False))
    for name in found[0].data_vars:
        np.testing.assert_allclose(found[0][name], found[1][name], rtol=1e-9, atol=1e-12)
    return found


AXES = {"learning_rate": [0.01, 0.02], "seed": 3}


@pytest.mark.parametrize("see", [None, observe])
def test_numbers_are_those_without_the_basis(see, worth):
    found = same_with_and_without(worth, make_problem, AXES, [0, 3, 200], see)
    assert not all(bool((found[0][n] == found[1][n]).all()) for n in found[0].data_vars)


def test_programs_that_cannot_be_reduced_are_computed_as_they_are(worth):
    worth(0.0)
    axes = {**AXES, "loss": ["vicreg", "barlow_twins_linearized"]}
    assert planned(make_problem, axes)["eigenbasis"] == [1]

    def noisy(learning_rate, noise=1.0):
        problem = make_problem(learning_rate)
        views = problem.pairs.pairs
        return problem._replace(pairs=pairs.fixed(views._replace(second=noise * views.second)))

    assert "eigenbasis" not in planned(noisy, {**AXES, "noise": [0.5, 1.0]})
    assert planned(noisy, AXES)["eigenbasis"] == [0]


def test_a_form_that_holds_for_the_first_numbers_only_is_not_used(worth):
    """With exponent 2, the first value of the axis, the loss is quadratic in each entry of C."""

    def power(learning_rate, exponent):
        def loss(za, zb):
            half = za.T @ zb / len(za)
            return jnp.sum(jnp.abs((half + half.T) / 2 - jnp.eye(len(half))) ** exponent)

        return make_problem(learning_rate)._replace(loss=loss)

    same_with_and_without(worth, power, {**AXES, "exponent": [2.0, 3.0]}, [0, 100])


def test_short_sweeps_are_computed_as_they_are():
    assert "eigenbasis" not in planned(make_problem, AXES)


@pytest.mark.parametrize("devices", [1, 8])
def test_neither_remembered_rates_nor_devices_decide_the_basis(devices, worth, monkeypatch):
    """The basis changes rounding, and a process that was slow once must not change numbers."""
    monkeypatch.setattr("jssl.sweeps.costs.read_facts", lambda name: {"step": 1e3})
    study = make_study(make_problem, AXES, [0, 10])
    work = make_workload(make_grid(study))
    work = work._replace(machine=work.machine._replace(devices=devices))
    assert "eigenbasis" not in to_json(make_plan(work, measure=False)[0])
    worth(0.0)
    monkeypatch.setattr("jssl.sweeps.costs.read_facts", lambda name: {"step": 1e-30})
    assert to_json(make_plan(work, measure=False)[0])["eigenbasis"] == [0]


def test_a_store_is_resumed_in_its_basis_bit_by_bit(tmp_path, worth):
    worth(0.0)
    options = {"record_steps": [0, 3, 200], "observe": observe, "progress": False}
    layout = {"seed_block": 1}
    whole = jssl.sweep(make_problem, AXES, store=tmp_path / "a", **options, **layout).load()
    half = tmp_path / "b"
    jssl.sweep(make_problem, AXES, store=half, shard=(0, 2), **options, **layout)
    entry = json.loads((half / "jssl" / "zarr.json").read_text())
    assert entry["attributes"]["eigenbasis"] == [0]
    worth(np.inf)  # the stored plan decides
    resumed = jssl.sweep(make_problem, AXES, store=half, **options, **layout)
    for name in whole.data_vars:
        np.testing.assert_array_equal(resumed[name], whole[name])


def test_a_preview_says_which_programs_are_reduced(worth):
    worth(0.0)
    seen = jssl.sweep(make_problem, AXES, record_steps=[0, 10], plan=True, progress=False)
    assert "in the eigenbasis of Gamma" in repr(seen)
