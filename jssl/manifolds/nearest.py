"""The orthonormal matrix nearest to any matrix of full rank, differentiable to every order.

    Y = Q H,   Q^T Q = I,   H = (Y^T Y)^{1/2}
    dQ = Q Omega + (I - Q Q^T) dY H^{-1},   H Omega + Omega H = Q^T dY - dY^T Q

The Sylvester equation divides by sums s_i + s_j of singular values, so the derivative is smooth
wherever Y has full rank; the derivative of singular vectors divides by s_i - s_j and is NaN where
two are equal, as all are at a point of a manifold. Higham 2008, "Functions of Matrices", chapter 8.
"""

import jax
import jax.numpy as jnp

from jssl.manifolds.linalg import matmul, symmetric_part
from jssl.manifolds.retractions import polish
from jssl.types import Array


@jax.custom_jvp
def nearest(y: Array) -> Array:
    """Return the polar factor of y by singular values, for any spectrum.

    Example:
        >>> print(jax.grad(lambda y: nearest(y)[0, 1])(2 * jnp.eye(2)))
        [[ 0.    0.25]
         [-0.25  0.  ]]

    Args:
        y: (..., n, p) with n >= p. Where it lacks full rank a nearest matrix is returned, there are
            several, and the derivative is not finite.
    """
    left, _, right = jnp.linalg.svd(y, full_matrices=False)
    return polish(matmul(left, right))


@nearest.defjvp
def _nearest_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (y,), (change,) = primals, tangents
    q = nearest(y)
    stretch = symmetric_part(matmul(q.mT, y))
    inside = matmul(q.mT, change)
    rotation = _sylvester(stretch, inside - inside.mT)
    normal = jnp.linalg.solve(stretch, (change - matmul(q, inside)).mT).mT
    return q, matmul(q, rotation) + normal


def _sylvester(h: Array, skew: Array) -> Array:
    """Return the skew X with h X + X h = skew, for h symmetric positive definite."""

    def product(x: Array) -> Array:
        return matmul(h, x) + matmul(x, h)

    def solve(_: object, right: Array) -> Array:
        values, vectors = jnp.linalg.eigh(h)
        rotated = matmul(vectors.mT, matmul(right, vectors))
        sums = values[..., :, None] + values[..., None, :]
        return matmul(vectors, matmul((rotated - rotated.mT) / (2 * sums), vectors.mT))

    # Differentiates the equation, never the eigenvectors.
    solution: Array = jax.lax.custom_linear_solve(product, skew, solve, solve, symmetric=True)
    return solution
