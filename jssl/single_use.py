"""Compiler settings: programs that run once, and those of many steps among them.

A program that runs once takes longer to compile than to run. Operations outside `jax.jit` are
compiled one by one, some 0.05 s each. One program of all of them, compiled without the expensive
optimisations, is ready in a fraction of that time. A command that compiles hundreds of such
programs sets this for the whole process (`compile_cheaply_by_default`); its programs of many steps
then ask for more (`compile_for_many_steps`). Results differ by rounding only; where a random start
is drawn in float32, that is rounding to 6e-8 of its size.
"""

import importlib.metadata
import os
from collections.abc import Callable
from typing import Any

CHEAP: dict[str, Any] = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
    "xla_cpu_parallel_codegen_split_count": 1,
}
"""Options of the XLA compiler for a program that runs once: one piece of code, not optimised."""
USUAL: dict[str, Any] = {
    "xla_backend_optimization_level": 3,
    "xla_llvm_disable_expensive_passes": False,
    "xla_cpu_parallel_codegen_split_count": 32,
}
"""The options of the compiler's own choice."""
if importlib.metadata.version("jaxlib").startswith("0.10."):  # later versions have no such option
    CHEAP["xla_cpu_use_fusion_emitters"], USUAL["xla_cpu_use_fusion_emitters"] = False, True

MATRIX_STEPS: dict[str, Any] = {**CHEAP, "xla_backend_optimization_level": 1}
"""Options for many steps of matrix products, which are not compiled: half the time to compile."""


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
    import jax  # only here: the command line reads the options before it needs JAX

    return jax.jit(function, static_argnames=static_argnames, compiler_options=CHEAP)


def compile_for_many_steps(
    function: Callable[..., Any], *, products: bool = False, **options: Any
) -> Any:
    """Return `jax.jit(function)`, optimised where other programs of the process are not.

    Example:
        >>> compile_for_many_steps(lambda x: 2 * x)(1.5).item()
        3.0

    Args:
        function: as for `jax.jit`, and not called inside another such program.
        products: whether nearly all of its work is in matrix products, as in training a network.
        **options: as for `jax.jit`.
    """
    import jax

    cheap = _flags(CHEAP) in os.environ.get("XLA_FLAGS", "")
    chosen = MATRIX_STEPS if products else USUAL
    return jax.jit(function, compiler_options=chosen if cheap else None, **options)


def compile_cheaply_by_default() -> None:
    """Compile the programs of this process, and of those it starts, with `CHEAP` options.

    Call it before JAX has started. Flags in the environment variable `XLA_FLAGS` are kept and have
    precedence.
    """
    given = os.environ.get("XLA_FLAGS", "")
    if _flags(CHEAP) not in given:
        os.environ["XLA_FLAGS"] = f"{_flags(CHEAP)} {given}".strip()


def _flags(options: dict[str, Any]) -> str:
    return " ".join(f"--{name}={str(value).lower()}" for name, value in options.items())
