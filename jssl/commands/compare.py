"""`jssl compare`: read embeddings of several encoders, print the summary, write the report."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jssl.commands.diagnose import hand_out, report_folder, require_tokens
from jssl.data.choices import called_labels, holds_labels, refuse_weights
from jssl.data.embedding_files import EmbeddingSet, read_embeddings, read_labels_for
from jssl.data.readers import open_file
from jssl.diagnosis.labels import Labels, read_labels
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
        sets: what was read, in the same order: labels beside the arrays, and notes.
        failures: one line for each file or array that cannot be used.
        lacking: one line for each whose labels were asked for and cannot be read.
    """

    arrays: dict[str, np.ndarray]
    sets: list[EmbeddingSet]
    failures: list[str]
    lacking: list[str]

    @property
    def samples(self) -> np.ndarray | None:
        """Number of the sample of each row, where rows of an encoder are tokens; the fewest."""
        known = [each.samples for each in self.sets if each.samples is not None]
        return min(known, key=lambda numbers: int(numbers.max(initial=-1)), default=None)


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
        InputError: where fewer than two can be used, or labels that are asked for cannot; before
            anything is written.
    """
    criterion = criterion_named(criterion)
    folder = report_folder(out, DEFAULT_FOLDER, json=json, overwrite=overwrite)
    options: dict[str, Any] = {"dtype": dtype, "pool": pool}
    found = named_encoders(files, key, options, label_key if labels is None else None)
    named, failures, samples = found.arrays, found.failures, found.samples
    require_tokens(pool, [each.pooled for each in found.sets])
    if labels is None:
        names, notes = _labels_beside(found, asked=label_key is not None)
    else:
        rows = len(next(iter(named.values())))
        names, notes = read_labels_for(labels, label_key, rows, samples)
    seen = compare_checked(named, names, criterion, seed, samples)
    notes = [*(note for each in found.sets for note in each.on_rows), *notes]
    caveats = (*dict.fromkeys(notes), *seen.caveats)
    left_out = tuple(f"{failure} (left out)" for failure in failures)
    seen = seen._replace(caveats=(*left_out, *caveats))
    source = {"files": ", ".join(map(str, files)), "labels": labels, "key": key} | options
    given = {name: value for name, value in source.items() if value is not None}
    hand_out(page_of(seen, given), folder, (*seen.summary, *caveats), json=json)
    for failure in failures:
        print(f"jssl: {failure}", file=sys.stderr)
    return 2 if failures else 0


def named_encoders(
    files: Sequence[Path], key: str | None, options: dict[str, Any], label_key: str | None = None
) -> Encoders:
    """Return the embeddings of files. One that cannot be used is a failure.

    Args:
        files: a file, folder or pattern for each encoder, or a file of several layers.
        key: of the embeddings in files of several arrays; None for all of them.
        options: as `jssl.data.embedding_files.read_embeddings`.
        label_key: of the labels beside the embeddings.

    Raises:
        InputError: for two arrays of the same name, and where fewer than two can be used.
    """
    if not files:
        message = f"{NEEDED}; name their files"
        raise InputError(message)
    found = Encoders({}, [], [], [])
    stems = [path.stem for path in files]
    for path in files:
        short = path.stem if stems.count(path.stem) == 1 else str(path)
        try:
            layers = [key] if key is not None else _layers(expanded(path), label_key)
        except InputError as error:
            found.failures.append(str(error))
            continue
        for layer in layers:
            name = short if len(layers) == 1 else layer if len(files) == 1 else f"{short}:{layer}"
            if name in found.arrays:
                message = f"{path} is given twice; give each file once"
                raise InputError(message)
            _add(found, str(name), path, options | {"key": layer}, label_key)
    if len(found.arrays) < 2:
        raise _too_few(found)
    return found


def _add(
    found: Encoders, name: str, path: Path, options: dict[str, Any], label_key: str | None
) -> None:
    """Add the embeddings of one encoder, or the line that says why they cannot be used."""
    try:
        read = _read(found, name, path, options, label_key)
        if read.failures:
            message = f"{read.failures[0]}; a comparison needs all rows of every encoder"
            raise InputError(message)
        found.arrays[name] = checked(name, read.z)
    except InputError as error:
        found.failures.append(str(error))
    else:
        found.sets.append(read)


def _read(
    found: Encoders, name: str, path: Path, options: dict[str, Any], label_key: str | None
) -> EmbeddingSet:
    """Return the embeddings of one encoder, with the labels of a key where it has them."""
    if label_key is None:
        return read_embeddings(path, name=name, **options)
    try:
        read = read_embeddings(path, name=name, label_key=label_key, **options)
    except InputError as error:
        read = read_embeddings(path, name=name, **options)
        found.lacking.append(str(error))
        return read.with_labels(None, ())
    if read.failures:  # of a set of files, some of which may be without the labels
        raise InputError(read.failures[0])
    return read


def _labels_beside(found: Encoders, *, asked: bool) -> tuple[Any, list[str]]:
    """Return the labels beside the embeddings, or None, and notes on what is used and what is not.

    Raises:
        InputError: where they are asked for, and none can be used or they differ.
    """
    usable, unused = _usable(found)
    if asked and not usable:
        raise InputError(unused[0].rstrip("."))
    if not usable:
        return None, unused
    first, names = usable[0]
    if any(not _equal(names, others) for _, others in usable[1:]):
        message = "The labels beside the embeddings differ and were not used; pass --labels."
        if asked:
            raise InputError(message.replace(" and were not used", "").rstrip("."))
        return None, [*unused, message]
    notes = [*first.on_labels]
    if not asked and any(each.named != first.named for each, _ in usable):
        notes.append("The labels beside the other embeddings are equal.")
    return first.labels, [*notes, *unused]


def _usable(found: Encoders) -> tuple[list[tuple[EmbeddingSet, Labels]], list[str]]:
    """Return the encoders with labels beside them that can be used, and why others cannot be."""
    usable: list[tuple[EmbeddingSet, Labels]] = []
    unused = [f"{reason}." for reason in found.lacking]
    for each in found.sets:
        beside = each
        if each.labels is not None:
            try:
                usable.append((each, read_labels(each.labels, len(each.z))))
            except InputError as error:
                beside = each.without_labels(str(error))
        unused += [note for note in beside.notes if note in beside.unused]
    used = tuple(f"{each.named} was not used" for each, _ in usable)  # for another layer, perhaps
    return usable, [note for note in unused if not note.startswith(used)]


def _equal(a: Labels, b: Labels) -> bool:
    """Return whether all rows have the same class, or none, in both."""
    first, second = (np.array([*each.names, ""], object)[each.classes] for each in (a, b))
    return np.array_equal(first, second)


def _too_few(found: Encoders) -> InputError:
    """Return the error for fewer than two encoders that can be used."""
    if not found.failures:
        one = next(iter(found.arrays))
        return InputError(f"{NEEDED}; got one, {shown(one)}")
    more = len(found.failures) - 1
    others = f"; {more:,} more cannot be used" if more else ""
    return InputError(f"{found.failures[0]}{others}: {NEEDED}")


def _layers(path: Path, label_key: str | None) -> list[str | None]:
    """Return the names of the embeddings in a file of several, else None for the only ones.

    Labels in one column and one-hot labels are none of them.
    """
    if not path.is_file():
        return [None]
    contents = open_file(path)
    names = [name for name, entry in contents.items() if len(entry.shape) > 1 and name != label_key]
    names = [n for n in names if not (called_labels(n) and holds_labels(contents[n]))] or names
    refuse_weights(path, contents, names)
    chosen = label_key in [name for name, entry in contents.items() if len(entry.shape) > 1]
    return list(names) if len(names) > 1 or (names and chosen) else [None]
