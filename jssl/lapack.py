"""Which traced functions call LAPACK when they run on the CPU.

Under jaxlib 0.10, batched LAPACK calls of programs that run at the same time on several CPU devices
may deadlock. Programs that would run on several devices are therefore checked first.
"""

from collections.abc import Iterator
from typing import Any

LAPACK = frozenset(
    {
        "cholesky",
        "eig",
        "eigh",
        "geqp3",
        "geqrf",
        "hessenberg",
        "householder_product",
        "lu",
        "ormqr",
        "qr",
        "schur",
        "svd",
        "triangular_solve",
        "tridiagonal",
        "tridiagonal_solve",
    }
)
"""Primitives that JAX computes by LAPACK on the CPU."""


def calls_lapack(jaxpr: Any) -> bool:
    """Return whether a jaxpr calls LAPACK when it runs on the CPU, at any depth.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> def f(x):
        ...     return jax.lax.map(jnp.linalg.eigvalsh, x)
        >>> print(calls_lapack(jax.make_jaxpr(f)(jnp.ones((2, 3, 3))).jaxpr))
        True
    """
    for equation in jaxpr.eqns:
        target = str(equation.params.get("target_name", ""))
        if equation.primitive.name in LAPACK or target.startswith(("lapack_", "blas_")):
            return True
        if any(calls_lapack(inner) for inner in jaxprs_in(equation.params)):
            return True
    return False


def jaxprs_in(params: Any) -> Iterator[Any]:
    """Return the jaxprs in the parameters of an equation."""
    for value in params.values():
        for item in value if isinstance(value, tuple | list) else (value,):
            inner = getattr(item, "jaxpr", item)
            if hasattr(inner, "eqns"):
                yield inner
