"""Arrays of PyTorch, JAX and SciPy whose values cannot be read, and what to pass instead."""

import sys
from typing import Any

from jssl.errors import InputError


def refuse_unreadable(name: str, z: Any) -> None:
    """Raise for an array whose values cannot be read as a dense one's are.

    Example:
        >>> import jax.numpy as jnp
        >>> z = jnp.ones((4, 3))
        >>> z.delete()
        >>> refuse_unreadable("embeddings", z)
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: embeddings is an array that was deleted or donated; use it ...

    Args:
        name: what the array is called in the message.
        z: an array of any library.

    Raises:
        InputError: for a sparse array, a tensor on the meta device, a nested or quantised one, one
            inside a transformation of `torch.func`, and an array that JAX has deleted.
    """
    found, torch = None, sys.modules.get("torch")
    if torch is not None and isinstance(z, torch.Tensor):
        found = torch_fault(name, z) or _without_values(z)
    elif hasattr(z, "is_deleted") and z.is_deleted():
        found = "an array that was deleted or donated; use it before the step that donates it"
    elif hasattr(z, "toarray"):
        found = f"a sparse array; pass {name}.toarray()"
    elif hasattr(z, "todense"):
        found = f"a sparse array; pass {name}.todense()"
    if found is not None:
        message = f"{name} is {found}"
        raise InputError(message)


def torch_fault(name: str, z: Any) -> str | None:
    """Return of which kind of PyTorch a tensor is that no formula takes, and what to pass instead.

    Args:
        name: what the tensor is called.
        z: a tensor, inside a transformation of `torch.func` or outside.

    Returns:
        None for a dense tensor.
    """
    import torch

    if z.is_nested:
        return f"a nested tensor; pass one row for each sample, such as the mean of {name} over it"
    if z.layout != torch.strided:
        kind = str(z.layout).removeprefix("torch.").strip("_")
        return f"a tensor of the layout {kind}; pass {name}.to_dense()"
    if z.is_quantized:
        return f"a quantised tensor; pass {name}.dequantize()"
    return None


def _without_values(z: Any) -> str | None:
    """Return of which kind a dense tensor is that has no values here, and what to do."""
    if z.is_meta:
        return "a tensor on the meta device, which has no values; run the model on a real device"
    if not _has_memory(z):
        return (
            f"a {type(z).__name__} without values of its own here; use it outside torch.func and "
            "FakeTensorMode, and pass to_local() of a distributed tensor"
        )
    return None


def _has_memory(z: Any) -> bool:
    """Return whether a tensor on a CPU or CUDA device owns the values that it shows."""
    if type(z).__name__ == "FakeTensor":  # it warns where its address is asked for
        return False
    if z.device.type not in ("cpu", "cuda") or not z.numel():
        return True
    try:
        return z.data_ptr() != 0
    except RuntimeError:
        return False
