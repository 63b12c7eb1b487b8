"""Double precision: `float64()` is the only place that enables 64-bit types.

Library functions follow the dtype of their arguments and do not change the precision. Commands,
tests and `predict` functions run inside `float64()`.
"""

import contextlib
from collections.abc import Iterator

import jax


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
