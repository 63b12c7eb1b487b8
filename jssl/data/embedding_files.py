"""Embeddings of files: several files, a folder or a pattern as one set, and labels beside them.

A file that cannot be used is one line in `failures`, and the others are still read.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jssl.data.array_files import is_narrow_number, is_stored_bfloat16, stored_as_void, to_numpy
from jssl.data.choices import choose_embeddings, choose_labels, label_file_names, listed
from jssl.data.file_sets import expand_files
from jssl.data.lazy_rows import LazyRows, pooled, stacked
from jssl.data.readers import Contents, Entry, damaged, open_file
from jssl.errors import InputError
from jssl.paths import expanded


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
    """

    z: Any
    labels: Any
    files: tuple[Path, ...]
    failures: tuple[str, ...]
    notes: tuple[str, ...]
    key: str | None = None
    pooled: bool = False
    samples: np.ndarray | None = None


class _Part(NamedTuple):
    """The rows of one file, as `EmbeddingSet`, and how many of them are of one sample."""

    z: Any
    labels: Any
    notes: list[str]
    key: str | None
    pooled: bool
    tokens: int


class StoredEmbeddings(NamedTuple):
    """A file of embeddings, with how it is read; as the path of a file where one is expected.

    Attributes:
        path: of the file.
        key: as in `read_embeddings`; likewise the others.
        dtype: of void.
        pool: of tokens.
    """

    path: Path
    key: str | None = None
    dtype: str | None = None
    pool: str | None = None

    def __fspath__(self) -> str:
        return str(self.path)

    @classmethod
    def of(cls, path: Any) -> "StoredEmbeddings":
        """Return a path as stored embeddings."""
        return path if isinstance(path, cls) else cls(Path(path))

    def read(self, name: str) -> tuple[Any, list[str]]:
        """Return the embeddings, and notes on how they were read in which they have a name."""
        contents = _opened(self.path)
        key = choose_embeddings(self.path, contents, self.key)
        stored = _read_entry(self.path, contents[key])
        notes = stored_as_void({name: stored}) if self.dtype is None else []
        return _rows_of(self, key, contents, stored), [*contents[key].notes, *notes]

    def holds_tokens(self) -> bool:
        """Return whether the embeddings are (n, tokens, dim); False for a file that is not read."""
        try:
            contents = _opened(self.path)
            return len(contents[choose_embeddings(self.path, contents, self.key)].shape) == 3
        except InputError:
            return False


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
    notes: dict[str, str] = {}  # without the name of the file -> the first such note
    for file in expand_files(given):
        try:
            part = _read(StoredEmbeddings(file, key, dtype, pool), label_key, name)
            if read and part.z.shape[1] != read[0].z.shape[1]:
                message = (
                    f"{file} has {part.z.shape[1]:,} columns and {used[0]} has "
                    f"{read[0].z.shape[1]:,}; files of one set need the same number"
                )
                raise InputError(message)
        except InputError as error:
            failures.append(str(error))
            continue
        read.append(part)
        used.append(file)
        for line in part.notes:
            notes.setdefault(line.replace(str(file), ""), line)
    if not read:
        raise InputError(failures[0])
    labels, lacking = _labels_of(read, used)
    return EmbeddingSet(
        stacked([part.z for part in read]),
        labels,
        tuple(used),
        tuple(failures),
        (*notes.values(), *lacking),
        read[0].key,
        any(part.pooled for part in read),
        _samples(read),
    )


def _labels_of(read: Sequence[_Part], used: Sequence[Path]) -> tuple[Any, list[str]]:
    """Return the labels of all files, or None and a note where only some hold any."""
    labels = [part.labels for part in read]
    known = [names is not None for names in labels]
    if all(known):
        return labels[0] if len(labels) == 1 else _joined(labels), []
    if not any(known):
        return None, []
    return None, [f"Labels were not used: {used[known.index(False)]} holds none."]


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
        found.append(_read_entry(file, contents[names[0]]))
        notes += contents[names[0]].notes
        if len(contents) > 1 and key is None:
            notes.append(f"The labels are '{names[0]}' of {file}.")
    if len(found) > 1:
        return _joined(found), notes
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


def _read(source: StoredEmbeddings, label_key: str | None, called: str) -> _Part:
    """Return the embeddings of a file, its labels or None, and what was chosen."""
    file, contents = source.path, _opened(source.path)
    name = choose_embeddings(file, contents, source.key)
    stored = _read_entry(file, contents[name])
    z = _rows_of(source, name, contents, stored)
    rows = len(stored)
    notes = list(contents[name].notes)
    key = name if len(contents) > 1 and source.key is None else None
    if key is not None:
        notes.append(f"The {called} are '{name}' of {file}.")
    chosen, of_labels = choose_labels(file, contents, name, rows, label_key)
    labels = None if chosen is None else _read_entry(file, contents[chosen])
    if labels is not None and len(labels) != rows:
        message = f"{file}: '{chosen}' has {len(labels):,} entries for {rows:,} rows"
        raise InputError(message)
    tokens = len(z) // max(rows, 1)
    if labels is not None and tokens > 1:
        labels = np.repeat(np.asarray(labels, object), tokens)
    if source.dtype is None:
        of_labels += stored_as_void({called: stored})
    return _Part(z, labels, notes + of_labels, key, len(contents[name].shape) == 3, tokens)


def _samples(parts: Sequence[_Part]) -> np.ndarray | None:
    """Return the number of each row's sample; None where every row is a sample of its own."""
    if all(part.tokens == 1 for part in parts):
        return None
    each = [np.arange(len(part.z)) // max(part.tokens, 1) for part in parts]
    starts = np.cumsum([0, *(int(numbers.max(initial=-1)) + 1 for numbers in each)])
    return np.concatenate([start + n for start, n in zip(starts, each, strict=False)])


def _opened(file: Path) -> Contents:
    return open_file(expanded(file))


def _read_entry(file: Path, entry: Entry) -> Any:
    try:
        return entry.read()
    except (InputError, MemoryError):
        raise
    except Exception as error:  # a damaged file may raise anything
        raise damaged(file, error) from error


def _rows_of(source: StoredEmbeddings, name: str, contents: Contents, stored: Any) -> Any:
    """Return an array of a file as rows, after checking that it is one of numbers."""
    what = f"{source.path}: {name}" if len(contents) > 1 else str(source.path)
    z = _typed(what, stored, source.dtype)
    if z.dtype == np.dtype("V1"):
        to_numpy(what, z[:1])  # raises: its type is unknown
    if z.ndim not in (2, 3) or not z.shape[-1]:
        message = f"{what} is {z.shape}; embeddings are (n, dim)"
        raise InputError(message)
    if z.dtype.kind not in "fiub" and not is_narrow_number(z.dtype):
        message = f"{what} holds no numbers but {z.dtype}"
        raise InputError(message)
    return pooled(what, z, source.pool)


def _typed(what: str, z: Any, dtype: str | None) -> Any:
    """Return an array with void read as the type that `dtype` names."""
    if isinstance(z, list):
        z = np.asarray(z)
    import ml_dtypes

    if dtype is None:
        return _view(z, np.dtype(ml_dtypes.bfloat16)) if is_stored_bfloat16(z.dtype) else z

    names = ("bfloat16", *(n for n in dir(ml_dtypes) if n.startswith("float8")))
    if dtype not in names:
        message = f"dtype must be one of {', '.join(names)}; got {dtype}"
        raise InputError(message)
    wanted = np.dtype(getattr(ml_dtypes, dtype))
    if z.dtype == wanted:
        return z
    if z.dtype.kind != "V" or z.dtype.names is not None or z.dtype.itemsize != wanted.itemsize:
        message = f"{what} is {z.dtype} and not {wanted.itemsize}-byte void; leave --dtype out"
        raise InputError(message)
    return _view(z, wanted)


def _view(z: Any, dtype: np.dtype) -> Any:
    if isinstance(z, np.ndarray):
        return z.view(dtype)
    return LazyRows(
        z.shape, dtype, lambda low, high: z[low:high].view(dtype), lambda at: z[at].view(dtype)
    )


def _joined(labels: Sequence[Any]) -> np.ndarray:
    """Return labels of several files; where kinds differ, as objects."""
    arrays = [np.asarray(part) for part in labels]
    kinds = {array.dtype.kind for array in arrays}
    if len(kinds) == 1 and not kinds & set("OUS"):
        return np.concatenate(arrays)
    return np.concatenate([np.asarray(part, object) for part in labels])
