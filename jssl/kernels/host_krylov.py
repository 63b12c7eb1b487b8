r"""The Krylov space of block Lanczos for A K c = eigenvalue c in NumPy: nothing to compile.

The equations are those of `jssl.kernels.lanczos`. Basis and image are tuples of blocks, so that a
step copies none of them. Directions that K does not see are left out of a block, which may
therefore be narrower than the one before. All functions are pure.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Product = Callable[[np.ndarray], np.ndarray]


class HostSpace(NamedTuple):
    """The space so far: what a run of block Lanczos carries from step to step.

    Attributes:
        basis: blocks (size, width) of Q.
        image: those of K Q.
        projected: H, of all blocks but the last.
        eigenvalues: its Ritz values, descending.
        mixing: their vectors, over all blocks but the last.
        bound: (dim,) distance of a wanted eigenvalue to an exact one; infinite where unknown.
        norm: an estimate of the norm of K from the random start.
        scale: the largest energy met.
        lowest: the lowest energy met.
        products: products of K with a block.
        unit: power of 4 that K is divided by; all of the above are of K over it.
    """

    basis: tuple[np.ndarray, ...]
    image: tuple[np.ndarray, ...]
    projected: np.ndarray
    eigenvalues: np.ndarray
    mixing: np.ndarray
    bound: np.ndarray
    norm: float
    scale: float
    lowest: float
    products: int
    unit: float

    @property
    def is_exhausted(self) -> bool:
        """Whether the last block is empty: the basis spans everything that K can see."""
        return not self.basis[-1].shape[1]


class HostProposal(NamedTuple):
    """The next block, orthogonal to the basis, before its product with K is known.

    Attributes:
        space: the space, restarted if it was full.
        block: (size, width) whose product with K is wanted.
        inside: (columns, width) H of the block before.
        upper: (width, width) triangle of the orthogonalisation.
    """

    space: HostSpace
    block: np.ndarray
    inside: np.ndarray
    upper: np.ndarray


def smoothed(pairing: Product, image: np.ndarray) -> np.ndarray:
    """Return the first block, an orthonormal basis of A K start, from K start.

    One product smooths the start, so that its largest energy is close to the norm of K.
    """
    found: np.ndarray = np.linalg.qr(pairing(image))[0]
    return found


def unit_of(image: np.ndarray) -> float:
    """Return a power of 4 near the largest absolute value, 1 for zeros; division by it is exact.

    Example:
        >>> unit_of(np.array([3.0, -70.0]))
        64.0
    """
    largest = float(np.max(np.abs(image), initial=0))
    if not largest or not np.isfinite(largest):
        return 1.0
    return float(np.ldexp(1.0, int(np.frexp(largest)[1] - 1) // 2 * 2))


def norm_of(start: np.ndarray, image: np.ndarray) -> float:
    """Return an estimate of the Frobenius norm of K, from a random start and K start.

    The energies of the first block are no such estimate: where A maps to what K does not see, they
    are rounding.

    Example:
        >>> start = np.random.default_rng(0).standard_normal((100, 20))
        >>> round(norm_of(start, 3 * start), 9)  # of 3 times the identity
        30.0
    """
    return float(np.linalg.norm(image) / np.linalg.norm(start) * len(start) ** 0.5)


def begin(
    block: np.ndarray,
    image: np.ndarray,
    *,
    dim: int,
    floor: float,
    norm: float,
    unit: float = 1.0,
) -> HostSpace:
    """Return the space of one block.

    Args:
        block: from `smoothed`.
        image: K block.
        dim: number of wanted eigenvalues.
        norm: from `norm_of`.
        floor: energies below this share of the largest count as rounding.
        unit: that K was divided by.
    """
    block, image, _, energy = _orthonormal(block, image, 0.0, floor)
    empty = np.zeros((0, 0), block.dtype)
    bound = np.full(dim, np.inf, block.dtype)
    return HostSpace(
        basis=(block,),
        image=(image,),
        projected=empty,
        eigenvalues=np.zeros(0, block.dtype),
        mixing=empty,
        bound=bound,
        norm=norm,
        scale=float(energy[-1]),
        lowest=float(energy[0]),
        products=2,
        unit=unit,
    )


def propose(pairing: Product, space: HostSpace, most: int | None = None) -> HostProposal:
    """Return the block that comes next; a space of `most` columns is restarted first."""
    columns = sum(block.shape[1] for block in space.basis)
    if most is not None and columns + space.basis[-1].shape[1] > most:
        space = _restarted(space)
    block = pairing(space.image[-1])
    upper, inside = np.eye(block.shape[1], dtype=block.dtype), 0
    for _ in range(2):
        overlap = _overlap(space.image, block)
        inside = inside + overlap @ upper
        block, triangle = np.linalg.qr(_without(block, space.basis, overlap))
        upper = triangle @ upper
    return HostProposal(space, block, np.asarray(inside), upper)


def absorb(proposal: HostProposal, product: np.ndarray, *, floor: float) -> HostSpace:
    """Return the space with a proposed block, given its product with K; floor as in `begin`."""
    space, block, inside, upper = proposal
    block, image, root, energy = _orthonormal(block, product, space.scale, floor)
    # Rounding was brought up where energies are small, and where the Krylov space has ended the
    # directions are arbitrary: once more, without a product. A direction that is new keeps its
    # energy of 1, one that is not loses it.
    if not np.isfinite(energy).all():
        return space._replace(scale=np.nan, lowest=np.nan, products=space.products + 1)
    overlap = _overlap(space.image, block)
    block, image = _without(block, space.basis, overlap), _without(image, space.image, overlap)
    block, image, _, _ = _orthonormal(block, image, 1.0, 0.5)

    old = len(space.projected)
    projected = np.block([[space.projected, inside[:old]], [inside[:old].T, inside[old:]]])
    values, mixing = (x[..., ::-1] for x in np.linalg.eigh((projected + projected.T) / 2))
    bound, dim = np.full_like(space.bound, np.inf), len(space.bound)
    residual = root @ (upper @ mixing[old:, :dim])
    bound[: residual.shape[1]] = np.linalg.norm(residual, axis=0)
    return HostSpace(
        basis=(*space.basis, block),
        image=(*space.image, image),
        projected=projected,
        eigenvalues=values,
        mixing=mixing,
        bound=bound,
        norm=space.norm,
        scale=max(space.scale, float(energy[-1])),
        lowest=min(space.lowest, float(energy[0])),
        products=space.products + 1,
        unit=space.unit,
    )


def is_unfinished(space: HostSpace, tolerance: float, products: int) -> bool:
    """Return whether another step is due."""
    if not np.isfinite(space.scale) or space.is_exhausted or space.products >= products:
        return False
    return not is_converged(space, tolerance)


def is_converged(space: HostSpace, tolerance: float) -> bool:
    """Return whether the bound of every wanted eigenvalue is within the tolerance."""
    wanted, least = space.eigenvalues[: len(space.bound)], threshold(space, tolerance)
    if len(wanted) < len(space.bound):
        return False
    return bool((space.bound <= least).all() and (wanted > least).all())


def threshold(space: HostSpace, tolerance: float) -> float:
    """Return the tolerance times the largest absolute eigenvalue."""
    return tolerance * float(np.max(np.abs(space.eigenvalues), initial=0))


def vectors(space: HostSpace, dim: int) -> np.ndarray:
    """Return (size, dim) Ritz vectors of the largest eigenvalues, zero beyond those found."""
    found = np.zeros((len(space.basis[0]), dim), space.basis[0].dtype)
    count = min(dim, space.mixing.shape[1])
    _sum_into(found[:, :count], space.basis, space.mixing[:, :count])
    return found


def _orthonormal(
    block: np.ndarray, image: np.ndarray, scale: float, floor: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the block orthonormal in K, its image, the root of its energy, and the energies.

    Directions with energy below `floor` times the scale, those that K does not see up to rounding,
    are left out: their energy, the square of a residual, is all rounding.
    """
    gram = block.T @ image
    if not np.isfinite(gram).all():
        return block, image, np.full_like(gram, np.nan), np.full(len(gram), np.nan)
    energy, vectors = np.linalg.eigh((gram + gram.T) / 2)
    if not len(energy):
        return block, image, gram, np.zeros(1)
    seen = energy > floor * max(scale, float(energy[-1]))
    root = np.sqrt(energy[seen])
    turned = vectors[:, seen] / root
    return block @ turned, image @ turned, root[:, None] * vectors[:, seen].T, energy


def _overlap(blocks: tuple[np.ndarray, ...], other: np.ndarray) -> np.ndarray:
    return np.concatenate([block.T @ other for block in blocks])


def _without(block: np.ndarray, basis: tuple[np.ndarray, ...], overlap: np.ndarray) -> np.ndarray:
    return _sum_into(np.array(block), basis, -overlap)


def _sum_into(total: np.ndarray, blocks: tuple[np.ndarray, ...], mixing: np.ndarray) -> np.ndarray:
    """Add the product of all blocks with the first rows of `mixing` to the total."""
    first = 0
    for block in blocks:
        part = mixing[first : first + block.shape[1]]
        if len(part):
            total += block[:, : len(part)] @ part
        first += block.shape[1]
    return total


def _restarted(space: HostSpace) -> HostSpace:
    """Keep the best half of the Ritz vectors and the block that comes next."""
    keep = max(len(space.eigenvalues) // 2, len(space.bound))
    mixing, size = space.mixing[:, :keep], len(space.basis[0])
    dtype = space.basis[0].dtype
    basis, image = (
        _sum_into(np.zeros((size, keep), dtype), blocks, mixing)
        for blocks in (space.basis, space.image)
    )
    return space._replace(
        basis=(basis, space.basis[-1]),
        image=(image, space.image[-1]),
        projected=np.diag(space.eigenvalues[:keep]),
    )
