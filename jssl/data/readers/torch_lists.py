"""Lists of .pt files that are no matrix: one line that says what they hold and what to save."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jssl.data.readers import LISTS, Entry, leaf
from jssl.errors import InputError, shown


def list_entry(torch: Any, path: Path, name: str, items: Sequence[Any]) -> Entry:
    """Return an entry that is refused when it is read, for a list of other things than batches.

    Args:
        torch: the library.
        path: of the file.
        name: of the list.
        items: what it holds, at least one.
    """
    return _refused(path, name, (len(items),), LISTS, _held(torch, _called(name), items))


def uneven_vectors(path: Path, name: str, dtype: str, lengths: Sequence[int]) -> Entry:
    """Return an entry that is refused when it is read, for vectors of several lengths.

    Args:
        path: of the file.
        name: of the list.
        dtype: of the vectors.
        lengths: of the vectors; two at least differ.
    """
    at = next(i for i, length in enumerate(lengths) if length != lengths[0])
    called = _called(name)
    says = (
        f"vectors whose lengths differ: {lengths[0]:,} in entry 0, {lengths[at]:,} in entry {at:,} "
        "(counted from 0); give all the same length, or, if they are batches of labels, save "
        f"torch.cat({called})"
    )
    return _refused(path, name, (len(lengths), None), dtype, says)


def _called(name: str) -> str:
    """Return the name of a list in an expression of Python."""
    return leaf(name) if leaf(name).isidentifier() else "z"


def _refused(path: Path, name: str, shape: tuple[int | None, ...], kind: str, says: str) -> Entry:
    def refuse() -> Any:
        message = f"{path}: {name} is a list of {says}"
        raise InputError(message)

    return Entry(shape, kind, refuse)


def _held(torch: Any, name: str, items: Sequence[Any]) -> str:
    """Return what a list holds, and what to save instead."""
    first, kinds = items[0], {type(item) for item in items}
    both = "{'embeddings': %s, 'labels': %s}"
    if all(isinstance(item, torch.Tensor) and not item.ndim for item in items):
        return (
            "tensors of one number each; save one vector for each sample, or labels as "
            f"torch.stack({name})"
        )
    if all(isinstance(item, dict) for item in items):
        key = next((key for key, value in first.items() if isinstance(value, torch.Tensor)), None)
        rows = "" if key is None else f", torch.stack([row[{shown(key)}] for row in {name}])"
        return f"dictionaries; save their embeddings as one tensor{rows}"
    if all(_is_pair(torch, item) for item in items):
        z, y = f"torch.stack([z for z, y in {name}])", f"[y for z, y in {name}]"
        return f"pairs of a tensor and a label; save a dictionary, {both % (z, y)}"
    if all(isinstance(item, list | tuple) for item in items):
        return f"lists; save one tensor, torch.tensor({name})"
    if all(isinstance(item, int | float) for item in items):
        return f"numbers; save one vector for each sample, or labels as torch.tensor({name})"
    names = " and ".join(sorted(kind.__name__ for kind in kinds))
    return f"{names}; save the embeddings as one tensor, or a dictionary, {both % ('z', 'y')}"


def _is_pair(torch: Any, item: Any) -> bool:
    """Return whether an entry is a tensor beside a label: an integer, a word or a single number."""
    if not (isinstance(item, list | tuple) and len(item) == 2):
        return False
    z, y = item
    label = isinstance(y, int | float | str) or (isinstance(y, torch.Tensor) and not y.ndim)
    return isinstance(z, torch.Tensor) and label
