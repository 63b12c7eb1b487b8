"""The sums of a batch, computed in float64 by the library and on the device of its arrays.

NumPy     on the host
PyTorch   on the tensor's device, without gradients and outside autocast
JAX       on the array's device, as one compiled program

A device without float64 (TPU, Apple's MPS) hands the batch to the host. Nothing here waits for a
device: a batch adds its sums and the program goes on.
"""

import functools
import sys
from typing import Any

import numpy as np

from jssl.data.array_files import to_numpy
from jssl.errors import InputError
from jssl.monitor.sums import Sums, merged, of_batch
from jssl.unreadable import refuse_unreadable

_HOST_ONLY = ("mps", "tpu")
"""Devices that have no float64."""


def library_of(z: Any) -> str:
    """Return the library that computes with an array: numpy, jax or torch.

    Example:
        >>> library_of(np.ones(3)), library_of([1.0])
        ('numpy', 'numpy')

    Raises:
        InputError: for a value inside a program that JAX traces.
    """
    if "torch" in sys.modules and isinstance(z, sys.modules["torch"].Tensor):
        return "numpy" if z.device.type in _HOST_ONLY else "torch"
    if "jax" in sys.modules:
        import jax

        if isinstance(z, jax.core.Tracer):
            message = (
                "Monitor.update was called inside a program that JAX traces; return the embeddings "
                "from the program, and call it outside"
            )
            raise InputError(message)
        if isinstance(z, jax.Array):
            device: Any = next(iter(z.sharding.device_set))  # of a deleted array too
            return "numpy" if device.platform in _HOST_ONLY else "jax"
    return "numpy"


def checked(name: str, z: Any, library: str) -> Any:
    """Return a batch (n, dim) of real numbers without its gradient.

    Example:
        >>> checked("embeddings", np.ones((2, 3, 4)), "numpy")
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: embeddings must be (n, dim); got shape (2, 3, 4): pool ...

    Raises:
        InputError: for another rank, an empty batch, values that are not real numbers, or an array
            without values that can be read.
    """
    refuse_unreadable(name, z)
    z = to_numpy(name, z) if library == "numpy" else z
    shape = tuple(z.shape)
    if len(shape) != 2 or not all(shape):
        more = ": pool the tokens or pixels first" if len(shape) > 2 else ""
        more = ": neither may be 0, so skip batches without rows" if len(shape) == 2 else more
        message = f"{name} must be (n, dim); got shape {shape}{more}"
        raise InputError(message)
    kind = str(z.dtype)
    real = z.dtype.kind in "fiub" if library == "numpy" else "complex" not in kind
    if not real or kind.startswith("key<"):
        message = f"{name} must be real numbers; got {kind}"
        raise InputError(message)
    return z.detach() if library == "torch" else z


def added(before: Sums | None, z: Any, views: Any, factor: float, library: str) -> Sums:
    """Return sums with a batch added, computed in float64 by its library on its device.

    Example:
        >>> sums = added(None, np.array([[1.0], [3.0]]), None, 1.0, "numpy")
        >>> float(added(sums, np.array([[8.0]]), None, 1.0, "numpy").mean[0])
        4.0

    Args:
        before: sums of the earlier batches; None for none.
        z: (n, dim), checked.
        views: (n, dim), checked, or None.
        factor: by which the weights of the earlier rows are multiplied.
        library: of both, as `library_of` names it.
    """
    if library == "torch":
        return _added_by_torch(before, z, views, factor)
    if library == "jax":
        import jax

        with jax.enable_x64(True):
            return _jax_program()(before, z, views, factor)
    with np.errstate(invalid="ignore", over="ignore"):  # the result is then not finite
        return _added(before, z.astype(np.float64), _maybe(views, _as_float64), factor, np)


def joined(parts: list[Sums], library: str) -> Sums:
    """Return the sums over all rows of several, on the host."""
    host = [on_host(part, library) for part in parts]
    return functools.reduce(lambda a, b: merged(a, b, 1.0, np), host)


def on_host(values: Any, library: str) -> Any:
    """Return arrays, or a tuple of them, as NumPy arrays.

    Example:
        >>> on_host(np.ones(2), "numpy").tolist()
        [1.0, 1.0]
    """
    if isinstance(values, tuple):
        return type(values)(*(on_host(value, library) for value in values))
    return values.cpu().numpy() if library == "torch" else np.asarray(values)


def kept_rows(z: Any, most: int, library: str) -> Any:
    """Return a copy of the first rows on their device: float64 as it is, the others in float32."""
    if library == "torch":
        import torch

        dtype = z.dtype if z.dtype == torch.float64 else torch.float32
        return z[:most].to(dtype, copy=True)
    if library == "jax":
        import jax.numpy as jnp

        dtype = z.dtype if z.dtype == jnp.float64 else jnp.float32
        return jnp.array(z[:most], dtype, copy=True)
    wide = z.dtype.kind == "f" and z.dtype.itemsize > 4
    with np.errstate(over="ignore"):  # a row of long doubles is then not finite
        return np.array(z[:most], np.float64 if wide else np.float32)


def _added(before: Sums | None, z: Any, views: Any, factor: float, xp: Any) -> Sums:
    batch = of_batch(z, views, xp)
    return batch if before is None else merged(before, batch, factor, xp)


def _added_by_torch(before: Sums | None, z: Any, views: Any, factor: float) -> Sums:
    import torch

    with torch.no_grad(), torch.autocast(z.device.type, enabled=False):
        if before is not None and before.mean.device != z.device:
            before = Sums(*(value.to(z.device) for value in before))
        z, views = (_maybe(x, lambda x: x.to(z.device, torch.float64)) for x in (z, views))
        return _added(before, z, views, factor, torch)


@functools.cache
def _jax_program() -> Any:
    import jax
    import jax.numpy as jnp

    def program(before: Sums | None, z: Any, views: Any, factor: float) -> Sums:
        z, views = (_maybe(x, lambda x: x.astype(jnp.float64)) for x in (z, views))
        return _added(before, z, views, factor, jnp)

    return jax.jit(program)


def _as_float64(rows: np.ndarray) -> np.ndarray:
    return rows.astype(np.float64)


def _maybe(value: Any, function: Any) -> Any:
    return None if value is None else function(value)
