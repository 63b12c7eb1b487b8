"""Small matrix algebra of the manifolds: products at a pinned precision, functions of a matrix.

Functions of a matrix are computed by products only, so they are differentiable to every order where
eigenvalues are equal; the derivative of `eigh` is NaN there.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jssl.types import Array

PRECISION = "highest"
"""TF32 or bfloat16 products leave the manifold by 3e-4 a step."""


def matmul(a: Array, b: Array, precision: Any = PRECISION) -> Array:
    """Return a b for (..., n, m) and (..., m, p) at full precision on every device.

    Example:
        >>> print(matmul(jnp.ones((2, 3)), jnp.ones((3, 1))).T)
        [[3. 3.]]
    """
    return jnp.matmul(a, b, precision=precision)


def symmetric_part(a: Array) -> Array:
    """Return (a + a^T) / 2.

    Example:
        >>> print(symmetric_part(jnp.array([[0.0, 2.0], [0.0, 0.0]])))
        [[0. 1.]
         [1. 0.]]
    """
    return (a + a.mT) / 2


def identity_like(a: Array) -> Array:
    """Return the (p, p) identity that fits the columns of a (..., n, p).

    Example:
        >>> print(identity_like(jnp.ones((3, 2))).shape)
        (2, 2)
    """
    return jnp.eye(a.shape[-1], dtype=a.dtype)


@jax.jit
def expm(a: Array) -> Array:
    """Return the matrix exponential of (..., p, p) by products only, to rounding.

    Example:
        >>> print(expm(jnp.array([[0.0, -jnp.pi], [jnp.pi, 0.0]])).round(3) + 0)
        [[-1.  0.]
         [ 0. -1.]]

    A Taylor polynomial of a / 2^s, of norm below 1/4, squared s times. Unlike
    `jax.scipy.linalg.expm` it compiles in milliseconds and needs no LU, a loop on a GPU.

    Args:
        a: (..., p, p) of norm up to about 1e4.
    """
    norm = lax.stop_gradient(jnp.abs(a).sum(-1).max(-1)[..., None, None])
    squarings = jnp.clip(jnp.ceil(jnp.log2(norm)) + 2, 0, 16)
    small, eye = a / 2**squarings, jnp.broadcast_to(identity_like(a), a.shape)

    def add(total: Array, k: Array) -> tuple[Array, None]:
        return eye + matmul(small, total) / k, None

    def square(power: Array, k: Array) -> tuple[Array, None]:
        return jnp.where(k < squarings, matmul(power, power), power), None

    series = lax.scan(add, eye, jnp.arange(12, 0, -1, dtype=a.dtype))[0]
    return lax.scan(square, series, jnp.arange(16, dtype=a.dtype))[0]


def symmetric_polynomial(coefficients: tuple[float, ...], a: Array) -> Array:
    """Return sum_k c_k T_k(2 a - 1), T_k the Chebyshev polynomials: a function of a on [0, 1].

    Example:
        >>> print(symmetric_polynomial((1.0, 2.0), jnp.diag(jnp.array([0.0, 1.0]))))
        [[-1.  0.]
         [ 0.  3.]]

    Args:
        coefficients: c_0, c_1, ...
        a: (..., p, p) symmetric with eigenvalues in [0, 1] up to rounding.
    """
    eye = jnp.broadcast_to(identity_like(a), a.shape)
    twice = 4 * a - 2 * eye

    def add(later: tuple[Array, Array], c: Array) -> tuple[tuple[Array, Array], None]:
        return (c * eye + matmul(twice, later[0]) - later[1], later[0]), None

    # Clenshaw's recurrence, from the highest order down.
    downward = jnp.asarray(coefficients[:0:-1], a.dtype)
    zero = jnp.zeros_like(eye)
    (first, second), _ = lax.scan(add, (zero, zero), downward)
    return coefficients[0] * eye + matmul(twice, first) / 2 - second


def norm(a: Array, axes: tuple[int, ...] = (-2, -1)) -> Array:
    """Return the root of the sum of squares, with derivative 0 where it is 0.

    Example:
        >>> print(norm(jnp.full((2, 2), 2.0)), jax.grad(norm)(jnp.zeros((1, 2))))
        4.0 [[0. 0.]]

    Args:
        a: real numbers.
        axes: those that are summed over.
    """
    squares = jnp.square(a).sum(axes)
    positive = squares > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squares, 1)), 0)
