"""Labels in files of their own."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jssl.data.choices import label_file_names, listed
from jssl.data.file_sets import expand_files
from jssl.data.readers import open_file
from jssl.data.stored_embeddings import read_entry
from jssl.errors import InputError


def read_labels_of(paths: str | Path | Iterable[str | Path], key: str | None = None) -> Any:
    """Return the labels of one or several files: an array, or a list.

    Example:
        >>> read_labels_of("absent.npy")
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: no file absent.npy; check the path

    Args:
        paths: files, folders and patterns, as `read_embeddings`.
        key: name of the labels in files of several arrays.

    Raises:
        InputError: for files that cannot be used, or hold several arrays and none is chosen.
    """
    return read_label_files(paths, key)[0]


def read_label_files(
    paths: str | Path | Iterable[str | Path], key: str | None = None, rows: int | None = None
) -> tuple[Any, list[str]]:
    r"""Return the labels of one or several files, and notes on what was chosen.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "y.csv")
        ...     _ = path.write_text("species\ncat\ndog\n")
        ...     read_label_files(path, rows=2)[0]
        ['cat', 'dog']

    Args:
        paths: as `read_labels_of`; likewise the key.
        key: name of the labels.
        rows: how many labels are needed: where a column of words has one line more, and that
            line occurs once, it is a header.

    Raises:
        InputError: as `read_labels_of`.
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    found: list[Any] = []
    notes: list[str] = []
    for file in expand_files(given):
        contents = open_file(file)
        names = label_file_names(contents, key)
        if len(names) != 1 or names[0] not in contents:
            what = "labels" if key is None else f"'{key}'"
            option = "--label-key" if key is None else "the key"
            message = f"{file}: which are the {what}? it holds {listed(contents)}; choose {option}"
            raise InputError(message)
        found.append(read_entry(file, contents[names[0]]))
        notes += contents[names[0]].notes
        if len(contents) > 1 and key is None:
            notes.append(f"The labels are '{names[0]}' of {file}.")
    if len(found) > 1:
        return joined(found), notes
    labels, header = _without_header(file, found[0], rows)
    return labels, notes + header


def _without_header(file: Path, labels: Any, rows: int | None) -> tuple[Any, list[str]]:
    """Return the labels of a table of text without their header, and a note where it had one."""
    if rows is None or len(labels) != rows + 1 or file.suffix.lower() not in (".csv", ".tsv"):
        return labels, []
    if isinstance(labels, list) and isinstance(labels[0], str) and labels[0] not in labels[1:]:
        note = f"The first line of {file}, '{labels[0]}', is a header: it is one more than rows."
        return labels[1:], [note]
    message = (
        f"{file} holds {len(labels):,} labels for {rows:,} rows; if its first line is a header, "
        "call it label"
    )
    raise InputError(message)


def joined(labels: Sequence[Any]) -> np.ndarray:
    """Return labels of several files; where kinds differ, as objects."""
    arrays = [np.asarray(part) for part in labels]
    kinds = {array.dtype.kind for array in arrays}
    if len(kinds) > 1 or kinds & set("OUS"):
        arrays = [np.asarray(part, object) for part in labels]
    return np.concatenate([a[:, 0] if a.shape[1:] == (1,) else a for a in arrays])
