"""Every notebook runs at a small size, and its committed form is the pair of its script."""

import pathlib
import re

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = pathlib.Path(__file__).parents[2] / "notebooks"
SCRIPTS = sorted(FOLDER.glob("[0-9][0-9]_*.py"))


@pytest.mark.float32
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_notebook_runs(script, monkeypatch, tmp_path):
    """Cell by cell in this process, which has compiled much of it before."""
    monkeypatch.setenv("JSSL_TINY", "1")
    monkeypatch.setattr("jssl.use_all_cores", lambda: None)  # JAX runs already
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    for cell in jupytext.read(script).cells:
        if cell.cell_type == "code":
            source = re.sub(r"(?m)^( *)%.*", r"\1pass", cell.source)
            exec(compile(source, script, "exec"), namespace)


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore")  # the kernel's own messaging libraries warn
def test_a_notebook_runs_in_a_kernel_of_its_own(script, monkeypatch):
    monkeypatch.setenv("JSSL_TINY", "1")
    NotebookClient(jupytext.read(script), timeout=180, kernel_name="python3").execute()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_committed_notebook_is_its_script_with_figures(script):
    notebook = nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    assert [c.source for c in notebook.cells] == [c.source for c in jupytext.read(script).cells]
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    assert any("image/png" in o.get("data", {}) for o in outputs)
