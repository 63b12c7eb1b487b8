"""One code for the arrays of NumPy, JAX and PyTorch, by the array API (array-api-compat).

A function of `jssl.diagnostics` checks its arguments with `working` or `rows`, which also return
the array namespace `xp`, and passes both to a computation that is made with `compiled`. The
computation runs with the library of the arrays, on their device, and keeps gradients; under JAX it
is compiled. What the array API lacks is in `jssl.formulas.algebra`. No library but NumPy is
imported unless arrays of it are given.
"""

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import array_api_compat as compat
import numpy as np

from jssl.errors import InputError
from jssl.host_arithmetic import not_numbers, without_mask
from jssl.unreadable import torch_fault

Array = Any
"""An array of NumPy, JAX or PyTorch, or nested lists of numbers."""


def library_of(*values: Any) -> Any:
    """Return the array namespace of values: that of PyTorch or JAX where one is theirs, or NumPy.

    Example:
        >>> library_of([1.0], np.ones(2)).__name__
        'numpy'

    Raises:
        InputError: for arrays of both PyTorch and JAX.
    """
    torch = any(compat.is_torch_array(value) for value in values)
    jax = any(compat.is_jax_array(value) for value in values)
    if torch and jax:
        message = "the arrays are of PyTorch and of JAX; pass all in one library"
        raise InputError(message)
    if torch:
        import array_api_compat.torch

        return array_api_compat.torch
    if jax:
        import jax.numpy as jnp

        return jnp
    return np


def is_jax(xp: Any) -> bool:
    """Return whether a namespace is that of JAX.

    Example:
        >>> is_jax(np)
        False
    """
    return bool(xp.__name__ == "jax.numpy")


def is_torch(xp: Any) -> bool:
    """Return whether a namespace is that of PyTorch.

    Example:
        >>> is_torch(np)
        False
    """
    return bool(xp.__name__.endswith(".torch"))


def working(**values: Any) -> tuple[Any, ...]:
    """Return the namespace, and arrays of real numbers in one floating dtype of at least 32 bits.

    Example:
        >>> xp, a, b = working(a=np.int8([1]), b=np.float16([1]))
        >>> xp.__name__, a.dtype.name, b.dtype.name
        ('numpy', 'float32', 'float32')

    The dtype is the widest floating dtype among the arguments and at least float32; the library's
    default float where all are integers. Arrays of NumPy and lists beside those of another library
    become arrays of that library, on the device of the first.

    Args:
        **values: arrays or nested lists of real numbers, by the name used in an error message.

    Raises:
        InputError: for masked or sparse arrays, complex numbers, strings, objects, lists of unequal
            lengths, or arrays of PyTorch beside those of JAX.
    """
    values = {name: without_mask(name, value) for name, value in values.items()}
    xp = library_of(*values.values())
    if is_jax(xp):
        from jssl.arithmetic import working as of_jax

        return (xp, *of_jax(**values))
    if is_torch(xp):
        return (xp, *_of_torch(values))
    arrays = [_of_numpy(name, value) for name, value in values.items()]
    floats = [a.dtype for a in arrays if a.dtype.kind == "f"]
    dtype = np.result_type(np.float32, *floats) if floats else np.dtype(np.float64)
    dtype = min(dtype, np.dtype(np.float64), key=lambda d: d.itemsize)  # not the 80 bits of x86
    with np.errstate(over="ignore"):
        return (xp, *(a.astype(dtype, copy=False) for a in arrays))


def rows(name: str, value: Any, *, least: int = 1) -> tuple[Any, Any]:
    """Return the namespace, and embeddings (..., n, dim) in the working dtype.

    Example:
        >>> rows("embeddings", [[1, 2], [3, 4]])[1].shape
        (2, 2)

    Args:
        name: what the array is called in an error message.
        value: the array.
        least: the smallest n.

    Raises:
        InputError: for fewer than two axes, fewer than `least` rows, no columns, or values that
            are not real numbers.
    """
    xp, z = working(**{name: value})
    require_rows(name, z, least)
    return xp, z


def pair_of_rows(**values: Any) -> tuple[Any, ...]:
    """Return the namespace, and two or more embeddings (..., n, dim) in one working dtype.

    Example:
        >>> [x.dtype.name for x in pair_of_rows(a=np.ones((2, 1), "f2"), b=np.ones((2, 1)))[1:]]
        ['float64', 'float64']

    Raises:
        InputError: as `rows`.
    """
    xp, *arrays = working(**values)
    for name, z in zip(values, arrays, strict=True):
        require_rows(name, z, 1)
    return (xp, *arrays)


def require_rows(name: str, z: Any, least: int) -> None:
    """Raise unless an array is (..., n, dim) with n of at least `least` and dim of at least 1.

    Example:
        >>> require_rows("z", np.ones((2, 3)), 2)
    """
    if z.ndim < 2 or z.shape[-2] < least or not z.shape[-1]:
        shape = tuple(z.shape)
        message = f"{name} must be (n, dim) with n >= {least} and dim >= 1; got shape {shape}"
        raise InputError(message)


def compiled(function: Callable[..., Any], *, static: tuple[str, ...] = ()) -> Callable[..., Any]:
    """Return a function of arrays and `xp`, which is compiled where xp is that of JAX.

    Example:
        >>> double = compiled(lambda x, xp: 2 * x)
        >>> double(np.ones(1), xp=np)
        array([2.])

    Args:
        function: computation with the keyword `xp`, a pure function.
        static: names of other arguments that are not arrays; they are passed as keywords.
    """

    @functools.cache
    def of_jax() -> Callable[..., Any]:
        import jax
        import jax.numpy as jnp

        return jax.jit(functools.partial(function, xp=jnp), static_argnames=static)

    @functools.wraps(function)
    def call(*arrays: Any, xp: Any, **others: Any) -> Any:
        if is_jax(xp):
            return of_jax()(*arrays, **others)
        with quietly(xp):
            result = function(*arrays, xp=xp, **others)
        return _scalars(result) if xp is np else result

    return call


def _scalars(result: Any) -> Any:
    """Return NumPy's arrays of no axes as its scalars."""
    if isinstance(result, tuple):
        return type(result)(*map(_scalars, result))
    return result[()] if isinstance(result, np.ndarray) else result


def quietly(xp: Any) -> AbstractContextManager[Any]:
    """Return a context without NumPy's warnings: a result that is not finite says it already.

    Example:
        >>> with quietly(np):
        ...     print(np.ones(1) / 0)
        [inf]
    """
    return np.errstate(all="ignore") if xp is np else nullcontext()


def on_host(value: Any) -> Any:
    """Return a tensor of PyTorch as an array of NumPy, in float32 at least; others unchanged.

    Example:
        >>> on_host([1.0])
        [1.0]
    """
    if not compat.is_torch_array(value):
        return value
    value = value.detach().cpu()
    narrow = value.is_floating_point() and value.element_size() < 4
    return (value.float() if narrow else value).numpy()


def to_library(value: Any, given: tuple[Any, ...], xp: Any) -> Any:
    """Return a result that was computed with JAX as an array of the library `xp`.

    Example:
        >>> to_library(np.ones(1), (), np)
        array([1.])

    Args:
        value: the result.
        given: arguments; a tensor of PyTorch among them has the device.
        xp: array namespace.
    """
    if is_jax(xp):
        return value
    if is_torch(xp):
        device = next(x.device for x in given if compat.is_torch_array(x))
        return xp.asarray(np.array(value), device=device)
    return np.asarray(value)[()]


def scalar(value: Any, like: Any, xp: Any) -> Any:
    """Return a number as an array of the dtype and device of another array.

    Example:
        >>> scalar(2, np.ones(3, "float32"), np).dtype
        dtype('float32')
    """
    if is_torch(xp):
        return xp.asarray(value, dtype=like.dtype, device=like.device)
    return xp.asarray(value, dtype=like.dtype)


def _of_numpy(name: str, value: Any) -> np.ndarray:
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise not_numbers(name, " ".join(str(error).split())[:120]) from error
    if array.dtype.kind in "fiub":
        return array
    if array.dtype.isbuiltin == 2:  # bfloat16 and others of ml_dtypes
        try:
            return array.astype(np.float32, casting="safe")
        except TypeError:
            pass
    raise not_numbers(name, str(array.dtype))


def _of_torch(values: dict[str, Any]) -> list[Any]:
    import torch

    first = next(value for value in values.values() if isinstance(value, torch.Tensor))
    tensors = []
    for name, value in values.items():
        given = isinstance(value, torch.Tensor)
        tensor = (
            value if given else torch.tensor(np.array(_of_numpy(name, value)), device=first.device)
        )
        fault = torch_fault(name, tensor)
        if fault is not None:
            message = f"{name} is {fault}"
            raise InputError(message)
        if tensor.is_complex():
            raise not_numbers(name, str(tensor.dtype).removeprefix("torch."))
        tensors.append((given, tensor))
    floats = [t.dtype for given, t in tensors if given and t.is_floating_point()]
    wide = torch.float64 in (floats or [torch.get_default_dtype()])
    return [tensor.to(torch.float64 if wide else torch.float32) for _, tensor in tensors]
