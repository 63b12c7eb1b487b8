"""Retractions to orthonormal columns: Y (..., n, p) of full rank -> Q with Q^T Q = I.

    polar          Q = Y (Y^T Y)^{-1/2}   the nearest point, by products only
    cholesky_qr2   Y = Q R, twice         R^T R = Y^T Y, a Cholesky factor of the small Gram matrix
    qr             Y = Q R                Householder (LAPACK), the reference: a loop under vmap
                                          on a GPU
    geodesic       [X K] exp [[A, -K^T K], [I, 0]] [I; 0],   A = X^T xi,  K = xi - X A

A tangent step has Gram matrix I + xi^T xi, so its square root is never ill-conditioned. Polar runs
Newton-Schulz on the p x p Gram matrix, each step scaled for the known interval of the
eigenvalues (Chen and Chow 2014): six steps and one polish reach rounding for steps of spectral norm
up to 20 in float32 and 10 in float64, for any spectrum; a longer one lands nearby and the
next steps finish. Rotating the columns of Y rotates those of `polar(Y)`, not those of a QR factor.
Edelman, Arias and Smith 1998, arXiv physics/9806030, sections 2.2 and 2.4, for the geodesic, here
without the QR factor of K.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jssl.manifolds.linalg import PRECISION, expm, identity_like, matmul
from jssl.types import Array

ITERATIONS = 6


@functools.partial(jax.jit, static_argnames="precision")
def polar(y: Array, precision: Any = PRECISION) -> Array:
    """Return the orthonormal matrix nearest to y.

    Example:
        >>> q = polar(jnp.array([[1.0, 0.2], [0.1, 1.0], [0.3, 0.0]]))
        >>> print(jnp.abs(q.T @ q - jnp.eye(2)).max() < 1e-6)
        True

    With a = G / s, G = Y^T Y and z -> G^{-1/2}, a Newton-Schulz step is

        T = alpha (3 I - alpha^2 a) / 2,   a <- T a T,   z <- z T,
        alpha^2 = 3 / (1 + low + low^2),

    with low the smallest that sqrt(eigenvalues of a) can be, 1 / sqrt(s) for a tangent step.

    Args:
        y: (..., n, p) with n >= p; X + xi with xi tangent at X, or close to it.
        precision: of the matrix products.

    Returns:
        (..., n, p); a smaller singular value than 1 slows convergence.

    References:
        Chen and Chow 2014, "A stable scaling of Newton-Schulz for improving the sign function
        computation of a Hermitian matrix".
    """
    gram = matmul(y.mT, y, precision)
    eye = identity_like(y)
    # Only the speed depends on the bound on the largest eigenvalue, so no gradient runs through it.
    bound = lax.stop_gradient(jnp.abs(gram).sum(-1).max(-1)[..., None, None])
    low = lax.rsqrt(bound)
    a, z = gram / bound, eye
    for step in range(ITERATIONS):
        squared = 3 / (1 + low + low**2)
        alpha = jnp.sqrt(squared)
        t = alpha * (1.5 * eye - 0.5 * squared * a)
        z = matmul(z, t, precision) if step else low * t
        if step < ITERATIONS - 1:
            a = matmul(t, matmul(a, t, precision), precision)
            low = 0.5 * alpha * low * (3 - squared * low**2)
    return polish(matmul(y, z, precision), precision)


@functools.partial(jax.jit, static_argnames="precision")
def polish(x: Array, precision: Any = PRECISION) -> Array:
    """Return x (3 I - x^T x) / 2: columns orthonormal up to e become so up to 3 e^2 / 4.

    Example:
        >>> print(jnp.round(polish(jnp.eye(2) * 1.01), 3))
        [[1. 0.]
         [0. 1.]]

    Args:
        x: (..., n, p) with singular values below sqrt(3).
        precision: of the matrix products.
    """
    gram = matmul(x.mT, x, precision)
    return matmul(x, 1.5 * identity_like(x) - 0.5 * gram, precision)


@functools.partial(jax.jit, static_argnames="precision")
def cholesky_qr2(y: Array, precision: Any = PRECISION) -> Array:
    """Return the Q factor of y (R with a positive diagonal) by Cholesky, twice.

    Example:
        >>> q = cholesky_qr2(jnp.array([[3.0, 1.0], [0.0, 2.0], [0.0, 0.0]]))
        >>> print(jnp.round(jnp.abs(q), 5))
        [[1. 0.]
         [0. 1.]
         [0. 0.]]

    Args:
        y: (..., n, p) of full rank; NaN where the Gram matrix is not positive definite.
        precision: of the matrix products.
    """
    for _ in range(2):
        factor = jnp.linalg.cholesky(matmul(y.mT, y, precision))
        eye = jnp.broadcast_to(identity_like(y), factor.shape)
        # The inverse of a small triangle and a product are batched on every device; a solve with
        # n right-hand sides is a loop on the CPU, seven times slower for 64 seeds.
        inverse = lax.linalg.triangular_solve(factor, eye, left_side=True, lower=True)
        y = matmul(y, inverse.mT, precision)
    return y


@functools.partial(jax.jit, static_argnames="precision")
def qr(y: Array, precision: Any = PRECISION) -> Array:
    """Return the Q factor of y (R with a positive diagonal) by Householder reflections.

    Example:
        >>> print(qr(-jnp.eye(2)))
        [[-1. -0.]
         [-0. -1.]]

    Args:
        y: (..., n, p).
        precision: unused; LAPACK and its kin work in full precision.
    """
    del precision
    q, r = jnp.linalg.qr(y)
    diagonal = jnp.diagonal(r, axis1=-2, axis2=-1)
    return q * jnp.where(diagonal < 0, -1, 1).astype(y.dtype)[..., None, :]


@jax.jit
def geodesic(
    x: Array, rotation: Array, velocity: Array, *, second: Array, twist: Array | None = None
) -> Array:
    """Return [x velocity] exp([[rotation, -second], [I, twist]]) [I; 0], polished.

    Example:
        >>> x, k = jnp.eye(2)[:, :1], jnp.array([[0.0], [jnp.pi / 2]])
        >>> print(jnp.round(geodesic(x, jnp.zeros((1, 1)), k, second=k.T @ k), 5).T + 0)
        [[0. 1.]]

    The block exponential is used for all three geodesics without a QR factor, so it is smooth at a
    zero step: the Grassmannian (rotation = 0), the canonical metric (rotation = A) and the
    Euclidean one (rotation = twist = A, then a factor exp(-A)).

    Args:
        x: (..., n, p) orthonormal columns.
        rotation: (..., p, p) skew.
        velocity: (..., n, p), what multiplies the lower block.
        second: (..., p, p), velocity^T velocity.
        twist: (..., p, p) skew lower right block; None for 0.
    """
    p = x.shape[-1]
    eye = jnp.broadcast_to(identity_like(x), rotation.shape)
    lower = jnp.zeros_like(rotation) if twist is None else twist
    block = jnp.block([[rotation, -second], [eye, lower]])
    flow = expm(block)[..., :p]
    if twist is not None:
        flow = matmul(flow, expm(-twist))
    return polish(matmul(x, flow[..., :p, :]) + matmul(velocity, flow[..., p:, :]))


RETRACTIONS: dict[str, Callable[..., Array]] = {
    "polar": polar,
    "cholesky_qr2": cholesky_qr2,
    "qr": qr,
}
