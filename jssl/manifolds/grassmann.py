"""The Grassmannian Gr(n, p): p-dimensional subspaces, each held as one orthonormal basis.

    X^T X = I, X and X R the same point for R in O(p);   tangent: X^T xi = 0

    exp_X(xi) = X cos(S) + xi sin(S) / S,   S = (xi^T xi)^{1/2}
    log_X(Y)  = (Y Y^T X - X N) h(N),       N = X^T Y Y^T X,  h(cos^2 t) = t / (sin t cos t)
    principal angles t: cos t = singular values of X^T Y, sin t = those of Y - X X^T Y

Functions of a symmetric matrix, so that nothing depends on the choice of bases or breaks where
angles coincide or vanish. Edelman, Arias and Smith 1998, arXiv physics/9806030, section 2.5;
Bjoerck and Golub 1973 for the angles.
"""

import dataclasses

import jax.numpy as jnp

from jssl.data.checks import require_name
from jssl.manifolds.base import Manifold
from jssl.manifolds.linalg import matmul, symmetric_function, symmetric_part
from jssl.manifolds.retractions import geodesic
from jssl.types import Array


@dataclasses.dataclass(frozen=True)
class Grassmann(Manifold):
    """Subspaces, held as orthonormal columns on two axes of an array; all other axes are batch.

    Example:
        >>> import jax
        >>> manifold = Grassmann()
        >>> x, y = manifold.random(jax.random.key(0), (2, 6, 2))
        >>> end = manifold.exp(x, manifold.log(x, y))
        >>> print(manifold.distance(end, y) < 1e-3)
        True

    Attributes:
        row_axis: the axis of length n.
        col_axis: the axis of length p <= n, whose slices are orthonormal.

    References:
        Edelman, Arias and Smith 1998, arXiv physics/9806030, section 2.5.
    """

    def project(self, x: Array, vector: Array) -> Array:
        """Return the horizontal vector at x nearest to any vector: (I - x x^T) v.

        Args:
            x: the point.
            vector: like x.
        """
        x, vector = self.matrices(x, vector)
        return self.restore(vector - matmul(x, matmul(x.mT, vector)))

    def gradient(self, x: Array, euclidean: Array) -> Array:
        """Return the Riemannian gradient for a Euclidean one, by projection.

        Args:
            x: the point.
            euclidean: like x, dL/dx as if x were free.
        """
        return self.project(x, euclidean)

    def inner(self, x: Array, u: Array, v: Array, *, keepdims: bool = False) -> Array:
        """Return the inner product tr(u^T v) of two tangent vectors at x, one number a matrix.

        Args:
            x: the point.
            u: like x, tangent.
            v: like x, tangent.
            keepdims: keep the two axes of the matrix, with length 1.
        """
        _, u, v = self.matrices(x, u, v)
        return self.per_matrix((u * v).sum((-2, -1)), keepdims=keepdims)

    def exp(self, x: Array, tangent: Array) -> Array:
        """Return the end of the geodesic from x with this initial velocity, after unit time.

        Args:
            x: the point.
            tangent: like x; projected first.
        """
        x, tangent = self.matrices(x, self.project(x, tangent))
        second = matmul(tangent.mT, tangent)
        return self.restore(geodesic(x, jnp.zeros_like(second), tangent, second=second))

    def log(self, x: Array, y: Array) -> Array:
        """Return the tangent vector at x whose geodesic reaches the span of y, the shortest.

        Unique while the largest principal angle is below pi/2; rounding grows as 1 / its cosine.

        Args:
            x: the start.
            y: the end, like x, in any basis.
        """
        x, y = self.matrices(x, y)
        overlap = matmul(y.mT, x)
        cosines = symmetric_part(matmul(overlap.mT, overlap))
        sine = matmul(y, overlap) - matmul(x, cosines)
        return self.restore(matmul(sine, _angle_over_sine_cosine(cosines)))

    def angles(self, x: Array, y: Array) -> Array:
        """Return the principal angles between two subspaces, ascending.

        Example:
            >>> print(Grassmann().angles(jnp.eye(3)[:, :2], jnp.eye(3)[:, 1:]).round(4))
            [0.     1.5708]

        Args:
            x: points.
            y: points, like x, in any basis.

        Returns:
            (..., p) radians in [0, pi/2], small and large ones alike to rounding.
        """
        x, y = self.matrices(x, y)
        overlap = matmul(x.mT, y)
        cosine = jnp.linalg.svd(overlap, compute_uv=False)
        sine = jnp.linalg.svd(y - matmul(x, overlap), compute_uv=False)[..., ::-1]
        small = sine < cosine
        from_sine = jnp.arcsin(jnp.where(small, sine, 0))
        return jnp.where(small, from_sine, jnp.arccos(jnp.where(small, 0, cosine)))

    def distance(self, x: Array, y: Array, kind: str = "geodesic") -> Array:
        """Return the distance of subspaces; its gradient at distance 0 is 0.

        Example:
            >>> x, y = jnp.eye(3)[:, :1], jnp.eye(3)[:, 1:2]
            >>> print(Grassmann().distance(x, y).round(4), Grassmann().distance(x, y, "projector"))
            1.5708 1.4142135

        Args:
            x: points.
            y: points, like x, in any basis.
            kind: `geodesic`, the norm of the principal angles, or `projector`,
                ||X X^T - Y Y^T||_F = sqrt(2) times the norm of their sines.

        Returns:
            (...) over the batch axes.

        Raises:
            InputError: for an unknown kind.
        """
        require_name("distance", kind, ("geodesic", "projector"))
        if kind == "geodesic":
            return _norm(self.angles(x, y))
        x, y = self.matrices(x, y)
        sine = y - matmul(x, matmul(x.mT, y))
        return jnp.sqrt(2.0).astype(x.dtype) * _norm(sine.reshape(*sine.shape[:-2], -1))


def _norm(vectors: Array) -> Array:
    squares = jnp.square(vectors).sum(-1)
    return jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1)), 0)


def _ratio(cosine_squared: Array) -> Array:
    """Return t / (sin t cos t)."""
    tiny = jnp.finfo(cosine_squared.dtype).eps ** 2
    u = jnp.clip(1 - cosine_squared, tiny, 1)  # sin^2
    return jnp.arcsin(jnp.sqrt(u)) / jnp.sqrt(u * jnp.clip(cosine_squared, tiny, 1))


def _ratio_slope(cosine_squared: Array) -> Array:
    """Return d/d(cos^2) of `_ratio`: a series near angle 0, where the closed form cancels."""
    u = jnp.clip(1 - cosine_squared, 0, 1)
    small = u < 0.01
    series, coefficient = jnp.zeros_like(u), 1.0
    for k in range(1, 9):
        coefficient *= 2 * k / (2 * k + 1)
        series += k * coefficient * u ** (k - 1)
    safe = jnp.where(small, 0.5, jnp.clip(u, 0, 1 - jnp.finfo(u.dtype).eps))
    return -jnp.where(
        small, series, (1 - (1 - 2 * safe) * _ratio(1 - safe)) / (2 * safe * (1 - safe))
    )


_angle_over_sine_cosine = symmetric_function(_ratio, _ratio_slope)
