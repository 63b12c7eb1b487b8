"""Accurate arithmetic: a common working dtype, exact centring, and means that do not overflow.

Integers and booleans are converted to floating point before any operation, so that nothing wraps
around. Half precision (float16, bfloat16) holds too few digits and too small a range for sums over
a batch: it is taken as it is and computed with in float32.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl.errors import InputError
from jssl.host_arithmetic import not_numbers, without_mask
from jssl.types import Array


def floating(**values: Any) -> tuple[Array, ...]:
    """Return arrays of real numbers as floating point, each in its own dtype.

    Example:
        >>> [x.dtype.name for x in floating(a=np.int8([1]), b=np.float16([1]))]
        ['float32', 'float16']

    Args:
        **values: arrays or nested lists of real numbers, by the name used in an error message.

    Returns:
        The arrays in the order given. Integers and booleans become JAX's default float.

    Raises:
        InputError: for complex numbers, strings, objects, or lists of unequal lengths.
    """
    return tuple(_floating(name, value) for name, value in values.items())


def working(**values: Any) -> tuple[Array, ...]:
    """Return arrays of real numbers in one floating dtype of at least 32 bits.

    Example:
        >>> [x.dtype.name for x in working(a=np.int8([1]), b=np.float16([1]))]
        ['float32', 'float32']

    The dtype is the widest floating dtype among the arguments and at least float32; JAX's default
    float where all are integers.

    Args:
        **values: as for `floating`.

    Raises:
        InputError: as `floating`.
    """
    arrays = [real(name, value) for name, value in values.items()]
    wide = [_wide(a.dtype) for a in arrays if jnp.issubdtype(a.dtype, jnp.floating)]
    dtype = jnp.result_type(*wide) if wide else jnp.result_type(float)
    return tuple(a.astype(dtype) for a in arrays)


def unit_of(x: Array, axis: int | tuple[int, ...] | None = None) -> Array:
    """Return a power of 4 near the largest absolute value, 1 for zeros; division by it is exact.

    Example:
        >>> print(unit_of(jnp.array([3.0, -70.0])))
        64.0

    Args:
        x: floating.
        axis: over which the largest is taken; None for all.
    """
    largest = jnp.max(jnp.abs(x), axis=axis)
    _, exponent = jnp.frexp(largest)
    unit = jnp.ldexp(jnp.ones_like(largest), (exponent - 1) // 2 * 2)
    return jnp.where(jnp.isfinite(largest) & (largest > 0), unit, 1)


def as_array(value: Any) -> Array:
    """Return `jnp.asarray(value)`; for a NumPy array without a program for each of its shapes.

    Example:
        >>> as_array(np.arange(2.0)).tolist()
        [0.0, 1.0]

    JAX 0.10 compiles `jnp.asarray` of a NumPy array, which takes 50 times as long as the copy.
    """
    return jax.device_put(value) if type(value) is np.ndarray else jnp.asarray(value)


def real(name: str, value: Any) -> Array:
    """Return an array of real numbers in its own dtype.

    Example:
        >>> real("labels", [1, 2]).dtype
        dtype('int32')

    Raises:
        InputError: as `floating`.
    """
    value = without_mask(name, value)
    try:
        with np.errstate(over="ignore"):  # a float64 number beyond float32 becomes inf
            array = as_array(_not_wrapped(value))
    except (TypeError, ValueError, OverflowError) as error:
        raise not_numbers(name, " ".join(str(error).split())[:120]) from error
    real = (jnp.floating, jnp.integer, jnp.bool_)
    if not any(jnp.issubdtype(array.dtype, kind) for kind in real):
        raise not_numbers(name, array.dtype.name)
    return array


def _not_wrapped(value: Any) -> Any:
    """Return integers that JAX's own integers do not hold as floating point."""
    if not isinstance(value, np.ndarray | np.generic) or value.dtype.kind not in "iu":
        return value
    held = np.iinfo(as_array(np.zeros((), value.dtype)).dtype)
    if held.bits == 8 * value.dtype.itemsize or not value.size:
        return value
    fits = held.min <= int(value.min()) and int(value.max()) <= held.max
    return value if fits else value.astype(np.float64)


def rows(name: str, value: Any, *, least: int = 1) -> Array:
    """Return embeddings (..., n, dim) in the working dtype.

    Example:
        >>> rows("embeddings", [[1, 2], [3, 4]]).shape
        (2, 2)

    Args:
        name: what the array is called in an error message.
        value: the array.
        least: the smallest n.

    Raises:
        InputError: for fewer than two axes, fewer than `least` rows, no columns, or values that
            are not real numbers.
    """
    (z,) = working(**{name: value})
    if z.ndim < 2 or z.shape[-2] < least or not z.shape[-1]:
        message = f"{name} must be (n, dim) with n >= {least} and dim >= 1; got shape {z.shape}"
        raise InputError(message)
    return z


def centred(z: Array) -> Array:
    """Return rows (..., n, dim) minus their mean; rows that are all equal become exactly zero.

    Example:
        >>> print(centred(jnp.full((3, 2), 0.1)).max())
        0.0

    The first row is subtracted before the mean is taken: a mean that is large compared with
    the spread then causes no loss of accuracy, and the mean of equal numbers is not rounded.
    """
    shifted = z - z[..., :1, :]
    return shifted - mean(shifted, -2)[..., None, :]


def mean(x: Array, axis: int | None = None) -> Array:
    """Return the mean over one axis, or over all; divides first, so that the sum cannot overflow.

    Example:
        >>> print(mean(jnp.full(4, 2e38)))
        2e+38
    """
    return jnp.sum(x / (x.size if axis is None else x.shape[axis]), axis=axis)


def dot(a: Array, b: Array) -> Array:
    """Return the matrix product, in full precision unless `jax.default_matmul_precision` is set.

    Example:
        >>> dot(jnp.eye(2), jnp.ones((2, 1))).tolist()
        [[1.0], [1.0]]

    An accelerator's own default rounds float32 to TF32 or bfloat16 first; a choice of the caller,
    as `jssl.simulate(precision=...)` makes, is followed.
    """
    chosen = jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]
    return jnp.matmul(a, b, precision="highest" if chosen is None else None)


def _floating(name: str, value: Any) -> Array:
    array = real(name, value)
    is_float = jnp.issubdtype(array.dtype, jnp.floating)
    return array if is_float else array.astype(jnp.result_type(float))


def _wide(dtype: Any) -> Any:
    return jnp.float32 if jnp.finfo(dtype).bits < 32 else dtype
