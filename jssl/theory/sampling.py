r"""How far the modes of a kernel move with the number of pairs: error, bias, rotation, order.

Pair i gives the operator Gamma_i = [phi(x_i) phi(x'_i)^T + phi(x'_i) phi(x_i)^T] / 2, and Gamma is
its mean over all N pairs, with eigenvalues gamma_j and modes f_j of norm one in the kernel's space
(S-15, S-16). Between modes,

    T_jk = f_j^T Gamma_i f_k = [f_j(x) f_k(x') + f_k(x) f_j(x')] / 2,   E T_jk = gamma_j delta_jk.

With n of the N pairs, drawn without replacement, Gamma is estimated by the mean of their Gamma_i.
Its entries have the covariance Cov(T) / m, with m = 1 / (1/n - 1/N) effective pairs (P-1). Let
V_jk = Var T_jk. Perturbation theory gives, to leading order in 1 / m,

    variance of eigenvalue j     V_jj / m                                             (P-2)
    its mean shift               (1/m) sum_{k != j} V_jk / (gamma_j - gamma_k)        (P-3)
    rotation, 1 - overlap^2      (1/m) sum_{k != j} V_jk / (gamma_j - gamma_k)^2      (P-4)

Relative corrections to the variance are of order rotation. The sums run over all modes, also those
of eigenvalue nearly zero, of which there are many. They converge, because the whole variance has a
trace form (P-5),

    sum_k E T_jk^2 = E |Gamma_i f_j|^2
                   = E [f_j(x')^2 k(x, x) + 2 f_j(x) f_j(x') k(x, x') + f_j(x)^2 k(x', x')] / 4.

The M leading modes are summed one by one. What they leave of the trace is in the others, which
enter as one level at their mean gamma: right to first order in gamma_k / gamma_j. This mean is
that of a^T Gamma a over random signs e_i, a = N^{-1/2} sum_i e_i Gamma_i f_j without the M modes:
one product with the kernel matrix.

Neighbours j and k are exchanged where the diagonal overcomes their gap,
(f_j^T Gamma_n f_j) - (f_k^T Gamma_n f_k) < 0, exactly so for two modes (P-6). The probability is
that of a Gaussian of variance Var(T_jj - T_kk) / m. Steps of the staircase are at 1 / gamma_j up to
a logarithm (S-7), so a relative error of gamma_j is one of its step (P-7).
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jssl.types import Array

Blocks = Sequence[tuple[int, int]]
"""First mode and the mode after the last, from 0, of each block of neighbouring modes."""


class Energies(NamedTuple):
    """Inner products of the two views of every pair, (N,) each.

    Attributes:
        first: k(x, x).
        cross: k(x, x').
        second: k(x', x').
    """

    first: Array
    cross: Array
    second: Array


class Sample(NamedTuple):
    """Modes of a reference set of N pairs, at its own views.

    Attributes:
        eigenvalues: (M,) the leading eigenvalues gamma_j, descending.
        first: (N, M) f_j(x_i).
        second: (N, M) f_j(x'_i).
        energies: of the kernel.
        levels: (count,) mean eigenvalue of the modes beyond M, as each of the first `count` modes
            couples to them, from `tail_levels`; None places them at zero.
    """

    eigenvalues: Array
    first: Array
    second: Array
    energies: Energies
    levels: Array | None = None


class Fluctuations(NamedTuple):
    """Coefficients of 1 / m for blocks of neighbouring modes, m the number of effective pairs.

    Attributes:
        variances: (blocks,) of the sum of a block's eigenvalues.
        shifts: (blocks,) mean shifts of this sum.
        rotations: (blocks,) of the block's number of modes minus the squared overlap of subspaces.
        shifts_by_tail: (blocks,) the part of the shifts from modes beyond M.
        rotations_by_tail: (blocks,) the part of the rotations from modes beyond M.
    """

    variances: Array
    shifts: Array
    rotations: Array
    shifts_by_tail: Array
    rotations_by_tail: Array


def effective_pairs(n: Array, total: float = float("inf")) -> Array:
    """Return m = 1 / (1/n - 1/N) for n of N pairs drawn without replacement (P-1).

    Example:
        >>> print(effective_pairs(jnp.array([100.0, 900.0]), 1000.0).round(1))
        [ 111.1 9000. ]

    Args:
        n: numbers of pairs.
        total: N; infinity where the reference is the population.
    """
    return 1 / (1 / n - 1 / total)


def pair_energies(gram: Array) -> Energies:
    """Return the inner products within pairs of a (2N, 2N) matrix, first views first.

    Example:
        >>> pair_energies(jnp.arange(16.0).reshape(4, 4)).cross.tolist()
        [2.0, 7.0]
    """
    n = len(gram) // 2
    diagonal = jnp.diagonal(gram)
    return Energies(diagonal[:n], jnp.diagonal(gram[:n, n:]), diagonal[n:])


def tail_columns(sample: Sample, signs: Array, count: int) -> Array:
    """Return coefficients (2N, count probes) of a, of which `tail_levels` needs the image K a.

    Example:
        >>> x, unit = jnp.eye(2)[:, :1], Energies(*jnp.ones((3, 2)))
        >>> sample = Sample(jnp.array([0.5]), x, x, unit)
        >>> print(tail_columns(sample, jnp.ones((2, 1)), 1).T.round(2))
        [[0.35 0.   0.35 0.  ]]

    Args:
        sample: the reference.
        signs: (N, probes) random signs; a few probes suffice.
        count: number of modes.
    """
    n = len(signs)
    f, g = sample.first[:, :count, None], sample.second[:, :count, None]
    halves = [(h * signs[:, None] / (2 * n**0.5)).reshape(n, -1) for h in (g, f)]
    return jnp.concatenate(halves)


def tail_levels(sample: Sample, signs: Array, images: Array, count: int) -> Array:
    """Return the mean eigenvalue (count,) of the modes beyond M, for `Sample.levels` (P-5).

    Example:
        >>> x, unit, signs = jnp.eye(2)[:, :1], Energies(*jnp.ones((3, 2))), jnp.ones((2, 3))
        >>> sample = Sample(jnp.array([0.5]), x, x, unit)
        >>> gram = jnp.kron(jnp.ones((2, 2)), jnp.eye(2))
        >>> tail_levels(sample, signs, gram @ tail_columns(sample, signs, 1), 1).tolist()
        [0.0]

    Args:
        sample: the reference.
        signs: (N, probes) as in `tail_columns`.
        images: (2N, count probes) the product of the kernel matrix with `tail_columns`.
        count: number of modes.
    """
    n, probes = signs.shape
    columns = tail_columns(sample, signs, count)
    inside = _dot(columns, jnp.concatenate([sample.first, sample.second]))
    moment = jnp.sum(images[:n] * images[n:], 0) / n
    moment = moment - jnp.sum(sample.eigenvalues * inside**2, 1)
    mean = moment.reshape(count, probes).mean(1) * n / (n - 1)
    rest = _beyond(sample, entry_variances(sample, count))
    return jnp.where(rest > 0, mean / jnp.where(rest > 0, rest, 1), 0)


def entry_variances(sample: Sample, count: int) -> Array:
    """Return V_jk (count, M), the variances of T_jk over the pairs of the reference.

    Example:
        >>> x = jnp.array([[1.0], [3.0]])
        >>> entry_variances(Sample(jnp.array([5.0]), x, x, Energies(*jnp.zeros((3, 2)))), 1)
        Array([[32.]], dtype=float32)
    """
    f, g = sample.first[:, :count], sample.second[:, :count]
    first, second = sample.first, sample.second
    squares = _dot(f**2, second**2) + _dot(g**2, first**2) + 2 * _dot(f * g, first * second)
    means = (_dot(f, second) + _dot(g, first)) / 2
    n = len(first)
    return (squares / 4 - means**2 / n) / (n - 1)


def fluctuations(sample: Sample, blocks: Blocks) -> Fluctuations:
    """Return how far blocks of modes move, as coefficients of 1 / m (P-2 to P-5).

    Example:
        >>> x = jnp.array([[1.0, 0.0], [1.0, 0.0], [0.0, 0.5], [0.0, -0.5]])
        >>> unit = Energies(*[jnp.sum(x**2, 1)] * 3)
        >>> found = fluctuations(Sample(jnp.array([0.5, 0.125]), x, x, unit), [(0, 1), (1, 2)])
        >>> print(found.variances.round(4))  # of 1, 1, 0, 0 and of 0, 0, 1/4, 1/4
        [0.3333 0.0208]

    Args:
        sample: the reference; eigenvalues of different blocks are distinct.
        blocks: first mode and the mode after the last, from 0, of each block; [(j, j + 1)] for
            single modes.
    """
    count = max(stop for _, stop in blocks)
    gamma = sample.eigenvalues[:count]
    entries = entry_variances(sample, count)
    gaps = gamma[:, None] - sample.eigenvalues
    rest = _beyond(sample, entries)
    level = jnp.zeros(count) if sample.levels is None else sample.levels[:count]
    products = sample.first[:, :count] * sample.second[:, :count]

    def of_block(start: int, stop: int) -> Fluctuations:
        rows = slice(start, stop)
        outside = jnp.ones(len(sample.eigenvalues), bool).at[rows].set(False)
        gap, tail = jnp.where(outside, gaps[rows], jnp.inf), rest[rows]
        distance = gamma[rows] - level[rows]
        by_tail = jnp.sum(tail / distance), jnp.sum(tail / distance**2)
        return Fluctuations(
            jnp.var(jnp.sum(products[:, rows], 1), ddof=1),
            jnp.sum(entries[rows] / gap) + by_tail[0],
            jnp.sum(entries[rows] / gap**2) + by_tail[1],
            *by_tail,
        )

    found = [of_block(*block) for block in blocks]
    return jax.tree.map(lambda *values: jnp.stack(values), *found)


class GapFluctuations(NamedTuple):
    """Coefficients of 1 / m for the gaps gamma_j - gamma_k of neighbouring modes, k = j + 1.

    Attributes:
        variances: (count - 1,) of T_jj - T_kk.
        shifts: (count - 1,) mean shifts of the gap by all modes but these two.
    """

    variances: Array
    shifts: Array


def gap_fluctuations(sample: Sample, count: int) -> GapFluctuations:
    """Return how far the gaps of the first `count` modes move, as coefficients of 1 / m (P-6).

    Example:
        >>> x = jnp.array([[1.0, 0.0], [1.0, 0.0], [0.0, 0.5], [0.0, -0.5]])
        >>> unit = Energies(*[jnp.sum(x**2, 1)] * 3)
        >>> found = gap_fluctuations(Sample(jnp.array([0.5, 0.125]), x, x, unit), 2)
        >>> print(found.variances.round(4), found.shifts)  # of 1, 1, -1/4, -1/4; no other mode
        [0.5208] [0.]

    Args:
        sample: the reference; eigenvalues are distinct.
        count: number of modes, at least 2.
    """
    products = sample.first[:, :count] * sample.second[:, :count]
    shifts = fluctuations(sample, [(j, j + 1) for j in range(count)]).shifts
    gaps = -jnp.diff(sample.eigenvalues[:count])
    mutual = jnp.diagonal(entry_variances(sample, count)[:, :count], 1) / gaps
    return GapFluctuations(
        jnp.var(products[:, :-1] - products[:, 1:], axis=0, ddof=1),
        shifts[:-1] - shifts[1:] - 2 * mutual,
    )


def swap_probabilities(eigenvalues: Array, gaps: Array, m: Array) -> Array:
    """Return the probabilities that neighbouring modes are exchanged with m effective pairs (P-6).

    Example:
        >>> print(swap_probabilities(jnp.array([2.0, 1.0]), jnp.array([4.0]), 16.0).round(4))
        [0.0228]

    Args:
        eigenvalues: (count,) descending.
        gaps: (count - 1,) variances of their differences, from `gap_fluctuations`.
        m: number of effective pairs.
    """
    return jax.scipy.stats.norm.cdf(jnp.diff(eigenvalues) / jnp.sqrt(gaps / m))


def resolved_modes(eigenvalues: Array, gaps: Array, m: Array, errors: float = 2.0) -> Array:
    """Return how many leading modes are in an order that m effective pairs resolve.

    Example:
        >>> resolved_modes(jnp.array([4.0, 3.0, 2.9]), jnp.array([1.0, 1.0]), 16.0).item()
        1

    Mode j counts if the gaps before and after it, and all earlier ones, exceed their standard
    errors by the factor `errors`. The last of the modes has no gap after it and does not count.

    Args:
        eigenvalues: (count,) descending.
        gaps: (count - 1,) variances of their differences.
        m: number of effective pairs.
        errors: number of standard errors.
    """
    clear = -jnp.diff(eigenvalues) > errors * jnp.sqrt(gaps / m)
    return jnp.sum(jnp.cumprod(clear))


def _beyond(sample: Sample, entries: Array) -> Array:
    """Return the variance in modes beyond M (count,), from its trace (P-5)."""
    count, n = len(entries), len(sample.first)
    whole = _traces(sample, count) - sample.eigenvalues[:count] ** 2
    return jnp.maximum(whole * n / (n - 1) - jnp.sum(entries, 1), 0)


def _traces(sample: Sample, count: int) -> Array:
    """Return E |Gamma_i f_j|^2 (count,)."""
    inner = sample.energies
    f, g = sample.first[:, :count], sample.second[:, :count]
    terms = (
        g**2 * inner.first[:, None]
        + 2 * f * g * inner.cross[:, None]
        + f**2 * inner.second[:, None]
    )
    return jnp.mean(terms, 0) / 4


def _dot(a: Array, b: Array) -> Array:
    return jnp.matmul(a.T, b, precision="highest")
