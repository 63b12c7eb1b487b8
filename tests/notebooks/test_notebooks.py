"""Every notebook runs at a small size, and its committed form is the pair of its script."""

import pathlib

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = pathlib.Path(__file__).parents[2] / "notebooks"
SCRIPTS = sorted(FOLDER.glob("[0-9][0-9]_*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore")  # the kernel's own messaging libraries warn
def test_a_notebook_runs(script, monkeypatch):
    monkeypatch.setenv("JSSL_TINY", "1")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(FOLDER.parent / ".jax_cache"))
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    NotebookClient(jupytext.read(script), timeout=120, kernel_name="python3").execute()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_committed_notebook_is_its_script_with_figures(script):
    notebook = nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    assert [c.source for c in notebook.cells] == [c.source for c in jupytext.read(script).cells]
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    assert any("image/png" in o.get("data", {}) for o in outputs)
