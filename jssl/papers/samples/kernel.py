"""The modes of a nonlinear encoder's kernel on digits, from subsets of the pairs.

Most of the bias of these eigenvalues comes from the many modes that are too small to be followed:
they enter the theory through a trace (P-5).
"""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from jssl.forecast.encoders import grams, named_encoder
from jssl.forecast.modes import modes_of
from jssl.papers.outcome import Part, Settings
from jssl.papers.samples import claims, drawing
from jssl.papers.samples.linear import SIZES, digit_pairs, referred
from jssl.papers.samples.subsets import Reference, move, one_by_one
from jssl.single_use import compile_cheaply
from jssl.theory import sampling
from jssl.theory.sampling import Energies, Sample

KERNEL = "mlp-relu-3"
SUBSETS = {"quick": (100, 80, 60, 120), "paper": (400,) * 4, "large": (400,) * 4}
"""Subsets of each of `SIZES`."""
FIRST, LEADING = slice(1), slice(2)
"""Blocks of modes: the first alone, and with the next block."""
KEPT, COUNT, PROBES = 24, 6, 8
"""Modes that are summed one by one, modes that are followed, and signs for the others."""

Product = Callable[[np.ndarray], np.ndarray]
"""v -> K v."""

_ROUNDS = 6  # products with the Gram matrix of a subset


def network(settings: Settings) -> Part:
    """Test bias and rotations of the modes of an infinite network."""
    views = np.concatenate(digit_pairs(settings, 2))
    settings.progress("Gram matrix", 0.0)
    _, gram = grams(named_encoder(KERNEL, views.shape[1:]), views)  # type: ignore[arg-type]
    reference = reference_of(gram, SIZES[-1], COUNT, settings.generator(3))
    moved = []
    for index, (n, subsets) in enumerate(zip(SIZES, SUBSETS[settings.scale], strict=True)):
        settings.progress(f"subsets of {n} pairs", 0.3 + 0.7 * index / len(SIZES))
        moved.append(move(reference, n, subsets, settings.generator(4, index)))
    phrase, eigenvalues = "an infinite relu network", "eigenvalues of an infinite relu network"
    made = [
        claims.error("first-network", f"First {eigenvalues}", reference, moved, (), FIRST),
        claims.bias("first-network", f"First {eigenvalues}", reference, moved, FIRST),
        claims.bias("network", f"Leading {eigenvalues}", reference, moved[-1:], LEADING),
        claims.bias_exponent("network", phrase, reference, moved),
        claims.rotation("network", phrase, reference, moved[-1:], LEADING),
    ]
    return Part(
        made,
        drawing.figures("network", f"{KERNEL} on digits", reference, moved, made),
        (drawing.stable(f"{KERNEL} on digits", reference, SIZES),),
    )


def reference_of(
    gram: np.ndarray, largest: int, count: int, draws: np.random.Generator
) -> Reference:
    """Return the reference of a Gram matrix (2N, 2N), first views first.

    Args:
        gram: of all pairs.
        largest: pairs of the largest subset.
        count: number of modes that are followed.
        draws: random signs.
    """
    n, space = len(gram) // 2, 2 * count
    values, vectors = modes_of(gram, max(KEPT, space), False)
    functions = gram @ vectors
    signs = draws.choice([-1.0, 1.0], size=(n, PROBES))
    sample = with_levels(
        sample_of(values, functions, sampling.pair_energies(jnp.asarray(gram))),
        lambda v: gram @ v, signs, count,
    )  # fmt: skip

    def solve(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        both = np.concatenate([rows, rows + n])
        found, coefficients = warm_modes(gram[np.ix_(both, both)], vectors[both, :space], count)
        return found, functions[both, :count].T @ coefficients

    return referred(sample, one_by_one(solve), count, largest)


def sample_of(values: np.ndarray, functions: np.ndarray, energies: Energies) -> Sample:
    """Return the modes with functions (2N, M) at all views, first views first."""
    n = len(functions) // 2
    first, second = jnp.asarray(functions[:n]), jnp.asarray(functions[n:])
    return Sample(jnp.asarray(values), first, second, energies)


def with_levels(sample: Sample, product: Product, signs: np.ndarray, count: int) -> Sample:
    """Return a sample with the mean eigenvalue of the modes that are not in it.

    Args:
        sample: of leading modes.
        product: v -> K v in NumPy.
        signs: (N, probes).
        count: number of modes that are followed.
    """
    columns = sampling.tail_columns(sample, jnp.asarray(signs), count)
    levels = compile_cheaply(sampling.tail_levels, static_argnames="count")
    return sample._replace(levels=levels(sample, signs, product(np.asarray(columns)), count=count))


def warm_modes(gram: np.ndarray, start: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the leading eigenvalues and coefficients of a subset, from modes that are near.

    Rayleigh and Ritz in the inner product of K, on a space and its image under J K / 2n. With 12
    columns no small matrix has more than 24 rows, see `linear.leading_near`.

    Args:
        gram: (2n, 2n) of the subset.
        start: (2n, columns) coefficients; more columns than `count`.
        count: number of modes.

    Returns:
        Eigenvalues (count,), descending, and coefficients (2n, count) of functions of norm one.
    """
    columns = start.shape[1]
    basis, image, values = _ritz(start, gram @ start, columns)
    for _ in range(_ROUNDS):
        other = _paired(image)
        for _ in range(2):  # again after scaling: what is left may be rounding
            other = other - basis @ (image.T @ other)
            other = other / np.linalg.norm(other, axis=0)
        space, images = np.hstack([basis, other]), np.hstack([image, gram @ other])
        basis, image, values = _ritz(space, images, columns)
    return values[:count], basis[:, :count]


def _ritz(
    space: np.ndarray, images: np.ndarray, columns: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the leading Ritz vectors of J K / 2n in a space, their images and values."""
    energies, turn = np.linalg.eigh(space.T @ images)
    kept = energies > 1e-12 * energies[-1]
    turn = turn[:, kept] / np.sqrt(energies[kept])
    inside = turn.T @ images.T @ _paired(images) @ turn
    values, mixing = np.linalg.eigh((inside + inside.T) / 2)
    turn = turn @ mixing[:, ::-1][:, :columns]
    return space @ turn, images @ turn, values[::-1][:columns]


def _paired(v: np.ndarray) -> np.ndarray:
    """Return J v / 2n."""
    swapped: np.ndarray = np.roll(v, len(v) // 2, axis=0) / len(v)
    return swapped
