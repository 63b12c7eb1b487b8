"""The common base of Stiefel and Grassmann manifolds: two axes of an array; all others are batch.

St(n, p) = {X : X^T X = I},  X (n, p), p <= n;   Gr(n, p) = St(n, p) / O(p)

tangent:    X^T xi + xi^T X = 0 (Stiefel),   X^T xi = 0 (the horizontal space of Grassmann)
retraction: R_X(0) = X,  dR_X(0) = identity;   transport by projection onto the new tangent
"""

import abc
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl.errors import InputError, unknown_name
from jssl.host_arithmetic import host_value
from jssl.manifolds.linalg import PRECISION, identity_like, matmul, norm
from jssl.manifolds.nearest import nearest
from jssl.manifolds.retractions import RETRACTIONS, qr
from jssl.types import Array


@dataclasses.dataclass(frozen=True)
class Manifold(abc.ABC):
    """Orthonormal columns on two axes of an array; a frozen value, a leaf of any pytree.

    Every method is pure, batched over all other axes, and works under jit, vmap and grad, forwards
    and backwards and more than once; where a derivative does not exist, its docstring says so.

    Attributes:
        row_axis: the axis of length n.
        col_axis: the axis of length p <= n, whose slices are orthonormal.
    """

    row_axis: int = -2
    col_axis: int = -1

    def __post_init__(self) -> None:
        if self.row_axis == self.col_axis:
            message = f"row_axis and col_axis must differ; got {self.row_axis} for both"
            raise InputError(message)

    @abc.abstractmethod
    def project(self, x: Array, vector: Array) -> Array:
        """Return the tangent vector at x nearest to any vector of the ambient space."""

    @abc.abstractmethod
    def gradient(self, x: Array, euclidean: Array) -> Array:
        """Return the Riemannian gradient for a Euclidean one."""

    @abc.abstractmethod
    def inner(self, x: Array, u: Array, v: Array, *, keepdims: bool = False) -> Array:
        """Return the inner product of two tangent vectors at x, one number per matrix."""

    @abc.abstractmethod
    def exp(self, x: Array, tangent: Array) -> Array:
        """Return the end of the geodesic from x with this initial velocity, after unit time."""

    def retract(
        self, x: Array, step: Array, method: str = "polar", *, precision: Any = PRECISION
    ) -> Array:
        """Return the point that a tangent step leads to.

        Example:
            >>> from jssl.manifolds import Stiefel
            >>> x = jnp.eye(3)[:, :2]
            >>> step = jnp.array([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
            >>> print(Stiefel().retract(x, step).round(4))
            [[0.7071 0.    ]
             [0.     1.    ]
             [0.7071 0.    ]]

        Args:
            x: the point.
            step: like x; a normal part is projected away by `exp` and absorbed by the others.
            method: `polar`, `cholesky_qr2`, `qr` or `exp`.
            precision: of the matrix products of `polar` and `cholesky_qr2`.

        Returns:
            Like x. Follows the geodesic to second order by `polar`; on the Grassmannian by
            `cholesky_qr2` and `qr` too, which are first order on the Stiefel manifold.

        Raises:
            InputError: for an unknown method or shapes that do not fit.
        """
        if method == "exp":
            return self.exp(x, step)
        if method not in RETRACTIONS:
            error = unknown_name("retraction", method, (*RETRACTIONS, "exp"))
            raise error
        x, step = self.matrices(x, step)
        return self.restore(RETRACTIONS[method](x + step, precision))

    def transport(self, x: Array, y: Array, vector: Array) -> Array:
        """Return a tangent vector at x carried to y, by projection onto the tangent space at y.

        Args:
            x: the point that `vector` belongs to.
            y: the point to which it is transported.
            vector: like x.
        """
        del x
        return self.project(y, vector)

    def orthonormalize(self, x: Array) -> Array:
        """Return the point of the manifold nearest to x, by singular vectors (not for every step).

        Example:
            >>> from jssl.manifolds import Stiefel
            >>> print(Stiefel().orthonormalize(5 * jnp.eye(2)))
            [[1. 0.]
             [0. 1.]]

        Differentiable to every order where x has full rank, equal singular values included.

        Args:
            x: any array whose two axes have n >= p.
        """
        (matrix,) = self.matrices(x)
        return self.restore(nearest(matrix)).astype(jnp.asarray(x).dtype)

    def error(self, x: Array) -> Array:
        """Return ||X^T X - I||_F, one number per matrix.

        Example:
            >>> from jssl.manifolds import Stiefel
            >>> print(Stiefel().error(2 * jnp.eye(4)))
            6.0

        A norm, so it has a kink where it is 0: its derivatives there are returned as 0.
        """
        (matrix,) = self.matrices(x)
        return norm(matmul(matrix.mT, matrix) - identity_like(matrix))

    def random(self, key: Array, shape: tuple[int, ...], dtype: Any = None) -> Array:
        """Return points drawn uniformly (Haar measure).

        Example:
            >>> from jssl.manifolds import Stiefel
            >>> manifold = Stiefel()
            >>> x = manifold.random(jax.random.key(0), (3, 8, 2))
            >>> print(x.shape, manifold.error(x).max() < 1e-5)
            (3, 8, 2) True

        Args:
            key: a typed key.
            shape: of the array, batch axes included.
            dtype: floating; the default float if None.
        """
        (normal,) = self.matrices(jax.random.normal(key, shape, dtype))
        return self.restore(qr(normal))

    def matrices(self, *arrays: Array) -> list[Array]:
        """Return the arrays with their two axes last, (..., n, p), and at least float32.

        Raises:
            InputError: for arrays without such matrices, or of different shapes.
        """
        self.check(*arrays)
        moved = []
        for array in arrays:
            wide = jnp.promote_types(jnp.asarray(array).dtype, jnp.float32)
            columns = jnp.moveaxis(array, (self.row_axis, self.col_axis), (-2, -1))
            moved.append(columns.astype(wide))
        return moved

    def restore(self, matrices: Array) -> Array:
        """Return (..., n, p) arrays with their two axes where they belong."""
        return jnp.moveaxis(matrices, (-2, -1), (self.row_axis, self.col_axis))

    def per_matrix(self, numbers: Array, *, keepdims: bool) -> Array:
        """Return a number per matrix, with axes of length 1 where the matrix was if `keepdims`."""
        return self.restore(numbers[..., None, None]) if keepdims else numbers

    def check(self, *arrays: Array) -> None:
        """Raise an InputError unless every array consists of n x p matrices with n >= p."""
        shape = np.shape(arrays[0])
        rank = len(shape)
        axes = (self.row_axis, self.col_axis)
        if rank < 2 or not all(-rank <= axis < rank for axis in axes):
            message = (
                f"{self} needs arrays of at least two axes that include its own; got shape {shape}"
            )
            raise InputError(message)
        n, p = (shape[axis] for axis in axes)
        if self.row_axis % rank == self.col_axis % rank or p > n:
            message = (
                f"{self} needs at least as many rows as columns; got {n} rows and {p} columns in "
                f"shape {shape}; exchange row_axis and col_axis, then jssl.optim.orthonormalize"
            )
            raise InputError(message)
        for array in arrays:
            if not jnp.issubdtype(jnp.asarray(array).dtype, jnp.floating):
                message = f"{self} needs real floating arrays; got {jnp.asarray(array).dtype}"
                raise InputError(message)
            if np.shape(array) != shape:
                message = f"point and vectors must have one shape; got {shape}, {np.shape(array)}"
                raise InputError(message)

    def host_error(self, x: Array) -> float | None:
        """Return the largest `error` in NumPy, None where the values are out of reach."""
        self.check(x)
        try:
            known = host_value(x)
        except RuntimeError:  # an array that is spread over several hosts
            return None
        if known is None:
            return None
        matrix = np.moveaxis(known.astype(np.float64), (self.row_axis, self.col_axis), (-2, -1))
        defect = matrix.mT @ matrix - np.eye(matrix.shape[-1])
        return float(np.sqrt(np.square(defect).sum((-2, -1))).max(initial=0.0))
