"""The Grassmannian Gr(n, p): p-dimensional subspaces, each stored as one orthonormal basis.

    X^T X = I, X and X R the same point for R in O(p);   tangent: X^T xi = 0

    exp_X(xi) = X cos(S) + xi sin(S) / S,   S = (xi^T xi)^{1/2}
    log_X(Y)  = (Y Z - X C) g(C),           g(cos t) = t / sin t,
                Z the rotation nearest to Y^T X,   C = X^T Y Z = (X^T Y Y^T X)^{1/2}
    principal angles t: cos t = singular values of X^T Y, sin t = those of Y - X X^T Y

Y Z is the basis of Y nearest to X, and g is smooth on [0, 1], so log depends neither on the choice
of bases nor on differences of angles, and stays accurate up to angles of pi/2: Z depends only on
sums cos t_i + cos t_j. At pi/2, the cut locus, several geodesics are shortest and Z picks one.
Edelman, Arias and Smith 1998, arXiv physics/9806030, section 2.5; Bendokat, Zimmermann and Absil
2020, arXiv 2011.13699, section 5.2, for a logarithm by singular values; Bjoerck and Golub 1973 for
the angles.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jssl.data.checks import require_name
from jssl.manifolds.base import Manifold
from jssl.manifolds.linalg import matmul, norm, symmetric_part, symmetric_polynomial
from jssl.manifolds.nearest import nearest
from jssl.manifolds.retractions import geodesic
from jssl.types import Array


@dataclasses.dataclass(frozen=True)
class Grassmann(Manifold):
    """Subspaces, stored as orthonormal columns on two axes of an array; all other axes are batch.

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
        """Return the inner product tr(u^T v) of two tangent vectors at x, one number per matrix.

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
        """Return the shortest tangent vector at x whose geodesic reaches the span of y.

        Example:
            >>> x, y = jnp.eye(3)[:, :1], jnp.eye(3)[:, 1:2]
            >>> print(Grassmann().log(x, y).round(4).T)
            [[0.     1.5708 0.    ]]

        Its length is `distance(x, y)`. Unique and differentiable while every principal angle t is
        below pi/2; with an angle of pi/2 it is one of several and its derivative is NaN. Rounding
        grows as 1 / (cos t_1 + cos t_2) of the two largest angles.

        Args:
            x: the start.
            y: the end, like x, in any basis.
        """
        x, y = self.matrices(x, y)
        return self.restore(_log(x, y))

    def angles(self, x: Array, y: Array) -> Array:
        """Return the principal angles between two subspaces, ascending.

        Example:
            >>> print(Grassmann().angles(jnp.eye(3)[:, :2], jnp.eye(3)[:, 1:]).round(4))
            [0.     1.5708]

        Each is differentiable where it differs from the others, from 0 and from pi/2; take
        `distance` or `log`, which are differentiable at equal angles, if all angles are used.

        Args:
            x: points.
            y: points, like x, in any basis.

        Returns:
            (..., p) radians in [0, pi/2], accurate to rounding for small and large angles.
        """
        x, y = self.matrices(x, y)
        overlap = matmul(x.mT, y)
        cosine = jnp.linalg.svd(overlap, compute_uv=False)
        sine = jnp.linalg.svd(y - matmul(x, overlap), compute_uv=False)[..., ::-1]
        small = sine < cosine
        from_sine = jnp.arcsin(jnp.where(small, sine, 0))
        return jnp.where(small, from_sine, jnp.arccos(jnp.where(small, 0, cosine)))

    def distance(self, x: Array, y: Array, kind: str = "geodesic") -> Array:
        """Return the distance of subspaces.

        Example:
            >>> x, y = jnp.eye(3)[:, :1], jnp.eye(3)[:, 1:2]
            >>> print(Grassmann().distance(x, y).round(4), Grassmann().distance(x, y, "projector"))
            1.5708 1.4142135

        A distance has a kink at 0: its derivatives there are returned as 0. Those of the geodesic
        distance are along the manifold, -log(x, y) / distance with respect to x, so changes of x
        or y that leave it do not count; at angles of pi/2, another kink, they are those towards
        one of the shortest geodesics.

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
            return _length(*self.matrices(x, y))
        x, y = self.matrices(x, y)
        return jnp.sqrt(2.0).astype(x.dtype) * norm(y - matmul(x, matmul(x.mT, y)))


def _angle_over_sine(cosine: np.ndarray) -> np.ndarray:
    angle = 2 * np.arcsin(np.sqrt((1 - cosine) / 2))
    return angle / np.sin(angle)


# On [0, 1]; terms fall as (3 + sqrt(8))^-k, for the nearest singularity is at -1.
_ANGLE_OVER_SINE = tuple(
    np.polynomial.Chebyshev.interpolate(_angle_over_sine, 22, domain=(0, 1)).coef.tolist()
)


@jax.jit
def _log(x: Array, y: Array) -> Array:
    overlap = matmul(x.mT, y)
    aligned = nearest(overlap.mT)
    cosines = symmetric_part(matmul(overlap, aligned))
    sines = matmul(y, aligned) - matmul(x, cosines)
    return matmul(sines, symmetric_polynomial(_ANGLE_OVER_SINE, cosines))


@jax.custom_jvp
def _length(x: Array, y: Array) -> Array:
    return norm(_log(x, y))


@_length.defjvp
def _length_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    (x, y), (of_x, of_y) = primals, tangents
    length = _length(x, y)
    inwards = (_log(x, y) * of_x + _log(y, x) * of_y).sum((-2, -1))
    apart = length > 0
    return length, jnp.where(apart, -inwards / jnp.where(apart, length, 1), 0)
