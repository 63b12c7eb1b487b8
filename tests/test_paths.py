"""`~` is the home folder in every path that a command or a call takes."""

import numpy as np
import pytest
from PIL import Image

import jssl
from jssl.commands import main as cli
from jssl.commands import sweep as command
from jssl.data import images
from jssl.data.array_files import read_array
from jssl.data.folder import read_folder
from jssl.data.formats import read_idx
from jssl.errors import InputError
from jssl.papers.report import write_report
from jssl.paths import expanded
from jssl.studies import read_study
from jssl.sweeps import open_dataset, store

STUDY = """
store = "~/store"
record = [0, 1]
[problem]
data = "digits"
samples = 10
model = "linear"
dim = 2
loss = "vicreg"
[axes]
learning_rate = [0.01]
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder, and a working folder in which nothing may be made."""
    made, work = tmp_path / "home", tmp_path / "work"
    made.mkdir()
    work.mkdir()
    monkeypatch.setenv("HOME", str(made))
    monkeypatch.chdir(work)
    yield made
    assert not list(work.iterdir())


def test_a_sweep_a_study_and_a_report_write_into_the_home_folder(home, monkeypatch):
    monkeypatch.setattr(command, "use_all_cores", lambda devices: 1)  # JAX has started
    (home / "study.toml").write_text(STUDY)
    assert read_study("~/study.toml").store == str(home / "store")
    assert cli.run(["sweep", "~/study.toml"]) == 0
    assert store.is_store(home / "store")
    assert open_dataset("~/store").sizes["step"] == 2
    assert cli.run(["report", "~/store"]) == 0
    assert (home / "store-report" / "report.html").is_file()
    assert cli.run(["report", "~/store", "--out", "~/other"]) == 0
    assert (home / "other" / "report.json").is_file()


def test_the_call_of_a_sweep_writes_into_the_home_folder(home):
    study = read_study(_written(home))
    jssl.sweep(study.make_problem, study.axes, record_steps=[0, 1], store="~/called")
    assert store.is_store(home / "called")


def _written(home):
    (home / "study.toml").write_text(STUDY)
    return home / "study.toml"


def test_diagnose_and_predict_read_and_write_in_the_home_folder(home):
    z = np.random.default_rng(0).normal(size=(40, 3))
    np.save(home / "z.npy", z)
    np.savez(home / "pairs.npz", first=z, second=z + 0.1)
    np.testing.assert_array_equal(read_array("~/z.npy"), z)
    assert cli.run(["diagnose", "~/z.npy", "--checkpoints", "~/z*.npy", "--out", "~/d"]) == 0
    given = ["--dim", "2", "--kernel", "linear"]
    assert cli.run(["predict", "--pairs", "~/pairs.npz", *given, "--out", "~/p"]) == 0
    assert {path.name for path in home.glob("*/report.html")} == {"report.html"}
    write_report("~/r", {}, {})
    assert (home / "r" / "report.json").is_file()


def test_images_are_read_from_the_home_folder(home, monkeypatch):
    (home / "photos").mkdir()
    for i in range(2):
        Image.fromarray(np.full((4, 4), i, np.uint8)).save(home / "photos" / f"{i}.png")
    assert read_folder("~/photos").x.shape == (2, 4, 4, 1)
    np.savez(home / "x.npz", x=np.zeros((2, 4, 4)))
    assert images.load("~/x.npz").x.shape == (2, 4, 4, 1)
    with pytest.raises(InputError, match=f"no file {home}/absent; check the path"):
        read_idx("~/absent")
    monkeypatch.setenv("JSSL_DATA", "~/photos")
    assert images.available()["cifar10"] is None


def test_a_user_without_a_home_is_one_line():
    with pytest.raises(InputError, match="no home folder is known for '~nobody-of-that-name/x'"):
        expanded("~nobody-of-that-name/x")


def test_commands_work_where_no_home_is_known(monkeypatch, capsys):
    def unknown(path):
        message = "Could not determine home directory."
        raise RuntimeError(message)

    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pathlib.Path.expanduser", unknown)
    assert cli.run(["diagnose", "absent.npy"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
