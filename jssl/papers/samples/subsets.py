"""Subsets of a reference set of pairs: how eigenvalues and modes move, and their statistics."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jssl.theory import sampling
from jssl.theory.sampling import Fluctuations

Solve = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Rows (subsets, n) of the reference -> eigenvalues (subsets, count) and overlaps (subsets, count,
count) of mode j of the reference with mode k of a subset."""

CLEAR = 5.0
"""Standard errors of a gap, at the largest subset, that separates two blocks of modes."""

SMALL = 0.05
"""Largest relative next order of a block of modes that claims with many blocks are on."""


class Reference(NamedTuple):
    """The modes of all pairs, and what theory predicts for subsets of them.

    Attributes:
        total: number N of pairs.
        eigenvalues: (count,) of the leading modes.
        products: (N, count) f_j(x) f_j(x').
        blocks: neighbouring modes that clear gaps separate.
        predicted: for the blocks, coefficients of 1 / m.
        single: for each mode alone.
        gaps: (count - 1,) variances of differences of neighbouring eigenvalues, times m.
        pushes: (count - 1,) mean shifts of these differences by all other modes, times m.
        solve: the modes of subsets.
    """

    total: int
    eigenvalues: np.ndarray
    products: np.ndarray
    blocks: tuple[tuple[int, int], ...]
    predicted: Fluctuations
    single: Fluctuations
    gaps: np.ndarray
    pushes: np.ndarray
    solve: Solve

    def pairs(self, n: int) -> float:
        """Return the number of effective pairs of a subset of n (P-1)."""
        return float(sampling.effective_pairs(jnp.asarray(n), self.total))

    def sizes(self) -> np.ndarray:
        """Return the number of modes of every block."""
        return np.diff(np.array(self.blocks), axis=1)[:, 0]

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Return the sums over the blocks of values (..., count)."""
        return np.stack([values[..., slice(*block)].sum(-1) for block in self.blocks], -1)

    def next_order(self, n: int) -> np.ndarray:
        """Return the size of relative corrections (blocks,) to the leading order.

        The mean rotation of a mode, and the squared error of the gaps at the edges over the gaps.
        """
        relative = np.append(self.gaps / np.diff(self.eigenvalues) ** 2, 0)
        edges = [
            max(relative[start - 1] * (start > 0), relative[stop - 1])
            for start, stop in self.blocks
        ]
        return (np.asarray(self.predicted.rotations) / self.sizes() + np.array(edges)) / self.pairs(
            n
        )

    def clear(self, n: int) -> slice:
        """Return the leading blocks whose next order is at most `SMALL` for subsets of n."""
        return slice(int(np.cumprod(self.next_order(n) <= SMALL).sum()))


class Moved(NamedTuple):
    """How the modes of independent subsets of one size differ from those of the reference.

    Attributes:
        n: pairs in a subset.
        m: effective pairs.
        values: (subsets, count) eigenvalues.
        shifts: (subsets, blocks) sums of eigenvalues, minus those of the reference.
        firsts: (subsets, blocks) the part of first order, of mean zero.
        rotations: (subsets, blocks) number of modes minus the squared overlap of subspaces.
        exchanged: (subsets, count - 1) whether two neighbouring modes overlap more when exchanged.
    """

    n: int
    m: float
    values: np.ndarray
    shifts: np.ndarray
    firsts: np.ndarray
    rotations: np.ndarray
    exchanged: np.ndarray


class Mean(NamedTuple):
    """A mean over subsets with its standard error.

    Attributes:
        value: mean.
        error: standard error.
    """

    value: float
    error: float


def blocks_of(
    eigenvalues: np.ndarray, gaps: np.ndarray, m: float, clear: float = CLEAR
) -> tuple[tuple[int, int], ...]:
    """Return the blocks of leading modes between gaps that exceed `clear` standard errors.

    Example:
        >>> blocks_of(np.array([9.0, 5.0, 4.9, 1.0, 0.9]), np.ones(4), 25.0)
        ((0, 1), (1, 3))
    """
    edges = np.flatnonzero(-np.diff(eigenvalues) > clear * np.sqrt(gaps / m)) + 1
    return tuple(zip([0, *edges[:-1].tolist()], edges.tolist(), strict=True))


def one_by_one(solve: Solve) -> Solve:
    """Return the solver of many subsets from that of one, rows (n,)."""

    def solve_all(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values, overlaps = zip(*(solve(each) for each in rows), strict=True)
        return np.stack(values), np.stack(overlaps)

    return solve_all


def move(reference: Reference, n: int, subsets: int, draws: np.random.Generator) -> Moved:
    """Return the modes of random subsets of n pairs beside those of the reference.

    Args:
        reference: all pairs.
        n: pairs in a subset, drawn without replacement.
        subsets: number of independent subsets.
        draws: random numbers.
    """
    rows = np.stack(
        [np.sort(draws.choice(reference.total, n, replace=False)) for _ in range(subsets)]
    )
    values, overlaps = reference.solve(rows)
    squares = np.square(overlaps)
    means = np.stack([reference.products[each].mean(0) for each in rows])
    kept = [squares[:, slice(*b), slice(*b)].sum((1, 2)) for b in reference.blocks]
    here = squares[:, range(squares.shape[1]), range(squares.shape[1])]
    stay = here[:, :-1] + here[:, 1:]
    leave = np.stack(
        [squares[:, j, j + 1] + squares[:, j + 1, j] for j in range(squares.shape[1] - 1)], 1
    )
    return Moved(
        n,
        reference.pairs(n),
        values,
        reference.sums(values - reference.eigenvalues),
        reference.sums(means - reference.eigenvalues),
        reference.sizes() - np.stack(kept, 1),
        leave > stay,
    )


def spread_ratio(reference: Reference, moved: Moved, chosen: slice = slice(None)) -> Mean:
    """Return the root mean square error of block sums over the predicted standard error (P-2).

    Args:
        reference: all pairs.
        moved: subsets.
        chosen: blocks.
    """
    off = moved.shifts[:, chosen] - moved.shifts[:, chosen].mean(0)
    subsets = len(off)
    variances = np.asarray(reference.predicted.variances)[chosen] / moved.m
    squares = (off**2 / variances).mean(1) * subsets / (subsets - 1)
    value = float(squares.mean() ** 0.5)
    normal = (2 * squares.size * off.shape[1]) ** -0.5  # the estimate is low where the value is
    return Mean(value, max(normal, float(squares.std(ddof=1) / subsets**0.5 / (2 * value))))


def shift_ratio(reference: Reference, moved: Moved, chosen: slice = slice(None)) -> Mean:
    """Return the mean relative shift of block sums over the predicted one (P-3).

    The part of first order has mean zero and is subtracted, which removes nearly all of the noise.
    """
    weights = 1 / reference.sums(reference.eigenvalues)[chosen]
    seen = (moved.shifts - moved.firsts)[:, chosen] @ weights
    predicted = np.asarray(reference.predicted.shifts)[chosen] @ weights / moved.m
    return _mean(seen / predicted)


def rotation_ratio(reference: Reference, moved: Moved, chosen: slice = slice(None)) -> Mean:
    """Return the mean rotation per mode of blocks over the predicted one (P-4)."""
    weights = 1 / reference.sizes()[chosen]
    predicted = np.asarray(reference.predicted.rotations)[chosen] @ weights / moved.m
    return _mean(moved.rotations[:, chosen] @ weights / predicted)


def exchanged_share(moved: Sequence[Moved], chosen: slice) -> Mean:
    """Return the share of exchanged neighbours over all sizes, and its standard error."""
    shares = [_mean(each.exchanged[:, chosen].mean(1)) for each in moved]
    return average(shares)


def exchange_probabilities(reference: Reference, m: float, pushed: float = 1.0) -> np.ndarray:
    """Return the probabilities (count - 1,) that neighbouring modes are exchanged (P-6).

    Args:
        reference: all pairs.
        m: effective pairs.
        pushed: share of the mean shift of the gaps by other modes that is included.
    """
    gaps = -np.diff(reference.eigenvalues) + pushed * reference.pushes / m
    ladder = np.append(0.0, -np.cumsum(gaps))
    given = (jnp.asarray(x) for x in (ladder, reference.gaps, m))
    return np.asarray(sampling.swap_probabilities(*given))


def average(means: Sequence[Mean]) -> Mean:
    """Return the plain mean of independent means.

    Example:
        >>> average([Mean(1.0, 0.3), Mean(2.0, 0.4)])
        Mean(value=1.5, error=0.25)
    """
    values, errors = zip(*means, strict=True)
    return Mean(float(np.mean(values)), float(np.sqrt(np.sum(np.square(errors))) / len(errors)))


def slope(pairs: Sequence[float], means: Sequence[Mean]) -> Mean:
    """Return the exponent of positive values in the number of pairs, by least squares of logs.

    Example:
        >>> slope([1.0, 10.0], [Mean(2.0, 0.0), Mean(0.2, 0.0)]).value
        -1.0
    """
    x = np.log(pairs) - np.mean(np.log(pairs))
    values, errors = np.array(means).T
    weights = x / (x @ x)
    return Mean(
        float(round(weights @ np.log(values), 12)), float(np.linalg.norm(weights * errors / values))
    )


def _mean(values: np.ndarray) -> Mean:
    return Mean(float(values.mean()), float(values.std(ddof=1) / len(values) ** 0.5))
