"""Readers of files of embeddings, one module for a family of formats, and their registry.

A reader is a function from a path to `Contents`: the arrays that a file holds, by name, with their
shapes, without reading them. `jssl.data.embedding_files` chooses among them.
"""

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jssl.errors import InputError


class Entry(NamedTuple):
    """An array in a file.

    Attributes:
        shape: of the array; None for a length that is known only after reading.
        dtype: of its values, for messages.
        read: () -> the array, memory-mapped or spooled where it is large; labels may be a list.
        notes: what the reader chose without being asked, such as a header that it left out.
        columns: the names of the columns of a matrix, where the file gives some.
        advice: why it is no matrix and what to do; empty where its shape says so.
    """

    shape: tuple[int | None, ...]
    dtype: str
    read: Callable[[], Any]
    notes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    advice: str = ""

    def __str__(self) -> str:
        """Return the shape and dtype in one phrase."""
        sizes = ", ".join("n" if size is None else str(size) for size in self.shape)
        comma = "," if len(self.shape) == 1 else ""
        return f"({sizes}{comma}) {self.dtype}"


Contents = Mapping[str, Entry]
"""The arrays of a file by name."""

LABELS = ("labels", "label", "y", "targets", "target", "classes", "class")
"""Names of arrays and columns of labels, the first ones before the others.

A column of text called y holds labels only where no other is called x.
"""

READERS = {
    ".npy": "numpy_files",
    ".npz": "numpy_files",
    ".pt": "torch_files",
    ".pth": "torch_files",
    ".safetensors": "safetensors_files",
    ".parquet": "tables",
    ".arrow": "tables",
    ".feather": "tables",
    ".h5": "hdf5_files",
    ".hdf5": "hdf5_files",
    ".h5ad": "hdf5_files",
    ".csv": "text_files",
    ".tsv": "text_files",
}
"""Suffix of a file -> the module that reads it."""


OBJECTS, SPARSE, NESTED, LISTS = "Python objects", "sparse", "nested tensor", "list of objects"

UNREAD = {
    OBJECTS: "holds Python objects, which are not unpickled; save strings with "
    "numpy.array({name}, dtype=str), numbers with dtype=float",
    SPARSE: "is a sparse matrix; choose a dense array with --key, or save {name}.toarray()",
    NESTED: "is a nested tensor; pass one row for each sample, such as "
    "torch.stack([part.mean(0) for part in {name}.unbind()])",
    LISTS: "is a list that cannot become an array; save one tensor",
}
"""What the `dtype` of an entry is called that is listed and not read -> what to do about it."""


def unread(path: Path, name: str, kind: str) -> InputError:
    """Return the error for an array that is listed and not read.

    Example:
        >>> print(unread(Path("a.h5"), "X/counts", "sparse"))
        a.h5: X/counts is a sparse matrix; choose a dense array with --key, or save counts.toarray()

    Args:
        path: of the file.
        name: of the array.
        kind: a key of `UNREAD`.
    """
    return InputError(f"{path}: {name} {UNREAD[kind].format(name=leaf(name))}")


def leaf(name: str) -> str:
    """Return the last part of the name of an array, such as X_pca of obsm/X_pca."""
    return name.rpartition("/")[2]


def open_file(path: Path) -> Contents:
    """Return what a file holds, by its suffix.

    Example:
        >>> open_file(Path("absent.npy"))
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: no file absent.npy; check the path

    Raises:
        InputError: for a missing file, an unknown suffix (the known ones are named), a reader that
            is not installed, and a damaged file.
    """
    if not path.is_file():
        message = f"no file {path}; check the path"
        raise InputError(message)
    name = READERS.get(path.suffix.lower())
    if name is None:
        message = f"cannot read {path}: the readable files are {', '.join(READERS)}"
        raise InputError(message)
    module = importlib.import_module(f"jssl.data.readers.{name}")
    try:
        contents: Contents = module.contents(path)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # a damaged file may raise anything
        raise damaged(path, error) from error
    return contents


def damaged(path: Path, error: BaseException) -> InputError:
    """Return the error for a file that its reader does not understand.

    Example:
        >>> print(damaged(Path("z.h5"), OSError("truncated file")))
        cannot read z.h5 (truncated file); write it again
    """
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    reason = " ".join(str(reason).split()).rstrip(".")[:120]
    return InputError(f"cannot read {path} ({reason}); write it again")


def require_library(name: str, path: Path, install: str = "pip install 'jssl[files]'") -> Any:
    """Return a library, or raise an error that says how to install it.

    Example:
        >>> require_library("no_such_library", Path("z.h5"))
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: reading z.h5 needs no_such_library; install it with pip install ...
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        message = f"reading {path} needs {name.split('.')[0]}; install it with {install}"
        raise InputError(message) from error
