"""Tensors of .pt and .pth files, loaded with `weights_only=True`: no code of the file runs."""

import warnings
import zipfile
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jssl.data.lazy_rows import by_columns, stacked
from jssl.data.readers import LABELS, NESTED, Contents, Entry, leaf, require_library, unread
from jssl.data.readers.torch_lists import list_entry, uneven_vectors
from jssl.errors import InputError

_NAMES = 3
"""Levels of nested dictionaries that are searched for tensors."""

_OF_INTEGERS = (
    ": a list of vectors of integers is read as batches of labels; if each is a sample, save one "
    "tensor with torch.stack"
)


class _Found(NamedTuple):
    """What a file holds.

    Attributes:
        arrays: by name; lists are batches, joined along their first axis.
        rows: lists of vectors that could be rows, by name.
        uneven: the shapes of lists that are no batches.
        lists: other lists, which are refused when they are read, by name.
    """

    arrays: dict[str, Entry]
    rows: dict[str, Entry]
    uneven: list[str]
    lists: dict[str, Entry]


def contents(path: Path) -> Contents:
    """Return the tensors of a file: one, a list of batches, or nested dictionaries of these.

    A list of vectors of floating point numbers of one length is rows where the file holds no other
    matrix and it is not called as labels are; otherwise it is batches of numbers. Lists of other
    things are listed where the file holds no matrix or they are called as labels, and refused when
    they are read.

    Raises:
        InputError: for a damaged file, one of Python objects, a model, and one without tensors or
            with lists that are not batches and nothing else.
    """
    torch = require_library("torch", path, "the command that pytorch.org shows for this system")
    found = _Found({}, {}, [], {})
    with warnings.catch_warnings():  # PyTorch warns of how a quantised tensor was saved
        warnings.simplefilter("ignore", UserWarning)
        loaded = _load(torch, path)
    _collect(torch, loaded, "", found, path, 0)
    if found.uneven and not found.arrays:
        message = (
            f"{path} holds a list of tensors of different shapes, {found.uneven[0]}; save "
            "batches of rows of equal dimension, or a dictionary such as "
            "{'embeddings': z, 'labels': y}"
        )
        raise InputError(message)
    if all(len(entry.shape) < 2 for entry in found.arrays.values()):
        held = found.arrays | found.rows | found.lists
        if not held:
            message = (
                f"{path} holds no tensors or lists of them; save the embeddings with "
                "torch.save(z, path)"
            )
            raise InputError(message)
        return held
    labels = {name: entry for name, entry in found.lists.items() if leaf(name).lower() in LABELS}
    return found.arrays | labels


def _load(torch: Any, path: Path) -> Any:
    options = {"map_location": "cpu", "weights_only": True}
    with path.open("rb") as file:
        archive = file.read(2) == b"PK"
    if archive and not zipfile.is_zipfile(path):
        message = f"cannot read {path} (it is cut off before its end); write it again"
        raise InputError(message)
    if archive:
        _refuse_script(path)
    try:
        try:
            return torch.load(path, mmap=True, **options)
        except RuntimeError as error:
            if "mmap" not in str(error):
                raise
            return torch.load(path, **options)  # the format before PyTorch 1.6 cannot be mapped
    except OSError:
        raise
    except Exception as error:
        import pickle

        if not isinstance(error, pickle.UnpicklingError):
            raise
        message = (
            f"cannot read {path} with weights_only=True: it holds Python objects, or is damaged; "
            "save the tensors only, with torch.save(embeddings, path)"
        )
        raise InputError(message) from error


def _refuse_script(path: Path) -> None:
    """Raise an error for a model that torch.jit.save wrote: it keeps constants beside its data."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any(name.endswith("/constants.pkl") for name in names):
        message = (
            f"{path} holds a model of TorchScript and no embeddings; save those that it computes, "
            "torch.save(model(x).detach(), path)"
        )
        raise InputError(message)


def _collect(
    torch: Any,
    value: Any,
    prefix: str,
    found: _Found,
    path: Path,
    depth: int,
) -> None:
    """Add the arrays of a value to `found`."""
    name = prefix or path.stem
    if isinstance(value, torch.Tensor):
        if value.is_nested:
            _add_nested(path, name, value, found)
            return
        dtype = str(value.dtype).removeprefix("torch.")
        found.arrays[name] = Entry(tuple(value.shape), dtype, partial(_array, torch, value))
    elif isinstance(value, dict) and depth < _NAMES:
        for key, item in value.items():
            below = f"{prefix}/{key}" if prefix else str(key)
            _collect(torch, item, below, found, path, depth + 1)
    elif isinstance(value, list | tuple) and value:
        if all(isinstance(item, torch.Tensor) and item.ndim for item in value):
            nested = [item for item in value if item.is_nested]
            if nested:
                _add_nested(path, name, nested[0], found)
            elif len({tuple(item.shape[1:]) for item in value}) > 1:
                shapes = dict.fromkeys(str(tuple(item.shape)) for item in value)
                found.uneven.append(" and ".join(list(shapes)[:3]))
            else:
                _batches(torch, list(value), name, path, found)
        elif all(isinstance(item, int | str) for item in value):
            found.arrays[name] = Entry((len(value),), "list", lambda: list(value))
        else:
            found.lists[name] = list_entry(torch, path, name, value)


def _add_nested(path: Path, name: str, tensor: Any, found: _Found) -> None:
    def refuse() -> Any:
        raise unread(path, name, NESTED)

    found.arrays[name] = Entry((tensor.size(0),), NESTED, refuse)


def _batches(torch: Any, batches: list[Any], name: str, path: Path, found: _Found) -> None:
    """Add a list of batches as one array; of vectors of one length, as rows too."""
    shape = (sum(len(batch) for batch in batches), *batches[0].shape[1:])
    dtype = str(batches[0].dtype).removeprefix("torch.")

    def read() -> Any:
        arrays = [_array(torch, batch) for batch in batches]
        return stacked(arrays) if len(shape) == 2 else np.concatenate(arrays)

    integers = len(shape) == 1 and not batches[0].is_floating_point()
    advice = _OF_INTEGERS if integers else ""
    found.arrays[name] = Entry(shape, dtype, read, advice=advice)
    sizes = {tuple(batch.shape) for batch in batches}
    floats = batches[0].is_floating_point() and leaf(name).lower() not in LABELS
    if len(shape) == 1 and len(sizes) > 1 and floats:
        found.rows[name] = uneven_vectors(path, name, dtype, [len(batch) for batch in batches])
    elif len(shape) == 1 and floats:

        def rows() -> Any:
            return np.stack([_array(torch, batch) for batch in batches])

        found.rows[name] = Entry((len(batches), len(batches[0])), dtype, rows)


def _array(torch: Any, tensor: Any) -> Any:
    tensor = tensor.detach()
    if tensor.is_meta:
        message = "it holds a tensor of the device meta, which has no values"
        raise ValueError(message)
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    if tensor.is_quantized:
        tensor = tensor.dequantize()
    tensor = tensor.resolve_conj().resolve_neg()  # NumPy knows no such views
    name = str(tensor.dtype).removeprefix("torch.")
    if name == "bfloat16" or name.startswith("float8"):
        import ml_dtypes

        bits = torch.int16 if tensor.element_size() == 2 else torch.uint8
        return tensor.view(bits).numpy().view(getattr(ml_dtypes, name))
    return by_columns(tensor.numpy())
