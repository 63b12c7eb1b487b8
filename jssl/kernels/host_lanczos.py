r"""Block Lanczos for A K c = eigenvalue c in NumPy: nothing to compile, for one-off matrices.

Blocks are wide and few: the space of `jssl.kernels.host_krylov` is never restarted.
"""

from typing import NamedTuple

import numpy as np

from jssl.kernels.host_krylov import (
    Product,
    absorb,
    begin,
    is_unfinished,
    norm_of,
    propose,
    smoothed,
    vectors,
)


class HostRitz(NamedTuple):
    """The largest Ritz pairs.

    Attributes:
        eigenvalues: (dim,) descending; `-inf` where the space holds fewer.
        vectors: (size, dim) c with c^T K c = 1 and A K c = eigenvalue c.
        residual: (dim,) bounds of || A K c - eigenvalue c ||_K: an exact eigenvalue is at most this
            far.
        products: products of K with a block.
    """

    eigenvalues: np.ndarray
    vectors: np.ndarray
    residual: np.ndarray
    products: int


def largest_on_host(
    product: Product,
    pairing: Product,
    size: int,
    *,
    dim: int,
    tolerance: float,
    width: int | None = None,
    products: int = 60,
    seed: int = 0,
) -> HostRitz:
    """Return the `dim` largest eigenvalues of A K, with a bound for each.

    Example:
        >>> scale = np.array([4.0, 3.0, 2.0, 1.0, 0.0, 0.0])[:, None]
        >>> found = largest_on_host(lambda v: scale * v, lambda v: v, 6, dim=2, tolerance=1e-9)
        >>> found.eigenvalues.round(9).tolist()
        [4.0, 3.0]

    Args:
        product: v -> K v for v (size, columns), K positive semi-definite.
        pairing: v -> A v, A symmetric.
        size: rows of K.
        dim: number of eigenvalues.
        tolerance: largest bound over the largest absolute eigenvalue.
        width: columns of a block, at least dim so that no multiple eigenvalue is missed; None for
            dim + 16.
        products: bound on the products with K.
        seed: of the random start; the answer does not depend on it.
    """
    width = min(dim + 16 if width is None else width, size)
    floor = 4 * float(np.finfo(float).eps) * size**0.5
    start = np.random.default_rng(seed).normal(size=(size, width))
    image = product(start)
    block = smoothed(pairing, image)
    norm = norm_of(start, image)
    space = begin(block, product(block), dim=dim, floor=floor, norm=norm)
    while is_unfinished(space, tolerance, products):
        proposal = propose(pairing, space)
        space = absorb(proposal, product(proposal.block), floor=floor)
    values = np.full(dim, -np.inf)
    values[: len(space.eigenvalues)] = space.eigenvalues[:dim]
    return HostRitz(values, vectors(space, dim), space.bound, space.products)
