"""The loss landscape of linearised Barlow Twins with a linear encoder.

At every critical point (C - I) W Gamma = 0, so C = W Gamma W^T is an orthogonal projector and

    L = dim - rank C.

Every one of rank below min(dim, positive modes) is a strict saddle: no spurious minimum exists.
Where the modes S are learned, W = U_S diag(g^{-1/2}) V_S, the Hessian's eigenvalues are

    8 g_i                  i in S                        -4 g_j   j not in S, once for each of the
    4 (g_i + g_k)          i < k in S                             dim - |S| directions left
    0                      all the others

so gradient descent is stable at the end of a small start iff learning rate < 1 / (4 g_1). Above it,
descent slides along the flat zero-loss directions until its sharpness is 2 / learning rate. To get
there it also needs learning rate < 1 / (2 |g_m|) for the most negative g_m: in outputs that have
learned nothing yet, a negative mode has the curvature 4 |g_m|.

Derived here; the model is that of Simon et al. 2023, arXiv 2303.15438, section 4.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jssl.data.checks import require_count
from jssl.theory.stepwise.linear import loss, velocity
from jssl.types import Array


class CriticalPoints(NamedTuple):
    """The levels at which the gradient can vanish, by rank of C.

    Attributes:
        rank: (dim + 1,) 0, 1, ..., dim.
        loss: (dim + 1,) dim - rank.
        exists: (dim + 1,) whether the cross moment has that many positive modes.
        saddle: (dim + 1,) whether the point is a strict saddle; the others that exist are minima.
    """

    rank: Array
    loss: Array
    exists: Array
    saddle: Array


class Criticality(NamedTuple):
    """How close a weight is to a critical point.

    Attributes:
        gradient_norm: Frobenius norm of the gradient.
        projector_defect: ||C^2 - C||_F, 0 at every critical point.
        rank: tr C, the rank of C at a critical point.
        loss: ||C - I||_F^2, dim - rank at a critical point.
    """

    gradient_norm: Array
    projector_defect: Array
    rank: Array
    loss: Array


def critical_points(eigenvalues: Array, dim: int) -> CriticalPoints:
    """Return the loss of every critical point, a level for each rank, and which are saddles.

    Example:
        >>> levels = critical_points(jnp.array([2.0, 1.0, -1.0]), dim=3)
        >>> levels.loss[levels.saddle].tolist(), levels.loss[levels.exists][-1].item()
        ([3.0, 2.0], 1.0)

    Args:
        eigenvalues: (m,) all of the cross moment.
        dim: embedding dimension, static.

    Returns:
        CriticalPoints; the levels are the plateaus of the loss staircase.

    Raises:
        InputError: for a dim below 1.
    """
    dim = require_count("dim", dim)
    rank, positive = jnp.arange(dim + 1), (eigenvalues > 0).sum()
    return CriticalPoints(
        rank,
        (dim - rank).astype(eigenvalues.dtype),
        rank <= positive,
        rank < jnp.minimum(dim, positive),
    )


def criticality(weight: Array, cross_moment: Array) -> Criticality:
    """Return how close a weight is to a critical point, where C is a projector.

    Example:
        >>> point = criticality(jnp.eye(2, 3).at[1].set(0.0), jnp.eye(3))
        >>> [x.item() for x in point]  # rank 1 of 2: a saddle at loss 1
        [0.0, 0.0, 1.0, 1.0]

    Args:
        weight: (..., dim, m).
        cross_moment: (..., m, m) symmetric.

    Returns:
        Criticality of (...) arrays.
    """
    c = _product(_product(weight, cross_moment), weight.mT)
    return Criticality(
        jnp.linalg.norm(velocity(weight, cross_moment), axis=(-2, -1)),
        jnp.linalg.norm(_product(c, c) - c, axis=(-2, -1)),
        jnp.trace(c, axis1=-2, axis2=-1),
        loss(weight, cross_moment),
    )


def hessian_spectrum(eigenvalues: Array, dim: int, learned: Array | None = None) -> Array:
    """Return all eigenvalues of the Hessian at a critical point, with their multiplicities.

    Example:
        >>> eigenvalues = jnp.array([2.0, 1.0, 0.5])
        >>> hessian_spectrum(eigenvalues, 2).tolist()  # the end of a small start
        [16.0, 12.0, 8.0, 0.0, 0.0, 0.0]
        >>> hessian_spectrum(eigenvalues, 2, jnp.array([True, False, False])).tolist()
        [16.0, 0.0, 0.0, 0.0, -2.0, -4.0]

    The loss does not select the top modes: at zero loss, other modes give the same number of
    positive and flat directions. The small start selects them. A direction of curvature -4 g grows
    at the rate 4 g.

    Args:
        eigenvalues: (m,) all of the cross moment.
        dim: embedding dimension, static.
        learned: (m,) boolean, the modes of the critical point, all positive and at most dim of
            them; None for the largest min(dim, positive modes).

    Returns:
        (dim * m,) descending.

    Raises:
        InputError: for a dim below 1.
    """
    dim = require_count("dim", dim)
    if learned is None:
        place = jnp.argsort(jnp.argsort(-eigenvalues))
        learned = (place < dim) & (eigenvalues > 0)
    order = jnp.argsort(~learned, stable=True)
    g = eigenvalues[order]  # the learned modes first, each in a row of its own
    count = learned.sum()
    row, column = jnp.arange(dim)[:, None], jnp.arange(len(g))[None, :]
    of_row = jnp.resize(g, (dim,))[:, None]  # read only where row < count <= m
    pairs = jnp.where(row == column, 8 * g, jnp.where(row < column, 4 * (of_row + g), 0))
    spectrum = jnp.where(
        (row < count) & (column < count),
        pairs,
        jnp.where((row >= count) & (column >= count), -4 * g, 0),
    )
    return jnp.sort(spectrum.ravel())[::-1]


def stability_threshold(eigenvalues: Array) -> Array:
    """Return the learning rate below which descent from a small start is stable.

    Example:
        >>> stability_threshold(jnp.array([0.5, 2.0])).item()
        0.125
        >>> stability_threshold(jnp.array([1.0, -8.0])).item()
        0.0625

    min(1 / (4 g_1), 1 / (2 |g_m|)), g_1 the largest eigenvalue and g_m the most negative one. The
    curvature is 8 g_1 where mode 1 is learned, and 4 |g_m| along a negative mode in every output
    that has learned nothing: descent multiplies W v_m by 1 - 4 lr |g_m| a step there.

    Args:
        eigenvalues: (..., k) of the cross moment: the largest and the most negative among them.

    Returns:
        (...): infinite where all are zero.
    """
    curvature = jnp.maximum(8 * eigenvalues.max(-1), -4 * eigenvalues.min(-1))
    curved = curvature > 0
    return jnp.where(curved, 2 / jnp.where(curved, curvature, 1), jnp.inf)


def sharpness(weight: Array, cross_moment: Array, steps: int = 64) -> Array:
    """Return the largest eigenvalue of the loss's Hessian at any weight.

    Example:
        >>> sharpness(jnp.eye(2, 3), jnp.eye(3)).round(3).item()
        8.0

    Descent with learning rate lr is locally stable while this is below 2 / lr. By Lanczos
    iteration on H D = 4 (C - I) D Gamma + 4 (D Gamma W^T + W Gamma D^T) W Gamma, fully
    re-orthogonalised: a lower bound, exact once `steps` reaches the number of distinct eigenvalues.

    Args:
        weight: (dim, m).
        cross_moment: (m, m) symmetric.
        steps: products with the Hessian, static; at most dim * m are taken.

    Returns:
        Scalar.

    Raises:
        InputError: for steps below 1.
    """
    return _lanczos(weight, cross_moment, min(require_count("steps", steps), weight.size))


def minimum_norm(eigenvalues: Array, dim: int) -> Array:
    """Return sum_{j <= dim} 1 / g_j, the least squared norm of a weight with zero loss.

    Example:
        >>> minimum_norm(jnp.array([4.0, 1.0, 0.5]), dim=2).item()
        1.25

    Args:
        eigenvalues: (m,) of the cross moment, descending.
        dim: embedding dimension, static.

    Returns:
        Scalar: infinite where fewer than dim modes are positive and no weight has zero loss.

    Raises:
        InputError: for a dim below 1.

    References:
        Simon et al. 2023, arXiv 2303.15438, proposition 4.3.
    """
    dim = require_count("dim", dim)
    top = eigenvalues[:dim]
    inverse = jnp.where(top > 0, 1 / jnp.where(top > 0, top, 1), jnp.inf)
    return inverse.sum() if len(eigenvalues) >= dim else jnp.full((), jnp.inf, top.dtype)


@partial(jax.jit, static_argnames="steps")
def _lanczos(weight: Array, cross_moment: Array, steps: int) -> Array:
    _, pull = jax.vjp(lambda w: velocity(w, cross_moment), weight)

    def hessian(direction: Array) -> Array:  # symmetric, so the vector-Jacobian product can be used
        return -pull(direction.reshape(weight.shape))[0].ravel()

    first = jax.random.normal(jax.random.key(0), (weight.size,), weight.dtype)
    basis = jnp.zeros((steps, weight.size), weight.dtype).at[0].set(first / jnp.linalg.norm(first))

    def step(k: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        basis, diagonal, off = carry
        image = hessian(basis[k])
        diagonal = diagonal.at[k].set(_product(basis[k], image))
        rest = image - _product(_product(basis, image), basis)
        rest = rest - _product(_product(basis, rest), basis)
        size = jnp.linalg.norm(rest)
        # Past an invariant subspace the rest is rounding: its direction must not enter.
        done = size <= 1e2 * jnp.finfo(rest.dtype).eps * jnp.linalg.norm(diagonal)
        following = jnp.where(done, 0, rest / jnp.where(done, 1, size))
        basis = basis.at[k + 1].set(following, mode="drop")
        return basis, diagonal, off.at[k].set(jnp.where(done, 0, size), mode="drop")

    empty = jnp.zeros(steps, weight.dtype)
    basis, diagonal, off = jax.lax.fori_loop(0, steps, step, (basis, empty, empty[1:]))
    reached = jnp.any(basis != 0, axis=1)
    diagonal = jnp.where(reached, diagonal, diagonal[0])
    return jnp.linalg.eigvalsh(jnp.diag(diagonal) + jnp.diag(off, 1) + jnp.diag(off, -1))[-1]


def _product(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision="highest")
