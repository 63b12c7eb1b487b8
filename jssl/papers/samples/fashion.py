"""Staircases from few pairs against many: Fashion-MNIST through an MLP and a convolutional kernel.

The MLP's modes of 25,000 pairs are found without their Gram matrix (`leading_modes`), those of
subsets of 2,000 from theirs. A convolutional kernel costs about 50 times as much for each entry, so
that its images are averaged to 14 x 14 pixels and its reference is 4,000 pairs, in one Gram matrix.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl.data import images
from jssl.data.pairs import make_pairs
from jssl.data.views import named
from jssl.forecast.encoders import named_encoder
from jssl.kernels import leading_modes
from jssl.kernels.infinite import gram as gram_of
from jssl.kernels.infinite import kernel
from jssl.kernels.tiles import KernelProduct
from jssl.papers.outcome import Part, Settings
from jssl.papers.samples import claims, drawing
from jssl.papers.samples.kernel import KERNEL, reference_of, sample_of, warm_modes, with_levels
from jssl.papers.samples.linear import referred
from jssl.papers.samples.subsets import Reference, move, one_by_one
from jssl.single_use import compile_cheaply
from jssl.theory.sampling import Energies
from jssl.types import Array, Model, Pairs

VIEWS = "shift=1,noise=0.1"
TOTAL, TAKEN, SUBSETS = 25_000, 2000, 48
"""Pairs of the reference, of a subset, and subsets, of the MLP."""
CONV, CONV_TOTAL, CONV_TAKEN, CONV_SUBSETS = "conv-relu-2", 4000, 1000, 80
"""The same for the convolutional kernel."""
COUNT, KEPT, PROBES = 16, 64, 4
"""Modes that are followed, that are summed one by one, and signs for the others."""

_BLOCK = 250  # pairs whose kernel within pairs is computed at a time
_START = 32  # modes of the reference from which those of a subset are found


def dense_network(settings: Settings) -> Part:
    """Test the modes of 2,000 pairs against those of 25,000, for an MLP."""
    pairs = fashion_pairs(settings, TOTAL, 5)
    model = named_encoder(KERNEL, pairs.first.shape[1:])
    reference = reference_without_gram(model, pairs, settings)
    title, phrase = f"{KERNEL} on Fashion-MNIST", "a relu MLP on Fashion-MNIST"
    return _part(settings, ("fashion", title, phrase), reference, TAKEN, SUBSETS)


def convolutional_network(settings: Settings) -> Part:
    """Test the modes of 1,000 pairs against those of 4,000, for a convolutional kernel."""
    pairs = fashion_pairs(settings, CONV_TOTAL, 6, halved=True)
    model = named_encoder(CONV, pairs.first.shape[1:])
    settings.progress("Gram matrix", 0.0)
    gram = np.asarray(gram_of(model, pairs), np.float64)
    reference = reference_of(gram, CONV_TAKEN, COUNT, settings.generator(7))
    title = f"{CONV} on Fashion-MNIST of 14 x 14 pixels"
    names = "conv", title, "a convolutional kernel on Fashion-MNIST"
    return _part(settings, names, reference, CONV_TAKEN, CONV_SUBSETS)


def fashion_pairs(settings: Settings, count: int, stream: int, halved: bool = False) -> Pairs:
    """Return pairs of views of Fashion-MNIST, (count, 28, 28, 1) or (count, 14, 14, 1).

    Args:
        settings: with the seed.
        count: number of pairs.
        stream: of random numbers.
        halved: whether squares of four pixels are averaged first.
    """
    chosen, key = settings.keys(2, stream)
    x = images.subset(chosen, images.load("fashion_mnist"), count).x
    if halved:
        x = x.reshape(count, 14, 2, 14, 2, 1).mean((2, 4))
    return compile_cheaply(lambda key, x: make_pairs(key, x, named(VIEWS)))(key, x)


def reference_without_gram(model: Model, pairs: Pairs, settings: Settings) -> Reference:
    """Return the reference of pairs whose Gram matrix is too large to be held.

    Args:
        model: with a kernel.
        pairs: all N pairs, in float32.
        settings: for random numbers and progress.
    """
    n = len(pairs.first)

    def report(progress: Any) -> None:
        settings.progress(
            "modes of all pairs", 0.6 * min((progress.products + progress.share) / 9, 1)
        )

    found = leading_modes(model, pairs, KEPT, most_hours=6, progress=report)
    values, vectors = (np.asarray(x, np.float64) for x in (found.eigenvalues, found.coefficients))
    # J K c = 2 N gamma c, and J is its own inverse: the functions K c need no product
    functions = 2 * n * values * np.roll(vectors, n, axis=0)
    views = np.concatenate([pairs.first, pairs.second])
    product = KernelProduct(model, views)
    signs = settings.generator(8).choice([-1.0, 1.0], size=(n, PROBES))
    settings.progress("modes beyond them", 0.6)
    sample = with_levels(
        sample_of(values, functions, energies_within(model, pairs)),
        lambda v: product(v).astype(np.float64), signs, COUNT,
    )  # fmt: skip

    def solve(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        chosen = jax.tree.map(lambda x: x[rows], pairs)
        gram = np.asarray(gram_of(model, chosen), np.float64)
        both = np.concatenate([rows, rows + n])
        moved, coefficients = warm_modes(gram, vectors[both, :_START], COUNT)
        return moved, functions[both, :COUNT].T @ coefficients

    return referred(sample, one_by_one(solve), COUNT, TAKEN)


def energies_within(model: Model, pairs: Pairs) -> Energies:
    """Return the kernel within every pair, block by block."""
    first, second = np.asarray(pairs.first), np.asarray(pairs.second)
    parts = [slice(at, at + _BLOCK) for at in range(0, len(first), _BLOCK)]

    def within(a: np.ndarray, b: np.ndarray) -> Array:
        blocks = [kernel(model, jnp.asarray(a[at]), jnp.asarray(b[at])) for at in parts]
        return jnp.asarray(np.concatenate([np.diagonal(x) for x in blocks]), float)

    return Energies(within(first, first), within(first, second), within(second, second))


def _part(
    settings: Settings,
    names: tuple[str, str, str],
    reference: Reference,
    taken: int,
    subsets: int,
) -> Part:
    settings.progress("subsets", 0.7)
    name, title, phrase = names
    moved = [move(reference, taken, subsets, settings.generator(9))]
    eigenvalues, chosen = f"Leading eigenvalues of {phrase}", reference.clear(taken)
    made = [
        claims.error(name, eigenvalues, reference, moved, (), chosen),
        claims.bias(name, eigenvalues, reference, moved, chosen),
        claims.rotation(name, phrase, reference, moved, chosen),
    ]
    return Part(
        made,
        [drawing.against(name, title, reference, moved[0])],
        (
            drawing.excess(title, reference, moved[0]),
            drawing.stable(title, reference, (taken, reference.total)),
        ),
    )
