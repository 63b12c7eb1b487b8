"""Read labels of many forms as class numbers, and count the rows without a label."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from jssl.data.array_files import to_numpy
from jssl.errors import InputError

NO_LABEL = ("-1", "", "nan", "None", "<NA>")
"""Names that mean "no label". Where -1 and 1 are the only labels, they are two classes."""


class Labels(NamedTuple):
    """The class of each row.

    Attributes:
        classes: (n,) integers from 0, in the order of `names`; -1 where a row has no label.
        names: of the classes, sorted.
        caveats: which rows were left out, and how the labels were interpreted.
    """

    classes: np.ndarray
    names: tuple[str, ...]
    caveats: tuple[str, ...]


def read_labels(value: Any, count: int) -> Labels:
    """Return the class of each row.

    Example:
        >>> labels = read_labels(["cat", "dog", None, "cat"], 4)
        >>> labels.classes.tolist(), labels.names
        ([0, 1, -1, 0], ('cat', 'dog'))
        >>> print(*labels.caveats)
        1 of 4 rows has no label (missing) and is left out of the probes.

    Args:
        value: (n,), (n, 1) or (1, n) of integers, booleans, whole floats, strings, bytes or a
            mixture of them, as a list, an array of NumPy, JAX or PyTorch or a column of pandas; or
            one-hot (n, classes). NaN, None, pandas.NA, what they become as strings, masked values,
            empty strings and -1 mean "no label", except that -1 and 1 alone are two classes.
        count: n.

    Raises:
        InputError: for another shape, labels that are not a class (0.5, a list, a date), or fewer
            than two classes.
    """
    array, missing = _as_array(value)
    array, missing, notes = _one_column(array, missing, count)
    names, missing = _names(array, missing)
    known, classes = np.unique(names[~missing], return_inverse=True)
    texts = {str(name): i for i, name in enumerate(known)}
    hidden = [] if set(texts) == {"-1", "1"} else [texts[t] for t in NO_LABEL if t in texts]
    reasons = [f"'{known[i]}'" if str(known[i]) == "" else str(known[i]) for i in hidden]
    if set(texts) == {"-1", "1"}:
        notes.append("The labels are -1 and 1 only. They were read as two classes.")
    reasons += ["missing"] if missing.any() else []
    numbers = np.full(len(known), -1)
    kept = [i for i in range(len(known)) if i not in hidden]
    numbers[kept] = np.arange(len(kept))
    whole = np.full(count, -1)
    whole[~missing] = numbers[classes]
    without = int((whole < 0).sum())
    if len(kept) < 2:
        what = f"only one class, {known[kept[0]]}" if kept else "no class"
        also = f" ({without:,} rows have no label: {', '.join(reasons)})" if without else ""
        message = f"labels contain {what}{also}; a probe needs two classes or more"
        raise InputError(message)
    if without:
        have, are = ("has", "is") if without == 1 else ("have", "are")
        why = ", ".join(reasons)
        notes.append(
            f"{without:,} of {count:,} rows {have} no label ({why}) and {are} left out of "
            "the probes."
        )
    return Labels(whole, tuple(str(known[i]) for i in kept), tuple(notes))


def _as_array(value: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and where they are masked; a list of strings keeps its None and NaN."""
    if isinstance(value, np.ma.MaskedArray):
        return value.data, np.ma.getmaskarray(value)
    array = to_numpy("labels", value)
    if array.dtype.kind in "US" and not hasattr(value, "dtype") and isinstance(value, Iterable):
        array = np.array(list(value), object)
    return array, np.zeros(array.shape, bool)


def _one_column(
    array: np.ndarray, missing: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    if array.shape in ((count,), (count, 1), (1, count)):
        return array.ravel(), missing.ravel(), []
    if array.ndim == 2 and len(array) == count and array.dtype.kind in "iufb":
        ones = ((array == 1).sum(1) == 1) & ((array != 0).sum(1) == 1)
        if ones.all() and not missing.any():
            columns = array.shape[1]
            note = f"The labels are one-hot, {columns} columns. The class is the column of the 1."
            return array.argmax(1), np.zeros(count, bool), [note]
    message = f"labels must have one entry for each of the {count:,} rows; got shape {array.shape}"
    raise InputError(message)


def _names(array: np.ndarray, missing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return sortable names, integers or strings, and which rows have none."""
    kind = array.dtype.kind
    if kind in "iub":
        return (array.astype(int) if kind == "b" else array), missing
    if kind == "f":
        missing = missing | np.isnan(array)
        return _whole(np.where(missing, 0, array.astype(np.float64))), missing
    if kind == "U":
        return array, missing
    if kind in "SOT":
        return _objects(array.astype(object), missing)
    message = f"labels must be integers or strings; got {array.dtype}"
    raise InputError(message)


def _whole(values: np.ndarray) -> np.ndarray:
    bad = np.flatnonzero(~(np.abs(values) < 2**53) | (values != np.floor(values)))
    if len(bad):
        message = (
            f"labels must be integers or strings; row {bad[0]} holds {values[bad[0]]:g}, "
            "which is not a class"
        )
        raise InputError(message)
    return values.astype(np.int64)


def _objects(array: np.ndarray, missing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    missing = missing | np.array([_is_missing(label) for label in array], bool)
    labels = [0 if gone else _plain(i, array[i]) for i, gone in enumerate(missing)]
    if all(isinstance(label, int) for label in labels):
        return np.array(labels), missing
    return np.array([str(label) for label in labels]), missing


def _is_missing(label: Any) -> bool:
    if label is None or type(label).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(label, float | np.floating) and bool(np.isnan(label))


def _plain(row: int, label: Any) -> int | str:
    if getattr(label, "ndim", None) == 0:
        label = label.item()
    if isinstance(label, bytes):
        return label.decode(errors="replace")
    if isinstance(label, str):
        return str(label)
    if isinstance(label, int):
        return int(label)
    if isinstance(label, float):
        if label.is_integer():
            return int(label)
        message = f"labels must be integers or strings; row {row} holds {label:g}"
        raise InputError(message)
    message = f"labels must be integers or strings; row {row} holds a {type(label).__name__}"
    raise InputError(message)
