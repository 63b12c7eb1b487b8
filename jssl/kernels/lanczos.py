r"""Block Lanczos for A K c = eigenvalue c, A symmetric and K positive semi-definite.

A K is self-adjoint in the inner product <u, v> = u^T K v (Simon et al. 2023, arXiv 2303.15438,
where A = J/2n), so Lanczos in that inner product needs one product with K a step, no square root
and no Cholesky factor, and a null space of K is invisible to it. With an orthonormal basis
Q^T K Q = I, kept together with its image K Q,

    A K Q_j = Q H_j + W upper,    W^T K W = V diag(energy) V^T,    Q_{j+1} = W V energy^{-1/2},

H = Q^T K A K Q is the projected operator, H s = eigenvalue s a Ritz pair, and its residual

    || A K Q s - eigenvalue Q s ||_K = || energy^{1/2} V^T upper s_j ||,    s_j: rows of block j,

bounds the distance to an exact eigenvalue. Every block is orthogonalised against all others. A
block at least as wide as the number of wanted eigenvalues misses no multiple one. A full basis is
restarted from its best Ritz vectors and its last block, which keeps it a Krylov space.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jssl.types import Array

Product = Callable[[Array], Array]
_write = jax.lax.dynamic_update_slice_in_dim


class Ritz(NamedTuple):
    """The largest Ritz pairs and how far to trust them.

    Attributes:
        eigenvalues: (dim,) descending; `-inf` where the space holds fewer.
        vectors: (size, dim) c with c^T K c = 1 and A K c = eigenvalue c.
        residual: (dim,) || A K c - eigenvalue c ||_K, from fresh products with K.
        positive: number of eigenvalues found that are positive beyond the tolerance.
        converged: whether the bound of every wanted eigenvalue is within the tolerance.
        exhausted: whether the basis spans everything that K can see.
        steps: products of K with a block.
        clipped: the most negative energy met over the largest: rounding, unless K is indefinite.
    """

    eigenvalues: Array
    vectors: Array
    residual: Array
    positive: Array
    converged: Array
    exhausted: Array
    steps: Array
    clipped: Array


class _Space(NamedTuple):
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


def largest(
    product: Product,
    pairing: Product,
    start: Array,
    *,
    dim: int,
    tolerance: float,
    steps: int = 200,
    depth: int = 8,
) -> Ritz:
    """Return the `dim` largest eigenvalues of A K, with a residual for each.

    Pure and free of host work: it can be jitted and mapped.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> scale = jnp.array([4.0, 3.0, 2.0, 1.0, 0.0, 0.0])[:, None]
        >>> start = jax.random.normal(jax.random.key(0), (6, 3))
        >>> ritz = largest(lambda v: scale * v, lambda v: v, start, dim=2, tolerance=1e-4)
        >>> bool(jnp.allclose(ritz.eigenvalues, jnp.array([4.0, 3.0]), atol=1e-4))
        True

    Args:
        product: v -> K v for v (size, columns).
        pairing: v -> A v.
        start: (size, width) start block, random; width >= dim so that no multiple is missed.
        dim: number of eigenvalues.
        tolerance: largest residual bound over the largest absolute eigenvalue.
        steps: bound on the products with K.
        depth: blocks that are expanded before the basis is restarted, at least 2.

    References:
        Simon et al. 2023, arXiv 2303.15438; thick restarts: Wu and Simon, SIAM J. Matrix Anal.
        Appl. 22 (2000) 602.
    """
    with jax.default_matmul_precision("highest"):
        space = _begin(product, pairing, start, dim, depth)
        width = start.shape[1]

        def unfinished(space: _Space) -> Array:
            sound = jnp.isfinite(space.scale) & ~space.exhausted & (space.steps < steps)
            return ~_converged(space, tolerance) & sound

        def advance(space: _Space) -> _Space:
            space = jax.lax.cond(
                space.block == depth, lambda s: _restart(s, width), lambda s: s, space
            )
            return _expand(product, pairing, space, width)

        space = jax.lax.while_loop(unfinished, advance, space)
        return _finish(product, pairing, space, dim, tolerance)


def residual_norms(
    product: Product, pairing: Product, vectors: Array, image: Array, eigenvalues: Array
) -> Array:
    """Return || A K c - eigenvalue c ||_K of each column, given c and K c."""
    difference = pairing(image) - vectors * eigenvalues
    squares = jnp.sum(difference * product(difference), axis=0)
    return jnp.sqrt(jnp.maximum(squares, 0))


def _begin(product: Product, pairing: Product, start: Array, dim: int, depth: int) -> _Space:
    size, width = start.shape
    columns = (depth + 1) * width
    empty = jnp.zeros((size, columns), start.dtype)
    # One product smooths the start, so that its largest energy is close to the norm of K.
    block, _ = jnp.linalg.qr(pairing(product(start)))
    image = product(block)
    block, image, _, energy = _normalise(block, image, jnp.zeros((), start.dtype))
    return _Space(
        basis=empty.at[:, :width].set(block),
        image=empty.at[:, :width].set(image),
        projected=jnp.zeros((columns, columns), start.dtype),
        block=jnp.zeros((), jnp.int32),
        eigenvalues=jnp.full((columns,), -jnp.inf, start.dtype),
        mixing=jnp.zeros((columns, columns), start.dtype),
        bound=jnp.full((dim,), jnp.inf, start.dtype),
        scale=energy[-1],
        lowest=energy[0],
        exhausted=energy[-1] <= 0,
        steps=jnp.full((), 2, jnp.int32),
    )


def _expand(product: Product, pairing: Product, space: _Space, width: int) -> _Space:
    basis, image = space.basis, space.image
    columns = basis.shape[1]
    first = space.block * width
    block = pairing(jax.lax.dynamic_slice_in_dim(image, first, width, axis=1))
    upper = jnp.eye(width, dtype=basis.dtype)
    inside = jnp.zeros((columns, width), basis.dtype)
    for _ in range(2):
        overlap = image.T @ block
        inside += overlap @ upper
        block, triangle = jnp.linalg.qr(block - basis @ overlap)
        upper = triangle @ upper
    block, block_image, root, energy = _normalise(block, product(block), space.scale)
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
    return _Space(
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


def _normalise(
    block: Array, image: Array, scale: Array, floor: float | None = None
) -> tuple[Array, Array, Array, Array]:
    """Return the block orthonormal in K, its image, the root of its energy, and the energies.

    Directions with energy below `floor` times the scale, by default those that K does not see up
    to rounding, become zero columns: their energy, the square of a residual, is all rounding.
    """
    if floor is None:
        floor = 4 * float(jnp.finfo(block.dtype).eps) * block.shape[0] ** 0.5
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


def _restart(space: _Space, width: int) -> _Space:
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


def _threshold(eigenvalues: Array, tolerance: float) -> Array:
    finite = jnp.where(jnp.isfinite(eigenvalues), jnp.abs(eigenvalues), 0)
    return tolerance * jnp.max(finite)


def _converged(space: _Space, tolerance: float) -> Array:
    threshold = _threshold(space.eigenvalues, tolerance)
    wanted = space.eigenvalues[: space.bound.shape[0]]
    return jnp.all((space.bound <= threshold) & (wanted > threshold))


def _finish(product: Product, pairing: Product, space: _Space, dim: int, tolerance: float) -> Ritz:
    values, mixing = space.eigenvalues[:dim], space.mixing[:, :dim]
    threshold = _threshold(space.eigenvalues, tolerance)
    usable = jnp.isfinite(values) & (jnp.abs(values) > threshold)
    # c = A K c / eigenvalue also fixes the part of c in the null space of K.
    vectors = jnp.where(usable, pairing(space.image @ mixing) / jnp.where(usable, values, 1), 0)
    image = product(vectors)
    norms = jnp.sqrt(jnp.where(usable, jnp.sum(vectors * image, axis=0), 1))
    vectors, image = vectors / norms, image / norms
    residual = residual_norms(product, pairing, vectors, image, jnp.where(usable, values, 0))
    return Ritz(
        eigenvalues=values,
        vectors=vectors,
        residual=jnp.where(usable, residual, jnp.inf),
        positive=jnp.sum(values > threshold),
        converged=_converged(space, tolerance),
        exhausted=space.exhausted,
        steps=space.steps + 2,
        clipped=jnp.maximum(-space.lowest, 0) / jnp.where(space.scale > 0, space.scale, 1),
    )
