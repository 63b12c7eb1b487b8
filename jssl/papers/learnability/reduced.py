"""Gradient of the self-supervised loss, with view noise drawn only where it has an effect.

With a_i = w_j . x^_i, a step needs only the pre-activations W e_i and, per row j, the sums
sum_i c_ij e_i, where c_ij are the sample weights of the gradient. Write W = L Q with orthonormal
rows Q. Then W e_i = L z_i with z_i = Q e_i ~ N(0, I), and, given all z_i,

    sum_i c_ij e_i = sum_i c_ij Q^T z_i + (I - Q^T Q) g_j,   g ~ N(0, (sum_i c_i c_i^T) x I),

so 2 n m + m d normals replace the 2 n d of the direct draw (n samples, d dimensions, m rows): 420
instead of 2,000 at the size of the paper. The distribution of the step is exactly the same.

References:
    Yang, Li, Jiang, Li, arXiv 2401.03214, for the loss and its step. The reduced draw is not in the
    paper.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jssl.data.draws import normals
from jssl.types import Array

UNROLLED = 8
"""Number of rows up to which loops over rows are unrolled. To compile more takes too long."""


def reduced_gradient(
    weight: Array,
    x: Array,
    key: Array,
    *,
    noise: float | Array,
    decay: float | Array,
    activation: Callable[[Array], Array] = jax.nn.sigmoid,
    correlation: float = 0.0,
) -> Array:
    """Return one draw of the gradient with independent noise on both views.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jax.random.normal(jax.random.key(0), (100, 10))
        >>> weight = jnp.eye(2, 10)
        >>> reduced_gradient(weight, x, jax.random.key(1), noise=0.1, decay=1 / 800).shape
        (2, 10)

    The gradient of -(1/n) sum_i act(W x^_i) . act(W x^'_i) + decay ||W||^2, where
    x^ = x + noise e and x^' = x + noise e'.

    Args:
        weight: (m, d) rows of the one-layer model, m <= d.
        x: (n, d) samples before the view noise.
        key: a typed key.
        noise: standard deviation of the view noise, >= 0.
        decay: weight decay (alpha), >= 0.
        activation: elementwise, differentiable.
        correlation: correlation of e and e' in [-1, 1]; 0 is the independent noise of the paper.

    Returns:
        (m, d) gradient with exactly the distribution of the direct draw.
    """
    rows, dim = weight.shape
    samples = x.shape[0]
    lower, basis = orthonormal_rows(weight)
    draw = normals(key, 2 * samples * rows + rows * dim, weight.dtype)
    inside = draw[: 2 * samples * rows].reshape(2, rows, samples)
    outside = draw[2 * samples * rows :].reshape(rows, dim)
    first, second = inside
    if correlation:
        second = correlation * first + (1 - correlation**2) ** 0.5 * second
    clean = weight @ x.T
    za, slope_a = jax.jvp(activation, (h := clean + noise * (lower @ first),), (jnp.ones_like(h),))
    zb, slope_b = jax.jvp(activation, (h := clean + noise * (lower @ second),), (jnp.ones_like(h),))
    ca, cb = slope_a * zb, za * slope_b
    gram = ca @ ca.T + cb @ cb.T
    if correlation:
        cross = ca @ cb.T
        gram = gram + correlation * (cross + cross.T)
    along = ca @ first.T + cb @ second.T
    outside = cholesky(gram) @ outside
    tail = outside + (along - outside @ basis.T) @ basis
    return 2 * decay * weight - ((ca + cb) @ x + noise * tail) / samples


def orthonormal_rows(weight: Array) -> tuple[Array, Array]:
    """Return L (lower triangular) and Q (orthonormal or zero rows) with weight = L Q.

    Example:
        >>> import jax.numpy as jnp
        >>> lower, basis = orthonormal_rows(jnp.array([[3.0, 4.0, 0.0], [3.0, 4.0, 2.0]]))
        >>> print(lower, basis[1])
        [[5. 0.]
         [5. 2.]] [0. 0. 1.]

    Each row is orthogonalised twice by Gram-Schmidt, so that nearly parallel rows are orthogonal up
    to rounding. A row in the span of those before it has a zero row in Q, and `W e = L Q e` holds.

    Args:
        weight: (m, d).

    Returns:
        L (m, m) and Q (m, d).
    """
    tiny = 8 * jnp.finfo(weight.dtype).eps

    def add(j: Array | int, basis: Array) -> Array:
        row = weight[j]
        size = jnp.sqrt(row @ row)
        for _ in range(2):
            row = row - (basis @ row) @ basis  # rows from j on are zero
        norm = jnp.sqrt(row @ row)
        kept = norm > tiny * size
        return basis.at[j].set(jnp.where(kept, row / jnp.where(kept, norm, 1), 0))

    basis = _for_each_row(add, jnp.zeros_like(weight), weight.shape[0])
    return jnp.tril(weight @ basis.T), basis


def cholesky(gram: Array) -> Array:
    """Return the lower factor of a small positive semidefinite matrix, zero where it is singular.

    Example:
        >>> import jax.numpy as jnp
        >>> print(cholesky(jnp.array([[4.0, 2.0], [2.0, 1.0]])))
        [[2. 0.]
         [1. 0.]]

    Args:
        gram: (m, m), symmetric and positive semidefinite.
    """
    rows = jnp.arange(gram.shape[0])

    def add(j: Array | int, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        gram, lower = carry
        pivot = jnp.sqrt(jnp.maximum(gram[j, j], 0))
        column = jnp.where(pivot > 0, gram[:, j] / jnp.where(pivot > 0, pivot, 1), 0)
        column = jnp.where(rows >= j, column, 0)
        return gram - jnp.outer(column, column), lower.at[:, j].set(column)

    return _for_each_row(add, (gram, jnp.zeros_like(gram)), gram.shape[0])[1]


def _for_each_row(add: Callable[[Any, Any], Any], start: Any, rows: int) -> Any:
    if rows > UNROLLED:
        return jax.lax.fori_loop(0, rows, add, start)
    for j in range(rows):
        start = add(j, start)
    return start
