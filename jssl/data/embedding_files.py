"""Embeddings of files: several files, a folder or a pattern as one set, and labels beside them.

A file that cannot be used is one line in `failures`, and the others are still read.
"""

import glob
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jssl.data.array_files import is_narrow_number, is_stored_bfloat16, stored_as_void, to_numpy
from jssl.data.lazy_rows import LazyRows, pooled, stacked
from jssl.data.readers import READERS, Contents, Entry, damaged, open_file
from jssl.errors import InputError
from jssl.paths import expanded

_EMBEDDINGS = ("embeddings", "embedding", "emb", "features", "feature", "z")
_LABELS = ("labels", "label", "y", "targets", "target", "classes", "class")
_SHOWN = 12


class EmbeddingSet(NamedTuple):
    """The rows of one or several files.

    Attributes:
        z: (n, dim) array, memory map or LazyRows.
        labels: one for each row, where the files hold them; else None.
        files: those that were read, in order.
        failures: one line for each file that could not be used.
        notes: what was chosen without being asked for.
    """

    z: Any
    labels: Any
    files: tuple[Path, ...]
    failures: tuple[str, ...]
    notes: tuple[str, ...]


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
        key = _choose(self.path, contents, self.key)
        stored = _read_entry(self.path, contents[key])
        notes = stored_as_void({name: stored}) if self.dtype is None else []
        return _rows_of(self, key, contents, stored), notes


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
    files = expand_files(given)
    parts: list[Any] = []
    labels: list[Any] = []
    used: list[Path] = []
    failures: list[str] = []
    notes: list[str] = []
    for file in files:
        try:
            z, names, note = _read(StoredEmbeddings(file, key, dtype, pool), label_key, name)
            if parts and z.shape[1] != parts[0].shape[1]:
                message = (
                    f"{file} has {z.shape[1]:,} columns and {used[0]} has {parts[0].shape[1]:,}; "
                    "files of one set need the same number"
                )
                raise InputError(message)
        except InputError as error:
            failures.append(str(error))
            continue
        parts.append(z)
        labels.append(names)
        used.append(file)
        notes += [line for line in note if not parts[1:]]
    if not parts:
        raise InputError(failures[0])
    known = [names is not None for names in labels]
    if any(known) and not all(known):
        lacking = used[known.index(False)]
        notes.append(f"Labels were not used: {lacking} holds none.")
    together = labels[0] if len(labels) == 1 else _joined(labels) if all(known) else None
    return EmbeddingSet(stacked(parts), together, tuple(used), tuple(failures), tuple(notes))


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
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    found = []
    for file in expand_files(given):
        contents = open_file(file)
        names = list(contents)
        if key is not None or len(names) > 1:
            flat = {name: entry for name, entry in contents.items() if len(entry.shape) == 1}
            named = [name for name in flat if name.rsplit("/")[-1].lower() in _LABELS]
            names = [key] if key is not None else named if len(named) == 1 else list(flat)
        if len(names) != 1 or names[0] not in contents:
            what = "labels" if key is None else f"'{key}'"
            option = "--label-key" if key is None else "the key"
            message = f"{file}: which are the {what}? it holds {_listed(contents)}; choose {option}"
            raise InputError(message)
        found.append(_read_entry(file, contents[names[0]]))
    return found[0] if len(found) == 1 else _joined(found)


def expand_files(paths: Sequence[str | Path]) -> list[Path]:
    """Return the files that paths, folders and patterns name, those of each in natural order.

    Example:
        >>> expand_files(["z.npy"])
        [PosixPath('z.npy')]

    Raises:
        InputError: for a pattern that matches nothing, or a folder of no readable files or of
            several formats.
    """
    files: list[Path] = []
    for path in (str(expanded(Path(p))) for p in paths):
        if Path(path).is_dir():
            files += _in_folder(Path(path))
        elif glob.has_magic(path) and not Path(path).exists():
            matched = sorted(filter(Path.is_file, map(Path, glob.glob(path))), key=natural_order)
            if not matched:
                message = f"no file matches {path}; check the path"
                raise InputError(message)
            files += matched
        else:
            files.append(Path(path))
    return list(dict.fromkeys(files))


def natural_order(path: str | Path) -> list[Any]:
    """Return a key for sorting by the numbers in names, so that 10 follows 9.

    Example:
        >>> sorted(["z10", "z9"], key=natural_order)
        ['z9', 'z10']
    """
    return [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", str(path))]


def _in_folder(folder: Path) -> list[Path]:
    readable = [p for p in folder.iterdir() if p.suffix.lower() in READERS and p.is_file()]
    kinds = sorted({p.suffix.lower() for p in readable})
    if not readable:
        inside = sorted(p.name for p in folder.iterdir() if p.is_dir())
        below = f"; its folders are {', '.join(inside[:_SHOWN])}" if inside else ""
        message = f"{folder} contains no readable file ({', '.join(READERS)}){below}"
        raise InputError(message)
    if len(kinds) > 1:
        message = f"{folder} contains {' and '.join(kinds)} files; choose with a pattern such as "
        message += f"'{folder}/*{kinds[0]}'"
        raise InputError(message)
    return sorted(readable, key=natural_order)


def _read(
    source: StoredEmbeddings, label_key: str | None, called: str
) -> tuple[Any, Any, list[str]]:
    """Return the embeddings of a file, its labels or None, and what was chosen."""
    file, contents = source.path, _opened(source.path)
    name = _choose(file, contents, source.key)
    stored = _read_entry(file, contents[name])
    z = _rows_of(source, name, contents, stored)
    rows = len(stored)
    tokens = len(z) // max(rows, 1)
    chosen = _label_name(file, contents, name, rows, label_key)
    labels = None if chosen is None else _read_entry(file, contents[chosen])
    if labels is not None and len(labels) != rows:
        labels, chosen = None, None
    if labels is not None and tokens > 1:
        labels = np.repeat(np.asarray(labels, object), tokens)
    notes = []
    if chosen is not None and label_key is None:
        notes.append(f"The labels are '{chosen}' of {file}.")
    if source.dtype is None:
        notes += stored_as_void({called: stored})
    return z, labels, notes


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


def _choose(file: Path, contents: Contents, key: str | None) -> str:
    """Return the name of the embeddings."""
    if not contents:
        message = f"{file} contains no arrays"
        raise InputError(message)
    if key is not None:
        if key not in contents:
            message = f"{file} has no '{key}'; it holds {_listed(contents)}"
            raise InputError(message)
        return key
    if len(contents) == 1:
        return next(iter(contents))
    names = [
        name
        for name, entry in contents.items()
        if len(entry.shape) in (2, 3) and entry.dtype != "sparse"
    ]
    called = [name for name in names if name.rsplit("/")[-1].lower() in _EMBEDDINGS]
    if len(called) == 1:
        return called[0]
    if len(names) == 1:
        return names[0]
    which = "several arrays could be the embeddings" if names else "no array is (n, dim)"
    message = f"{file}: {which}; choose with --key: it holds {_listed(contents)}"
    raise InputError(message)


def _label_name(
    file: Path, contents: Contents, embeddings: str, rows: int, key: str | None
) -> str | None:
    if key is not None:
        if key not in contents:
            message = f"{file} has no '{key}'; it holds {_listed(contents)}"
            raise InputError(message)
        return key
    found = [
        name
        for name, entry in contents.items()
        if name != embeddings
        and entry.shape in ((rows,), (None,))
        and name.rsplit("/")[-1].lower() in _LABELS
    ]
    return found[0] if len(found) == 1 else None


def _listed(contents: Contents) -> str:
    def line(item: tuple[str, Entry]) -> str:
        return f"{item[0]} {item[1]}"

    shown = ", ".join(map(line, list(contents.items())[:_SHOWN]))
    more = len(contents) - _SHOWN
    return shown + (f" and {more:,} more" if more > 0 else "") if contents else "nothing"


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
