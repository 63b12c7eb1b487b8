"""The modes of a linear encoder on digits, from subsets of the pairs.

The kernel's space is that of the pixels: Gamma is a 64 x 64 matrix (S-3), so that thousands of
subsets are cheap, and all of its modes are known. The first mode is nearly the mean image.
"""

from collections.abc import Callable
from typing import Any

import jax
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
    blocks = blocks_of(values, gaps, float(sampling.effective_pairs(largest, total)))
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

    def modes(rows: Any) -> tuple[np.ndarray, np.ndarray]:
        a, b = first[rows], second[rows]
        gamma = a.T @ b / len(a)
        values, vectors = np.linalg.eigh((gamma + gamma.T) / 2)
        return values[::-1], vectors[:, ::-1]

    values, vectors = modes(slice(None))

    def solve(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found, turned = modes(rows)
        return found[:COUNT], vectors[:, :COUNT].T @ turned[:, :COUNT]

    energies = Energies((first**2).sum(1), (first * second).sum(1), (second**2).sum(1))
    sample = Sample(values, first @ vectors, second @ vectors, energies)
    return referred(sample, solve, COUNT, SIZES[-1])


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
        (drawing.stable("a linear encoder on digits", reference, SIZES),),
    )
