"""The exact Grassmann flow of L = Tr(W^T C W) with W^T W = I, for all times.

    W' = -2 (I - W W^T) C W          to the bottom-dim eigenspace of C

    V, l eigenvectors and eigenvalues of C, ascending;  V^T W_0 = [A; B],  T_0 = B A^{-1}
    T(t)_ij = e^{-2 (l_{dim+i} - l_j) t} (T_0)_ij,   span W(t) = span V [I; T(t)]

The singular values of T(t) are the tangents of the angles to the optimum, so both are
computed with small relative error; the paper's e^{-Ct} W_0 becomes numerically singular. The
paper's equations are written for half the gradient. Here t = learning rate x step on L, which gives
the factors of 2.

Esser, Mukherjee, Ghoshdastidar 2023, arXiv 2309.02011, section 4. W(t) itself is
one basis of the span, and not the polar factor of e^{-2Ct} W_0: compare projectors.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.data.checks import require_count
from jssl.errors import InputError
from jssl.host_arithmetic import host_value
from jssl.types import Array


class Tilt(NamedTuple):
    """A subspace as the graph of a linear map over the bottom eigenspace of C.

    Attributes:
        eigenvalues: (d,) of C, ascending.
        eigenvectors: (d, d), a column per eigenvalue.
        map: (d - dim, dim), T = B A^{-1}; 0 at the optimum.
        coefficients: (dim, dim), A, the coefficients of the start in the bottom eigenvectors.
    """

    eigenvalues: Array
    eigenvectors: Array
    map: Array
    coefficients: Array


def velocity(objective: Array, weight: Array) -> Array:
    """Return W' = -2 (I - W W^T) C W, minus the Riemannian gradient of L.

    Example:
        >>> print(velocity(jnp.diag(jnp.array([1.0, 2.0])), jnp.full((2, 1), 0.5**0.5)).round(4).T)
        [[ 0.7071 -0.7071]]

    The loss falls at the rate dL/dt = -||W'||_F^2.

    Args:
        objective: C (d, d) symmetric.
        weight: W (d, dim), orthonormal columns.

    References:
        Esser et al. 2023, arXiv 2309.02011, section 4.
    """
    gradient = 2 * objective @ weight
    return weight @ (weight.T @ gradient) - gradient


def tilt(objective: Array, weight: Array) -> Tilt:
    """Return the start as a graph over the bottom eigenspace.

    Example:
        >>> print(tilt(jnp.diag(jnp.array([1.0, 2.0])), jnp.ones((2, 1))).map)
        [[1.]]

    Args:
        objective: C (d, d) symmetric.
        weight: W_0 (d, dim) of full rank, dim < d.

    Raises:
        InputError: where A is numerically singular, because W_0 is orthogonal to a bottom
            eigenvector: the flow then never reaches the optimum. Traced values are not checked.
    """
    d, dim = weight.shape
    require_count("dim", dim, high=d - 1)
    start = _tilt(objective, weight)
    known, scale = host_value(start.coefficients), host_value(weight)
    if known is not None and scale is not None:
        smallest = np.linalg.svd(known, compute_uv=False).min()
        if smallest <= d * np.finfo(known.dtype).eps * np.linalg.norm(scale, 2):
            message = (
                f"the start is orthogonal to one of the bottom {dim} eigenvectors of the objective "
                f"(overlap {smallest:.1e}), so it never reaches the optimum; use another start"
            )
            raise InputError(message)
    return start


@jax.jit
def flow_tilt(start: Tilt, time: Array) -> Array:
    """Return T(t) (..., d - dim, dim) of the flow.

    Example:
        >>> start = tilt(jnp.diag(jnp.array([1.0, 2.0])), jnp.ones((2, 1)))
        >>> print(flow_tilt(start, jnp.array([0.0, 1.0])).ravel().round(4))
        [1.     0.1353]

    Args:
        start: from `tilt`.
        time: (...) learning rate x step.
    """
    exponents = -2 * _gaps(start) * jnp.asarray(time)[..., None, None]
    return jnp.exp(exponents) * start.map


def graph(now: Array) -> Array:
    """Return [I; T] (..., d, dim) of maps T (..., d - dim, dim).

    Example:
        >>> print(graph(jnp.full((1, 2), 3.0)))
        [[1. 0.]
         [0. 1.]
         [3. 3.]]
    """
    dim = now.shape[-1]
    eye = jnp.broadcast_to(jnp.eye(dim, dtype=now.dtype), (*now.shape[:-2], dim, dim))
    return jnp.concatenate([eye, now], axis=-2)


def subspace(objective: Array, weight: Array, time: Array) -> Array:
    """Return an orthonormal basis of span W(t). The span is exact; the basis is arbitrary.

    Example:
        >>> c = jnp.diag(jnp.array([1.0, 2.0]))
        >>> print(jnp.abs(subspace(c, jnp.ones((2, 1)), 50.0)).T)
        [[1. 0.]]

    Args:
        objective: C (d, d) symmetric.
        weight: W_0 (d, dim) of full rank.
        time: (...) learning rate x step.

    Returns:
        (..., d, dim).

    References:
        Esser et al. 2023, arXiv 2309.02011, section 4, in a form that is accurate at all times.
    """
    return _basis(tilt(objective, weight), time)


def projector(objective: Array, weight: Array, time: Array) -> Array:
    """Return P(t) = W W^T of the exact flow, which does not depend on the width or on a basis.

    Example:
        >>> c = jnp.diag(jnp.array([1.0, 2.0]))
        >>> print(projector(c, jnp.ones((2, 1)), jnp.array([0.0, 9.0])).round(2) + 0)
        [[[0.5 0.5]
          [0.5 0.5]]
        <BLANKLINE>
         [[1.  0. ]
          [0.  0. ]]]

    Args:
        objective: C (d, d) symmetric.
        weight: W_0 (d, dim) of full rank; only its span matters.
        time: (...) learning rate x step.

    Returns:
        (..., d, d).

    References:
        Esser et al. 2023, arXiv 2309.02011, section 4.
    """
    basis = subspace(objective, weight, time)
    return basis @ basis.mT


def optimum_angles(objective: Array, weight: Array, time: Array) -> Array:
    """Return the principal angles between span W(t) and the optimum, ascending.

    Example:
        >>> c = jnp.diag(jnp.array([1.0, 2.0]))
        >>> print(optimum_angles(c, jnp.ones((2, 1)), jnp.array([0.0, 1.0])).ravel().round(4))
        [0.7854 0.1345]

    The largest decays as e^{-rate t} with `convergence_rate`.

    Args:
        objective: C (d, d) symmetric.
        weight: W_0 (d, dim) of full rank.
        time: (...) learning rate x step.

    Returns:
        (..., dim) radians; small angles have a small relative error, too.
    """
    return _angles(flow_tilt(tilt(objective, weight), time))


def excess_loss(objective: Array, weight: Array, time: Array) -> Array:
    """Return L(t) - `optimal_loss`, with a small relative error however small it is.

    Example:
        >>> c = jnp.diag(jnp.array([1.0, 2.0]))
        >>> print(excess_loss(c, jnp.ones((2, 1)), jnp.array([0.0, 1.0])).round(5))
        [0.5     0.01799]

    sum_ij (l_{dim+i} - l_j) T_ij (T (I + T^T T)^{-1})_ij, which decreases as e^{-2 rate t}.

    Args:
        objective: C (d, d) symmetric.
        weight: W_0 (d, dim) of full rank.
        time: (...) learning rate x step.

    Returns:
        (...) excess losses.
    """
    return _excess(tilt(objective, weight), time)


def _gaps(start: Tilt) -> Array:
    dim = start.map.shape[-1]
    return start.eigenvalues[dim:, None] - start.eigenvalues[None, :dim]


@jax.jit
def _tilt(objective: Array, weight: Array) -> Tilt:
    eigenvalues, eigenvectors = jnp.linalg.eigh(objective)
    start = eigenvectors.T @ weight
    inside, outside = start[: weight.shape[1]], start[weight.shape[1] :]
    return Tilt(eigenvalues, eigenvectors, jnp.linalg.solve(inside.T, outside.T).T, inside)


@jax.jit
def _basis(start: Tilt, time: Array) -> Array:
    return start.eigenvectors @ jnp.linalg.qr(graph(flow_tilt(start, time)))[0]


@jax.jit
def _angles(now: Array) -> Array:
    tangents = jnp.linalg.svd(now, compute_uv=False)[..., ::-1]
    inside = jnp.zeros((*tangents.shape[:-1], now.shape[-1] - tangents.shape[-1]), now.dtype)
    return jnp.arctan(jnp.concatenate([inside, tangents], axis=-1))


@jax.jit
def _excess(start: Tilt, time: Array) -> Array:
    now = flow_tilt(start, time)
    gram = jnp.eye(now.shape[-1], dtype=now.dtype) + now.mT @ now
    return (_gaps(start) * now * jnp.linalg.solve(gram, now.mT).mT).sum((-2, -1))
