r"""The forecast for networks of finite width: F-5 for each of several networks.

    dB/dt = -G grad l(B),   G[(i, k), (j, l)] = w_i^T Theta_kl w_j,   w_j = A q_j

with G of the network at its start, `jssl.theory.finite_width`. The half times are those at which
the j-th eigenvalue of C = B^T B reaches half of its final value in the limit. For random
networks and many pairs, the deviation of G from its limit is that of a random subset of the pairs.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jssl.errors import InputError
from jssl.forecast.fresh_views import FreshViews, averaged, expanded
from jssl.forecast.given_gram import GramEncoder
from jssl.forecast.modes import Modes, modes_of
from jssl.forecast.networks import Networks
from jssl.forecast.reduced import Loss, reduced_loss
from jssl.forecast.rules import Rule
from jssl.forecast.steps import Ends, LossPairings
from jssl.forecast.torch_encoder import TorchEncoder
from jssl.formulas.steps import crossing_times
from jssl.single_use import MATRIX_STEPS
from jssl.theory.finite_width import mode_flow, mode_kernel
from jssl.theory.finite_width.flow import ReducedLoss
from jssl.theory.finite_width.layers import layered_mode_kernel
from jssl.types import Params

WHOLE = 400
"""Number of pairs up to which G is that of all pairs."""
SUBSET = 200
"""Number of pairs from which the random deviation of G is computed, for more pairs."""
MOST = 4096
"""Largest number of modes times outputs."""

_POINTS = 2000
_RISEN = 1.8  # times half of the final eigenvalue: where a dimension has risen
_RANGE = 1e5  # last over first time of the record

Progress = Callable[[str, float], None]


class Finite(NamedTuple):
    """Half times of networks of finite width.

    Attributes:
        steps: (nets, dim) at which each dimension is half-learned; infinite for never.
        rises: (nets, dim) steps from 10 % to 90 %.
        coupling: size of the blocks of G between two outputs over those of one output.
    """

    steps: np.ndarray
    rises: np.ndarray
    coupling: float


class Reduction(NamedTuple):
    """The modes in which networks are followed.

    Attributes:
        gram: (2n, 2n) kernel of the modes.
        modes: of the signal's pairing.
        rule: of the loss.
        pairings: of the loss.
        loss: `loss(za, zb)` of the user, or None.
        views: (2n, ...) as the networks take them.
        fresh: where the views are drawn anew in every step; the pairs are then draw by draw.
    """

    gram: np.ndarray
    modes: Modes
    rule: Rule
    pairings: LossPairings
    loss: Loss | None
    views: np.ndarray
    fresh: FreshViews | None = None

    @property
    def draws(self) -> int:
        """Number of views of each side of every sample."""
        return 1 if self.fresh is None else self.fresh.draws


def check_size(modes: int, dim: int) -> None:
    """Raise where modes and outputs are too many for the equation in mode space.

    Example:
        >>> check_size(96, 64)
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: 96 modes x 64 outputs are more than 4,096 ...; take dim <= 52

    Raises:
        InputError: with the largest dim that fits.
    """
    if modes * dim <= MOST:
        return
    largest = max(d for d in range(1, MOST) if d * (d + max(d // 2, 8)) <= MOST)
    message = (
        f"{modes} modes x {dim} outputs are more than {MOST:,} numbers, the most that a forecast "
        f"for finite width follows; take dim <= {largest}"
    )
    raise InputError(message)


def finite_forecast(
    networks: Networks,
    reduction: Reduction,
    ends: Ends,
    last: float,
    scale: float,
    rate: float,
    *,
    weight_decay: float = 0.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Finite:
    """Return the half times of every network.

    Args:
        networks: their kernels are those of their parameters.
        reduction: modes and loss.
        ends: final state in the limit, which gives the levels.
        last: time t = learning rate x step until which to integrate.
        scale: factor of the initial embeddings.
        rate: learning rate.
        weight_decay: for networks that are linear in their parameters.
        seed: of the subset of pairs.
        progress: called with a description and the share that is done.
    """
    modes = reduction.modes
    loss = reduced_loss(reduction.gram, modes, reduction.rule, reduction.pairings, reduction.loss)
    levels = final_levels(modes.values, ends)
    times = np.append(0, np.geomspace(last / _RANGE, last, _POINTS))
    kernel = _kernels(networks, reduction, scale, seed)
    every, rises, couplings = [], [], []
    count = len(networks.params)
    for index, params in enumerate(networks.params):

        def report(share: float, index: int = index) -> None:
            if progress is not None:
                progress(f"network {index + 1} of {count}", (index + 0.9 * share) / count)

        gram, start = kernel(params, report)
        if networks.width:  # whose kernels are computed in float32
            gram = gram.astype(np.float32)
        values = _eigenvalues(loss, gram, start, times, rate, weight_decay, levels)
        steps, rise = _crossings(times[: len(values)], values, levels, rate)
        every.append(steps)
        rises.append(rise)
        couplings.append(_coupling(gram))
    return Finite(np.array(every), np.array(rises), float(np.mean(couplings)))


def _kernels(
    networks: Networks, reduction: Reduction, scale: float, seed: int
) -> Callable[[Params, Callable[[float], None]], tuple[np.ndarray, np.ndarray]]:
    """Return `kernel(params, report) -> (G, B at the start)` of the networks."""
    apply, views, modes = networks.apply, reduction.views, reduction.modes

    def gram_of(params: Params, x: Any, weights: Any, report: Callable[[float], None]) -> Any:
        if networks.factors is None:
            return mode_kernel(apply, params, x, _like(weights, x), progress=report)
        return layered_mode_kernel(networks.factors(params, x), weights)

    def embed(params: Params, x: Any) -> np.ndarray:
        return np.asarray(compiled(params, x), np.float64)

    compiled = jax.jit(apply, compiler_options=MATRIX_STEPS) if networks.width else apply
    n = len(views) // 2
    if not networks.width or n <= WHOLE:
        weights = modes.vectors * np.sqrt(modes.values)

        def whole(params: Params, report: Callable[[float], None]) -> tuple[np.ndarray, np.ndarray]:
            if isinstance(apply, GramEncoder):
                gram = apply.mode_kernel(weights)
                return gram, scale * apply.coordinates(weights, gram, params)
            if isinstance(apply, TorchEncoder):
                gram, embedded = apply.mode_kernel(views, weights, report), apply.embed(views)
            else:
                gram = gram_of(params, views, weights, report)
                embedded = embed(params, views)
            return gram, scale * weights.T @ embedded

        return whole
    count = len(modes.values)
    rows, values, vectors = _subset(reduction, seed)
    kept = len(values)
    weights = vectors * np.sqrt(values)
    ratio = np.sqrt(modes.values[:kept] / values)

    def of_part(params: Params, report: Callable[[float], None]) -> tuple[np.ndarray, np.ndarray]:
        gram = gram_of(params, views[rows], weights, report)
        dim = gram.shape[1]
        deviation = gram - np.einsum("ij,kl->ikjl", np.diag(values), np.eye(dim))
        full = np.einsum("ij,kl->ikjl", np.diag(modes.values), np.eye(dim))
        deviation = deviation * ratio[:, None, None, None] * ratio[:, None]
        full[:kept, :, :kept] += deviation
        start = np.zeros((count, dim))
        embedded = embed(params, views[rows])
        start[:kept] = scale * ratio[:, None] * (weights.T @ embedded)
        return full, start

    return of_part


def _subset(reduction: Reduction, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows of a random subset of the pairs, and their modes."""
    draws, pairs = reduction.draws, len(reduction.views) // 2
    samples = pairs // draws
    size = min(samples, SUBSET)
    chosen = np.sort(np.random.default_rng(seed).choice(samples, size, replace=False))
    few = int(np.clip(SUBSET // size, 1, draws))
    first = (samples * np.arange(few)[:, None] + chosen).ravel()
    rows = np.concatenate([first, first + pairs])
    part = averaged(reduction.gram[np.ix_(rows, rows)], few)
    count, signal = len(reduction.modes.values), reduction.pairings.signal
    values, vectors = modes_of(part, count, reduction.rule.centred, signal)
    return rows, values, expanded(vectors, few)


def _like(weights: np.ndarray, views: np.ndarray) -> Any:
    return np.asarray(weights, np.float64 if views.dtype == np.float64 else np.float32)


def final_levels(values: np.ndarray, ends: Ends) -> np.ndarray:
    """Return half of the final eigenvalues of C in the limit, descending; infinite if not learned.

    Args:
        values: (count,) eigenvalues of the modes.
        ends: final states. For losses whose exact final values in the limit differ from those of
            the leading order, the levels are those of the latter.
    """
    final = final_eigenvalues(values, ends, len(values), leading=True)
    return np.where(final > 0, final / 2, np.inf)


def final_eigenvalues(values: np.ndarray, ends: Ends, dim: int, *, leading: bool) -> np.ndarray:
    """Return the final eigenvalues of C in the limit (dim,), descending; 0 if not learned.

    Args:
        values: (count,) eigenvalues of the modes.
        ends: final states.
        dim: number of outputs.
        leading: whether those of the leading terms, which networks are followed by, are meant
            where the exact loss ends elsewhere.
    """
    scales = ends.leading if leading and ends.leading is not None else ends.scales
    final = np.sort(np.where(ends.learned, values * scales**2, 0))[::-1][:dim]
    return np.append(final, np.zeros(dim - len(final)))


def _eigenvalues(
    loss: ReducedLoss,
    gram: np.ndarray,
    start: np.ndarray,
    times: np.ndarray,
    rate: float,
    weight_decay: float,
    levels: np.ndarray,
) -> np.ndarray:
    """Return the eigenvalues of C (points, dim), descending, until all dimensions have risen."""
    flow = mode_flow(
        loss,
        gram,
        start,
        times,
        learning_rate=rate,
        decay=weight_decay,
        levels=_RISEN * levels[: start.shape[1]],
    )
    b = flow.coordinates
    return np.linalg.eigvalsh(np.swapaxes(b, 1, 2) @ b)[:, ::-1]


def _crossings(
    times: np.ndarray, values: np.ndarray, levels: np.ndarray, rate: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the half steps and the rises (dim,), padded by infinity."""
    dim = values.shape[1]
    levels = levels[:dim]
    k = len(levels)
    low, half, high = (
        crossing_times(times, values[:, :k], share * levels, np) / rate
        for share in (0.2, 1, _RISEN)
    )
    steps = np.full(dim, np.inf)
    steps[:k] = np.where(np.isnan(half), np.inf, half)
    rises = np.full(dim, np.nan)
    rises[:k] = high - low
    return steps, rises


def _coupling(gram: np.ndarray) -> float:
    """Return the root mean square of blocks of two outputs over that of one output."""
    squares = np.einsum("ikjl->kl", np.square(gram))
    dim = len(squares)
    if dim == 1:
        return 0.0
    own = np.trace(squares) / dim
    return float(np.sqrt((squares.sum() - dim * own) / (dim * (dim - 1)) / own))
