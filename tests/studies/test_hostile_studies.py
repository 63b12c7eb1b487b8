"""Whatever a study holds, it runs or is refused by one line before anything is written."""

import contextlib
import io
import sys

import hypothesis
import pytest
from hostile import HOSTILE, toml, valid
from hypothesis import strategies as st

from jssl.commands import main as cli
from jssl.commands import sweep as command
from jssl.errors import InputError

KEYS = [
    (name,)
    for name in (
        "store", "steps", "record", "seed", "precision", "parallel", "zip", "static", "problem",
        "axes", "points", "layout", "until", "unknown", "", "mode", "日本",
    )
] + [
    ("layout", name) for name in ("chunk_seconds", "memory", "seed_block", "segment", "unknown")
] + [
    ("until", name)
    for name in ("observable", "half_width", "relative", "level", "least", "select", "unknown")
] + [
    (table, name)
    for table in ("problem", "axes", "points")
    for name in (
        "data", "samples", "features", "decay", "views", "noise", "batch", "fresh", "data_seed",
        "model", "dim", "loss", "optimiser", "learning_rate", "scale", "bias", "width",
        "redundancy", "b1", "make", "max_width", "seed", "step", "mode", "t", "dtype", "a b", "",
    )
]  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def _small_machine():
    """Leave the devices as they are, and pretend that 1 GB is free, so that tests take no more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "use_all_cores", lambda devices: 1)
        for place in ("jssl.memory", "jssl.sweeps.workload", "jssl.sweeps.plan"):
            patch.setattr(f"{place}.free_memory", lambda: 1e9)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("hostile")


def outcome(folder, text, *arguments):
    """Return (status, output, lines of errors) of a study; the folder holds nothing else after."""
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8")
    out, errors = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(errors),
    ):
        status = cli.run(["sweep", str(path), *arguments])
    return status, out.getvalue(), errors.getvalue().splitlines()


values = st.sampled_from(HOSTILE) | st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)


@pytest.mark.float32
@hypothesis.settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
@hypothesis.given(
    changes=st.lists(
        st.tuples(st.sampled_from(KEYS), st.just(...) | values | values), min_size=1, max_size=2
    )
)
def test_a_study_mutated_key_by_key_is_planned_or_refused_by_one_line(folder, changes):
    study = valid("store")
    for (table, *inner), value in changes:
        holder, name = study, table
        if inner:
            if table == "points" and not isinstance(study.get("points"), list):
                study["points"] = [{}]
            holder = study["points"][0] if table == "points" else study.setdefault(table, {})
            (name,) = inner
        if not isinstance(holder, dict):
            continue
        if value is ...:
            holder.pop(name, None)
        else:
            holder[name] = value
    path = folder / "study.toml"
    path.write_text(toml(study), encoding="utf-8")
    refusal = ""
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        try:
            assert command.run_sweep(path, plan=True) == 0
        except InputError as error:  # the command line prints it and exits with status 2
            refusal = str(error)
    assert len(refusal.splitlines()) <= 1
    assert [p.name for p in folder.iterdir()] == ["study.toml"]


@pytest.mark.parametrize(
    "text",
    [
        "", "[", "[" * 100_000, "x = " + "[" * 100_000, "x = " + "{a=" * 3000, "= 1", "\0",
        "steps = 20\nsteps = 20", "[axes]\n[axes]", "x = 1979-13-01", "x = " + "9" * 10_000,
        "a." * 5000 + "b = 1", "\ufeff\ufeff", "store = 'x'\nstore.a = 1",
    ],
    ids=range(14),
)  # fmt: skip
def test_text_that_is_no_study_is_refused_by_one_line(folder, text):
    status, _, errors = outcome(folder, text, "--plan")
    assert (status, len(errors)) == (2, 1)


def test_a_file_without_an_end_is_refused_by_one_line(folder, monkeypatch, capsys):
    monkeypatch.setattr("jssl.studies.study_file.MOST_BYTES", 1000)
    path = folder / "study.toml"
    path.write_text("#" * 2000, encoding="utf-8")
    assert cli.run(["sweep", str(path)]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert "so it is not a study" in error


@pytest.mark.parametrize(
    ("table", "name", "value", "says"),
    [
        ("problem", "learning_rate", 0.1, "'learning_rate' is in [problem] and in [axes]"),
        ("axes", "noise", [0.1, 0.2], "'noise' is in [problem] and in [axes]"),
        ("problem", "dim", 2.0, "dim of [problem] must be a whole number from 1 to 2147483647"),
        ("problem", "dim", True, "dim of [problem] must be a whole number"),
        ("problem", "fresh", 1, "fresh of [problem] must be true or false; got 1"),
        ("problem", "noise", True, "noise of [problem] must be a number of at least 0"),
        ("problem", "noise", float("nan"), "noise of [problem] must be a number of at least 0"),
        (
            "problem",
            "scale",
            1e-300,
            "scale of [problem] contains 1e-300, which is out of the range of float32",
        ),
        ("problem", "noise", 10**12, "noise of [problem] is too large for a whole number"),
        ("axes", "scale", [1, 10**12], "is too large for a whole number; write it with a point"),
        ("problem", "steps", 10, "'steps' is misplaced: it belongs before the first table"),
        ("problem", "max_width", 8, "max_width is set by the plan"),
        ("axes", "memory", [1.0], "axis 'memory' is misplaced: it belongs in [layout]"),
        ("axes", "scale", [0.1, 0.1 + 1e-9], "0.1 and 0.100000001, which are equal in float32"),
        ("axes", "scale", [1.0, "a"], "a value of axis 'scale' must be a number above 0"),
        ("axes", "scale", 1.0, "axis 'scale' must be a list of values; got 1.0"),
        ("axes", "widht", [8], "unknown axis 'widht'; did you mean 'width'"),
        ("axes", "seed", True, "a number of seeds, at least 1; got True"),
        ("axes", "seed", 10**12, "a number of seeds, at most 4294967296"),
        ("problem", "samples", 2 * 10**9, "needs 120 GB of memory"),
        ("problem", "features", 2 * 10**9, "needs 240 GB of memory"),
        ("problem", "features", 10**10, "features of [problem] must be a whole number from 1 to"),
        ("problem", "dim", 10**6, "one run of this problem needs about"),
        ("problem", "dim", 10**9, "GB"),
    ],
)
@pytest.mark.float32
def test_a_value_that_is_wrong_is_named_with_what_its_key_may_hold(
    folder, table, name, value, says
):
    study = valid("store")
    study[table][name] = value
    status, _, (error,) = outcome(folder, toml(study), "--plan")
    assert status == 2
    assert says in error


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"record": 10**9}, "record must be a whole number from 2 to 1000000"),
        ({"steps": 10**12}, "steps must be a whole number from 1 to 2147483647"),
        ({"axes": {"seed": 10**9}}, "does not fit on the disk"),
        ({"width": 8}, "'width' is misplaced: it belongs in [problem], or as a list in [axes]"),
        ({"layout": {"seed_block": 1}, "axes": {"seed": 10**6}}, "1,000,000 chunks need"),
        ({"points": [1]}, "points must be a list of tables"),
        ({"until": {"observable": "loss"}}, "give half_width or relative"),
        ({"until": {"observable": "los", "relative": 1}}, "did you mean 'loss'"),
        ({"until": {"observable": "first_bad_step", "relative": 1}}, "unknown observable"),
        (
            {"until": {"observable": "eigenvalues", "relative": 1, "select": {"mode": 9}}},
            "select.mode must be from 0 to 1; got 9",
        ),
        (
            {"until": {"observable": "loss", "relative": 1, "select": {"seed": 0}}},
            "unknown dimension of 'loss' 'seed'",
        ),
    ],
)
@pytest.mark.float32
def test_sizes_and_tables_that_cannot_be_are_refused_by_the_plan(
    folder, monkeypatch, changes, says
):
    monkeypatch.setattr("jssl.sweeps.plan.free_disk", lambda path: 1e9)
    status, _, (error,) = outcome(folder, toml(valid("store") | changes), "--plan")
    assert status == 2
    assert says in error
    assert [p.name for p in folder.iterdir()] == ["study.toml"]


MARKUP = ["[bold]x[/bold]", "[/]", "$\\frac$", "$a$ $b$", "<script>x</script>", "日本", "_a", ""]


@pytest.mark.float32
def test_values_that_are_markup_elsewhere_are_shown_as_they_are(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "own_markup", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "own_markup.py").write_text(
        "from jssl.studies import named_problem\n"
        "def make(note, learning_rate):\n"
        "    return named_problem(data='gaussian', samples=6, features=3, noise=0.3, dim=2,\n"
        "        model='linear', loss='barlow_twins_linearized', learning_rate=learning_rate)\n",
        encoding="utf-8",
    )
    study = valid("[red]store[/red]")
    study["problem"] = {"make": "own_markup:make"}
    study["axes"] |= {"note": MARKUP}
    status, out, errors = outcome(tmp_path, toml(study), "--plan")
    assert (status, errors) == (0, [])
    assert all(f"note={note}" in out for note in MARKUP)
    status, out, _ = outcome(tmp_path, toml(study))
    assert status == 0
    assert "[red]store[/red]: finished, 32 runs" in out
    with contextlib.chdir(tmp_path), contextlib.redirect_stderr(io.StringIO()) as errors:
        assert cli.run(["report", "[red]store[/red]"]) == 0  # warnings are errors: no missing glyph
    page = next(tmp_path.rglob("report.html")).read_text(encoding="utf-8")
    assert "&lt;script&gt;x&lt;/script&gt;" in page
    assert "<script>" not in page
