"""A store grows with its study: finished runs keep their bits, the rest is computed."""

import random
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from sweep_problems import linear_problem

import jssl
from jssl.commands import main as cli
from jssl.errors import InputError
from jssl.sweeps import Preview, run, store
from jssl.sweeps.store import growing, results

STEPS = [0, 2, 10]
AXES = {"learning_rate": [0.01, 0.03], "seed": 5}
LARGER = {
    "scale": [0.2, 0.3],
    "learning_rate": [0.005, 0.01, 0.02, 0.03],
    "loss": ["barlow_twins_linearized", "vicreg"],
    "seed": 7,
}
PIECES = {"seed_block": 3, "chunk_seconds": 1e-9}


class Killed(BaseException):
    """What a process dies of in these tests; no handler catches it."""


def make(folder, axes=AXES, problem=linear_problem, **options):
    given = {"record_steps": STEPS, "store": folder, **PIECES, **options}
    return jssl.sweep(problem, axes, **given)


def content(folder):
    files = (p for p in sorted(Path(folder).rglob("*")) if p.is_file())
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


@pytest.fixture
def computed(monkeypatch):
    """The number of runs that each launch computes."""
    counts, real = [], run.launch

    def launch(chunk, todo, *rest):
        counts.append(int(todo.sum()))
        return real(chunk, todo, *rest)

    monkeypatch.setattr(run, "launch", launch)
    return counts


def test_seeds_values_and_further_axes_keep_every_finished_run(tmp_path, computed):
    small = make(tmp_path / "store").load()
    assert sum(computed) == 10
    computed.clear()
    large = make(tmp_path / "store", LARGER)
    assert sum(computed) == 2 * 4 * 2 * 7 - 10
    kept = large.sel(scale=0.3, loss="barlow_twins_linearized", seed=range(5))
    kept = kept.sel(learning_rate=[0.01, 0.03]).transpose("learning_rate", "seed", "step", "mode")
    np.testing.assert_array_equal(kept.eigenvalues, small.eigenvalues)
    np.testing.assert_array_equal(kept.loss_value, small.loss)
    np.testing.assert_array_equal(kept.t, small.t)
    fresh = make(None, LARGER)
    for name in fresh.data_vars:
        np.testing.assert_allclose(large[name], fresh[name], rtol=1e-12, atol=1e-14)
    store.check_whole(tmp_path / "store")
    computed.clear()
    make(tmp_path / "store", LARGER)
    assert computed == []


def test_an_unfinished_store_grows_and_grows_again(tmp_path, computed):
    make(tmp_path / "store", shard=(0, 2))  # seeds 0 to 2
    first = make(tmp_path / "store", {**AXES, "seed": 8}, shard=(1, 3)).load()
    last = make(tmp_path / "store", {"learning_rate": [0.01, 0.02, 0.03], "seed": 9})
    done = (first.first_bad_step == -1).values
    assert 6 < done.sum() < 16
    found = last.sel(learning_rate=[0.01, 0.03], seed=range(8)).eigenvalues.values
    np.testing.assert_array_equal(found[done], first.eigenvalues.values[done])
    assert bool((last.first_bad_step == -1).all())
    assert sum(computed) == 27  # no run was computed twice


def test_a_process_killed_while_a_store_grows_leaves_the_old_one_or_the_new_one(
    tmp_path, monkeypatch
):
    make(tmp_path / "whole")
    make(tmp_path / "whole", LARGER)
    expected = content(tmp_path / "whole")
    write, move = results.write_entry, growing._move
    choose = random.Random(0)
    for attempt, last in enumerate([0, *choose.sample(range(1, 30), 6)]):
        folder, count = tmp_path / str(attempt), 0
        make(folder)

        def dies(*arguments, real, last=last):
            nonlocal count
            count += 1
            if count > last:
                raise Killed
            return real(*arguments)

        monkeypatch.setattr(results, "write_entry", lambda *a: dies(*a, real=write))
        monkeypatch.setattr(growing, "write_entry", lambda *a: dies(*a, real=write))
        monkeypatch.setattr(growing, "_move", lambda *a: dies(*a, real=move))
        with pytest.raises(Killed):
            make(folder, LARGER)
        for module in (results, growing):
            monkeypatch.setattr(module, "write_entry", write)
        monkeypatch.setattr(growing, "_move", move)
        make(folder, LARGER)
        assert content(folder) == expected, last


def test_a_damaged_chunk_of_the_smaller_store_is_computed_again(tmp_path, computed):
    small = make(tmp_path / "store").load()
    file = next(p for p in sorted((tmp_path / "store" / "loss" / "c").rglob("*")) if p.is_file())
    file.write_bytes(file.read_bytes()[:-1])
    computed.clear()
    large = make(tmp_path / "store", {**AXES, "seed": 7})
    assert sum(computed) == 14 - 4  # seeds 3 and 4 of two points were whole
    np.testing.assert_allclose(large.loss[:, :5], small.loss, rtol=1e-12)


def test_what_cannot_be_kept_is_refused_with_the_reason(tmp_path):
    def other(learning_rate, scale=0.3):
        return linear_problem(2 * learning_rate, scale)

    def shifted(learning_rate):
        made = linear_problem(learning_rate)
        return made._replace(pairs=lambda key: jssl.Pairs(*(x + 1.0 for x in made.pairs(key)[:2])))

    make(tmp_path / "store")
    before = content(tmp_path / "store")
    more = {**AXES, "seed": 9}
    for axes, options, says in (
        ({**AXES, "seed": 4}, {}, "axes.seed: 5 in the store, 4 asked; a store only grows"),
        ({**AXES, "learning_rate": [0.01, 0.02]}, {}, "axes.learning_rate has no 0.03"),
        ({"scale": [0.3], "seed": 5}, {}, "the axis 'learning_rate' of the store is missing"),
        ({**AXES, "scale": [0.1, 0.2]}, {}, "at no value of scale is the problem the one in"),
        (more, {"record_steps": [0, 2]}, r"record_steps: \[0, 2, 10\] in the store"),
        (more, {"seed": 1}, "axes.seed: 5 in the store, 9 asked; seed: 0 in the store, 1 asked"),
        (more, {"problem": other}, "axes.seed: 5 in the store, 9 asked; .*another optimiser"),
        (more, {"problem": shifted}, "axes.seed: 5 in the store, 9 asked; .*other data"),
        (AXES, {"points": [{"scale": 0.3}]}, "points: a store without points gets none"),
    ):
        with pytest.raises(InputError, match=says):
            make(tmp_path / "store", axes, **options)
    assert content(tmp_path / "store") == before


def test_points_and_zipped_axes_grow(tmp_path):
    points = [{"scale": 0.2, "loss": "vicreg"}, {"scale": 0.3, "loss": "barlow_twins"}]
    axes = {"seed": 3}
    small = make(tmp_path / "points", axes, points=points).load()
    more = [points[1], {"scale": 0.1, "loss": "vicreg"}, points[0]]
    large = make(tmp_path / "points", axes, points=more)
    np.testing.assert_array_equal(large.loss_value[[2, 0]], small.loss_value)
    zipped = {"learning_rate": [0.01, 0.02], "scale": [0.1, 0.2], "seed": 2}
    small = make(tmp_path / "zip", zipped, zip=[["learning_rate", "scale"]]).load()
    zipped = {"learning_rate": [0.01, 0.02, 0.02], "scale": [0.1, 0.2, 0.3], "seed": 2}
    large = make(tmp_path / "zip", zipped, zip=[["learning_rate", "scale"]])
    np.testing.assert_array_equal(large.loss[:2], small.loss)


def test_a_preview_says_what_would_run_and_writes_nothing(tmp_path):
    found = make(tmp_path / "store", plan=True)
    assert isinstance(found, Preview)
    assert (found.runs, found.steps, found.chunks, found.done, found.new) == (10, 10, 2, 0, ())
    assert found.run_seconds > 0
    assert list(tmp_path.iterdir()) == []
    make(tmp_path / "store")
    before = content(tmp_path / "store")
    assert make(tmp_path / "store", plan=True).done == 2
    found = make(tmp_path / "store", LARGER, plan=True)
    assert "learning_rate 0.005, 0.02" in found.new
    assert "the axis scale, at scale = 0.3 in the store" in found.new
    assert "seeds 5 to 6" in found.new
    assert "112 runs of 10 steps" in repr(found)
    assert content(tmp_path / "store") == before


STUDY = """
store = "{store}"
record = [0, 1]
precision = "float64"
[problem]
data = "digits"
samples = 10
model = "linear"
dim = 2
loss = "vicreg"
{fixed}
[axes]
learning_rate = [0.01, 0.02]
seed = {seeds}
{axis}
"""


def test_the_command_says_what_is_new(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("jssl.commands.sweep.use_all_cores", lambda devices: 1)  # JAX has started
    study, place = tmp_path / "study.toml", tmp_path / "store"
    study.write_text(STUDY.format(store=place, fixed="scale = 0.5", seeds=2, axis=""))
    assert cli.run(["sweep", str(study)]) == 0
    before = jssl.sweeps.open_dataset(place).load()
    axis = "scale = [0.5, 1.0]"
    study.write_text(STUDY.format(store=place, fixed="", seeds=3, axis=axis))
    assert cli.run(["sweep", str(study)]) == 0
    said = capsys.readouterr()
    assert "grows, finished runs are kept; new: " in said.err
    assert "the axis scale, at scale = 0.5 in the store; seeds 2 to 2" in said.err
    assert "finished, 12 runs" in said.out
    found = jssl.sweeps.open_dataset(place).sel(scale=0.5, seed=[0, 1])
    np.testing.assert_array_equal(found.loss.transpose(*before.loss.dims), before.loss)
    assert jnp.isfinite(found.loss.values).all()
