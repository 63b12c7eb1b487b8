"""Arithmetic on the host, in NumPy: real numbers of any library in float64; nothing imports JAX."""

import sys
from typing import Any

import numpy as np

from jssl.errors import InputError

ROUNDING = 16
"""Singular values or eigenvalues below this many eps of the largest are rounding error.

LAPACK leaves 0.3 to 2 eps of the largest where the exact value is 0, for 64 to 20,000 rows and up
to 512 columns; a Gram matrix that was itself computed in the dtype leaves up to 4 eps.
"""


def host_float64(name: str, value: Any) -> np.ndarray:
    """Return real numbers of any library as a float64 NumPy array, for functions on the host.

    Example:
        >>> host_float64("values", np.int8([100])).tolist()
        [100.0]

    Args:
        name: what the array is called in an error message.
        value: an array or nested lists.

    Raises:
        InputError: for complex numbers, strings, objects, lists of unequal lengths, or masked
            values.
    """
    value = without_mask(name, value)
    try:
        array = np.asarray(value)
        if not (np.issubdtype(array.dtype, np.complexfloating) or array.dtype.kind in "OSUmM"):
            return array.astype(np.float64)
    except (TypeError, ValueError) as error:
        refuse_traced(name, value)
        raise not_numbers(name, " ".join(str(error).split())[:120]) from error
    raise not_numbers(name, str(array.dtype))


def refuse_traced(name: str, value: Any) -> None:
    """Raise for a value that is traced, or has traced parts.

    Example:
        >>> import jax
        >>> jax.jit(lambda x: host_float64("shares", x))(0.5)
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: shares must be known, not traced: this function computes on the ...

    Args:
        name: what the value is called.
        value: anything that was not accepted as numbers.
    """
    if "jax" not in sys.modules:
        return
    import jax  # only here: checks of numbers on the host do not need it

    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(value)):
        message = (
            f"{name} must be known, not traced: this function computes on the host, "
            "outside jax.jit, jax.grad and jax.vmap"
        )
        raise InputError(message)


def host_value(value: Any) -> np.ndarray | None:
    """Return the value as a NumPy array, or None where it is traced.

    Example:
        >>> float(host_value(0.5))
        0.5
        >>> import jax
        >>> jax.jit(lambda x: 0 if host_value(x) is None else 1)(0.5).item()
        0
    """
    try:
        return np.asarray(value)
    except TypeError as error:
        import jax  # only here: checks of numbers on the host do not need it

        if isinstance(error, jax.errors.TracerArrayConversionError):
            return None
        raise


def without_mask(name: str, value: Any) -> Any:
    """Return a masked array without its mask, after checking that nothing is masked.

    Example:
        >>> without_mask("z", np.ma.array([1.0, 2.0], mask=[False, True]))
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: z has 1 masked values; leave those rows out, or fill them first

    Args:
        name: what the array is called in an error message.
        value: anything; what is no masked array is returned unchanged.
    """
    if not isinstance(value, np.ma.MaskedArray):
        return value
    count = int(np.ma.getmaskarray(value).sum())
    if count:
        message = f"{name} has {count:,} masked values; leave those rows out, or fill them first"
        raise InputError(message)
    return value.data


def not_numbers(name: str, found: str) -> InputError:
    """Return the error for what is not an array of real numbers.

    Example:
        >>> print(not_numbers("values", "object"))
        values must be an array of real numbers; got object

    Args:
        name: what the array is called.
        found: its dtype, or why it is no array.
    """
    return InputError(f"{name} must be an array of real numbers; got {found}")
