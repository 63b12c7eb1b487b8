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
from collections.abc import Callable
from functools import partial, reduce
from typing import Any, NamedTuple

import jax
import numpy as np

from jssl.data.checks import require_count, require_range
from jssl.errors import InputError
from jssl.host_arithmetic import host_value
from jssl.models.correlation import namespace
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
        >>> import jax.numpy as jnp
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
    xp = namespace(eigenvalues, off_diagonal, weight_decay)
    order = xp.argsort(-eigenvalues)
    barrier = _barrier(eigenvalues, weight_decay)
    place = xp.arange(len(eigenvalues))

    def join(carry: tuple[Array, ...], j: Array) -> tuple[Array, ...]:
        count, total, learned = carry
        push = _push(count, total, dim, off_diagonal)
        joins = (count < dim) & (push > barrier[j])
        total = total + xp.where(joins, barrier[j], 0)
        return count + joins, total, learned | ((place == j) & joins)

    empty = xp.zeros((), eigenvalues.dtype)
    none = xp.zeros(len(eigenvalues), bool)
    count, total, learned = _fold(xp, join, (empty, empty, none), order)
    push = _push(count, total, dim, off_diagonal)
    size = (push - xp.where(learned, barrier, 0)) / off_diagonal
    return Levels(xp.where(learned, size, 0), learned, push)


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
        >>> import jax.numpy as jnp
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
    if np.ndim(eigenvalues) != 1 or np.shape(eigenvalues) != np.shape(start_scales):
        shapes = f"{np.shape(start_scales)} and {np.shape(eigenvalues)}"
        message = f"start_scales and eigenvalues must both be (k,); got {shapes}"
        raise InputError(message)
    dim = require_count("dim", dim)
    _check(off_diagonal, weight_decay)
    require_range("learning_rate", learning_rate, 0)
    xp = namespace(start_scales, eigenvalues, off_diagonal, weight_decay, learning_rate)
    starts = (eigenvalues > 0) & (start_scales > 0)
    end = decayed_levels(xp.where(starts, eigenvalues, 0), dim, off_diagonal, weight_decay)
    gamma = xp.where(end.learned, eigenvalues, 1)
    final = xp.where(end.learned, end.eigenvalues, 1)
    size = xp.log(gamma) + 2 * xp.log(xp.where(end.learned, start_scales, 1))
    reached = xp.exp(xp.minimum(size - xp.log(final), 0))
    size = size - xp.log1p(-xp.minimum(reached, 0.5))  # what is there already grows no more
    setting = _Setting(
        xp, gamma, end.learned, final, dim, off_diagonal, weight_decay, learning_rate
    )
    never = xp.full_like(gamma, np.inf)
    zero = xp.zeros((), gamma.dtype)
    begin = _Growing(zero, size, ~end.learned, zero, zero, zero, ModeTimes(never, never, never))
    found = _fold(xp, partial(_next_mode, setting), begin, xp.arange(len(gamma))).found
    exact = xp.where(end.learned, 0, np.inf)
    return found._replace(blur=xp.where(xp.asarray(off_diagonal) < 1, found.blur, exact))


class _Setting(NamedTuple):
    """What stays the same while modes are learned; modes never learned have gamma = final = 1."""

    xp: Any
    gamma: Array
    learned: Array
    final: Array
    dim: int
    off_diagonal: Array | float
    weight_decay: Array | float
    learning_rate: Array | float

    def rate(self, push: Array) -> Array:
        """Return (k,) growth of log lambda_j per unit of time under a push."""
        xp = self.xp
        growth = xp.where(self.learned, 8 * self.gamma * push - 4 * self.weight_decay, 1)
        growth = xp.maximum(growth, xp.finfo(growth.dtype).tiny)
        slow = self.learning_rate * growth / 2
        return growth * xp.where(slow > 0, xp.log1p(slow) / xp.where(slow > 0, slow, 1), 1)


class _Growing(NamedTuple):
    """The state after `number` modes: sizes are log lambda_j, `waited` is the sum of the rises."""

    time: Array
    size: Array
    done: Array
    number: Array
    barriers: Array
    waited: Array
    found: ModeTimes


def _next_mode(setting: _Setting, now: _Growing, _: Array) -> _Growing:
    """Return the state after the mode that reaches the level of the next plateau first."""
    xp, gamma, final, dim = setting.xp, setting.gamma, setting.final, setting.dim
    weight, decay = setting.off_diagonal, setting.weight_decay
    barrier = _barrier(gamma, decay)
    growth = setting.rate(_push(now.number, now.barriers, dim, weight))
    after = _push(now.number + 1, now.barriers + barrier, dim, weight)
    level = xp.maximum((after - barrier) / weight, final)
    wait = (xp.log(level) - now.size) / growth
    j = xp.argmin(xp.where(now.done, np.inf, wait))
    more, chosen = ~now.done[j], xp.arange(len(gamma)) == j
    first = (1 - barrier) / (weight + (1 - weight) * 3 / (dim + 2))
    held = xp.where(now.number == 0, xp.maximum(first, final), level)[j]
    half = xp.log(final[j] / 2) - xp.log1p(-final[j] / (2 * held))
    half = now.time + (half - now.size[j]) / growth[j]
    rise = math.log(81) / growth[j]
    waited = now.waited + rise
    seen = ModeTimes(xp.maximum(half, 0), rise, waited / 3)
    passed = xp.where(more, xp.maximum(wait[j], 0), 0)
    return _Growing(
        now.time + passed,
        now.size + growth * passed,
        now.done | chosen,
        now.number + more,
        now.barriers + xp.where(more, barrier[j], 0),
        waited,
        ModeTimes(*(xp.where(chosen & more, a, b) for a, b in zip(seen, now.found, strict=True))),
    )


def _fold(xp: Any, step: Callable[[Any, Array], Any], carry: Any, over: Array) -> Any:
    """Return the state after a step for each entry: a loop in NumPy, a scan in JAX."""
    if xp is np:
        return reduce(step, over, carry)
    return jax.lax.scan(lambda state, entry: (step(state, entry), None), carry, over)[0]


def _push(count: Array, total: Array, dim: int, off_diagonal: Array | float) -> Array:
    """Return the push after `count` modes whose barriers, decay / (2 gamma), add up to `total`."""
    share = count / dim
    trace = (count - total) / (share + off_diagonal * (1 - share))
    return 1 - (1 - off_diagonal) * trace / dim


def _barrier(eigenvalues: Array, weight_decay: Array | float) -> Array:
    xp, positive = namespace(eigenvalues, weight_decay), eigenvalues > 0
    return xp.where(positive, weight_decay / (2 * xp.where(positive, eigenvalues, 1)), np.inf)


def _check(off_diagonal: Array | float, weight_decay: Array | float) -> None:
    known = host_value(off_diagonal)
    if known is not None and not ((known > 0) & (known <= 1)).all():
        message = f"off_diagonal must be in (0, 1]; got {off_diagonal}"
        raise InputError(message)
    require_range("weight_decay", weight_decay, 0)
