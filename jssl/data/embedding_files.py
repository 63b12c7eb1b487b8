"""Embeddings of files: several files, a folder or a pattern as one set, and labels beside them.

A file that cannot be used is one line in `failures`, and the others are still read. Labels that
nobody asked for and that cannot be used are one line in `unused`, and the rows are still read.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jssl.data.array_files import stored_as_void
from jssl.data.choices import choose_embeddings, choose_labels, label_name, unused_labels
from jssl.data.file_sets import NamedColumns, expand_files, note_on_columns
from jssl.data.label_files import joined, labels_at, token_note
from jssl.data.label_files import read_label_files as read_label_files
from jssl.data.label_files import read_labels_for as read_labels_for
from jssl.data.label_files import read_labels_of as read_labels_of
from jssl.data.lazy_rows import stacked
from jssl.data.readers import Contents
from jssl.data.spool import NoRows
from jssl.data.stored_embeddings import StoredEmbeddings as StoredEmbeddings
from jssl.data.stored_embeddings import opened, read_entry, rows_of
from jssl.errors import InputError


class EmbeddingSet(NamedTuple):
    """The rows of one or several files.

    Attributes:
        z: (n, dim) array, memory map or LazyRows.
        labels: one for each row, where the files hold them; else None.
        files: those that were read, in order.
        failures: one line for each file that could not be used.
        notes: what was chosen without being asked for.
        key: name of the embeddings in the first file, where it holds several arrays.
        pooled: whether a file held tokens, (n, tokens, dim).
        samples: (n,) number of the sample of each row, where rows are its tokens; else None.
        named: how notes call the labels of the first file.
        unused: why arrays that are called as labels are not used; they are among the notes.
        on_labels: those of the notes that say which labels are used.
        columns: the names of the columns and the file that gives them; None without names.
    """

    z: Any
    labels: Any
    files: tuple[Path, ...]
    failures: tuple[str, ...]
    notes: tuple[str, ...]
    key: str | None = None
    pooled: bool = False
    samples: np.ndarray | None = None
    named: str | None = None
    unused: tuple[str, ...] = ()
    on_labels: tuple[str, ...] = ()
    columns: NamedColumns | None = None

    @property
    def on_rows(self) -> tuple[str, ...]:
        """Those of the notes that are not about labels beside the embeddings."""
        return tuple(n for n in self.notes if n not in (*self.on_labels, *self.unused))

    def with_labels(self, labels: Any, notes: Sequence[str]) -> "EmbeddingSet":
        """Return the same with labels of another file, and without what those beside it say."""
        return self._replace(
            labels=labels,
            notes=(*self.on_rows, *notes),
            named=None,
            unused=(),
            on_labels=tuple(notes),
        )

    def without_labels(self, reason: str) -> "EmbeddingSet":
        """Return the same without labels that cannot be used, and a note that says why."""
        note = unused_labels(str(self.named), reason)
        others = tuple(line for line in self.notes if line not in self.on_labels)
        unused = (*self.unused, note)
        return self._replace(
            labels=None, notes=(*others, note), unused=unused, named=None, on_labels=()
        )


class _Part(NamedTuple):
    """The rows of one file, as `EmbeddingSet`, and how many of them are of one sample."""

    z: Any
    notes: list[str]
    key: str | None
    pooled: bool
    tokens: int
    beside: "_Labels"
    columns: tuple[str, ...]


def read_embeddings(
    paths: str | Path | Iterable[str | Path],
    *,
    key: str | None = None,
    label_key: str | None = None,
    dtype: str | None = None,
    pool: str | None = None,
    name: str = "embeddings",
) -> EmbeddingSet:
    """Return the embeddings of files as one set.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for i in (0, 9, 10):
        ...         np.save(f"{folder}/emb_{i}.npy", np.full((2, 1), i))
        ...     read_embeddings(f"{folder}/emb_*.npy").z[:, 0].tolist()
        [0, 0, 9, 9, 10, 10]

    Args:
        paths: files, folders and patterns; those of a folder or pattern in natural order.
        key: name of the embeddings in files of several arrays, such as obsm/X_scVI.
        label_key: name of the labels in them; by default an array called labels, label, y or
            targets with an entry for each row.
        dtype: of values that NumPy stores as void, such as bfloat16.
        pool: how (n, tokens, dim) becomes rows: mean, cls or none.
        name: what the embeddings are called in notes.

    Raises:
        InputError: where no file can be used; the message is that of the first.
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    if not given:
        message = f"no file of {name} is given; name at least one, such as embeddings.npy"
        raise InputError(message)
    read: list[_Part] = []
    used: list[Path] = []
    failures: list[str] = []
    empty: list[str] = []
    notes: dict[str, str] = {}  # without the name of the file -> the first such note
    columns: NamedColumns | None = None
    for file in expand_files(given):
        try:
            part = _read(StoredEmbeddings(file, key, dtype, pool), label_key, name)
            if read:
                _require_width(used[0], read[0].z.shape[1], file, part.z.shape[1])
            own = NamedColumns(file, part.columns)
            part.notes.extend(note_on_columns(columns, own) if columns else [])
        except NoRows:
            empty.append(f"{file} holds no rows.")
            continue
        except InputError as error:
            failures.append(str(error))
            continue
        read.append(part)
        used.append(file)
        columns = columns or (own if own.names else None)
        for line in (*part.notes, *part.beside.notes, *part.beside.unused):
            notes.setdefault(line.replace(str(file), ""), line)
    if not read:
        nothing = f"{(empty or [''])[0].rstrip('.')}; give a file with rows"
        raise InputError(failures[0] if failures else nothing)
    labels, lacking = _labels_of(read, used, asked=label_key is not None)
    about = [line for part in read for line in part.beside.notes]
    used_labels = labels is not None
    chosen = [line for line in notes.values() if used_labels or line not in about]
    spread = _spread(read) if used_labels else []
    return EmbeddingSet(
        stacked([part.z for part in read]),
        labels,
        tuple(used),
        tuple(failures),
        (*chosen, *spread, *empty, *lacking),
        read[0].key,
        any(part.pooled for part in read),
        _samples(read),
        read[0].beside.named,
        (*(line for part in read for line in part.beside.unused), *lacking),
        (*(line for line in chosen if line in about), *spread),
        columns,
    )


def _require_width(first: Path, width: int, file: Path, own: int) -> None:
    """Raise an error for a file with another number of columns than the first one."""
    if own != width:
        message = (
            f"{file} has {own:,} columns and {first} has {width:,}; files of one set need the same "
            "number"
        )
        raise InputError(message)


def _labels_of(
    read: Sequence[_Part], used: Sequence[Path], *, asked: bool
) -> tuple[Any, list[str]]:
    """Return the labels of all files, or None and a note where they are not used."""
    labels = [part.beside.labels for part in read]
    known = [names is not None for names in labels]
    if not any(known):
        return None, []
    if not all(known):
        lacking = known.index(False)
        some = " that can be used" if read[lacking].beside.unused else ""
        return None, [f"Labels were not used: {used[lacking]} holds none{some}."]
    if len(labels) == 1:
        return labels[0], []
    try:
        return joined(labels), []
    except InputError as error:
        if asked:
            raise
        return None, [f"Labels were not used: {error}."]


def _spread(read: Sequence[_Part]) -> list[str]:
    """Return the note for labels of samples that count for all their tokens, if there are any."""
    counts = [part.beside.samples for part in read]
    return [token_note(sum(counts))] if any(counts) else []


def _read(source: StoredEmbeddings, label_key: str | None, called: str) -> _Part:
    """Return the embeddings of a file, its labels or None, and what was chosen."""
    file, contents = source.path, opened(source.path)
    name = choose_embeddings(file, contents, source.key)
    stored = read_entry(file, contents[name])
    rows = len(stored) if np.ndim(stored) else 1
    if not rows:
        message = f"{file} holds no rows"
        raise NoRows(message)
    z = rows_of(source, name, contents, stored)
    notes = list(contents[name].notes)
    key = name if len(contents) > 1 and source.key is None else None
    if key is not None:
        notes.append(f"The {called} are '{name}' of {file}.")
    tokens = len(z) // rows
    beside = _labels_beside(file, contents, name, (rows, tokens), label_key)
    if source.dtype is None:
        notes += stored_as_void({called: stored})
    pooled = len(contents[name].shape) == 3
    columns = contents[name].columns
    return _Part(z, notes, key, pooled, tokens, beside, columns)


class _Labels(NamedTuple):
    """Labels beside embeddings, as in `EmbeddingSet`.

    Attributes:
        labels: one for each row, or None.
        named: how notes call them.
        notes: on their choice.
        unused: why others are not used.
        samples: how many labels there are, where each is that of all tokens of a sample; else 0.
    """

    labels: Any
    named: str | None
    notes: list[str]
    unused: list[str]
    samples: int = 0


def _labels_beside(
    file: Path, contents: Contents, embeddings: str, counts: tuple[int, int], key: str | None
) -> _Labels:
    """Return the labels beside the embeddings; without a key they may be unusable.

    Args:
        file: what is read.
        contents: its arrays.
        embeddings: name of the embeddings.
        counts: of their samples, and of the tokens of each that are rows.
        key: name of the labels.
    """
    rows, tokens = counts
    chosen, notes, unused = choose_labels(file, contents, embeddings, rows, key, tokens)
    if chosen is None:
        return _Labels(None, None, notes, unused)
    try:
        labels = read_entry(file, contents[chosen])
        if len(labels) not in (rows, rows * tokens):
            message = f"{file}: '{chosen}' has {len(labels):,} entries for {rows:,} rows"
            raise InputError(message)
    except InputError as error:
        if key is not None:
            raise
        note = unused_labels(label_name(chosen, file), str(error))
        return _Labels(None, None, [], [*unused, note])
    named = label_name(chosen, file)
    if len(labels) == rows * tokens:
        return _Labels(labels, named, notes, unused)
    each = labels_at(labels, np.repeat(np.arange(rows), tokens))
    return _Labels(each, named, notes, unused, samples=rows)


def _samples(parts: Sequence[_Part]) -> np.ndarray | None:
    """Return the number of each row's sample; None where every row is a sample of its own."""
    if all(part.tokens == 1 for part in parts):
        return None
    each = [np.arange(len(part.z)) // max(part.tokens, 1) for part in parts]
    starts = np.cumsum([0, *(int(numbers.max(initial=-1)) + 1 for numbers in each)])
    return np.concatenate([start + n for start, n in zip(starts, each, strict=False)])
