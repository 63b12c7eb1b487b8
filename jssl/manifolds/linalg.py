"""Small matrix algebra of the manifolds: products at a pinned precision, functions of a matrix.

    f(A) = V f(D) V^T,   df(A)[B] = V (F o V^T B V) V^T,   F_ij = (f_i - f_j) / (d_i - d_j)

The second line (Daleckii and Krein) stays finite at equal eigenvalues, where F_ij = f'(d_i) and
the derivative of `eigh` itself is NaN.
"""

from collections.abc import Callable
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
    """Return the matrix exponential of (..., p, p) by products alone, to rounding.

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


def symmetric_function(
    function: Callable[[Array], Array], derivative: Callable[[Array], Array]
) -> Callable[[Array], Array]:
    """Return `matrix -> V f(eigenvalues) V^T`, differentiable at repeated eigenvalues.

    Example:
        >>> square = symmetric_function(lambda d: d**2, lambda d: 2 * d)
        >>> print(jax.grad(lambda a: square(a).sum())(jnp.eye(2)))
        [[2. 2.]
         [2. 2.]]

    Args:
        function: elementwise function of the eigenvalues.
        derivative: its derivative, elementwise.
    """

    @jax.custom_jvp
    def apply(matrix: Array) -> Array:
        values, vectors = jnp.linalg.eigh(matrix)
        return matmul(vectors * function(values)[..., None, :], vectors.mT)

    @apply.defjvp
    def apply_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
        values, vectors = jnp.linalg.eigh(primals[0])
        images = function(values)
        gaps = values[..., :, None] - values[..., None, :]
        # Rounding errs by eps / gap, the midpoint derivative by gap^2: equal at eps^(1/3).
        near = jnp.abs(gaps) < jnp.finfo(gaps.dtype).eps ** (1 / 3)
        slopes = derivative((values[..., :, None] + values[..., None, :]) / 2)
        secants = (images[..., :, None] - images[..., None, :]) / jnp.where(near, 1, gaps)
        rotated = matmul(vectors.mT, matmul(symmetric_part(tangents[0]), vectors))
        change = matmul(vectors, matmul(jnp.where(near, slopes, secants) * rotated, vectors.mT))
        return matmul(vectors * images[..., None, :], vectors.mT), change

    return apply
