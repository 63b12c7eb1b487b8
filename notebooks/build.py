"""Run notebook scripts and write each beside itself as an .ipynb with its figures.

python notebooks/build.py [01_stepwise ...]
"""

import base64
import pathlib
import sys

import jupytext
import nbformat
from nbclient import NotebookClient

FOLDER = pathlib.Path(__file__).parent


def build(script: pathlib.Path) -> None:
    """Execute one script and write its notebook; the tour's last figure is the README's."""
    notebook = jupytext.read(script)
    NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    for index, cell in enumerate(notebook.cells):
        cell.id = f"cell-{index}"
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            if script.stem == "00_tour" and "image/png" in output.get("data", {}):
                picture = base64.b64decode(output["data"]["image/png"])
                (FOLDER / "stepwise.png").write_bytes(picture)
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"]}
    nbformat.write(notebook, script.with_suffix(".ipynb"))


if __name__ == "__main__":
    names = sys.argv[1:]
    for path in sorted(FOLDER.glob("[0-9][0-9]_*.py")):
        if not names or path.stem in names:
            build(path)
