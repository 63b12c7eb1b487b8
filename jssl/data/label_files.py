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


def read_labels_for(
    paths: str | Path | Iterable[str | Path],
    key: str | None,
    rows: int,
    samples: np.ndarray | None,
) -> tuple[Any, list[str]]:
    """Return the labels of rows, and notes on what was chosen; a sample's are those of its tokens.

    Args:
        paths: as `read_label_files`; likewise the key.
        key: name of the labels.
        rows: how many rows have labels.
        samples: (rows,) number of the sample of each row, where rows are its tokens; else None.

    Raises:
        InputError: as `read_label_files`.
    """
    names, notes = read_label_files(paths, key, rows)
    if samples is None or len(names) == rows:
        return names, notes
    count = int(samples.max(initial=-1)) + 1
    of_samples, more = read_label_files(paths, key, count)
    if len(of_samples) != count:
        return names, notes
    return labels_at(of_samples, samples), [*more, token_note(count)]


def labels_at(labels: Any, samples: np.ndarray) -> np.ndarray:
    """Return the labels of the samples of rows. A list keeps its kinds, as objects.

    Example:
        >>> labels_at(["cat", None], np.array([0, 0, 1])).tolist()
        ['cat', 'cat', None]
    """
    array = np.asarray(labels, object) if isinstance(labels, list) else np.asarray(labels)
    return array[samples]


def token_note(count: int) -> str:
    """Return the caveat for labels of samples where rows are tokens."""
    return f"Each of the {count:,} labels counts for all tokens of its sample."


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
    """Return labels of several files; where kinds differ, as objects.

    Example:
        >>> joined([np.zeros(4), np.zeros((5, 3))])
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: the labels of several files do not fit together: (4,), (5, 3); ...

    Raises:
        InputError: for one-hot labels beside others, or of other numbers of columns.
    """
    arrays = [np.asarray(part) for part in labels]
    kinds = {array.dtype.kind for array in arrays}
    one_hot = all(a.ndim == 2 for a in arrays) and kinds <= set("iufb")
    if not one_hot and (len(kinds) > 1 or kinds & set("OUS")):
        arrays = [np.asarray(part, object) for part in labels]
    arrays = [a[:, 0] if a.shape[1:] == (1,) else a for a in arrays]
    if len({a.shape[1:] for a in arrays}) > 1:
        shapes = ", ".join(dict.fromkeys(str(a.shape) for a in arrays))
        message = f"the labels of several files do not fit together: {shapes}; save one per row"
        raise InputError(message)
    return np.concatenate(arrays)
