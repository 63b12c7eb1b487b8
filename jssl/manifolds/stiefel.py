"""The Stiefel manifold St(n, p): matrices with orthonormal columns, with either of its metrics.

    X^T X = I,   tangent xi = X A + K,   A skew,   X^T K = 0

    metric       inner(xi, xi)              gradient for G = dL/dX
    euclidean    |A|^2 + |K|^2              G - X sym(X^T G)
    canonical    |A|^2 / 2 + |K|^2          G - X G^T X

Edelman, Arias and Smith 1998, arXiv physics/9806030, section 2.
"""

import dataclasses

from jssl.data.checks import require_name
from jssl.manifolds.base import Manifold
from jssl.manifolds.linalg import matmul, symmetric_part
from jssl.manifolds.retractions import geodesic
from jssl.types import Array


@dataclasses.dataclass(frozen=True)
class Stiefel(Manifold):
    """Orthonormal columns on two axes of an array; all other axes are batch.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> manifold = Stiefel()
        >>> x = manifold.random(jax.random.key(0), (5, 2))
        >>> xi = manifold.project(x, jnp.ones((5, 2)))
        >>> print(jnp.abs(x.T @ xi + xi.T @ x).max() < 1e-6)
        True

    Attributes:
        row_axis: the axis of length n.
        col_axis: the axis of length p <= n, whose slices are orthonormal.
        metric: `euclidean` or `canonical`.

    References:
        Edelman, Arias and Smith 1998, arXiv physics/9806030, sections 2.2 to 2.4.
    """

    metric: str = "euclidean"

    def __post_init__(self) -> None:
        """Refuse unknown metrics and equal axes."""
        super().__post_init__()
        require_name("metric", self.metric, ("canonical", "euclidean"))

    def project(self, x: Array, vector: Array) -> Array:
        """Return the tangent vector at x nearest to any vector: v - x sym(x^T v).

        The same for both metrics: the normal space is {x S : S symmetric} in both.

        Args:
            x: the point.
            vector: like x.
        """
        x, vector = self.matrices(x, vector)
        return self.restore(vector - matmul(x, symmetric_part(matmul(x.mT, vector))))

    def gradient(self, x: Array, euclidean: Array) -> Array:
        """Return the Riemannian gradient for a Euclidean one, in the metric of this manifold.

        Args:
            x: the point.
            euclidean: like x, dL/dx as if x were free.
        """
        if self.metric == "euclidean":
            return self.project(x, euclidean)
        x, euclidean = self.matrices(x, euclidean)
        return self.restore(euclidean - matmul(x, matmul(euclidean.mT, x)))

    def inner(self, x: Array, u: Array, v: Array, *, keepdims: bool = False) -> Array:
        """Return the inner product of two tangent vectors at x, one number per matrix.

        Args:
            x: the point.
            u: like x, tangent.
            v: like x, tangent.
            keepdims: keep the two axes of the matrix, with length 1.

        Returns:
            (...) numbers over the batch axes.
        """
        x, u, v = self.matrices(x, u, v)
        product = (u * v).sum((-2, -1))
        if self.metric == "canonical":
            product -= (matmul(x.mT, u) * matmul(x.mT, v)).sum((-2, -1)) / 2
        return self.per_matrix(product, keepdims=keepdims)

    def exp(self, x: Array, tangent: Array) -> Array:
        """Return the end of the geodesic from x with this initial velocity, after unit time.

        Args:
            x: the point.
            tangent: like x; projected first.
        """
        x, tangent = self.matrices(x, self.project(x, tangent))
        rotation = matmul(x.mT, tangent)
        if self.metric == "euclidean":
            second = matmul(tangent.mT, tangent)
            return self.restore(geodesic(x, rotation, tangent, second=second, twist=rotation))
        normal = tangent - matmul(x, rotation)
        return self.restore(geodesic(x, rotation, normal, second=matmul(normal.mT, normal)))
