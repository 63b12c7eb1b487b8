"""One file of embeddings, with how it is read: which array, of which type, with which pooling."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jssl.data.advice import refuse_fields, shape_advice, words_of
from jssl.data.array_files import is_narrow_number, is_stored_bfloat16, stored_as_void, to_numpy
from jssl.data.choices import choose_embeddings
from jssl.data.lazy_rows import LazyRows, pooled
from jssl.data.readers import Contents, Entry, damaged, open_file
from jssl.errors import InputError
from jssl.paths import expanded


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
        contents = opened(self.path)
        key = choose_embeddings(self.path, contents, self.key)
        stored = read_entry(self.path, contents[key])
        notes = stored_as_void({name: stored}) if self.dtype is None else []
        return rows_of(self, key, contents, stored), [*contents[key].notes, *notes]

    def holds_tokens(self) -> bool:
        """Return whether the embeddings are (n, tokens, dim); False for a file that is not read."""
        try:
            contents = opened(self.path)
            return len(contents[choose_embeddings(self.path, contents, self.key)].shape) == 3
        except InputError:
            return False


def opened(file: Path) -> Contents:
    """Return what a file holds."""
    return open_file(expanded(file))


def read_entry(file: Path, entry: Entry) -> Any:
    """Return an array of a file.

    Raises:
        InputError: where it cannot be read.
    """
    try:
        return entry.read()
    except (InputError, MemoryError):
        raise
    except Exception as error:  # a damaged file may raise anything
        raise damaged(file, error) from error


def rows_of(source: StoredEmbeddings, name: str, contents: Contents, stored: Any) -> Any:
    """Return an array of a file as rows, after checking that it is one of numbers.

    Args:
        source: how it is read.
        name: of the array.
        contents: of the file.
        stored: the array.

    Raises:
        InputError: for an array that is not (n, dim) or (n, tokens, dim) real numbers.
    """
    what = f"{source.path}: {name}" if len(contents) > 1 else str(source.path)
    z = _typed(what, stored, source.dtype)
    if z.dtype == np.dtype("V1"):
        to_numpy(what, z[:1])  # raises: its type is unknown
    refuse_fields(what, z)
    if z.ndim not in (2, 3) or not z.shape[-1]:
        advice = contents[name].advice or shape_advice(z.shape)
        message = f"{what} is {z.shape}; embeddings are (n, dim){advice}"
        raise InputError(message)
    if z.dtype.kind not in "fiub" and not is_narrow_number(z.dtype):
        words, remedy = words_of(z.dtype)
        message = f"{what} holds no numbers but {words}; {remedy}"
        if z.dtype.kind == "c":
            message = f"{what} holds {words}, and embeddings are real; {remedy}"
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
