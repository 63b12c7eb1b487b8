"""`jssl compare`: read embeddings of several encoders, print the summary, write the report."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jssl.commands.diagnose import hand_out, report_folder, require_partners, require_tokens
from jssl.data.choices import refuse_weights
from jssl.data.embedding_files import read_embeddings, read_labels_of
from jssl.data.readers import open_file
from jssl.encoders.compare import NEEDED, checked, compare_checked
from jssl.encoders.page import page_of
from jssl.encoders.ranking import criterion_named
from jssl.errors import InputError, shown
from jssl.paths import expanded

DEFAULT_FOLDER = Path("jssl-compare")
"""Folder of the report, where none is given and no JSON is printed."""


class Encoders(NamedTuple):
    """Embeddings of files.

    Attributes:
        arrays: name -> (n, dim), checked: a file of one array by its name, of several by theirs.
        notes: what was chosen without being asked for.
        failures: one line for each file or array that cannot be used.
        pooled: whether each array that was read holds tokens.
        labels: of each array beside which there are some.
    """

    arrays: dict[str, np.ndarray]
    notes: list[str]
    failures: list[str]
    pooled: list[bool]
    labels: list[Any]


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
    """Compare the embeddings of files; return 0, or 2 where a file was left out.

    Raises:
        InputError: where fewer than two can be used; before anything is written.
    """
    require_partners(("--label-key", label_key, "--labels", labels))
    criterion = criterion_named(criterion)
    folder = report_folder(out, DEFAULT_FOLDER, json=json, overwrite=overwrite)
    options: dict[str, Any] = {"dtype": dtype, "pool": pool}
    named, notes, failures, pooled, beside = named_encoders(files, key, options)
    require_tokens(pool, pooled)
    names = _labels_beside(beside, notes)
    if labels is not None:
        names = read_labels_of(labels, label_key)
    seen = compare_checked(named, names, criterion, seed)
    caveats = (*dict.fromkeys(notes), *seen.caveats)
    left_out = tuple(f"{failure} (left out)" for failure in failures)
    seen = seen._replace(caveats=(*left_out, *caveats))
    source = {"files": ", ".join(map(str, files)), "labels": labels, "key": key} | options
    given = {name: value for name, value in source.items() if value is not None}
    hand_out(page_of(seen, given), folder, (*seen.summary, *caveats), json=json)
    for failure in failures:
        print(f"jssl: {failure}", file=sys.stderr)
    return 2 if failures else 0


def named_encoders(files: Sequence[Path], key: str | None, options: dict[str, Any]) -> Encoders:
    """Return the embeddings of files. One that cannot be used is a failure.

    Args:
        files: a file, folder or pattern for each encoder, or a file of several layers.
        key: of the embeddings in files of several arrays; None for all of them.
        options: as `jssl.data.embedding_files.read_embeddings`.

    Raises:
        InputError: for two arrays of the same name, and where fewer than two can be used.
    """
    if not files:
        message = f"{NEEDED}; name their files"
        raise InputError(message)
    found = Encoders({}, [], [], [], [])
    stems = [path.stem for path in files]
    for path in files:
        short = path.stem if stems.count(path.stem) == 1 else str(path)
        try:
            layers = [key] if key is not None else _layers(expanded(path))
        except InputError as error:
            found.failures.append(str(error))
            continue
        for layer in layers:
            name = short if len(layers) == 1 else layer if len(files) == 1 else f"{short}:{layer}"
            if name in found.arrays:
                message = f"{path} is given twice; give each file once"
                raise InputError(message)
            _add(found, path, layer, str(name), options)
    if len(found.arrays) < 2:
        raise _too_few(found)
    return found


def _add(
    found: Encoders, path: Path, layer: str | None, name: str, options: dict[str, Any]
) -> None:
    """Add the embeddings of one encoder, or the line that says why they cannot be used."""
    try:
        read = read_embeddings(path, key=layer, name=name, **options)
        if read.failures:
            message = f"{read.failures[0]}; a comparison needs all rows of every encoder"
            raise InputError(message)
        found.arrays[name] = checked(name, read.z)
        found.pooled.append(read.pooled)
        if read.labels is not None:
            found.labels.append(read.labels)
    except InputError as error:
        found.failures.append(str(error))
    else:
        found.notes.extend(read.notes)


def _labels_beside(labels: Sequence[Any], notes: list[str]) -> Any:
    """Return the labels beside the embeddings, or None and a note where they are not all equal."""
    first, *others = labels or [None]
    if all(np.array_equal(np.asarray(first), np.asarray(each)) for each in others):
        return first
    notes.append("The labels beside the embeddings differ and were not used; pass --labels.")
    return None


def _too_few(found: Encoders) -> InputError:
    """Return the error for fewer than two encoders that can be used."""
    if not found.failures:
        one = next(iter(found.arrays))
        return InputError(f"{NEEDED}; got one, {shown(one)}")
    more = len(found.failures) - 1
    others = f"; {more:,} more cannot be used" if more else ""
    return InputError(f"{found.failures[0]}{others}: {NEEDED}")


def _layers(path: Path) -> list[str | None]:
    """Return the names of the embeddings in a file of several, else None for the only ones."""
    if not path.is_file():
        return [None]
    contents = open_file(path)
    names = [name for name, entry in contents.items() if len(entry.shape) > 1]
    refuse_weights(path, contents, names)
    return list(names) if len(names) > 1 else [None]
