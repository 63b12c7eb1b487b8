"""Which array of a file is the embeddings and which is the labels, where nobody says so.

What was chosen among several arrays is said in a note. The weights of a model are not chosen.
"""

import re
from pathlib import Path

import numpy as np

from jssl.data.array_files import is_narrow_number
from jssl.data.readers import LABELS, READERS, UNREAD, Contents, Entry, leaf
from jssl.errors import InputError

EMBEDDINGS = ("embeddings", "embedding", "emb", "features", "feature", "z")
"""Names of arrays that are taken for the embeddings."""

_WEIGHT = re.compile(
    r"(.*[./])?(weight|bias)(_[a-z]+\d*)?|(.*[./])?in_proj_(weight|bias)|"
    r"(.*[./])?(running_mean|running_var|num_batches_tracked|exp_avg|exp_avg_sq|momentum_buffer)|"
    r".*[./](kernel|bias|gamma|beta|scale)(:0)?|.*[./]vars/\d+"
)
"""Names of the weights of models of PyTorch, Flax and Keras, and of the states of optimisers."""

_SHOWN = 12
_BLOCK = 4096


def choose_embeddings(file: Path, contents: Contents, key: str | None) -> str:
    """Return the name of the embeddings.

    Args:
        file: what is read, for messages.
        contents: its arrays.
        key: the name where one is given.

    Raises:
        InputError: for no or several candidates, an unknown key, and the weights of a model.
    """
    if not contents:
        message = f"{file} contains no arrays; save an array (n, dim) to it"
        raise InputError(message)
    if key is not None:
        require_key(file, contents, key)
        return key
    names = [name for name, entry in contents.items() if _is_matrix(entry)]
    if not names and READERS.get(file.suffix.lower()) == "text_files":
        message = (
            f"{file} has no column of numbers for the embeddings, apart from labels and numbers of "
            f"rows; write one column for each dimension: it holds {listed(contents)}"
        )
        raise InputError(message)
    if set(contents) == {file.stem}:
        return file.stem
    names = names or [name for name, entry in contents.items() if entry.dtype in UNREAD]
    names = [name for name in names if _lower(name) not in LABELS] or names
    called = [name for name in names if _lower(name) in EMBEDDINGS]
    if len(called) == 1:
        return called[0]
    refuse_weights(file, contents, names)
    if len(contents) == 1:
        return next(iter(contents))
    if len(names) == 1:
        return names[0]
    which = "several arrays could be the embeddings; choose with --key"
    none = "no array is (n, dim), one row for each sample; save such a matrix, or choose with --key"
    message = f"{file}: {which if names else none}: it holds {listed(contents)}"
    raise InputError(message)


def choose_labels(
    file: Path, contents: Contents, embeddings: str, rows: int, key: str | None, tokens: int = 1
) -> tuple[str | None, list[str], list[str]]:
    """Return the name of the labels beside the embeddings, or None, and notes on the choice.

    Further notes say why arrays that are called as labels cannot be used.

    Args:
        file: what is read, for messages.
        contents: its arrays.
        embeddings: the name of the embeddings.
        rows: of the embeddings.
        key: the name of the labels where one is given.
        tokens: of each row, where each is a row of the report: labels may be those of tokens.

    Raises:
        InputError: for an unknown key, or one whose array has another number of entries.
    """
    if key is not None:
        require_key(file, contents, key)
        if contents[key].shape[:1] not in ((rows,), (None,), (rows * tokens,)):
            what = f"'{key}' is {contents[key]}, for {_counted(rows, tokens)}"
            message = f"{file}: {what}; labels need one each"
            raise InputError(message)
        return key, [], []
    named = [name for name in contents if name != embeddings and _lower(name) in LABELS]
    named.sort(key=lambda name: (LABELS.index(_lower(name)), len(name)))
    faults = {name: _label_fault(name, contents[name], rows, tokens) for name in named}
    fitting = [name for name in named if faults[name] is None]
    unused = [
        unused_labels(label_name(name, file), f"it {fault}")
        for name, fault in faults.items()
        if fault is not None
    ]
    if not fitting:
        return None, [], unused
    others = " and ".join(f"'{name}'" for name in fitting[1:])
    chosen = f"The labels are {label_name(fitting[0], file)}"
    return fitting[0], [f"{chosen}, not {others}." if others else f"{chosen}."], unused


def _label_fault(name: str, entry: Entry, rows: int, tokens: int) -> str | None:
    """Return why an array beside the embeddings cannot be the labels, or None."""
    if entry.dtype in UNREAD:
        return UNREAD[entry.dtype].format(name=leaf(name))
    if entry.shape[:1] in ((rows,), (None,), (rows * tokens,)):
        if holds_labels(entry):
            return None
        if len(entry.shape) == 2:
            return f"is {entry}, which is neither one column nor one-hot"
    return f"is {entry}, for {_counted(rows, tokens)}"


def _counted(rows: int, tokens: int) -> str:
    return f"{rows:,} rows" if tokens == 1 else f"{rows:,} samples of {tokens:,} tokens each"


def called_labels(name: str) -> bool:
    """Return whether an array is called as labels are.

    Example:
        >>> called_labels("obs/labels")
        True
    """
    return _lower(name) in LABELS


def holds_labels(entry: Entry) -> bool:
    """Return whether an array has the shape of labels: a vector, one column, or one-hot."""
    if len(entry.shape) != 2 or entry.shape[1] == 1 or entry.dtype in UNREAD:
        return len(entry.shape) in (1, 2)
    try:
        values = entry.read()
        starts = range(0, len(values), _BLOCK)
        return all(_is_one_hot(np.asarray(values[low : low + _BLOCK])) for low in starts)
    except Exception:  # of a damaged file; where the labels are read, the reason is said
        return True


def _is_one_hot(rows: np.ndarray) -> bool:
    if is_narrow_number(rows.dtype):
        rows = rows.astype(np.float32)
    if rows.dtype.kind not in "iufb":
        return False
    return bool((((rows == 1).sum(1) == 1) & ((rows != 0).sum(1) == 1)).all())


def label_name(name: str, file: Path) -> str:
    """Return how notes call labels of a file.

    Example:
        >>> label_name("y", Path("z.npz"))
        "'y' of z.npz"
    """
    return f"'{name}' of {file}"


def unused_labels(name: str, reason: str) -> str:
    """Return the caveat for an array that is called as labels are and cannot be used.

    Example:
        >>> unused_labels("'y' of z.npz", "it is (3,) int64, for 4 rows")
        "'y' of z.npz was not used as labels: it is (3,) int64, for 4 rows."
    """
    return f"{name} was not used as labels: {reason}."


def label_file_names(contents: Contents, key: str | None) -> list[str]:
    """Return the names of what could be the labels in a file of labels, one where it is clear."""
    if key is not None:
        return [key]
    if len(contents) == 1:
        return list(contents)
    flat = [name for name, entry in contents.items() if len(entry.shape) == 1]
    named = [name for name in contents if called_labels(name) and holds_labels(contents[name])]
    return sorted(named, key=lambda name: LABELS.index(_lower(name)))[:1] or flat


def require_key(file: Path, contents: Contents, key: str) -> None:
    """Raise an error for a name that is not that of an array of a file."""
    if key not in contents:
        message = f"{file} has no '{key}'; it holds {listed(contents)}"
        raise InputError(message)


def listed(contents: Contents) -> str:
    """Return the arrays of a file with their shapes, the first of many."""

    def line(item: tuple[str, Entry]) -> str:
        return f"{item[0]} {item[1]}"

    shown = ", ".join(map(line, list(contents.items())[:_SHOWN]))
    more = len(contents) - _SHOWN
    return shown + (f" and {more:,} more" if more > 0 else "") if contents else "nothing"


def _lower(name: str) -> str:
    return leaf(name).lower()


def _is_matrix(entry: Entry) -> bool:
    return len(entry.shape) in (2, 3) and entry.dtype not in UNREAD


def refuse_weights(file: Path, contents: Contents, names: list[str]) -> None:
    """Raise an error for arrays that are called as the weights of a model.

    A name alone, such as weight, counts only where its array could be the embeddings: data have
    columns of that name, and tables have such with points.
    """
    table = READERS.get(file.suffix.lower()) in ("tables", "text_files")
    others = [name for name in contents if not table and ("." in name or "/" in name)]
    weights = [name for name in (*names, *others) if _WEIGHT.fullmatch(name)]
    if weights:
        message = (
            f"{file} holds the weights of a model, such as '{weights[0]}', and not embeddings; "
            f"save what the model returns, or choose with --key: it holds {listed(contents)}"
        )
        raise InputError(message)
