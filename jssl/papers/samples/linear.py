"""The modes of a linear encoder on digits, from subsets of the pairs.

The kernel's space is that of the pixels: Gamma is a 64 x 64 matrix (S-3), so that thousands of
subsets are cheap, and all of its modes are known. The first mode is nearly the mean image.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl.data import images
from jssl.data.pairs import make_pairs
from jssl.data.views import named
from jssl.papers.outcome import Part, Settings
from jssl.papers.samples import claims, drawing
from jssl.papers.samples.subsets import Reference, blocks_of, move
from jssl.single_use import compile_cheaply
from jssl.theory import sampling
from jssl.theory.sampling import Energies, Sample

SIZES = (100, 200, 400, 800)
"""Pairs in a subset of the digits."""
SUBSETS = {"quick": 800, "paper": 2000, "large": 2000}
VIEWS = "noise=0.1"
COUNT = 7
"""Leading modes that are followed."""

_SPACE, _ROUNDS = 12, 6  # modes of the reference from which those of a subset are found


def digit_pairs(settings: Settings, stream: int) -> tuple[np.ndarray, np.ndarray]:
    """Return noisy views of all digits, (N, 8, 8, 1) in float64 each."""
    x = images.load("digits").x.astype(np.float64)
    draw = compile_cheaply(lambda key, x: make_pairs(key, x, named(VIEWS)))
    made = draw(settings.keys(1, stream)[0], x)
    return np.asarray(made.first), np.asarray(made.second)


def referred(sample: Sample, solve: Callable[..., Any], count: int, largest: int) -> Reference:
    """Return a reference with its predictions.

    Args:
        sample: modes of all pairs.
        solve: modes of a subset.
        count: number of modes that are followed.
        largest: pairs of the largest subset; its errors decide on the blocks.
    """
    total = len(sample.first)
    values = np.asarray(sample.eigenvalues[:count])
    of_gaps = compile_cheaply(sampling.gap_fluctuations, static_argnames="count")
    gaps, pushes = (np.asarray(x) for x in of_gaps(sample, count=count))
    blocks = blocks_of(values, gaps, float(sampling.effective_pairs(jnp.asarray(largest), total)))
    predict = compile_cheaply(sampling.fluctuations, static_argnames="blocks")
    alone = tuple((j, j + 1) for j in range(count))
    predicted, single = (
        jax.tree.map(np.asarray, predict(sample, blocks=b)) for b in (blocks, alone)
    )
    products = np.asarray(sample.first[:, :count] * sample.second[:, :count])
    return Reference(total, values, products, blocks, predicted, single, gaps, pushes, solve)


def reference_of(first: np.ndarray, second: np.ndarray) -> Reference:
    """Return the reference of a linear encoder.

    Args:
        first: (N, features).
        second: (N, features).
    """
    size = first.shape[1]
    pairwise = (first[:, :, None] * second[:, None]).reshape(len(first), -1)

    def moments(rows: np.ndarray) -> np.ndarray:
        """Return Gamma (subsets, size, size) in one product, for many small ones are slow."""
        weights = np.zeros((len(rows), len(first)))
        np.put_along_axis(weights, rows, 1 / rows.shape[1], axis=1)
        gamma = (weights @ pairwise).reshape(-1, size, size)
        symmetric: np.ndarray = (gamma + gamma.swapaxes(1, 2)) / 2
        return symmetric

    everything = moments(np.arange(len(first))[None])[0]
    values, vectors = (x[..., ::-1] for x in np.linalg.eigh(everything))

    def solve(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        start = vectors[:, :_SPACE]
        found = [leading_near(gamma, start, COUNT) for gamma in moments(rows)]
        own, turned = (np.stack(parts) for parts in zip(*found, strict=True))
        return own, vectors[:, :COUNT].T @ turned

    energies = Energies((first**2).sum(1), (first * second).sum(1), (second**2).sum(1))
    sample = Sample(values, first @ vectors, second @ vectors, energies)
    return referred(sample, solve, COUNT, SIZES[-1])


def leading_near(gamma: np.ndarray, start: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the leading eigenvalues and eigenvectors of a symmetric matrix, from near ones.

    Rayleigh and Ritz on a space and its image. Matrices of at most 24 rows, for which LAPACK uses
    no threads: on a busy machine thousands of larger ones take minutes.

    Args:
        gamma: (features, features).
        start: (features, columns), orthonormal; more columns than `count`, and at most 12.
        count: number of eigenvalues.
    """
    basis = start
    for _ in range(_ROUNDS):
        space = np.linalg.qr(np.hstack([basis, gamma @ basis]))[0]
        values, mixing = np.linalg.eigh(space.T @ gamma @ space)
        basis = space @ mixing[:, ::-1][:, : start.shape[1]]
    return values[::-1][:count], basis[:, :count]


def linear_encoder(settings: Settings) -> Part:
    """Test errors, bias, rotations, order and steps of the modes of a linear encoder."""
    pairs = digit_pairs(settings, 0)
    reference = reference_of(*(x.reshape(len(x), -1) for x in pairs))
    moved = []
    for index, n in enumerate(SIZES):
        settings.progress(f"subsets of {n} pairs", index / len(SIZES))
        moved.append(move(reference, n, SUBSETS[settings.scale], settings.generator(1, index)))
    first, phrase, eigenvalues = slice(1), "a linear encoder", "Eigenvalues of a linear encoder"
    rivals = claims.counted_twice(reference, moved[-1])
    made = [
        claims.error("linear", eigenvalues, reference, moved[-1:], rivals),
        claims.error("first-linear", f"First {eigenvalues.lower()}", reference, moved, (), first),
        claims.error_exponent("linear", phrase, reference, moved),
        claims.bias("linear", eigenvalues, reference, moved[-1:]),
        claims.bias_exponent("linear", phrase, reference, moved),
        claims.rotation("linear", phrase, reference, moved[-1:]),
        claims.exchanges("linear", phrase, reference, moved[1:]),
        claims.steps("linear", phrase, reference, moved[-1]),
    ]
    return Part(
        made,
        drawing.figures("linear", "linear encoder on digits", reference, moved, made),
        (drawing.stable("Linear encoder on digits", reference, SIZES),),
    )
