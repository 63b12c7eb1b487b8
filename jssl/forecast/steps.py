"""From the modes of the pairs and a start to the steps: what is learned, how large, and when.

Mode j grows at 4 h_j, h_j = signal eigenvalue_j - decay (`jssl.forecast.rules`), from s_j(0) to its
end; Barlow Twins, whose modes compete where the off-diagonal weight is below 1, is
`jssl.theory.stepwise.mode_times`. A random start has s_j(0)^2 = scale^2 v_j chi^2 with dim - j + 1
degrees of freedom and v_j the variance of mode j given the modes before it; where eigenvalues are
close, `effective_modes` corrects it.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import digamma, polygamma

from jssl.forecast.modes import largest_value, spread_of
from jssl.forecast.rules import Rule
from jssl.single_use import compile_cheaply
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
from jssl.theory.stepwise import (
    Levels,
    ModeTimes,
    decayed_levels,
    descent_delay,
    effective_modes,
    mode_times,
)

_DRAWS = 48
_CLOSE = 24  # modes up to which starts are drawn to correct for close eigenvalues
_FARTHEST = 30.0  # ends of the exact loss over those of the quartic
_APART = 2.0  # growth of a mode over the next, in logarithms, that tells them apart


class Read(NamedTuple):
    """The pairings that a loss reads from pairs.

    Attributes:
        signal: whose eigenvalues decide on growth.
        anchor: second moment of the anchors.
        negative: second moment of the negatives.
        anchor_centred: whether the anchors' mean is subtracted.
    """

    signal: Pairing
    anchor: Pairing
    negative: Pairing
    anchor_centred: bool


class Ends(NamedTuple):
    """What a mode becomes.

    Attributes:
        net: (count,) signal eigenvalue - decay.
        learned: (count,) whether it is learned; at most dim are.
        scales: (count,) s_j at the end; what it would be without decay where it is not learned.
        threshold: least eigenvalue that is learned.
        given_up: pairs (r, j) of a learned mode r that mode j replaces in the end.
        curvature: the largest along training.
        gaussian: eigenvalues of A_pos, of anchors and of negatives, (3, count), where the times are
            those of the exact loss on Gaussian data (`gaussian_times`); else None.
    """

    net: np.ndarray
    learned: np.ndarray
    scales: np.ndarray
    threshold: float
    given_up: tuple[tuple[int, int], ...]
    curvature: float
    gaussian: np.ndarray | None = None


class Steps(NamedTuple):
    """When each learned mode is half learned.

    Attributes:
        times: (k,) t = learning rate x step.
        steps: (k,) of descent.
        rises: (k,) steps from 10 % to 90 %.
        blur: (k,) error of `steps` that the theory itself has.
    """

    times: np.ndarray
    steps: np.ndarray
    rises: np.ndarray
    blur: np.ndarray


def read_of(rule: Rule, placement: str, clean: bool) -> Read:
    """Return the pairings of a loss.

    Example:
        >>> from jssl.forecast.rules import RULES
        >>> read_of(RULES["spectral_contrastive"], SIMCLR, False).signal
        Pairing(first=0.0, cross=1.0, second=0.0)
    """
    if rule.views_apart:
        return Read(CROSS, FIRST, SECOND, False)
    if rule.landscape != "info_nce_euclidean" or (placement == SIMCLR and not clean):
        return Read(CROSS, POOLED, POOLED, rule.centred)
    covariances = covariance_pairings(placement, clean_first=clean)
    return Read(signal_pairing(placement, clean_first=clean), *covariances, rule.centred)


def ends_of(
    gram: np.ndarray,
    values: np.ndarray,
    vectors: np.ndarray,
    rule: Rule,
    read: Read,
    dim: int,
    weight_decay: float,
) -> Ends:
    """Return which modes are learned, their ends, and the curvature that bounds the learning rate.

    Args:
        gram: (2n, 2n).
        values: (count,) positive eigenvalues of the signal's pairing, descending.
        vectors: (2n, count) coefficients.
        rule: of the loss.
        read: of the loss.
        dim: number of outputs.
        weight_decay: >= 0.
    """
    net = rule.signal * values - weight_decay
    opposite = Pairing(*(-x for x in read.signal))
    inverted = largest_value(gram, rule.centred, opposite)
    unlearned = 2 * (rule.signal * inverted + weight_decay)
    if rule.own_spread:
        level = levels_once(values, rule.off_diagonal, weight_decay, dim=dim)
        learned = np.asarray(level.learned)
        size = np.where(learned, np.asarray(level.eigenvalues), 1) / values
        threshold = weight_decay / (rule.signal * float(level.push))
        curvature = max(4 * max(net[0], 0), unlearned)
        return Ends(net, learned, np.sqrt(size), threshold, (), float(curvature))
    learned = (net > 0) & (np.arange(len(values)) < dim)
    anchor = spread_of(gram, vectors, read.anchor_centred, read.anchor)
    negative = spread_of(gram, vectors, rule.centred, read.negative)
    tiny = 1e-12 * max(anchor.max(), negative.max())
    anchor, negative = np.maximum(anchor, tiny), np.maximum(negative, tiny)
    own, cross = rule.own, rule.quartic - rule.own
    pull = np.where(learned, net, rule.signal * values)
    size = pull / (2 * negative * (own * negative + cross * anchor))
    mixed = np.outer(anchor, negative)
    q = 4 * own * np.outer(negative, negative) + 2 * cross * (mixed + mixed.T)
    lower = (size[:, None] * q < 2 * net) & learned[:, None] & ~learned
    given_up = tuple((int(r), int(j)) for r, j in np.argwhere(lower))
    parts = (net[learned], anchor[learned], negative[learned], own, cross)
    inside = float(learned_curvature(*map(jnp.asarray, parts[:3]), own, cross))
    outside = _outside(gram, rule, read, parts, weight_decay)
    curvature = max(inside, outside, unlearned)
    threshold = weight_decay / rule.signal
    found = Ends(net, learned, np.sqrt(size), threshold, given_up, curvature)
    if rule.landscape != "info_nce_euclidean":
        return found
    return _gaussian(found, values, anchor, negative, 1 / rule.signal, weight_decay)


def _gaussian(
    found: Ends,
    values: np.ndarray,
    anchor: np.ndarray,
    negative: np.ndarray,
    temperature: float,
    weight_decay: float,
) -> Ends:
    """Return the ends of the exact loss on Gaussian data; those of the quartic where far above.

    They are infinite where the views are equal: finitely many negatives stop the growth there.
    """
    positive = np.maximum((anchor + negative) / 2 - values, 0)
    parts = np.stack([positive, anchor, negative])
    given = {"temperature": temperature, "weight_decay": weight_decay}
    exact = np.asarray(gaussian_amplitudes(*map(jnp.asarray, parts), **given))
    known = found.learned & (exact < (_FARTHEST * found.scales) ** 2)
    size = np.where(known, np.sqrt(np.where(known, exact, 1)), found.scales)
    return found._replace(scales=size, gaussian=np.where(known, parts, np.nan))


def _outside(gram: np.ndarray, rule: Rule, read: Read, parts: tuple, weight_decay: float) -> float:
    """Return the largest curvature of learned outputs along directions that are not learned."""
    if not len(parts[0]):
        return 0.0
    of = crosstalk(*map(jnp.asarray, parts[:3]), *parts[3:])
    anchor, negative = float(of.anchor), float(of.negative)
    three = zip(read.anchor, read.negative, read.signal, strict=True)
    pairing = Pairing(*(anchor * a + negative * n - 2 * rule.signal * b for a, n, b in three))
    found = largest_value(gram, rule.centred, pairing) + 2 * weight_decay
    if rule.centred and not read.anchor_centred:
        n = len(gram) // 2
        found += anchor * float(gram[:n, :n].mean())  # the mean that the anchors keep
    return found


def random_start(
    values: np.ndarray, vectors: np.ndarray, dim: int, nngp: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return typical s_j(0) of a random start of scale 1, and the spread of log s_j(0)^2.

    exp of the mean logarithm of a chi-square with dim - j + 1 degrees of freedom, times the
    variance of mode j given the modes before it: the squared diagonal of a Cholesky factor.

    Example:
        >>> scales, spread = random_start(np.ones(1), np.eye(1), 2, np.eye(1))
        >>> scales.round(3).tolist(), spread.round(3).tolist()  # chi^2 with 2: log 2 - .577
        ([1.06], [1.283])
    """
    top = vectors[:, : min(dim, len(values))]
    variance = np.diag(_factor(top, nngp)) ** 2
    half = (dim - np.arange(top.shape[1])) / 2
    return np.sqrt(2 * variance * np.exp(digamma(half))), np.sqrt(polygamma(1, half))


def _factor(vectors: np.ndarray, nngp: np.ndarray) -> np.ndarray:
    """Return the upper triangular R with R^T R = vectors^T nngp vectors, which may be singular."""
    energy, basis = np.linalg.eigh(vectors.T @ nngp @ vectors)
    root = np.sqrt(np.maximum(energy, 0))[:, None] * basis.T
    triangle = np.linalg.qr(root, mode="r")
    sign = np.where(np.diag(triangle) < 0, -1.0, 1.0)
    return sign[:, None] * triangle


def drawn_begins(
    unit: np.ndarray,
    spread: np.ndarray,
    scale: float,
    vectors: np.ndarray,
    nngp: np.ndarray,
    dim: int,
    ends: Ends,
    draws: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Return s_j(0) of a random start and the spread of log s_j(0)^2, close modes corrected.

    The correction is the mean, over random starts, of the logarithm of `effective_modes` over the
    QR alignment; it vanishes where eigenvalues are far apart. Of many modes none are drawn: the
    spread then grows by 1 for those that the next one is close to.
    """
    k = len(unit)
    growth = np.maximum(ends.net, 0) / 2
    time = np.maximum(-np.log(scale * unit / ends.scales[:k]), 0) / np.where(growth, growth, 1)[:k]
    gaps = time * np.abs(np.diff(np.append(growth, 0))[:k])
    close = (gaps < 2 * _APART) & (growth[:k] > 0)
    if len(ends.net) == k:
        close[-1] = False
    if not close.any():
        return scale * unit, spread
    if k > _CLOSE:
        return scale * unit, np.hypot(spread, 1.0 * (close | np.roll(close, 1)))
    shape = (_DRAWS, dim, vectors.shape[1])
    starts = scale * draws.normal(size=shape) @ _factor(vectors, nngp)
    plain = np.abs(np.diagonal(np.linalg.qr(starts[:, :, :k])[1], axis1=1, axis2=2))
    seen = np.log(given_begins(starts, ends, k) / np.maximum(plain, 1e-300))
    width = spread**2 + np.var(2 * (seen + np.log(plain)), 0) - np.var(2 * np.log(plain), 0)
    return scale * unit * np.exp(seen.mean(0)), np.sqrt(np.maximum(width, spread**2 / 4))


def given_begins(projection: np.ndarray, ends: Ends, count: int) -> np.ndarray:
    """Return s_j(0) (..., count) of starts (..., dim, modes), close eigenvalues included.

    A start of `effective_modes` rises at a time; s_j(0) is that of an independent mode of growth
    h_j that rises at the same time.
    """
    flat = projection.reshape(-1, *projection.shape[-2:])
    found = np.asarray(_given_begins(flat, np.maximum(ends.net, 0) / 2, ends.scales))
    return found[:, :count].reshape(*projection.shape[:-2], -1)


@compile_cheaply
def _given_begins(starts: jax.Array, growth: jax.Array, scales: jax.Array) -> jax.Array:
    positive = growth > 0
    safe = jnp.where(positive, growth, 1)
    unit = scales * jnp.sqrt(safe)  # the end is 1 / sqrt(growth) there

    def one(start: jax.Array) -> jax.Array:
        begin, rate = effective_modes(start / jnp.where(positive, unit, 1), growth)
        rate = jnp.where(rate > 0, rate, 1)
        log = jnp.log(jnp.where(begin > 0, begin, 1))
        time = -(jnp.log(rate) + 2 * log) / (8 * rate)
        k = len(begin)
        begins = jnp.exp(-4 * safe[:k] * time) / jnp.sqrt(safe[:k]) * unit[:k]
        return jnp.where(begin > 0, begins, 0)

    return jax.vmap(one)(starts)


def steps_of(
    rule: Rule,
    values: np.ndarray,
    begins: np.ndarray,
    ends: Ends,
    dim: int,
    weight_decay: float,
    rate: float,
) -> Steps:
    """Return when each of the first k modes is half learned; infinite for those never learned."""
    k = len(begins)
    starts = begins > 0
    net, learned = ends.net[:k], ends.learned[:k] & starts
    if rule.own_spread:
        given = (begins, values[:k], rule.off_diagonal, weight_decay, np.array([0.0, rate]))
        seen = map(np.asarray, _flow_and_descent(*given, dim=dim))
        (times, taken), (_, rises), (_, blur) = seen
        return Steps(times, taken / rate, rises / rate, blur / rate)
    growth = np.where(learned, 4 * net, 1)
    ratio = np.log(ends.scales[:k]) - np.log(np.where(starts, begins, 1))
    size = np.maximum(2 * ratio, np.log(2))
    times = np.where(learned, np.maximum(_half(size), 0) / growth, np.inf)
    delay = np.asarray(descent_delay(jnp.asarray(growth / 8), rate))
    rises = np.where(learned, np.log(81) / growth, np.inf)
    if ends.gaussian is not None:
        times, rises = _gaussian_times(rule, ends, begins, times, rises, weight_decay)
    return Steps(times, times * delay / rate, rises / rate, np.where(learned, 0.0, np.inf))


@partial(compile_cheaply, static_argnames="dim")
def levels_once(
    values: jax.Array, off_diagonal: jax.Array, weight_decay: jax.Array, *, dim: int
) -> Levels:
    """Return `decayed_levels`, compiled for one call."""
    return decayed_levels(values, dim, off_diagonal, weight_decay)


@partial(compile_cheaply, static_argnames="dim")
def _flow_and_descent(
    begins: jax.Array,
    values: jax.Array,
    off_diagonal: jax.Array,
    weight_decay: jax.Array,
    rates: jax.Array,
    *,
    dim: int,
) -> ModeTimes:
    """Return `mode_times` (rates, k) of several learning rates; 0 is the flow."""

    def one(rate: jax.Array) -> ModeTimes:
        options = {"weight_decay": weight_decay, "learning_rate": rate}
        return mode_times(begins, values, dim, off_diagonal, **options)

    return jax.vmap(one)(rates)


def _gaussian_times(
    rule: Rule,
    ends: Ends,
    begins: np.ndarray,
    times: np.ndarray,
    rises: np.ndarray,
    weight_decay: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return times and rises of the exact loss where they are known, else as given."""
    assert ends.gaussian is not None
    parts = ends.gaussian[:, : len(begins)]
    known = np.isfinite(times) & np.isfinite(parts[0])
    parts = jnp.asarray(np.where(known, parts, 1))
    squares = jnp.asarray(np.where(known, begins, 1) ** 2)
    given = {"temperature": 1 / rule.signal, "weight_decay": weight_decay}
    low, half, high = (gaussian_times(squares, share, *parts, **given) for share in (0.1, 0.5, 0.9))
    return np.where(known, half, times), np.where(known, high - low, rises)


def _half(size: np.ndarray) -> np.ndarray:
    """Return log(e^size - 1), the growth of a logistic curve from e^-size to 1/2."""
    return size + np.log(-np.expm1(-size))
