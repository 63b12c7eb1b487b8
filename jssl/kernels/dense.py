"""Dense factors of a Gram matrix K, and of A K with A symmetric.

With K = B B^T of any shape, the nonzero eigenvalues of A K are those of B^T A B: for
B^T A B y = eigenvalue y and |y| = 1,

    c = A B y / eigenvalue    has    A K c = eigenvalue c,    c^T K c = 1,

whether K is regular (B its Cholesky factor) or singular (B its scaled eigenvectors), and without
a triangular solve.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jssl.arithmetic import unit_of, working
from jssl.host_arithmetic import host_value
from jssl.kernels import lanczos
from jssl.kernels.pairing import check_product
from jssl.types import Array


class SquareRoot(NamedTuple):
    """The symmetric square root of a Gram matrix, and what was done to take it.

    Attributes:
        root: (size, size) symmetric positive semi-definite.
        rank: number of eigenvalues above size x epsilon x the largest.
        clipped: the most negative eigenvalue over the largest, as a positive number; set to 0.
    """

    root: Array
    rank: Array
    clipped: Array


def square_root(gram: Array) -> SquareRoot:
    """Return the symmetric square root, its rank, and how much rounding was clipped.

    Example:
        >>> import jax.numpy as jnp
        >>> square_root(jnp.array([[2.0, 2.0], [2.0, 2.0]])).rank.item()
        1

    Args:
        gram: (size, size) symmetric, positive semi-definite up to rounding.
    """
    factor, vectors, rank, clipped = range_factor(*working(gram=gram))
    return SquareRoot(jnp.matmul(factor, vectors.T, precision="highest"), rank, clipped)


@jax.jit
def range_factor(gram: Array) -> tuple[Array, Array, Array, Array]:
    """Return B with K = B B^T, zero columns for the null space, V, rank, and clipping."""
    values, vectors = jnp.linalg.eigh(gram)
    largest = jnp.max(jnp.abs(values))
    inside = values > gram.shape[0] * jnp.finfo(values.dtype).eps * largest
    root = jnp.where(inside, jnp.sqrt(jnp.where(inside, values, 1)), 0)
    clipped = jnp.maximum(-jnp.min(values), 0) / jnp.where(largest > 0, largest, 1)
    return vectors * root, vectors, jnp.sum(inside), clipped


def cholesky(gram: Array) -> Array | None:
    """Return the Cholesky factor where K is regular and its values are known, else None."""
    factor = jnp.linalg.cholesky(gram)
    pivots = host_value(jnp.diag(factor) ** 2)
    if pivots is None:
        return None
    regular = pivots.min() > pivots.size * np.finfo(pivots.dtype).eps * pivots.max()
    return factor if regular else None


@partial(jax.jit, static_argnums=(3, 4))
def diagonalise(
    gram: Array, factor: Array, pairing: Partial, dim: int, cutoff: float
) -> tuple[tuple[Array, Array, Array, Array], Array]:
    """Return eigenvalues, coefficients and residuals of A K, and how many are positive.

    Eigenvalues and residuals are over a unit, which comes fourth.
    """
    with jax.default_matmul_precision("highest"):
        paired = pairing(factor)
        check_product("pairing", paired, factor)
        unit = unit_of(paired)

        def scaled_pairing(v: Array) -> Array:
            return pairing(v) / unit

        projected = factor.T @ (paired / unit)
        values, vectors = jnp.linalg.eigh((projected + projected.T) / 2)
        floor = cutoff * jnp.max(jnp.abs(values))
        positive = jnp.sum(values > floor)
        values, vectors = values[::-1][:dim], vectors[:, ::-1][:, :dim]
        # c = A B y / eigenvalue: no triangular solve, and right for a singular K too.
        real = jnp.abs(values) > floor
        scaled = jnp.where(real, vectors / jnp.where(real, values, 1), 0)
        coefficients = scaled_pairing(factor @ scaled)
        product = partial(jnp.matmul, gram)
        residual = lanczos.residual_norms(
            product, scaled_pairing, coefficients, product(coefficients), values
        )
        return (values, coefficients, residual, unit), positive
