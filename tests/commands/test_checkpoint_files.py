"""Folders of checkpoints: the files that can be read, whatever else is in them."""

import numpy as np
import pytest

from jssl.commands import main as cli
from jssl.commands.checkpoint_files import checkpoint_runs
from jssl.errors import InputError

Z = np.random.default_rng(0).normal(size=(60, 4))


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "run"
    folder.mkdir()
    for step in (1, 2, 10):
        np.save(folder / f"step_{step}.npy", Z * step)
    for name in ("notes.txt", "train.log", "report.json", "README", "._step_1.npy"):
        (folder / name).write_text("{}")
    (folder / "old.npy").mkdir()
    return folder


def test_other_files_in_a_folder_of_checkpoints_are_ignored(run, tmp_path, capsys):
    assert list(checkpoint_runs([run])) == ["step_1.npy", "step_2.npy", "step_10.npy"]
    np.save("z.npy", Z)
    assert cli.run(["diagnose", "z.npy", "--checkpoints", "run", "--out", "out"]) == 0
    assert capsys.readouterr().err == ""
    assert cli.run(["diagnose", "run", "--out", "set"]) == 0  # as embeddings
    assert "180 rows in 4 dimensions" in capsys.readouterr().out


def test_a_folder_without_readable_checkpoints_is_one_line(run):
    for file in run.glob("step_*"):
        file.unlink()
    with pytest.raises(InputError, match=r"run contains no readable file \(.npy, .npz"):
        checkpoint_runs([run])


def test_a_file_that_is_named_is_not_ignored(run, capsys):
    np.save("z.npy", Z)
    given = ["run/step_1.npy", "run/step_2.npy", "run/notes.txt"]
    assert cli.run(["diagnose", "z.npy", "--checkpoints", *given, "--out", "out"]) == 2
    assert "cannot read run/notes.txt: the readable files are" in capsys.readouterr().err
