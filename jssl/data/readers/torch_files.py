"""Tensors of .pt and .pth files, loaded with `weights_only=True`: no code of the file runs."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jssl.data.lazy_rows import by_columns, stacked
from jssl.data.readers import Contents, Entry, require_library
from jssl.errors import InputError

_NAMES = 3
"""Levels of nested dictionaries that are searched for tensors."""


def contents(path: Path) -> Contents:
    """Return the tensors of a file: one, a list of batches, or nested dictionaries of these."""
    torch = require_library("torch", path, "the command that pytorch.org shows for this system")
    found: dict[str, Entry] = {}
    _collect(torch, _load(torch, path), "", found, path.stem, 0)
    return found


def _load(torch: Any, path: Path) -> Any:
    options = {"map_location": "cpu", "weights_only": True}
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


def _collect(
    torch: Any, value: Any, prefix: str, found: dict[str, Entry], name: str, depth: int
) -> None:
    if isinstance(value, torch.Tensor):
        dtype = str(value.dtype).removeprefix("torch.")
        found[prefix or name] = Entry(tuple(value.shape), dtype, partial(_array, torch, value))
    elif isinstance(value, dict) and depth < _NAMES:
        for key, item in value.items():
            _collect(torch, item, f"{prefix}/{key}" if prefix else str(key), found, name, depth + 1)
    elif isinstance(value, list | tuple) and value:
        if all(isinstance(item, torch.Tensor) and item.ndim for item in value):
            _batches(torch, list(value), prefix or name, found)
        elif all(isinstance(item, int | str) for item in value):
            found[prefix or name] = Entry((len(value),), "list", lambda: list(value))


def _batches(torch: Any, batches: list[Any], name: str, found: dict[str, Entry]) -> None:
    """Add a list of batches as one array."""
    rest = {tuple(batch.shape[1:]) for batch in batches}
    if len(rest) == 1:
        shape = (sum(len(batch) for batch in batches), *rest.pop())
        dtype = str(batches[0].dtype).removeprefix("torch.")

        def read() -> Any:
            arrays = [_array(torch, batch) for batch in batches]
            return stacked(arrays) if len(shape) == 2 else np.concatenate(arrays)

        found[name] = Entry(shape, dtype, read)


def _array(torch: Any, tensor: Any) -> Any:
    tensor = tensor.detach()
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    if tensor.is_quantized:
        tensor = tensor.dequantize()
    name = str(tensor.dtype).removeprefix("torch.")
    if name == "bfloat16" or name.startswith("float8"):
        import ml_dtypes

        bits = torch.int16 if tensor.element_size() == 2 else torch.uint8
        return tensor.view(bits).numpy().view(getattr(ml_dtypes, name))
    return by_columns(tensor.numpy())
