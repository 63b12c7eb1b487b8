"""`jssl compare`: read embeddings of several encoders, print the summary, write the report."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jssl.commands.diagnose import hand_out, report_folder
from jssl.data.embedding_files import read_embeddings, read_labels_of
from jssl.data.readers import open_file
from jssl.encoders.compare import compare_encoders
from jssl.encoders.page import page_of
from jssl.errors import InputError
from jssl.paths import expanded

DEFAULT_FOLDER = Path("jssl-compare")
"""Folder of the report, where none is given and no JSON is printed."""


def run_compare(
    files: Sequence[Path],
    labels: Path | None,
    criterion: str,
    out: Path | None,
    seed: int,
    overwrite: bool = False,
    json: bool = False,
    key: str | None = None,
    label_key: str | None = None,
    dtype: str | None = None,
    pool: str | None = None,
) -> int:
    """Compare the embeddings of files; return 0.

    Raises:
        InputError: for files that cannot be used; before anything is written.
    """
    folder = report_folder(out, DEFAULT_FOLDER, json=json, overwrite=overwrite)
    options: dict[str, Any] = {"dtype": dtype, "pool": pool}
    named, notes = named_encoders(files, key, options)
    seen = compare_encoders(
        named,
        None if labels is None else read_labels_of(labels, label_key),
        criterion=criterion.replace("-", " "),
        seed=seed,
    )
    seen = seen._replace(caveats=(*notes, *seen.caveats))
    source = {"files": ", ".join(map(str, files)), "labels": labels, "key": key} | options
    given = {name: value for name, value in source.items() if value is not None}
    hand_out(page_of(seen, given), folder, (*seen.summary, *seen.caveats), json=json)
    return 0


def named_encoders(
    files: Sequence[Path], key: str | None, options: dict[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Return name -> embeddings, and notes: a file of one array by its name, of several by theirs.

    Args:
        files: a file, folder or pattern for each encoder, or a file of several layers.
        key: of the embeddings in files of several arrays; None for all of them.
        options: as `jssl.data.embedding_files.read_embeddings`.

    Raises:
        InputError: for a file that cannot be read, and for two arrays of the same name.
    """
    named: dict[str, Any] = {}
    notes: list[str] = []
    stems = [path.stem for path in files]
    for path in files:
        short = path.stem if stems.count(path.stem) == 1 else str(path)
        layers = [key] if key is not None else _layers(expanded(path))
        for layer in layers:
            name = short if len(layers) == 1 else layer if len(files) == 1 else f"{short}:{layer}"
            if name in named:
                message = f"{path} is given twice; give each file once"
                raise InputError(message)
            found = read_embeddings(path, key=layer, name=str(name), **options)
            if found.failures:
                message = f"{found.failures[0]}; a comparison needs all rows of every encoder"
                raise InputError(message)
            named[str(name)] = found.z
            notes += found.notes
    return named, notes


def _layers(path: Path) -> list[str | None]:
    """Return the names of the embeddings in a file of several, else None for the only ones."""
    if not path.is_file():
        return [None]
    names = [name for name, entry in open_file(path).items() if len(entry.shape) > 1]
    return list(names) if len(names) > 1 else [None]
