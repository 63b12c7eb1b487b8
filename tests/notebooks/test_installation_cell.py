"""The first cell of every notebook installs jssl where it is missing, and only there."""

import importlib.util
import pathlib
import re
import subprocess
import sys
import tomllib

import jupytext
import pytest

ROOT = pathlib.Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.py"))


def _cell(script):
    return next(c for c in jupytext.read(script).cells if c.cell_type == "code")


SOURCE = _cell(SCRIPTS[0]).source


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """The commands that the cell would run, in an empty folder."""
    commands = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_: commands.append(command))
    monkeypatch.chdir(tmp_path)
    return commands


@pytest.fixture
def missing(monkeypatch):
    """An environment without jssl; a copy of `sys.modules` takes what the cell removes."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "modules", sys.modules.copy())


def _run():
    exec(compile(SOURCE, "first cell", "exec"), {"__name__": "__main__"})


def _clone(folder):
    (folder / "jssl" / "losses").mkdir(parents=True)
    return str(folder)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_all_notebooks_have_the_same_first_cell(script):
    assert _cell(script).source == SOURCE
    assert _cell(script).metadata["tags"] == ["hide-input"]


def test_nothing_is_installed_where_jssl_is(calls):
    _run()
    assert not calls


def test_a_clone_beside_the_notebook_is_not_taken_for_an_installation(tmp_path):
    _clone(tmp_path / "jssl")
    definitions = SOURCE.partition("\nif not installed()")[0]
    code = f"{definitions}\nassert importlib.util.find_spec('jssl')\nprint(installed())"
    command = [sys.executable, "-S", "-c", code]  # -S: without the packages installed here
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("place", ["jssl", "."])
def test_a_clone_is_installed_where_there_is_no_wheel(calls, missing, tmp_path, place):
    clone = _clone(tmp_path / place)
    _run()
    assert calls[0][-1] == clone
    assert calls[1][-3:] == ["--no-deps", "neural-tangents==0.6.5", "frozendict"]


def test_the_clone_that_holds_the_notebook_is_installed(calls, missing, tmp_path, monkeypatch):
    clone = _clone(tmp_path)
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    _run()
    assert calls[0][-1] == clone


def test_a_wheel_is_installed_rather_than_a_clone(calls, missing, tmp_path):
    _clone(tmp_path / "jssl")
    wheel = tmp_path / "jssl-0.1.0-py3-none-any.whl"
    wheel.touch()
    _run()
    assert calls[0][-1] == str(wheel)


def test_without_a_wheel_or_a_clone_the_error_says_what_to_put_where(calls, missing, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"put a wheel .* or a clone of jssl into"):
        _run()
    assert not calls


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("0.10.0", "is kept"),
        ("0.12.9", "is kept"),
        ("0.9.2", "pip replaces it"),
        ("0.13.0", "pip replaces it"),
    ],
)
def test_the_cell_says_whether_this_jax_is_kept(
    calls, missing, tmp_path, monkeypatch, capsys, version, said
):
    _clone(tmp_path)
    monkeypatch.setattr("importlib.metadata.version", lambda name: version)
    _run()
    printed = capsys.readouterr().out
    assert printed.startswith(f"JAX {version} ")
    assert said in printed


def test_the_range_of_jax_in_the_cell_is_that_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (asked,) = (each for each in project["dependencies"] if each.startswith("jax>"))
    low, high = re.findall(r"0\.(\d+)", asked)
    assert f"(0, {low}) <=" in SOURCE
    assert f"< (0, {high})" in SOURCE
    assert f"0.{low} to 0.{int(high) - 1}" in SOURCE
