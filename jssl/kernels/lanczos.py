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

A and K are divided by powers of 4 near their size, which rounds nothing: energies are products of
two numbers of the size of K, and would overflow or vanish in float32 from 1e19 or 1e-19 on.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jssl.arithmetic import unit_of
from jssl.kernels.krylov import (
    Product,
    Space,
    absorb,
    begin,
    converged,
    is_unfinished,
    propose,
    smoothed,
    threshold,
)
from jssl.kernels.pairing import check_product
from jssl.types import Array


class Ritz(NamedTuple):
    """The largest Ritz pairs and how far to trust them.

    Attributes:
        eigenvalues: (dim,) descending; `-inf` where the space holds fewer.
        vectors: (size, dim) c with c^T K c = 1 and A K c = eigenvalue c.
        residual: (dim,) || A K c - eigenvalue c ||_K, from fresh products with K.
        positive: number of eigenvalues found that are positive beyond tolerance and rounding.
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
        steps: bound on the products with K, two of which come at the end.
        depth: blocks that are expanded before the basis is restarted, at least 2.

    References:
        Simon et al. 2023, arXiv 2303.15438; thick restarts: Wu and Simon, SIAM J. Matrix Anal.
        Appl. 22 (2000) 602.
    """
    width = start.shape[1]

    with jax.default_matmul_precision("highest"):
        image, paired = product(start), pairing(start)
        check_product("the Gram matrix", image, start)
        check_product("pairing", paired, start)
        unit, pairing_unit = unit_of(image), unit_of(paired)
        image, paired = image / unit, paired / pairing_unit

        def scaled(v: Array) -> Array:
            return product(v) / unit

        def scaled_pairing(v: Array) -> Array:
            return pairing(v) / pairing_unit

        def advance(space: Space) -> Space:
            proposal = propose(scaled_pairing, space, width)
            return absorb(proposal, scaled(proposal.block))

        norm = jnp.linalg.norm(image) * jnp.linalg.norm(paired) / jnp.sum(start**2)
        block = smoothed(scaled_pairing, image)
        space = begin(block, scaled(block), dim=dim, depth=depth)
        space = jax.lax.while_loop(
            lambda space: is_unfinished(space, tolerance, steps - 2), advance, space
        )
        # of eigenvalues, where K S and A S of the random start are large: energies of the first
        # block are no estimate, since A may map to what K does not see
        rounding = 4 * float(jnp.finfo(start.dtype).eps) * norm * len(start) ** 0.5
        found = _finish(scaled, scaled_pairing, space, dim, tolerance, rounding)
        return found._replace(
            eigenvalues=times(found.eigenvalues, unit, pairing_unit),
            vectors=found.vectors / jnp.sqrt(unit),
            residual=times(found.residual, unit, pairing_unit),
        )


def times(values: Array, unit: Array, pairing_unit: Array) -> Array:
    """Return eigenvalues in the units of K and A, which alone may not be representable."""
    root = jnp.sqrt(unit)
    return values * root * pairing_unit * root


def residual_norms(
    product: Product, pairing: Product, vectors: Array, image: Array, eigenvalues: Array
) -> Array:
    """Return || A K c - eigenvalue c ||_K of each column, given c and K c."""
    difference = pairing(image) - vectors * eigenvalues
    squares = jnp.sum(difference * product(difference), axis=0)
    return jnp.sqrt(jnp.maximum(squares, 0))


def _finish(
    product: Product, pairing: Product, space: Space, dim: int, tolerance: float, rounding: Array
) -> Ritz:
    values, mixing = space.eigenvalues[:dim], space.mixing[:, :dim]
    least = jnp.maximum(threshold(space.eigenvalues, tolerance), rounding)
    usable = jnp.isfinite(values) & (jnp.abs(values) > least)
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
        positive=jnp.sum(values > least),
        converged=converged(space, tolerance),
        exhausted=space.exhausted,
        steps=space.steps + 2,
        clipped=jnp.maximum(-space.lowest, 0) / jnp.where(space.scale > 0, space.scale, 1),
    )
