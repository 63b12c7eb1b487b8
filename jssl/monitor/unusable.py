"""Arrays of PyTorch and JAX that a monitor cannot read, and what to pass instead."""

from typing import Any

from jssl.errors import InputError


def refuse_unreadable(name: str, z: Any, library: str) -> None:
    """Raise for an array whose values cannot be read as a dense one's are.

    Example:
        >>> import jax.numpy as jnp
        >>> z = jnp.ones((4, 3))
        >>> z.delete()
        >>> refuse_unreadable("embeddings", z, "jax")
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: embeddings is an array that was deleted or donated; call update ...

    Args:
        name: what the array is called in the message.
        z: an array.
        library: of it, as `jssl.monitor.libraries.library_of` names it.

    Raises:
        InputError: for a tensor on the meta device, a sparse, nested or quantised one, one inside
            a transformation of `torch.func`, and an array that JAX has deleted.
    """
    found = None
    if library == "torch":
        found = _of_torch(name, z)
    elif library == "jax" and z.is_deleted():
        found = "an array that was deleted or donated; call update before the step that donates it"
    elif hasattr(z, "todense") and not hasattr(z, "toarray"):  # of SciPy: `to_numpy` knows them
        found = f"a sparse array; pass {name}.todense()"
    if found is not None:
        message = f"{name} is {found}"
        raise InputError(message)


def _of_torch(name: str, z: Any) -> str | None:
    """Return what a tensor is and what to pass instead; None for one that can be read."""
    import torch

    if z.is_nested:
        return f"a nested tensor; pass one row for each sample, such as the mean of {name} over it"
    if z.is_meta:
        return "a tensor on the meta device, which has no values; run the model on a real device"
    if z.layout != torch.strided:
        kind = str(z.layout).removeprefix("torch.").strip("_")
        return f"a tensor of the layout {kind}; pass {name}.to_dense()"
    if z.is_quantized:
        return f"a quantised tensor; pass {name}.dequantize()"
    if not _has_memory(z):
        return (
            f"a {type(z).__name__} without values of its own here; call update outside torch.func "
            "and FakeTensorMode, and pass to_local() of a distributed tensor"
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
