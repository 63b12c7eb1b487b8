"""Descent on population losses of a linear encoder, by automatic differentiation of the value."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jssl.theory import isotropy
from jssl.types import Array

DYNAMICS = "Learning dynamics of isotropic regularisers (2026)"
LEJEPA = "Balestriero and LeCun 2025, arXiv 2511.08544"


def source(*marks: str, paper: str = DYNAMICS) -> str:
    """Return the source of a claim: the paper, and the equations in docs/equations.md."""
    return f"{paper}; {', '.join(marks)} in docs/equations.md"


@functools.partial(jax.jit, static_argnames=("regulariser", "width", "records", "every"))
def descent(
    start: Array,
    variances: Array,
    noises: Array,
    strength: Array,
    learning_rate: Array,
    *,
    regulariser: str,
    width: float | None,
    records: int,
    every: int,
) -> Array:
    """Return the eigenvalues (records, K) after every `every` steps of gradient descent.

    The loss sum_j c_j w_j^2 + strength R(q_j w_j^2) of the scales w_j of an aligned encoder is
    differentiated by JAX.
    """

    def loss(w: Array) -> Array:
        value = isotropy.value(variances * w**2, regulariser=regulariser, width=width)
        return jnp.sum(noises * w**2) + strength * value

    def step(_: Array, w: Array) -> Array:
        return w - learning_rate * jax.grad(loss)(w)

    def record(w: Array, _: None) -> tuple[Array, Array]:
        w = jax.lax.fori_loop(0, every, step, w)
        return w, variances * w**2

    return jax.lax.scan(record, jnp.sqrt(start / variances), length=records)[1]


def crossing(times: np.ndarray, values: np.ndarray, level: float = 0.5) -> float:
    """Return when values (T,) first exceed a level, by interpolation; infinite if they do not."""
    above = np.flatnonzero(values >= level)
    if not len(above):
        return np.inf
    k = int(above[0])
    if k == 0:
        return float(times[0])
    share = (level - values[k - 1]) / (values[k] - values[k - 1])
    return float(times[k - 1] + share * (times[k] - times[k - 1]))


def standard_error(values: np.ndarray) -> float:
    """Return the standard error of the mean of independent values."""
    return float(np.std(values, ddof=1) / len(values) ** 0.5)


def mapped(function: Callable[..., Array]) -> Callable[..., Array]:
    """Return a compiled function over the leading axis of its arguments."""
    return jax.jit(jax.vmap(function))
