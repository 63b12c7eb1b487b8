"""Which modes of the pairs are learned, their final amplitudes, and their times.

Mode j grows at 4 h_j, h_j = signal eigenvalue_j - decay (`jssl.forecast.rules`), from s_j(0) to its
final amplitude. The modes of Barlow Twins compete where the off-diagonal weight is below 1; their
times are `jssl.theory.stepwise.mode_times`. Initial amplitudes are in `jssl.forecast.starts`.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jssl.forecast.modes import largest_value, spread_of
from jssl.forecast.rules import Rule
from jssl.theory.landscape.dictionary import SIMCLR
from jssl.theory.landscape.gaussian import gaussian_amplitudes, gaussian_times
from jssl.theory.landscape.pairing import (
    CROSS,
    FIRST,
    POOLED,
    SECOND,
    Pairing,
    covariance_pairings,
    signal_pairing,
)
from jssl.theory.landscape.stability import crosstalk, learned_curvature
from jssl.theory.stepwise import decayed_levels, descent_delay, mode_times
from jssl.types import Array

_FARTHEST = 30.0  # largest ratio of final amplitudes, of the exact loss over the quartic one


class LossPairings(NamedTuple):
    """The pairings of views in the leading terms of a loss.

    Attributes:
        signal: the pairing whose eigenvalues are the growth rates.
        anchor: second moment of the anchors.
        negative: second moment of the negatives.
        anchor_centred: whether the anchors' mean is subtracted.
    """

    signal: Pairing
    anchor: Pairing
    negative: Pairing
    anchor_centred: bool


class Ends(NamedTuple):
    """The final state of each mode.

    Attributes:
        net: (count,) signal eigenvalue - decay.
        learned: (count,) whether it is learned; at most dim are.
        scales: (count,) final s_j; for modes that are not learned, its value without weight decay.
        threshold: smallest eigenvalue that is learned.
        replaced: pairs (r, j) of a learned mode r that mode j replaces at the minimum.
        curvature: the largest one during training.
        gaussian: eigenvalues of A_pos, of anchors and of negatives, (3, count), where the times are
            those of the exact loss on Gaussian data (`gaussian_times`); else None.
        leading: (count,) final s_j of the leading terms, where `scales` are those of the exact
            loss; else None.
    """

    net: np.ndarray
    learned: np.ndarray
    scales: np.ndarray
    threshold: float
    replaced: tuple[tuple[int, int], ...]
    curvature: float
    gaussian: np.ndarray | None = None
    leading: np.ndarray | None = None


class Steps(NamedTuple):
    """When each learned mode is half-learned.

    Attributes:
        times: (k,) t = learning rate x step.
        steps: (k,) of descent.
        rises: (k,) steps from 10 % to 90 %.
        blur: (k,) error of `steps` from the theory.
    """

    times: np.ndarray
    steps: np.ndarray
    rises: np.ndarray
    blur: np.ndarray


def loss_pairings(rule: Rule, placement: str, clean: bool) -> LossPairings:
    """Return the pairings of a loss.

    Example:
        >>> from jssl.forecast.rules import RULES
        >>> loss_pairings(RULES["spectral_contrastive"], SIMCLR, False).signal
        Pairing(first=0.0, cross=1.0, second=0.0)
    """
    if rule.views_apart:
        return LossPairings(CROSS, FIRST, SECOND, False)
    if rule.landscape != "info_nce_euclidean" or (placement == SIMCLR and not clean):
        return LossPairings(CROSS, POOLED, POOLED, rule.centred)
    covariances = covariance_pairings(placement, clean_first=clean)
    return LossPairings(signal_pairing(placement, clean_first=clean), *covariances, rule.centred)


def ends_of(
    gram: np.ndarray,
    values: np.ndarray,
    vectors: np.ndarray,
    rule: Rule,
    pairings: LossPairings,
    dim: int,
    weight_decay: float,
) -> Ends:
    """Return which modes are learned, their ends, and the curvature that bounds the learning rate.

    Args:
        gram: (2n, 2n).
        values: (count,) positive eigenvalues of the signal's pairing, descending.
        vectors: (2n, count) coefficients.
        rule: of the loss.
        pairings: of the loss.
        dim: number of outputs.
        weight_decay: >= 0.
    """
    net = rule.signal * values - weight_decay
    opposite = Pairing(*(-x for x in pairings.signal))
    inverted = largest_value(gram, rule.centred, opposite)
    unlearned = 2 * (rule.signal * inverted + weight_decay)
    if rule.own_spread:
        level = decayed_levels(values, dim, rule.off_diagonal, weight_decay)
        learned = level.learned
        size = np.where(learned, level.eigenvalues, 1) / values
        threshold = weight_decay / (rule.signal * float(level.push))
        curvature = max(4 * max(net[0], 0), unlearned)
        return Ends(net, learned, np.sqrt(size), threshold, (), float(curvature))
    learned = (net > 0) & (np.arange(len(values)) < dim)
    anchor = spread_of(gram, vectors, pairings.anchor_centred, pairings.anchor)
    negative = spread_of(gram, vectors, rule.centred, pairings.negative)
    tiny = 1e-12 * max(anchor.max(), negative.max())
    anchor, negative = np.maximum(anchor, tiny), np.maximum(negative, tiny)
    own, cross = rule.own, rule.quartic - rule.own
    pull = np.where(learned, net, rule.signal * values)
    size = pull / (2 * negative * (own * negative + cross * anchor))
    mixed = np.outer(anchor, negative)
    q = 4 * own * np.outer(negative, negative) + 2 * cross * (mixed + mixed.T)
    lower = (size[:, None] * q < 2 * net) & learned[:, None] & ~learned
    replaced = tuple((int(r), int(j)) for r, j in np.argwhere(lower))
    first, second, third = (jnp.asarray(x[learned]) for x in (net, anchor, negative))
    parts = (first, second, third, own, cross)
    inside = float(learned_curvature(*parts))
    outside = _outside(gram, rule, pairings, parts, weight_decay)
    curvature = max(inside, outside, unlearned)
    threshold = weight_decay / rule.signal
    ends = Ends(net, learned, np.sqrt(size), threshold, replaced, curvature)
    if rule.landscape != "info_nce_euclidean":
        return ends
    return _gaussian(ends, values, anchor, negative, 1 / rule.signal, weight_decay)


def _gaussian(
    ends: Ends,
    values: np.ndarray,
    anchor: np.ndarray,
    negative: np.ndarray,
    temperature: float,
    weight_decay: float,
) -> Ends:
    """Return the ends of the exact loss on Gaussian data, or of the quartic loss if far larger.

    The exact ones are infinite for equal views, where the number of negatives limits the growth.
    """
    positive = np.maximum((anchor + negative) / 2 - values, 0)
    parts = np.stack([positive, anchor, negative])
    given: dict[str, Any] = {"temperature": temperature, "weight_decay": weight_decay}
    exact = np.asarray(gaussian_amplitudes(*map(jnp.asarray, parts), **given))
    known = ends.learned & (exact < (_FARTHEST * ends.scales) ** 2)
    size = np.where(known, np.sqrt(np.where(known, exact, 1)), ends.scales)
    exact_parts = np.where(known, parts, np.nan)
    return ends._replace(scales=size, gaussian=exact_parts, leading=ends.scales)


def _outside(
    gram: np.ndarray,
    rule: Rule,
    pairings: LossPairings,
    parts: tuple[Array, Array, Array, float, float],
    weight_decay: float,
) -> float:
    """Return the largest curvature of learned outputs along directions that are not learned."""
    if not len(parts[0]):
        return 0.0
    of = crosstalk(*parts)
    anchor, negative = float(of.anchor), float(of.negative)
    three = zip(pairings.anchor, pairings.negative, pairings.signal, strict=True)
    pairing = Pairing(*(anchor * a + negative * n - 2 * rule.signal * b for a, n, b in three))
    curvature = largest_value(gram, rule.centred, pairing) + 2 * weight_decay
    if rule.centred and not pairings.anchor_centred:
        n = len(gram) // 2
        curvature += anchor * float(gram[:n, :n].mean())  # the mean of the anchors is not removed
    return curvature


def steps_of(
    rule: Rule,
    values: np.ndarray,
    initial: np.ndarray,
    ends: Ends,
    dim: int,
    weight_decay: float,
    rate: float,
) -> Steps:
    """Return when each of the first k modes is half-learned; infinite for those never learned."""
    k = len(initial)
    starts = initial > 0
    net, learned = ends.net[:k], ends.learned[:k] & starts
    if rule.own_spread:
        known = (initial, values[:k], dim, rule.off_diagonal)
        flow = mode_times(*known, weight_decay=weight_decay)
        descent = mode_times(*known, weight_decay=weight_decay, learning_rate=rate)
        return Steps(flow.times, *(of / rate for of in descent))
    growth = np.where(learned, 4 * net, 1)
    ratio = np.log(ends.scales[:k]) - np.log(np.where(starts, initial, 1))
    size = np.maximum(2 * ratio, np.log(2))
    times = np.where(learned, np.maximum(_half(size), 0) / growth, np.inf)
    delay = np.asarray(descent_delay(growth / 8, rate))
    rises = np.where(learned, np.log(81) / growth, np.inf)
    if ends.gaussian is not None:
        times, rises = _gaussian_times(rule, ends, initial, times, rises, weight_decay)
    return Steps(times, times * delay / rate, rises / rate, np.where(learned, 0.0, np.inf))


def _gaussian_times(
    rule: Rule,
    ends: Ends,
    initial: np.ndarray,
    times: np.ndarray,
    rises: np.ndarray,
    weight_decay: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return times and rises of the exact loss where they are known, else as given."""
    assert ends.gaussian is not None
    parts = ends.gaussian[:, : len(initial)]
    known = np.isfinite(times) & np.isfinite(parts[0])
    each = jnp.asarray(np.where(known, parts, 1))
    squares = jnp.asarray(np.where(known, initial, 1) ** 2)
    given: dict[str, Any] = {"temperature": 1 / rule.signal, "weight_decay": weight_decay}
    low, half, high = (gaussian_times(squares, share, *each, **given) for share in (0.1, 0.5, 0.9))
    return np.where(known, half, times), np.where(known, high - low, rises)


def _half(size: np.ndarray) -> np.ndarray:
    """Return log(e^size - 1), the growth of a logistic curve from e^-size to 1/2."""
    return size + np.log(-np.expm1(-size))
