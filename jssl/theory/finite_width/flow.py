r"""Training of a network whose tangent kernel stays as it is at the start, in a few modes.

The embeddings of all rows are Z = sum_j q_j B_j with r functions q_j and coordinates B (r, dim).
With `l(B)` the loss of these embeddings and G the Gram matrix of `mode_kernel`,

    dB/dt = -G grad l(B) - 2 decay B                                                      (F-5)

For linearised Barlow Twins, grad l = -4 B (I - C) with C = B^T B, which is the equation of
Simon et al. 2023, arXiv 2303.15438 (proposition 4.1), where G[(i, k), (j, l)] =
delta_ij delta_kl gamma_j. Descent with learning rate e follows the same equation with the right
side F replaced by F - (e / 2) F' F, up to terms of order e^2.

The rates of a learned dimension and of one that is not learned yet differ by orders of magnitude.
`stabilised` integrates such flows by products with G.
"""

import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.errors import InputError
from jssl.theory.finite_width.stabilised import Path, make_stabilised
from jssl.types import Array

ReducedLoss = Callable[[Array], Array]
"""`loss(B) -> scalar` of the coordinates (r, dim)."""


class ModeFlow(NamedTuple):
    """A trajectory in the coordinates of the modes.

    Attributes:
        times: (points,) t = learning rate x step.
        coordinates: (points, r, dim) B.
        complete: whether the integration reached the last time or all `levels`; it stops
            where a coordinate exceeds `farthest`.
    """

    times: np.ndarray
    coordinates: np.ndarray
    complete: bool


def mode_flow(
    loss: ReducedLoss,
    gram: np.ndarray,
    start: np.ndarray,
    times: np.ndarray,
    *,
    learning_rate: float = 0.0,
    decay: float = 0.0,
    tolerance: float = 1e-4,
    farthest: float = sys.float_info.max,
    levels: np.ndarray | None = None,
) -> ModeFlow:
    """Return B at the given times, from a start.

    Example:
        >>> from jssl.precision import float64
        >>> gram = np.eye(2).reshape(2, 1, 2, 1) * np.array([1.0, 0.5])[:, None, None, None]
        >>> with float64():
        ...     flow = mode_flow(linearised_loss(), gram, np.full((2, 1), 1e-3), np.array([0.0, 9]))
        >>> (flow.coordinates[-1] ** 2).sum().round(3).item()  # C = 1
        1.0

    Args:
        loss: of the coordinates, smooth, such as `linearised_loss()`. The equation is compiled once
            for each loss object and shape.
        gram: (r, dim, r, dim) symmetric. Products with it are in its own dtype; float32 takes half
            the time, and its rounding is relative to each gradient.
        start: (r, dim) B at time 0, not zero.
        times: (points,) increasing from 0.
        learning_rate: of gradient descent, for its first-order correction; 0 for gradient flow.
        decay: factor of the squared norm of the parameters, for networks that are linear in them.
        tolerance: relative error of the integration, to its order of magnitude.
        farthest: size of a coordinate at which the integration stops, for losses that may not be
            bounded below.
        levels: (k,) of the largest k eigenvalues of C; the integration ends early, at
            one of the times after all of them have been reached. None to go on to the last time.

    Raises:
        InputError: for shapes that do not fit, numbers that are not finite, or a start of zero,
            where training never moves.
    """
    modes, dim = np.shape(start)
    if np.shape(gram) != (modes, dim, modes, dim):
        message = f"gram must be {(modes, dim, modes, dim)} for this start; got {np.shape(gram)}"
        raise InputError(message)
    if not np.isfinite(gram).all():
        message = "gram must be finite"
        raise InputError(message)
    size = float(np.abs(start).max())
    if not np.isfinite(size) or not size:
        message = "the start must be finite and not zero, where training never moves"
        raise InputError(message)
    dtype = jnp.result_type(float)
    matrix = jnp.asarray(np.reshape(gram, (modes * dim, modes * dim)))
    fixed = (matrix, np.asarray(learning_rate, dtype), np.asarray(decay, dtype))
    follow = _equation(loss, (modes, dim), learning_rate > 0)
    learned = _learned((modes, dim), np.asarray(times), levels)
    each = 100 * tolerance**1.5  # second order: the errors add up to about the power 2/3 of one
    path = follow(
        np.ravel(start),
        fixed,
        float(times[-1]),
        each,
        1e-2 * each * size,
        lambda at, b: learned(at, b) or float(np.abs(b[-1]).max()) > farthest,
    )
    within = np.abs(path.values).max(1) <= farthest
    path = Path(*(x[within] for x in path))
    ended = path.times[-1] >= times[-1] or learned(path.times, path.values)
    until = np.asarray(times)[times <= path.times[-1]]
    coordinates = path.at(until).reshape(-1, modes, dim)
    return ModeFlow(until, coordinates, bool(ended and within.all()))


def _learned(
    shape: tuple[int, int], record: np.ndarray, levels: np.ndarray | None
) -> Callable[[np.ndarray, np.ndarray], bool]:
    """Return `learned(times, values)`: whether a time of the record follows all levels."""

    def learned(times: np.ndarray, values: np.ndarray) -> bool:
        if levels is None:
            return False
        b = values.reshape(-1, *shape)
        found = np.linalg.eigvalsh(np.swapaxes(b, 1, 2) @ b)[:, ::-1][:, : len(levels)]
        since = times[(found >= levels[: shape[1]]).all(1)].min(initial=np.inf)
        return bool(((record >= since) & (record <= times[-1])).any())

    return learned


@lru_cache(maxsize=16)
def _equation(loss: ReducedLoss, shape: tuple[int, int], descent: bool) -> Callable[..., Path]:
    """Return how to follow the flow, or descent's modified equation."""

    def flow(b: Array, gram: Array, _: Array, decay: Array) -> Array:
        gradient = jax.grad(loss)(b.reshape(shape)).ravel()
        moved = gram @ gradient.astype(gram.dtype)
        return -moved.astype(b.dtype) - 2 * decay * b

    def modified(b: Array, gram: Array, rate: Array, decay: Array) -> Array:
        """Return F(b - (rate / 2) F(b)), which is F - (rate / 2) F' F to first order."""
        fixed = gram, rate, decay
        return flow(b - rate / 2 * flow(b, *fixed), *fixed)

    return make_stabilised(modified if descent else flow)


@lru_cache(maxsize=16)
def linearised_loss(off_diagonal: float = 1.0) -> ReducedLoss:
    """Return linearised Barlow Twins, sum_i (C_ii - 1)^2 + lambda sum_{i != j} C_ij^2, C = B^T B.

    Example:
        >>> float(linearised_loss(0.5)(jnp.ones((1, 2))))
        1.0

    Args:
        off_diagonal: lambda.
    """

    def loss(b: Array) -> Array:
        c = b.T @ b
        diagonal = jnp.diagonal(c)
        off = jnp.square(c).sum() - jnp.square(diagonal).sum()
        return jnp.square(diagonal - 1).sum() + off_diagonal * off

    return loss


def quartic_loss(
    signal: float, own: float, cross: float, anchor: Any, negative: Any
) -> ReducedLoss:
    """Return -signal tr C + own tr(Kn^2) + cross tr(Ka Kn), with C = B^T B, Ka = B^T anchor B.

    Example:
        >>> float(quartic_loss(2.0, 1.0, 0.0, jnp.eye(1), jnp.eye(1))(jnp.ones((1, 1))))
        -1.0

    The leading terms of contrastive losses and of VICReg near a small start.

    Args:
        signal: coefficient of the quadratic term.
        own: coefficient of tr(Kn^2), Kn = B^T negative B.
        cross: coefficient of tr(Ka Kn).
        anchor: (r, r) second moments of the modes' functions at the anchors.
        negative: (r, r) likewise at the negatives.
    """
    anchor, negative = jnp.asarray(anchor), jnp.asarray(negative)

    def loss(b: Array) -> Array:
        ka, kn = b.T @ anchor @ b, b.T @ negative @ b
        quartic = own * jnp.square(kn).sum() + cross * (ka * kn).sum()
        return -signal * jnp.square(b).sum() + quartic

    return loss


def embedding_loss(
    loss: Callable[[Array, Array], Array], first: Array, second: Array
) -> ReducedLoss:
    """Return a loss of two embeddings as a function of the coordinates.

    Example:
        >>> reduced = embedding_loss(lambda a, b: -(a * b).mean(), jnp.eye(2), jnp.eye(2))
        >>> float(reduced(jnp.ones((2, 1))))
        -1.0

    Args:
        loss: `loss(za, zb) -> scalar` of two embeddings (n, dim), smooth at small embeddings.
        first: (n, r) the functions q_j at the first views.
        second: (n, r) the same at the second views.
    """
    first, second = jnp.asarray(first), jnp.asarray(second)
    return lambda b: loss(first @ b, second @ b)
