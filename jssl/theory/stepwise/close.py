r"""Modes with equal or close eigenvalues: the solution from a generic small start.

The QR alignment of `generic` needs every mode to have outgrown the next one when it is learned.
Let P = W(0) V^T be the start along the modes and R its triangular factor. While the rows i, i+1,
... of W are small,

    sigma_k(t) = singular values of  R_{>=i} diag(g^{1/2} e^{4 g t})

are those of C^{1/2}. Mode j is learned at the time tau_j at which its own singular value,
the (j - i + 1)-th, reaches 1. Modes before i have outgrown mode j by then and are left out, which
changes the result by the square of their share. With v the right singular vector at tau_j,

    growth_j = sum_k v_k^2 g_k,        s_j(0)^2 = e^{-8 growth_j tau_j} / growth_j

are an independent mode that rises at the same time with the same slope. Two limits: eigenvalues far
apart give g_j and |R_jj|, the QR alignment; equal eigenvalues give their common value and the
singular values of the block of R that belongs to them, which is then the exact solution.

Derived here for the model of Simon et al. 2023, arXiv 2303.15438, section 4.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jssl.theory.stepwise.linear import Modes
from jssl.types import Array

NEWTON = 4
"""Newton steps to the time at which a mode is learned, before the one with a derivative."""


class EffectiveModes(NamedTuple):
    """Independent modes that rise as the eigenvalues of C do.

    Attributes:
        start_scales: (k,) s_j(0) >= 0.
        eigenvalues: (k,) growth_j, in the order of the modes; of any sign.
    """

    start_scales: Array
    eigenvalues: Array


def effective_modes(projection: Array, eigenvalues: Array) -> EffectiveModes:
    """Return the independent modes that the spectrum of a generic small start follows.

    Example:
        >>> start = 1e-3 * jnp.array([[1.0, 1.0], [0.0, 1.0]])
        >>> scales, growth = effective_modes(start, jnp.array([0.5, 0.5]))
        >>> [round(1e3 * x, 3) for x in scales.tolist()]  # singular values, not the diagonal (1, 1)
        [1.618, 0.618]

    Use them as `mode_eigenvalues(t, *effective_modes(...))`, `half_time(...)` and so on. The error
    of an eigenvalue of C is at most about (1 - r)^2 / 4 for two modes of ratio r, and smaller
    where the start is smaller: `ErrorEstimate.spectrum`. The cost is that of 6 k singular value
    decompositions of (k, m) matrices, one after the other.

    Args:
        projection: (dim, m) start along the modes, W(0) V^T: a column per mode. All modes with a
            positive eigenvalue belong here, not only the first dim: close ones beyond dim matter.
        eigenvalues: (m,) descending, of any sign.

    Returns:
        EffectiveModes, k = min(dim, m). A scale of zero is a dimension that never starts.

    References:
        Derived here; see the module.
    """
    projection, eigenvalues = jnp.asarray(projection), jnp.asarray(eigenvalues)
    k = min(projection.shape)
    largest = jnp.abs(projection).max()
    unit = jnp.where(largest > 0, largest, 1)
    triangle = _triangle(projection / unit, k)
    floor = 16 * max(projection.shape) * float(jnp.finfo(triangle.dtype).eps)
    logarithm = jnp.log(unit)

    def one(j: Array) -> tuple[Array, Array]:
        return _mode(j, triangle, eigenvalues, logarithm, floor)

    scales, growth = jax.lax.map(one, jnp.arange(k))
    return EffectiveModes(jnp.where(largest > 0, scales, 0), growth)


def adapt_modes(start_weight: Array, modes: Modes) -> Modes:
    """Return modes along which a start is aligned where eigenvalues are equal.

    Example:
        >>> from jssl.theory.stepwise.generic import align
        >>> from jssl.theory.stepwise.linear import modes
        >>> start, every = 1e-3 * jnp.array([[1.0, 1.0], [0.0, 1.0]]), modes(jnp.eye(2))
        >>> scales = align(start, adapt_modes(start, every)).start_scales
        >>> [round(1e3 * x, 3) for x in scales.tolist()]
        [1.618, 0.618]

    Any basis of the space of equal eigenvalues is one of eigenvectors. `align` is exact in the one
    of the right singular vectors of the block of the start, and wrong by a factor of order one in
    others. Eigenvalues count as equal up to rounding. Where they are close and not equal, no basis
    is exact: see `effective_modes`.

    Args:
        start_weight: (dim, m).
        modes: k modes, descending; more than dim where modes beyond dim equal the last one.

    Returns:
        The top min(dim, k) modes.
    """
    projection = _product(start_weight, modes.eigenvectors.mT)
    turn = tie_rotation(projection, modes.eigenvalues)
    count = turn.shape[1]
    return Modes(modes.eigenvalues[:count], _product(turn.mT, modes.eigenvectors))


def tie_rotation(projection: Array, eigenvalues: Array) -> Array:
    """Return orthonormal combinations of the modes along which a start is aligned.

    Example:
        >>> turn = tie_rotation(jnp.array([[1.0, 1.0], [0.0, 1.0]]), jnp.array([2.0, 1.0]))
        >>> jnp.abs(turn).tolist()  # nothing to turn: the eigenvalues differ
        [[1.0, 0.0], [0.0, 1.0]]

    Within every block of equal eigenvalues, the right singular vectors of the block of R.

    Args:
        projection: (dim, m) start along the modes.
        eigenvalues: (m,) descending.

    Returns:
        (m, k), k = min(dim, m): a column per new mode, zero outside its own block.
    """
    k, size = min(projection.shape), len(eigenvalues)
    triangle = _triangle(projection, k)
    rounding = 32 * size * jnp.finfo(triangle.dtype).eps * jnp.abs(eigenvalues).max()
    apart = -jnp.diff(eigenvalues) > rounding
    block = jnp.concatenate([jnp.zeros(1, int), jnp.cumsum(apart)])
    row = block[:k]
    own = jnp.where(row[:, None] == block, triangle, 0)
    # Each block gets a size of its own, so that the singular vectors of two never mix.
    together = (row[:, None] == row).astype(own.dtype)
    norm = jnp.sqrt(_product(together, jnp.square(own).sum(1)))
    size_of = (1 + row / k) / jnp.where(norm > 0, norm, 1)
    left, values, right = jnp.linalg.svd(own * size_of[:, None], full_matrices=False)
    owner = row[jnp.abs(left).argmax(0)]
    order = jnp.lexsort((-values, owner))
    right = jnp.where(owner[order][:, None] == block, right[order], 0)
    length = jnp.linalg.norm(right, axis=1, keepdims=True)
    return jax.lax.stop_gradient(right / jnp.where(length > 0, length, 1)).T


def _triangle(projection: Array, k: int) -> Array:
    """Return R (k, m) of the QR factorisation; that of the first k columns has a derivative.

    Entries that are rounding beside their column are 0.
    """
    rotation, corner = jnp.linalg.qr(projection[:, :k])
    triangle = jnp.concatenate([corner, _product(rotation.T, projection[:, k:])], axis=1)
    rounding = max(projection.shape) * float(jnp.finfo(triangle.dtype).eps)
    columns = jnp.abs(jax.lax.stop_gradient(projection)).max(0)
    return jnp.where(jnp.abs(triangle) <= rounding * columns, 0, triangle)


def _mode(
    j: Array, triangle: Array, eigenvalues: Array, logarithm: Array, floor: float
) -> tuple[Array, Array]:
    """Return the scale and the growth of mode j; `triangle` is in units of exp(logarithm)."""
    g = eigenvalues[j]
    grows = g > 0
    rate = jnp.where(grows, g, 1)

    def rise(tau: Array) -> tuple[Array, Array, Array]:
        """Return log sigma at tau, a quarter of its slope, and whether it ever starts."""
        matrix, place = _amplified(triangle, eigenvalues, rate, j, tau)
        _, values, right = jnp.linalg.svd(matrix, full_matrices=False)
        sigma, growth = values[place], jnp.square(right[place]) @ eigenvalues
        starts = (sigma > floor * values[0]) & (growth > 0)
        size = jnp.log(jnp.where(starts, sigma, 1)) + logarithm + 4 * rate * tau
        return size, jnp.where(starts, growth, rate), starts

    def newton(tau: Array) -> Array:
        size, growth, starts = rise(tau)
        return jnp.where(starts, jnp.maximum(tau - size / (4 * growth), 0), tau)

    column = jnp.linalg.norm(jax.lax.stop_gradient(triangle[:, j]))
    least = jnp.maximum(jnp.abs(triangle[j, j]), floor * column)
    least = jnp.maximum(least, jnp.finfo(least.dtype).tiny)
    begin = jnp.maximum(-(jnp.log(least * jnp.sqrt(rate)) + logarithm) / (4 * rate), 0)
    begin = jax.lax.stop_gradient(begin)
    tau = jax.lax.fori_loop(0, NEWTON, lambda _, t: jax.lax.stop_gradient(newton(t)), begin)
    tau = newton(jax.lax.stop_gradient(tau))  # the last step carries the derivative
    size, growth, starts = rise(tau)
    scale = jnp.where(starts, jnp.exp(size - 4 * growth * tau) / jnp.sqrt(growth), 0)
    alone = jnp.abs(triangle[j, j]) * jnp.exp(logarithm)
    return jnp.where(grows, scale, alone), jnp.where(grows & starts, growth, g)


def _amplified(
    triangle: Array, eigenvalues: Array, rate: Array, j: Array, tau: Array
) -> tuple[Array, Array]:
    """Return C^{1/2} of the rows that mode j has not been outgrown by, over e^{4 rate tau}.

    Also which of its singular values is mode j's. Rows that are left out keep a diagonal too small
    to matter, different in each row: equal singular values would have no derivative.
    """
    k, size = triangle.shape
    outgrown = -jnp.log(jnp.finfo(triangle.dtype).eps) / 2
    gain = 4 * (eigenvalues - rate) * tau
    first = jnp.argmax(gain < outgrown)
    rows, columns = jnp.arange(k)[:, None], jnp.arange(size)
    grown = jnp.sqrt(jnp.maximum(eigenvalues, 0)) * jnp.exp(jnp.minimum(gain, outgrown))
    kept = (rows >= first) & (columns >= first)
    tiny = jnp.finfo(triangle.dtype).eps ** 2 * jnp.abs(triangle[j]).max() * jnp.sqrt(rate)
    apart = jnp.where(rows == columns, tiny * (1 + rows), 0)
    return jnp.where(kept, triangle * grown, apart), j - first


def _product(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision="highest")
