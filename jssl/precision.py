"""The one door to double precision.

Library functions follow the dtype of their arguments and never switch precision themselves.
Commands, tests and host entry points run inside `float64()`.
"""

import contextlib
from collections.abc import Iterator

import jax


@contextlib.contextmanager
def float64() -> Iterator[None]:
    """Run the block with 64-bit types on the CPU device.

    Open it around whole computations on the host, never inside a function that is differentiated
    or jitted, and convert what leaves the block with `numpy.asarray`: outside it, JAX operations
    on a float64 array fall back to 32 bits.

    Example:
        >>> import jax.numpy as jnp
        >>> with float64():
        ...     print(jnp.ones(()).dtype)
        float64
    """
    with jax.enable_x64(True), jax.default_device(jax.devices("cpu")[0]):
        yield
