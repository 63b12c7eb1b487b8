"""Programs that run once: they take longer to compile than to run, so compiling is kept short.

Operations outside `jax.jit` are compiled one by one, some 0.05 s each. One program of all of them,
compiled without the expensive optimisations, is ready in a fraction of that time.
"""

from collections.abc import Callable
from typing import Any

import jax

CHEAP = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
"""Options of the XLA compiler."""


def compile_cheaply(
    function: Callable[..., Any], *, static_argnames: str | tuple[str, ...] = ()
) -> Callable[..., Any]:
    """Return `jax.jit(function)` that compiles fast and runs slowly.

    Example:
        >>> compile_cheaply(lambda x: 2 * x)(1.5).item()
        3.0

    Args:
        function: as for `jax.jit`; one that is called once, on small arrays.
        static_argnames: as for `jax.jit`.
    """
    return jax.jit(function, static_argnames=static_argnames, compiler_options=CHEAP)
