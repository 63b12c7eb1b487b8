"""Run every notebook script and write it beside itself as an .ipynb with its figures.

python notebooks/build.py
"""

import base64
import pathlib

import jupytext
import nbformat
from nbclient import NotebookClient

FOLDER = pathlib.Path(__file__).parent


def build(script: pathlib.Path) -> None:
    """Execute one script and write its notebook; the tour's last figure is the README's."""
    notebook = jupytext.read(script)
    NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            if script.stem == "00_tour" and "image/png" in output.get("data", {}):
                picture = base64.b64decode(output["data"]["image/png"])
                (FOLDER / "stepwise.png").write_bytes(picture)
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"]}
    nbformat.write(notebook, script.with_suffix(".ipynb"))


if __name__ == "__main__":
    for path in sorted(FOLDER.glob("[0-9][0-9]_*.py")):
        build(path)
