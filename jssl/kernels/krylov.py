r"""The Krylov space of block Lanczos for A K c = eigenvalue c, block by block.

The equations are those of `jssl.kernels.lanczos`. A block is proposed, its product with K is
computed by whatever computes products, and the space absorbs both. All functions are pure and can
be jitted; precision is that of `jax.default_matmul_precision`.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jssl.types import Array

Product = Callable[[Array], Array]
_write = jax.lax.dynamic_update_slice_in_dim


class Space(NamedTuple):
    """The Krylov space so far: what a run of block Lanczos carries from step to step."""

    basis: Array  # (size, columns) Q; a zero column is empty
    image: Array  # (size, columns) K Q
    projected: Array  # (columns, columns) H
    block: Array  # the block to expand next
    eigenvalues: Array  # (columns,) Ritz values, descending
    mixing: Array  # (columns, columns) their vectors in the basis
    bound: Array  # (dim,)
    scale: Array  # the largest energy met, an estimate of the norm of K
    lowest: Array  # the lowest energy met
    exhausted: Array
    steps: Array


class Proposal(NamedTuple):
    """The next block, orthogonal to the basis, before its product with K is known.

    Attributes:
        space: the space, restarted if it was full.
        block: (size, width) whose product with K is wanted.
        inside: (columns, width) H of the block before.
        upper: (width, width) triangle of the orthogonalisation.
    """

    space: Space
    block: Array
    inside: Array
    upper: Array


def smoothed(pairing: Product, image: Array) -> Array:
    """Return the first block, an orthonormal basis of A K start.

    One product smooths the start, so that its largest energy is close to the norm of K.

    Args:
        pairing: v -> A v.
        image: K start.
    """
    return jnp.linalg.qr(pairing(image))[0]


def begin(block: Array, image: Array, *, dim: int, depth: int) -> Space:
    """Return the space of one block.

    Args:
        block: from `smoothed`.
        image: K block.
        dim: number of wanted eigenvalues.
        depth: blocks that are expanded before the basis is restarted.
    """
    size, width = block.shape
    columns = (depth + 1) * width
    empty = jnp.zeros((size, columns), block.dtype)
    block, image, _, energy = _normalise(block, image, jnp.zeros((), block.dtype))
    return Space(
        basis=empty.at[:, :width].set(block),
        image=empty.at[:, :width].set(image),
        projected=jnp.zeros((columns, columns), block.dtype),
        block=jnp.zeros((), jnp.int32),
        eigenvalues=jnp.full((columns,), -jnp.inf, block.dtype),
        mixing=jnp.zeros((columns, columns), block.dtype),
        bound=jnp.full((dim,), jnp.inf, block.dtype),
        scale=energy[-1],
        lowest=energy[0],
        exhausted=energy[-1] <= 0,
        steps=jnp.full((), 2, jnp.int32),
    )


def propose(pairing: Product, space: Space, width: int) -> Proposal:
    """Return the block that comes next; a full space is restarted first."""
    depth = space.basis.shape[1] // width - 1
    space = jax.lax.cond(space.block == depth, lambda s: _restart(s, width), lambda s: s, space)
    basis, image = space.basis, space.image
    block = pairing(jax.lax.dynamic_slice_in_dim(image, space.block * width, width, axis=1))
    upper = jnp.eye(width, dtype=basis.dtype)
    inside = jnp.zeros((basis.shape[1], width), basis.dtype)
    for _ in range(2):
        overlap = image.T @ block
        inside += overlap @ upper
        block, triangle = jnp.linalg.qr(block - basis @ overlap)
        upper = triangle @ upper
    return Proposal(space, block, inside, upper)


def absorb(proposal: Proposal, product: Array) -> Space:
    """Return the space with a proposed block, given its product with K."""
    space, block, inside, upper = proposal
    basis, image = space.basis, space.image
    columns, width = basis.shape[1], block.shape[1]
    first = space.block * width
    block, block_image, root, energy = _normalise(block, product, space.scale)
    # Rounding was brought up where energies are small, and where the Krylov space has ended the
    # directions are arbitrary: once more, without a product. A direction that is new keeps its
    # energy of 1, one that is not loses it.
    overlap = image.T @ block
    block, block_image = block - basis @ overlap, block_image - image @ overlap
    block, block_image, _, _ = _normalise(block, block_image, jnp.ones_like(space.scale), 0.5)

    projected = _write(space.projected, inside, first, axis=1)
    projected = _write(projected, inside.T, first, axis=0)
    held = (jnp.sum(basis * image, axis=0) > 0.5) & (jnp.arange(columns) < first + width)
    eigenvalues, mixing = _ritz(projected, held)
    last = jax.lax.dynamic_slice_in_dim(mixing, first, width, axis=0)
    dim = space.bound.shape[0]
    bound = jnp.linalg.norm(root @ upper @ last[:, :dim], axis=0)
    return Space(
        basis=_write(basis, block, first + width, axis=1),
        image=_write(image, block_image, first + width, axis=1),
        projected=projected,
        block=space.block + 1,
        eigenvalues=eigenvalues,
        mixing=mixing,
        bound=bound,
        scale=jnp.maximum(space.scale, energy[-1]),
        lowest=jnp.minimum(space.lowest, energy[0]),
        exhausted=~jnp.any(block_image != 0),
        steps=space.steps + 1,
    )


def is_unfinished(space: Space, tolerance: float, steps: int) -> Array:
    """Return whether another step is due."""
    sound = jnp.isfinite(space.scale) & ~space.exhausted & (space.steps < steps)
    return ~converged(space, tolerance) & sound


def _normalise(
    block: Array, image: Array, scale: Array, floor: float | None = None
) -> tuple[Array, Array, Array, Array]:
    """Return the block orthonormal in K, its image, the root of its energy, and the energies.

    Directions with energy below `floor` times the scale, by default those that K does not see up
    to rounding, become zero columns: their energy, the square of a residual, is all rounding.
    """
    if floor is None:
        floor = 4 * float(jnp.finfo(block.dtype).eps)
    gram = block.T @ image
    energy, vectors = jnp.linalg.eigh((gram + gram.T) / 2)
    seen = energy > floor * jnp.maximum(scale, energy[-1])
    root = jnp.where(seen, jnp.sqrt(jnp.where(seen, energy, 1)), 0)
    rotated = vectors * jnp.where(seen, 1 / jnp.where(seen, root, 1), 0)
    return block @ rotated, image @ rotated, root[:, None] * vectors.T, energy


def _ritz(projected: Array, held: Array) -> tuple[Array, Array]:
    """Return the Ritz values, descending, and vectors over the columns that are held."""
    magnitude = 2 * jnp.linalg.norm(projected) + 1
    matrix = jnp.where(held[:, None] & held, (projected + projected.T) / 2, 0)
    matrix = matrix - jnp.diag(jnp.where(held, 0, magnitude))
    eigenvalues, mixing = (a[..., ::-1] for a in jnp.linalg.eigh(matrix))
    real = eigenvalues > -0.75 * magnitude
    return jnp.where(real, eigenvalues, -jnp.inf), jnp.where(real, mixing, 0)


def _restart(space: Space, width: int) -> Space:
    """Keep the best half of the Ritz vectors and the block that comes next."""
    columns = space.basis.shape[1]
    keep = (columns // width // 2) * width
    mixing = space.mixing[:, :keep]

    def squeeze(array: Array) -> Array:
        out = jnp.zeros_like(array).at[:, :keep].set(array @ mixing)
        return out.at[:, keep : keep + width].set(array[:, -width:])

    values = jnp.where(jnp.isfinite(space.eigenvalues[:keep]), space.eigenvalues[:keep], 0)
    return space._replace(
        basis=squeeze(space.basis),
        image=squeeze(space.image),
        projected=jnp.zeros_like(space.projected).at[:keep, :keep].set(jnp.diag(values)),
        block=jnp.full((), keep // width, jnp.int32),
    )


def threshold(eigenvalues: Array, tolerance: float) -> Array:
    """Return the tolerance times the largest absolute eigenvalue."""
    finite = jnp.where(jnp.isfinite(eigenvalues), jnp.abs(eigenvalues), 0)
    return tolerance * jnp.max(finite)


def converged(space: Space, tolerance: float) -> Array:
    """Return whether the bound of every wanted eigenvalue is within the tolerance."""
    least = threshold(space.eigenvalues, tolerance)
    wanted = space.eigenvalues[: space.bound.shape[0]]
    return jnp.all((space.bound <= least) & (wanted > least))
