"""The arrays of a result: their shapes, and the NumPy dtypes that hold what JAX computes."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.errors import InputError

NOT_RUN = -2
"""`first_bad_step` of a run that has not been made; -1 says that it stayed finite."""


class Variable(NamedTuple):
    """An array of the result.

    Attributes:
        dims: names of its dimensions.
        shape: their sizes.
        dtype: NumPy dtype.
        attributes: units and long name.
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: Any
    attributes: Mapping[str, str]

    @property
    def bytes(self) -> int:
        """Return the size of the whole array."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def fill(self) -> Any:
        """Return what stands where no run has been made."""
        kind = np.dtype(self.dtype).kind
        return {"f": np.nan, "c": np.nan, "b": False}.get(kind, NOT_RUN if kind == "i" else 0)


def stored_dtype(dtype: Any) -> np.dtype:
    """Return the dtype in which an observable is kept: its own, or a wider one that NumPy has.

    Stores and other readers know NumPy's dtypes alone. float32 holds every bfloat16 and float8,
    int8 and uint8 every integer of fewer bits.

    Example:
        >>> print(stored_dtype(jnp.bfloat16), stored_dtype(jnp.int4), stored_dtype(jnp.complex64))
        float32 int8 complex64

    Raises:
        InputError: for random keys, which are no numbers.
    """
    if jax.dtypes.issubdtype(dtype, jax.dtypes.extended):
        message = f"an observable of dtype {dtype} cannot be kept; return jax.random.key_data(key)"
        raise InputError(message)
    found = np.dtype(dtype)
    if found.isbuiltin == 1:  # float8_e5m2 has the kind of NumPy's floats, and is none of them
        return found
    for kind, wider in ((jnp.floating, np.float32), (jnp.signedinteger, np.int8)):
        if jnp.issubdtype(found, kind):
            return np.dtype(wider)
    return np.dtype(np.uint8)
