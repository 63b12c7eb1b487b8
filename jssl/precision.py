"""Double precision: `float64()` is the only place that enables 64-bit types.

Library functions follow the dtype of their arguments and do not change the precision. Commands,
tests and `predict` functions run inside `float64()`.
"""

import contextlib
from collections.abc import Iterator

import jax
import numpy as np


@contextlib.contextmanager
def float64() -> Iterator[None]:
    """Run the block with 64-bit types on the CPU device.

    Use it around whole computations, not inside a function that is differentiated or jitted.
    Convert results with `numpy.asarray` before the block ends: outside it, JAX operations on a
    float64 array compute in 32 bits.

    Example:
        >>> import jax.numpy as jnp
        >>> with float64():
        ...     print(jnp.ones(()).dtype)
        float64
    """
    with jax.enable_x64(True), jax.default_device(jax.devices("cpu")[0]):
        yield


def constant(array: np.ndarray) -> np.ndarray:
    """Return a NumPy array in the precision of the moment, for use inside a traced function.

    Example:
        >>> table = np.linspace(0, 1, 3)
        >>> print(constant(table).dtype)
        float32
        >>> with float64():
        ...     print(constant(table) is table)
        True

    An array that outlives a call, such as a cached quadrature rule, needs this where functions are
    traced in both precisions. JAX 0.10 keeps the rounded form of an array of 64 bits that it met in
    32 bits and takes it again inside `float64()`: the numbers are then wrong by 1e-8, or the
    program does not compile.
    """
    return np.asarray(array, jax.dtypes.canonicalize_dtype(array.dtype))
