"""`jssl diagnose` and `jssl compare` for programs: JSON alone on standard output, exit statuses."""

import json

import numpy as np
import pytest

from jssl.commands import main as cli

RNG = np.random.default_rng(0)
HEALTHY = RNG.normal(size=(200, 6))
# By any definition: one direction is left of six, or all rows are equal.
DIMENSIONAL = HEALTHY * np.array([1, 0, 0, 0, 0, 0])
COMPLETE = np.ones((200, 6)) + 1e-6 * HEALTHY


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Embeddings of each kind in the current folder."""
    monkeypatch.chdir(tmp_path)
    for name, z in (("healthy", HEALTHY), ("dimensional", DIMENSIONAL), ("complete", COMPLETE)):
        np.save(f"{name}.npy", z)
    return tmp_path


@pytest.mark.parametrize(
    ("kind", "asked", "status"),
    [
        ("healthy", "collapse", 0),
        ("healthy", "dimensional", 0),
        ("dimensional", "collapse", 0),
        ("dimensional", "dimensional", 3),
        ("complete", "collapse", 3),
        ("complete", "dimensional", 3),
        ("complete", None, 0),
    ],
)
def test_fail_on_sets_the_exit_status_and_the_report_is_written(files, capsys, kind, asked, status):
    more = [] if asked is None else ["--fail-on", asked]
    assert cli.run(["diagnose", f"{kind}.npy", *more]) == status
    printed = capsys.readouterr()
    assert (files / "jssl-diagnose" / "report.json").exists()
    said = f"jssl: {kind} collapse, exit status 3 (--fail-on {asked})\n"
    assert printed.err == (said if status else "")


def test_another_word_after_fail_on_is_refused(files, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.run(["diagnose", "healthy.npy", "--fail-on", "rank"])
    assert stop.value.code == 2
    assert "collapse" in capsys.readouterr().err


def test_json_is_all_of_standard_output_and_no_file_is_written(files, capsys):
    assert cli.run(["diagnose", "dimensional.npy", "--json", "--fail-on", "dimensional"]) == 3
    data = json.loads(capsys.readouterr().out)
    assert data["verdict"]["kind"] == "dimensional"
    assert data["metrics"]["effective rank"]["value"] == pytest.approx(1)
    assert sorted(path.suffix for path in files.iterdir()) == [".npy"] * 3


def test_json_is_that_of_the_report_where_a_folder_is_given(files, capsys):
    assert cli.run(["diagnose", "healthy.npy", "--json", "--out", "out"]) == 0
    assert capsys.readouterr().out == (files / "out" / "report.json").read_text()


def test_with_json_an_error_leaves_standard_output_empty(files, capsys):
    assert cli.run(["diagnose", "absent.npy", "--json"]) == 2
    printed = capsys.readouterr()
    assert not printed.out
    assert printed.err.count("\n") == 1


def test_a_checkpoint_that_cannot_be_used_counts_before_a_collapse(files, capsys):
    words = ["diagnose", "complete.npy", "--fail-on", "collapse", "--json"]
    words += ["--checkpoints", "absent.npy", "complete.npy"]
    assert cli.run(words) == 2
    printed = capsys.readouterr()
    assert json.loads(printed.out)["verdict"]["kind"] == "complete"
    assert "absent.npy" in printed.err


def test_compare_prints_its_summary_and_writes_a_page(files, capsys):
    np.save("labels.npy", (HEALTHY[:, 0] > 0).astype(int))
    words = ["compare", "healthy.npy", "dimensional.npy", "--labels", "labels.npy"]
    assert cli.run(words) == 0
    out = capsys.readouterr().out
    assert out.startswith("Without labels, RankMe ranks healthy first in more than 99.9 %")
    assert "linear probe" in out
    assert (files / "jssl-compare" / "report.html").read_text().count("data:image/png") == 1
    assert cli.run(words) == 2
    assert "already contains a report" in capsys.readouterr().err


def test_the_arrays_of_an_archive_are_layers(files, capsys):
    np.savez("layers.npz", first=HEALTHY, last=DIMENSIONAL)
    words = ["compare", "layers.npz", "--criterion", "effective-rank", "--json"]
    assert cli.run(words) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["best"] == "first"
    assert data["criterion"] == "effective rank"
    assert list(data["encoders"]) == ["first", "last"]
    assert cli.run(["compare", "layers.npz", "healthy.npy", "--json"]) == 0
    named = json.loads(capsys.readouterr().out)["encoders"]
    assert list(named) == ["layers:first", "layers:last", "healthy"]
    assert not (files / "jssl-compare").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["healthy.npy"], "two or more encoders or layers; got one, 'healthy'"),
        (["healthy.npy", "short.npy"], "healthy 200, short 9; embed the same samples"),
        (["healthy.npy", "healthy.npy"], "healthy.npy is given twice"),
        (["healthy.npy", "absent.npy"], "no file absent.npy"),
        (["healthy.npy", "text.npy"], "text.npy"),
    ],
)
def test_what_cannot_be_compared_is_one_line_and_nothing_is_written(files, capsys, words, said):
    np.save("short.npy", HEALTHY[:9])
    (files / "text.npy").write_text("no numbers")
    assert cli.run(["compare", *words]) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.err.count("\n") == 1
    assert not printed.out
    assert not (files / "jssl-compare").exists()


BROKEN = {
    "text": "cannot read text.npy",
    "absent": "no file absent.npy",
    "nan": "nan has 1 row with values that are not finite",
    "flat": "flat.npy is (200,); embeddings are (n, dim)",
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_file_that_cannot_be_compared_is_one_line_and_the_others_are_compared(
    files, capsys, broken
):
    (files / "text.npy").write_text("no numbers")
    np.save("nan.npy", np.concatenate([HEALTHY[:199], np.full((1, 6), np.nan)]))
    np.save("flat.npy", HEALTHY[:, 0])
    words = ["compare", "healthy.npy", f"{broken}.npy", "dimensional.npy"]
    assert cli.run(words) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"jssl: {BROKEN[broken]}")
    assert printed.err.count("\n") == 1
    assert "healthy and dimensional: debiased CKA" in printed.out
    data = json.loads((files / "jssl-compare" / "report.json").read_text())
    assert list(data["encoders"]) == ["healthy", "dimensional"]
    assert data["caveats"][0] == printed.err.removeprefix("jssl: ").rstrip() + " (left out)"


def test_a_layer_that_cannot_be_compared_is_left_out(files, capsys):
    np.savez("layers.npz", first=HEALTHY, tokens=np.ones((200, 2, 6)), last=DIMENSIONAL)
    assert cli.run(["compare", "layers.npz", "--json"]) == 2
    printed = capsys.readouterr()
    assert list(json.loads(printed.out)["encoders"]) == ["first", "last"]
    assert "tokens" in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["healthy.npy", "absent.npy"], "no file absent.npy; check the path: a comparison needs"),
        (["healthy.npy", "a.npy", "b.npy"], "no file a.npy; check the path; 1 more cannot be used"),
    ],
)
def test_fewer_than_two_files_that_are_left_are_not_compared(files, capsys, words, said):
    assert cli.run(["compare", *words]) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.err.count("\n") == 1
    assert not printed.out
    assert not (files / "jssl-compare").exists()


@pytest.mark.parametrize("name", ["effective-rank", "effective rank", "effective_rank"])
def test_the_command_line_takes_the_names_of_a_criterion_that_python_takes(files, capsys, name):
    words = ["compare", "healthy.npy", "dimensional.npy", "--criterion", name, "--json"]
    assert cli.run(words) == 0
    assert json.loads(capsys.readouterr().out)["criterion"] == "effective rank"


def test_an_unknown_criterion_is_one_line_before_any_file_is_read(files, capsys):
    assert cli.run(["compare", "absent.npy", "b.npy", "--criterion", "effective-rang"]) == 2
    error = capsys.readouterr().err
    assert "unknown criterion 'effective-rang'; did you mean 'effective rank'?" in error
    assert error.count("\n") == 1


def test_the_help_of_fail_on_says_that_status_2_goes_before_3(capsys):
    with pytest.raises(SystemExit):
        cli.run(["diagnose", "--help"])
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "Status 2 goes before it: a file or a checkpoint was left out" in shown
