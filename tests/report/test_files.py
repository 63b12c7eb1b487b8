"""Output folders: both files of a report or neither, one line for every way to fail."""

import errno
import json
import os
import signal

import numpy as np
import pytest

from jssl import interrupts, papers
from jssl.commands import main as cli
from jssl.errors import InputError
from jssl.report.files import new_report_folder, writable_folder, write_report_files


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("call", ["tempfile.mkstemp", "os.fsync", "os.replace"])
def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch, call):
    there, new = tmp_path / "there", tmp_path / "new" / "deep"
    write_report_files(there, "old page", "old data")
    monkeypatch.setattr(call, full)
    for folder in (there, new):
        with pytest.raises(
            InputError, match=r"no space left on device\); free some space, or choose"
        ):
            write_report_files(folder, "page", "data")
    assert {p.name: p.read_text() for p in there.iterdir()} == {
        "report.html": "old page",
        "report.json": "old data",
    }
    assert [p.name for p in tmp_path.iterdir()] == ["there"]


@pytest.mark.parametrize("command", ["diagnose", "predict", "report", "reproduce"])
def test_a_full_disk_is_one_line_for_every_command(
    tmp_path, monkeypatch, capsys, request, command, one_claim
):
    monkeypatch.chdir(tmp_path)
    z = np.random.default_rng(0).normal(size=(40, 3))
    np.save("z.npy", z)
    np.savez("pairs.npz", first=z, second=z + 0.1)
    arguments = {
        "diagnose": ["z.npy"],
        "predict": ["--pairs", "pairs.npz", "--dim", "2", "--kernel", "linear"],
        "report": [],
        "reproduce": ["demo"],
    }[command]
    if command == "report":
        arguments = [str(request.getfixturevalue("sweep_store"))]
    monkeypatch.setattr("os.fsync", full)
    assert cli.run([command, *arguments, "--out", "out"]) == 2
    seen = capsys.readouterr()
    assert seen.err.splitlines()[-1] == (
        "jssl: cannot write into 'out' (no space left on device); free some space, or choose "
        "another folder (--out)"
    )
    assert "Traceback" not in seen.err
    assert not (tmp_path / "out").exists()
    if command == "reproduce":  # what took long is not lost
        assert "1 of 1 claims hold" in seen.out


@pytest.mark.parametrize("moment", [1, 2])
def test_an_interrupt_while_files_are_moved_moves_both_and_says_so(
    tmp_path, monkeypatch, capsys, moment
):
    """As from a terminal, even where the suite runs in the background of a script."""
    np.save(tmp_path / "z.npy", np.random.default_rng(0).normal(size=(40, 3)))
    out = tmp_path / "out"
    write_report_files(out, "old page", "old data")
    replace, seen = os.replace, []

    def interrupted(source, target):
        if os.path.dirname(target) == str(out):
            seen.append(target)
            if len(seen) == moment:
                signal.raise_signal(signal.SIGINT)
        replace(source, target)

    monkeypatch.setattr(os, "replace", interrupted)
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        arguments = ["diagnose", str(tmp_path / "z.npy"), "--out", str(out), "--overwrite"]
        assert cli.run(arguments) == 130
    finally:
        signal.signal(signal.SIGINT, usual)
    assert (out / "report.html").read_text().startswith("<!doctype html>")
    assert json.loads((out / "report.json").read_text())["verdict"]
    assert len(list(out.iterdir())) == 2
    line = f"jssl: interrupted; report.html and report.json in {out} are complete\n"
    assert capsys.readouterr().err == line


def test_an_interrupt_while_files_are_written_says_that_nothing_was(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    interrupts.begin()
    monkeypatch.setattr("os.fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_report_files(tmp_path / "new", "page", "data")
    assert not list(tmp_path.iterdir())
    assert interrupts.message() == "jssl: interrupted; nothing was written"


def test_an_earlier_report_is_replaced_only_where_that_is_asked(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("z.npy", np.random.default_rng(0).normal(size=(40, 3)))
    assert cli.run(["diagnose", "z.npy", "--out", "out"]) == 0
    (tmp_path / "out" / "report.html").write_text("mine")
    assert cli.run(["diagnose", "z.npy", "--out", "out"]) == 2
    line = "already contains a report; pass overwrite=True (--overwrite) to replace it, or another"
    assert line in capsys.readouterr().err
    assert (tmp_path / "out" / "report.html").read_text() == "mine"
    assert cli.run(["diagnose", "z.npy", "--out", "out", "--overwrite"]) == 0
    assert (tmp_path / "out" / "report.html").read_text() != "mine"


def test_a_folder_without_a_report_is_taken_with_what_is_in_it(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    assert new_report_folder(tmp_path, overwrite=False) == tmp_path
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_folder_in_the_place_of_a_file_is_one_line_and_moves_nothing(tmp_path):
    (tmp_path / "report.json").mkdir()
    with pytest.raises(InputError, match=r"report.json' is a folder; choose another folder"):
        write_report_files(tmp_path, "page", "data")
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


def test_a_folder_that_may_not_be_searched_is_one_line(tmp_path, monkeypatch):
    shut = tmp_path / "shut"
    shut.mkdir()
    stat, opened = os.stat, os.open

    def refuse(call):
        def guarded(path, *args, **kwargs):
            text = os.fspath(path) if not isinstance(path, int) else ""
            if str(text).startswith(f"{shut}/") or (call is opened and str(text) == str(shut)):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), text)
            return call(path, *args, **kwargs)

        return guarded

    # A folder of mode 000 as another user than root sees it.
    monkeypatch.setattr(os, "stat", refuse(stat))
    monkeypatch.setattr(os, "open", refuse(opened))
    for out in (shut, shut / "new", shut / "new" / "deep"):
        with pytest.raises(InputError, match=r"cannot write into .* \(permission denied\)"):
            writable_folder(out)


@pytest.fixture
def sweep_store(tmp_path_factory):
    from jssl.studies import read_study
    from jssl.sweeps.sweep import sweep

    folder = tmp_path_factory.mktemp("sweep")
    (folder / "study.toml").write_text(
        f'store = "{folder}/store"\nrecord = [0, 1]\n[problem]\ndata = "digits"\nsamples = 10\n'
        'model = "linear"\ndim = 2\nloss = "vicreg"\n[axes]\nlearning_rate = [0.01]\n'
    )
    study = read_study(folder / "study.toml")
    sweep(study.make_problem, study.axes, record_steps=[0, 1], store=study.store)
    return folder / "store"


@pytest.fixture
def one_claim(monkeypatch):
    import sys
    import types

    from jssl.papers.claims import close
    from jssl.papers.outcome import Experiment, Part
    from jssl.types import Rival

    rivals = (Rival("two", 2.0),)
    part = Part([close("demo/one", "one is one", "s", 1.0, 1.0, 0.1, rivals=rivals)], [])
    plan = Experiment({"one": lambda settings: part})
    monkeypatch.setattr(papers, "PAPERS", {"demo": "demo"})
    monkeypatch.setitem(sys.modules, "demo", types.SimpleNamespace(plan=lambda settings: plan))
