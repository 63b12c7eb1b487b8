r"""Block Lanczos for A K c = eigenvalue c in NumPy: nothing to compile, for one-off matrices.

The equations are those of `jssl.kernels.lanczos`: an orthonormal basis Q^T K Q = I of the Krylov
space of A K, kept with its image K Q. Blocks are wide and few: the space is never restarted.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Product = Callable[[np.ndarray], np.ndarray]


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
    start = np.random.default_rng(seed).normal(size=(size, width))
    basis = image = np.zeros((size, 0))
    values, mixing = np.zeros(0), np.zeros((0, 0))
    projected, bound = np.zeros((0, 0)), np.full(dim, np.inf)
    block, triangle = np.linalg.qr(pairing(product(start)))
    scale, last, done = 0.0, 0, 1
    while True:
        block, image_of_block, root, scale = _orthonormal(block, product(block), scale)
        done += 1
        if basis.shape[1]:
            bound = np.linalg.norm(root @ triangle @ mixing[-last:], axis=0)[:dim]
            limit = tolerance * np.abs(values).max()
            enough = len(values) >= dim and (bound <= limit).all() and (values[:dim] > limit).all()
            if enough or done >= products:
                break
        # Once more, without a product: rounding was brought up where energies are small, and where
        # the space has ended the directions are arbitrary. One that is new keeps its energy of 1.
        overlap = image.T @ block
        block, image_of_block = block - basis @ overlap, image_of_block - image @ overlap
        block, image_of_block, _, _ = _orthonormal(block, image_of_block, 1.0, 0.5)
        if not block.shape[1]:
            break
        basis, image = np.hstack([basis, block]), np.hstack([image, image_of_block])
        old, last = len(projected), block.shape[1]
        paired = pairing(image_of_block)
        inside = image.T @ paired
        projected = np.block([[projected, inside[:old]], [inside[:old].T, inside[old:]]])
        values, mixing = (x[..., ::-1] for x in np.linalg.eigh((projected + projected.T) / 2))
        rest = paired - basis @ inside
        rest -= basis @ (image.T @ rest)
        block, triangle = np.linalg.qr(rest)
    return _ritz(basis, values, mixing, bound, dim, done)


def _orthonormal(
    block: np.ndarray, image: np.ndarray, scale: float, floor: float | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Return the block orthonormal in K, its image, the root of its energy, the largest energy.

    Directions with energy below `floor` times the largest so far, by default those that K does not
    see up to rounding, are left out.
    """
    gram = block.T @ image
    energy, vectors = np.linalg.eigh((gram + gram.T) / 2)
    scale = max(scale, float(energy[-1]) if len(energy) else 0.0)
    floor = 4 * np.finfo(float).eps * len(block) ** 0.5 if floor is None else floor
    seen = energy > floor * scale
    root = np.sqrt(energy[seen])
    turned = vectors[:, seen] / root
    return block @ turned, image @ turned, root[:, None] * vectors[:, seen].T, scale


def _ritz(
    basis: np.ndarray,
    values: np.ndarray,
    mixing: np.ndarray,
    bound: np.ndarray,
    dim: int,
    products: int,
) -> HostRitz:
    missing, bound = max(dim - len(values), 0), bound[: len(values)]
    vectors = np.pad(basis @ mixing[:, :dim], ((0, 0), (0, missing)))
    return HostRitz(
        np.append(values[:dim], np.full(missing, -np.inf)),
        vectors,
        np.append(bound, np.full(missing, np.inf)),
        products,
    )
