"""The work of one run of a program, counted in its jaxpr: nothing is compiled.

Operations of matrix products, weighted elementwise operations, and bytes written. The counts are
rough: they serve to choose between plans.
"""

import math
from typing import Any, NamedTuple

from jssl.lapack import LAPACK, jaxprs_in

HEAVY = {
    "random_bits": 40,
    "threefry2x32": 40,
    "erf_inv": 20,
    "exp": 10,
    "log": 10,
    "log1p": 10,
    "tanh": 10,
    "logistic": 10,
    "erf": 10,
    "sin": 10,
    "cos": 10,
    "pow": 20,
}
"""Operations an entry of elementwise functions that are no single instruction."""


class Work(NamedTuple):
    """Work of one run.

    Attributes:
        products: floating-point operations of matrix products and convolutions.
        other: elementwise operations, weighted.
        traffic: bytes written by all operations.
        operations: number of operations.
        equations: number of distinct ones, each of which is compiled once.
    """

    products: float = 0.0
    other: float = 0.0
    traffic: float = 0.0
    operations: float = 0.0
    equations: float = 0.0

    def plus(self, more: "Work", times: float = 1.0) -> "Work":
        """Return the sum of this work and a number of repetitions of another.

        Repeated equations are compiled once, so `equations` counts them once.
        """
        total = Work(*(a + times * b for a, b in zip(self, more, strict=True)))
        return total._replace(equations=self.equations + more.equations)


def work_of(jaxpr: Any) -> tuple[Work, Work]:
    """Return the work of a jaxpr, (outside of its while loops, inside one turn of them).

    The steps between record points are a while loop of unknown length, so the second entry is the
    work of one training step and the first that of the start and the records.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> def f(x, n):
        ...     return jax.lax.fori_loop(0, n, lambda _, x: x @ x, x)
        >>> once, step = work_of(jax.make_jaxpr(f)(jnp.ones((8, 8)), 3).jaxpr)
        >>> print(once.products, step.products)
        0.0 1024.0
    """
    once, step = Work(), Work()
    for equation in jaxpr.eqns:
        if equation.primitive.name == "while":
            inner = work_of(equation.params["body_jaxpr"].jaxpr)
            step = step.plus(inner[0]).plus(inner[1])
            continue
        times = (
            float(equation.params.get("length", 1)) if equation.primitive.name == "scan" else 1.0
        )
        inside = False
        for sub in jaxprs_in(equation.params):
            inside = True
            sub_once, sub_step = work_of(sub)
            once, step = once.plus(sub_once, times), step.plus(sub_step)
        if not inside:
            once = once.plus(_equation(equation))
    return once, step


def _equation(equation: Any) -> Work:
    name = equation.primitive.name
    sizes = [math.prod(getattr(v.aval, "shape", ())) for v in equation.outvars]
    traffic = sum(
        size * getattr(getattr(v.aval, "dtype", None), "itemsize", 4)
        for size, v in zip(sizes, equation.outvars, strict=True)
    )
    if name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        left = equation.invars[0].aval.shape
        inner = math.prod(left[i] for i in contracted)
        return Work(2.0 * sizes[0] * inner, 0.0, traffic, 1, 1)
    if name == "conv_general_dilated":
        kernel = equation.invars[1].aval.shape
        out = equation.params["dimension_numbers"].rhs_spec[0]
        return Work(2.0 * sizes[0] * math.prod(kernel) / kernel[out], 0.0, traffic, 1, 1)
    if name in LAPACK:
        shape = equation.invars[0].aval.shape
        return Work(0.0, 10.0 * math.prod(shape) * shape[-1], traffic, 1, 1)
    return Work(0.0, float(sum(sizes)) * HEAVY.get(name, 1), traffic, 1, 1)
