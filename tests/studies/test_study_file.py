import json
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import jssl
from jssl.commands import main as cli
from jssl.commands import sweep as command
from jssl.errors import InputError
from jssl.studies import OPTIMISERS, named_problem, read_study
from jssl.sweeps import open_dataset

STUDY = """
store = "{store}"
steps = 20
record = 3
precision = "float64"
[problem]
data = "gaussian"
samples = 12
features = 4
noise = 0.3
dim = 2
model = "linear"
loss = "vicreg"
[axes]
learning_rate = [0.01, 0.03]
seed = 3
"""


@pytest.fixture(autouse=True)
def _devices(monkeypatch):
    """Leave this process's devices as they are."""
    monkeypatch.setattr(command, "use_all_cores", lambda devices: devices)


@pytest.fixture
def written(tmp_path):
    def write(text=STUDY, **changes):
        path = tmp_path / "study.toml"
        for old, new in changes.items():
            text = text.replace(old, new)
        path.write_text(text.format(store=tmp_path / "store"))
        return path

    return write


@pytest.mark.float32
def test_a_study_runs_goes_on_and_is_reported(written, tmp_path, capsys):
    path = written()
    assert cli.run(["sweep", str(path), "--plan"]) == 0
    assert "6 runs of 20 steps in 1 chunks (0 done)" in capsys.readouterr().out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["study.toml"]
    assert cli.run(["sweep", str(path)]) == 0
    result = open_dataset(tmp_path / "store")
    assert result.eigenvalues.dtype == np.float64
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "store").rglob("*") if p.is_file()}
    assert cli.run(["sweep", str(path)]) == 0
    after = {p: p.stat().st_mtime_ns for p in (tmp_path / "store").rglob("*") if p.is_file()}
    assert before == after
    capsys.readouterr()
    assert cli.run(["report", str(tmp_path / "store")]) == 0
    folder = tmp_path / "store-report"
    assert json.loads((folder / "report.json").read_text())["final"][0]["runs"] == 3
    page = (folder / "report.html").read_text()
    assert "data:image/png;base64" in page
    assert "http" not in page.replace("http://www.w3.org", "")


@pytest.mark.float32
def test_a_study_may_add_seeds_until_an_interval_is_tight(written, tmp_path, capsys):
    until = '[until]\nobservable = "loss"\nhalf_width = 1e9\nleast = 2\n[axes]'
    assert cli.run(["sweep", str(written(**{"[axes]": until}))]) == 0
    assert "time spent" in capsys.readouterr().out
    ran = open_dataset(tmp_path / "store").first_bad_step.values == -1
    assert set(ran.reshape(-1, ran.shape[-1]).sum(-1)) == {2}  # of 3: tight after the least


def test_the_study_is_the_sweep_it_states(written):
    found = read_study(written())
    problem = found.make_problem(learning_rate=0.01)
    stated = named_problem(
        data="gaussian", samples=12, features=4, noise=0.3, dim=2, model="linear", loss="vicreg"
    )
    for a, b in zip(problem.pairs(None), stated.pairs(None), strict=False):
        if a is not None:
            np.testing.assert_array_equal(a, b)
    assert found.record_steps.tolist() == [0, 1, 4, 20]
    assert (found.dtype, found.until) == ("float64", None)


@pytest.mark.parametrize("model", ["mlp", "deep_linear", "conv"])
@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_every_named_model_and_optimiser_makes_a_problem(model, optimiser):
    options = {"channels": 4} if model == "conv" else {"width": 4}
    options |= {"weight_decay": 0.1} if optimiser == "adamw" else {}
    problem = named_problem(
        samples=6, batch=3, views="shift=1, flip", model=model, optimiser=optimiser,
        loss="simclr", temperature=0.3, dim=2, **options,
    )  # fmt: skip
    shape = jax.eval_shape(jssl.run(problem, [1]), jax.random.key(0))
    assert shape.observables["eigenvalues"].shape == (1, 2)


def test_noise_and_decay_may_be_traced():
    def first(noise, decay):
        problem = named_problem(
            data="gaussian", samples=6, features=3, noise=noise, decay=decay, model="linear"
        )
        return problem.pairs(jax.random.key(0)).first

    np.testing.assert_allclose(jax.jit(first)(0.5, 2.0), first(0.5, 2.0), rtol=1e-12)


@pytest.mark.float32
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"steps = 20": "steps = = 20"}, "line 3, column 9"),
        ({"steps = 20": "stepz = 20"}, "did you mean 'steps'"),
        ({"steps = 20": ""}, "needs steps"),
        ({"store =": "# store ="}, "store is missing"),
        ({"float64": "float16"}, 'precision must be "float32" or "float64"; got'),
        ({"learning_rate =": "learning_rat ="}, "did you mean 'learning_rate'"),
        ({"[0.01, 0.03]": "[]"}, "axis 'learning_rate' is empty"),
        ({"[0.01, 0.03]": "[0.01, 0.01]"}, "twice"),
        ({"vicreg": "vicregg"}, "did you mean 'vicreg'"),
        ({'"linear"': '"linaer"'}, "did you mean 'linear'"),
        ({"features = 4": "feature = 4"}, "did you mean 'features'"),
        ({"[problem]": '[problem]\nmake = "nowhere:at_all"'}, "cannot import"),
        ({"[problem]": '[problem]\nmake = "nowhere"'}, "'module:function'"),
        ({"[axes]": "[layout]\nchunk_secs = 1\n[axes]"}, "did you mean 'chunk_seconds'"),
        ({"[axes]": "[layout]\nmemory = 10.0\n[axes]"}, "needs about"),
        ({"[axes]": "[until]\nlevel = 0.9\n[axes]"}, "observable of [until] is missing"),
        ({"[problem]": "[[problem]]"}, "problem must be a table"),
        ({"steps = 20": 'steps = 20\nseed = "a"'}, "seed must be a whole number"),
        ({"steps = 20": "steps = 20\nseed = 1.5"}, "seed must be a whole number"),
        ({"record = 3": "record = [0, 50]"}, "leave steps out"),
        ({"steps = 20": "", "record = 3": 'record = ["a"]'}, "whole numbers"),
        ({"steps = 20": 'steps = 20\nzip = ["learning_rate"]'}, "list of lists"),
        (
            {"[axes]": '[layout]\nmemory = "1GB"\n[axes]'},
            "memory of [layout] must be a number above 0",
        ),
        (
            {"[axes]": "[layout]\nseed_block = 0\n[axes]"},
            "seed_block of [layout] must be a whole number from 1 to",
        ),
        (
            {"[axes]": "[layout]\nseed = 5\n[axes]"},
            "key of [layout] 'seed' is misplaced: it belongs before the first table",
        ),
        ({"[axes]": '[until]\nobservable = "loss"\nhalf_width = "x"\n[axes]'}, "half_width of"),
        ({"[axes]": '[until]\nobservable = "los"\nrelative = 1\n[axes]'}, "mean 'loss'"),
        (
            {"[0.01, 0.03]": "[0.01, inf]"},
            "a value of axis 'learning_rate' must be a number above 0 that float32 can",
        ),
        (
            {"[0.01, 0.03]": "[0.01, -0.1]"},
            "must be a number above 0 that float32 can hold; got -0.1",
        ),
        (
            {
                "learning_rate = [0.01, 0.03]": "",
                "[axes]": "[[points]]\nlearning_rate = -1.0\n[axes]",
            },
            "'learning_rate' of point 0 must be a number above 0",
        ),
    ],
)
def test_bad_studies_are_one_line_with_status_2_and_write_nothing(
    written, tmp_path, capsys, changes, says
):
    assert cli.run(["sweep", str(written(**changes))]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert says in error
    assert error.startswith("jssl: ")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["study.toml"]


@pytest.mark.parametrize(
    ("module", "says"),
    [
        ("def broken(:", "SyntaxError"),
        ("broken = lambda learning_rate: None", "must return a jssl.Problem; got NoneType"),
    ],
)
def test_a_problem_of_ones_own_that_is_broken_is_one_line(
    written, tmp_path, capsys, monkeypatch, module, says
):
    monkeypatch.delitem(sys.modules, "own_broken", raising=False)
    (tmp_path / "own_broken.py").write_text(module)
    table = "[problem]\nmake = 'own_broken:broken'\n[ignored]"
    text = STUDY.replace("[problem]", table)
    text = text.replace(text[text.index("[ignored]") : text.index("[axes]")], "")
    assert cli.run(["sweep", str(written(text))]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert says in error


def test_a_plan_for_the_store_of_another_study_is_refused(written, capsys):
    assert cli.run(["sweep", str(written())]) == 0
    assert cli.run(["sweep", str(written(**{"seed = 3": "seed = 2"})), "--plan"]) == 2
    assert "axes.seed: 3 in the store, 2 asked" in capsys.readouterr().err


def test_a_file_in_another_encoding_is_one_line_and_a_byte_order_mark_is_none(written, capsys):
    path = written()
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_study(path).dtype == "float64"
    path.write_bytes(b"# a line\n# caf\xe9\n")
    assert cli.run(["sweep", str(path)]) == 2
    assert "not UTF-8 text (at line 2, column 6): save it" in capsys.readouterr().err


def test_the_report_of_a_damaged_store_is_refused(written, tmp_path, capsys):
    assert cli.run(["sweep", str(written())]) == 0
    chunk = next(p for p in (tmp_path / "store" / "loss" / "c").rglob("*") if p.is_file())
    held = bytearray(chunk.read_bytes())
    held[len(held) // 2] ^= 255
    chunk.write_bytes(held)
    assert cli.run(["report", str(tmp_path / "store")]) == 2
    assert "rerun the same sweep" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--shard", "2/2"], "--shard must be i/n"),
        (["--shard", "one"], "--shard must be i/n"),
        (["--coordinator", "localhost:1"], "needs --num-processes"),
        (["--num-processes", "2"], "need --coordinator"),
        (["--process-id", "1"], "need --coordinator"),
        (["--coordinator", "localhost:1", "--shard", "0/2"], "not both"),
    ],
)
def test_bad_arguments_are_one_line_with_status_2(written, capsys, arguments, says):
    assert cli.run(["sweep", str(written()), *arguments]) == 2
    assert says in capsys.readouterr().err


def test_a_missing_study_or_store_is_one_line_with_status_2(tmp_path, capsys):
    assert cli.run(["sweep", str(tmp_path / "none.toml")]) == 2
    assert "cannot read" in capsys.readouterr().err
    assert cli.run(["report", str(tmp_path)]) == 2
    assert "is not the store of a sweep" in capsys.readouterr().err


def test_a_store_that_takes_no_more_is_status_1(written, monkeypatch, capsys):
    from jssl.sweeps import StoreError

    def full(*_, **__):
        message = "cannot write into 'x' (no space left on device)"
        raise StoreError(message)

    monkeypatch.setattr(command, "run_study", full)
    assert cli.run(["sweep", str(written())]) == 1
    assert "no space left" in capsys.readouterr().err


def test_an_interrupted_sweep_says_that_finished_chunks_are_kept(written, monkeypatch, capsys):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run_study", stopped)
    assert cli.run(["sweep", str(written())]) == 130
    assert "finished chunks are kept" in capsys.readouterr().err


def test_a_problem_of_ones_own_is_found_beside_the_study(tmp_path, written):
    Path(tmp_path / "my_own_problem.py").write_text(
        "from jssl.studies import named_problem as make\n"
    )
    path = written(**{"[problem]": '[problem]\nmake = "my_own_problem:make"'})
    assert read_study(path).make_problem.func is named_problem


def test_unknown_fields_name_the_nearest_of_all():
    with pytest.raises(InputError, match="did you mean 'temperature'"):
        named_problem(samples=5, loss="simclr", temprature=1.0, width=4)
