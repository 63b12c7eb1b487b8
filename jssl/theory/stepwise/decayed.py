r"""Barlow Twins with weight decay and any number of outputs: what is learned, and when.

    L = sum_i (C_ii - 1)^2 + lambda sum_{i != j} C_ij^2 + decay ||W||_F^2,     0 < lambda <= 1

With the modes S learned in d outputs, and the diagonal of C constant, the least loss has

    T_S = (|S| - (decay / 2) sum_S 1 / gamma) / (kappa + lambda (1 - kappa)),     kappa = |S| / d
    push_S = 1 - (1 - lambda) T_S / d               of -dL/dC on what is not learned, over 2
    c_j = (push_S - decay / (2 gamma_j)) / lambda   the eigenvalues of C, j in S; their sum is T_S
    growth_j = 8 gamma_j push_S - 4 decay           of log lambda_j, j not in S.

(Of all C with given eigenvalues, one with a constant diagonal has the smallest loss; it exists by
the Schur-Horn theorem. Of all W with that C, the one along the modes, in order, has the smallest
norm.) At lambda = 1 push = 1: every mode is independent, c_j = 1 - decay / (2 gamma_j), and mode j
is learned if and only if 2 gamma_j > decay. Below 1 each learned mode lowers the push, so that a
smaller decay is enough to prevent the next one. decay = 0 gives `redundancy.plateau`.

Derived here; the model is that of Simon et al. 2023, arXiv 2303.15438, the loss that of Zbontar et
al. 2021, arXiv 2103.03230.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jssl.data.checks import host_value, require_count, require_range
from jssl.errors import InputError
from jssl.types import Array


class Levels(NamedTuple):
    """The minimum.

    Attributes:
        eigenvalues: (k,) of C at the end, in the order of the modes; 0 for modes never learned.
        learned: (k,) whether a mode is.
        push: scalar, the push on what is not learned.
    """

    eigenvalues: Array
    learned: Array
    push: Array


class ModeTimes(NamedTuple):
    """When each mode is learned, in the order of the modes; infinite for modes never learned.

    Attributes:
        times: (k,) at which the mode's eigenvalue of C is half its end; t = learning rate x step.
        rises: (k,) time from 10 % to 90 %, of a logistic curve.
        blur: (k,) scale of the error of `times`; 0 at lambda = 1.
    """

    times: Array
    rises: Array
    blur: Array


def decayed_levels(
    eigenvalues: Array,
    dim: int,
    off_diagonal: Array | float = 1.0,
    weight_decay: Array | float = 0.0,
) -> Levels:
    """Return what is learned at the minimum, and how large.

    Example:
        >>> seen = decayed_levels(jnp.array([1.0, 0.5, 0.1]), 3, weight_decay=0.5)
        >>> print(*(f"{value:.3f}" for value in seen.eigenvalues), seen.learned)
        0.750 0.500 0.000 [ True  True False]
        >>> print(*(f"{x:.3f}" for x in decayed_levels(jnp.ones(2), 4, 0.0051).eigenvalues))
        1.990 1.990

    Modes join in the order of their eigenvalues, each as long as push > decay / (2 gamma_j).

    Args:
        eigenvalues: (k,) of the cross moment, of any sign and in any order.
        dim: number of outputs d, static; at most d modes are learned.
        off_diagonal: the weight lambda of the off-diagonal terms, in (0, 1].
        weight_decay: >= 0, multiplies ||W||_F^2.

    Returns:
        Levels.

    Raises:
        InputError: for a dim below 1 or numbers out of range.
    """
    dim = require_count("dim", dim)
    _check(off_diagonal, weight_decay)
    order = jnp.argsort(-eigenvalues)
    barrier = _barrier(eigenvalues, weight_decay)
    empty = jnp.zeros((), eigenvalues.dtype)

    def join(carry: tuple[Array, Array], j: Array) -> tuple[tuple[Array, Array], Array]:
        count, total = carry
        push = _push(count, total, dim, off_diagonal)
        joins = (count < dim) & (push > barrier[j])
        total = total + jnp.where(joins, barrier[j], 0)
        return (count + joins, total), joins

    (count, total), joined = jax.lax.scan(join, (empty, empty), order)
    learned = jnp.zeros(len(eigenvalues), bool).at[order].set(joined)
    push = _push(count, total, dim, off_diagonal)
    size = (push - jnp.where(learned, barrier, 0)) / off_diagonal
    return Levels(jnp.where(learned, size, 0), learned, push)


def mode_times(
    start_scales: Array,
    eigenvalues: Array,
    dim: int,
    off_diagonal: Array | float = 1.0,
    *,
    weight_decay: Array | float = 0.0,
    learning_rate: Array | float = 0.0,
) -> ModeTimes:
    """Return when each mode is half learned.

    Example:
        >>> start, gamma = jnp.full(3, 1e-3), jnp.array([1.0, 0.5, 0.1])
        >>> print(*(f"{time:.2f}" for time in mode_times(start, gamma, 3).times))
        1.73 3.63 20.15
        >>> decayed = mode_times(start, gamma, 3, weight_decay=0.5)
        >>> print(*(f"{time:.2f}" for time in decayed.times))
        2.25 6.91 inf

    Between two steps a small mode grows at `growth_j`, the learned ones staying on their plateau.
    A step ends when the growth extrapolates to the level of the next plateau; the curve is
    logistic, which fixes when it passes half of its end. The first direction u is still a random
    one then, with sum u_i^4 = 3 / (d + 2) in the mean and not 1 / d. At lambda = 1 this is exact
    for an aligned start under the flow. Below 1 it neglects how the learned directions turn until
    the diagonal of C is constant: `blur`, a third of the sum of the rises so far, is the scale of
    that error.

    Args:
        start_scales: (k,) scales s_j(0) >= 0.
        eigenvalues: (k,) of the cross moment, of any sign.
        dim: number of outputs d >= 1, static; it may be larger or smaller than k.
        off_diagonal: the weight lambda of the off-diagonal terms, in (0, 1].
        weight_decay: >= 0, multiplies ||W||_F^2.
        learning_rate: of descent with a finite step, by which small modes grow as (2 / lr)
            log(1 + lr growth / 2) instead of growth; 0 for the flow.

    Returns:
        ModeTimes.

    Raises:
        InputError: if the two shapes differ, or numbers are out of range.
    """
    if jnp.ndim(eigenvalues) != 1 or jnp.shape(eigenvalues) != jnp.shape(start_scales):
        shapes = f"{jnp.shape(start_scales)} and {jnp.shape(eigenvalues)}"
        message = f"start_scales and eigenvalues must both be (k,); got {shapes}"
        raise InputError(message)
    dim = require_count("dim", dim)
    _check(off_diagonal, weight_decay)
    require_range("learning_rate", learning_rate, 0)
    starts = (eigenvalues > 0) & (start_scales > 0)
    end = decayed_levels(jnp.where(starts, eigenvalues, 0), dim, off_diagonal, weight_decay)
    gamma = jnp.where(end.learned, eigenvalues, 1)
    final = jnp.where(end.learned, end.eigenvalues, 1)
    size = jnp.log(gamma) + 2 * jnp.log(jnp.where(end.learned, start_scales, 1))
    reached = jnp.exp(jnp.minimum(size - jnp.log(final), 0))
    size = size - jnp.log1p(-jnp.minimum(reached, 0.5))  # what is there already grows no more
    barrier = _barrier(gamma, weight_decay)
    first = (1 - barrier) / (off_diagonal + (1 - off_diagonal) * 3 / (dim + 2))

    def rate(push: Array) -> Array:
        growth = jnp.where(end.learned, 8 * gamma * push - 4 * weight_decay, 1)
        growth = jnp.maximum(growth, jnp.finfo(growth.dtype).tiny)
        slow = learning_rate * growth / 2
        return growth * jnp.where(slow > 0, jnp.log1p(slow) / jnp.where(slow > 0, slow, 1), 1)

    def step(carry: Any, _: None) -> tuple[Any, None]:
        time, size, done, count, total, times, rises, blur, waited = carry
        growth = rate(_push(count, total, dim, off_diagonal))
        after = _push(count + 1, total + barrier, dim, off_diagonal)
        level = jnp.maximum((after - barrier) / off_diagonal, final)
        wait = (jnp.log(level) - size) / growth
        j = jnp.argmin(jnp.where(done, jnp.inf, wait))
        more = ~done[j]
        held = jnp.where(count == 0, jnp.maximum(first, final), level)[j]
        half = jnp.log(final[j] / 2) - jnp.log1p(-final[j] / (2 * held))
        half = time + (half - size[j]) / growth[j]
        rise = math.log(81) / growth[j]
        waited = waited + rise
        passed = jnp.maximum(wait[j], 0)
        times = times.at[j].set(jnp.where(more, jnp.maximum(half, 0), times[j]))
        rises = rises.at[j].set(jnp.where(more, rise, rises[j]))
        blur = blur.at[j].set(jnp.where(more, waited / 3, blur[j]))
        passed = jnp.where(more, passed, 0)
        return (
            time + passed,
            size + growth * passed,
            done.at[j].set(True),
            count + more,
            total + jnp.where(more, barrier[j], 0),
            times,
            rises,
            blur,
            waited,
        ), None

    never = jnp.full_like(gamma, jnp.inf)
    zero = jnp.zeros((), gamma.dtype)
    carry = (zero, size, ~end.learned, zero, zero, never, never, never, zero)
    *_, times, rises, blur, _ = jax.lax.scan(step, carry, length=len(gamma))[0]
    blur = jnp.where(jnp.asarray(off_diagonal) < 1, blur, jnp.where(end.learned, 0, jnp.inf))
    return ModeTimes(times, rises, blur)


def _push(count: Array, total: Array, dim: int, off_diagonal: Array | float) -> Array:
    """Return the push after `count` modes whose barriers, decay / (2 gamma), add up to `total`."""
    share = count / dim
    trace = (count - total) / (share + off_diagonal * (1 - share))
    return 1 - (1 - off_diagonal) * trace / dim


def _barrier(eigenvalues: Array, weight_decay: Array | float) -> Array:
    positive = eigenvalues > 0
    return jnp.where(positive, weight_decay / (2 * jnp.where(positive, eigenvalues, 1)), jnp.inf)


def _check(off_diagonal: Array | float, weight_decay: Array | float) -> None:
    known = host_value(off_diagonal)
    if known is not None and not ((known > 0) & (known <= 1)).all():
        message = f"off_diagonal must be in (0, 1]; got {off_diagonal}"
        raise InputError(message)
    require_range("weight_decay", weight_decay, 0)
