"""Intervals of the steps: random start, finite width and the sampling of the pairs, apart.

Steps are compared on a logarithmic scale. The spread over random networks of one width holds both
the random start and the width. What F-5 leaves out, the change of the kernel during training
(F-9), is of relative size 8 % sqrt(j - 1) in dimension j for relu networks with three hidden layers
of 256, measured, and falls as width^{-1/2}; `coupling` measures the same power of the width for
networks in NTK parametrisation. The gradient flow of the user's own network holds that change.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from jssl.forecast.finite import Finite
from jssl.forecast.modes import Modes
from jssl.forecast.rules import Rule
from jssl.forecast.steps import Ends, Steps

LEVEL = 0.9
"""Probability of the intervals."""

_COUPLING = 0.08  # of relu networks with three hidden layers of 256, on digits
_CHANGE = 0.08  # relative error from the change of their kernel, per root of a dimension
_LEAST = 0.02
_LOOSE = 0.1  # off-diagonal weight below which outputs are hardly kept apart while they rise
_AMPLIFIED = 0.1


class Intervals(NamedTuple):
    """Steps with their intervals, (dim,) each.

    Attributes:
        steps: median.
        rises: steps from 10 % to 90 %.
        low: 5 % quantile for training on these pairs; the same factor below the median as `high` is
            above it.
        high: 95 % quantile.
        start_errors: standard error from the random start, in steps.
        width_errors: standard error from the finite width, in steps; 0 in the limit.
        new_data_errors: standard error on new data, from the sampling of the pairs, in steps.
    """

    steps: np.ndarray
    rises: np.ndarray
    low: np.ndarray
    high: np.ndarray
    start_errors: np.ndarray
    width_errors: np.ndarray
    new_data_errors: np.ndarray


def limit_intervals(
    steps: Steps, spread: np.ndarray, rule: Rule, ends: Ends, modes: Modes
) -> Intervals:
    """Return the intervals of the limit, (k,): random start, and sampling on new data.

    Args:
        steps: of the limit.
        spread: (k,) standard deviation of log s_j(0)^2.
        rule: of the loss.
        ends: final states.
        modes: with their eigenvalues on held-out pairs.
    """
    k = len(steps.steps)
    known = np.isfinite(steps.steps)
    rises, half, blur = (np.where(known, x, 0) for x in (steps.rises, steps.steps, steps.blur))
    start = np.hypot(blur, spread * rises / np.log(81))  # the growth a step is log(81) / rise
    off = np.hypot(modes.errors[:k], modes.values[:k] - modes.held_out[:k])
    share = rule.signal * off / np.where(known, ends.net[:k], 1)
    half_width = 1.645 * start
    return Intervals(
        steps.steps,
        np.where(known, steps.rises, np.nan),
        np.where(known, half**2 / np.maximum(half + half_width, 1e-300), np.inf),
        np.where(known, half + half_width, np.inf),
        np.where(known, start, np.nan),
        np.where(known, 0.0, np.nan),
        np.where(known, half * share, np.nan),
    )


def padded(of_modes: Intervals, dim: int) -> Intervals:
    """Return intervals (dim,) of (k,), k <= dim; dimensions without a mode are never learned."""
    missing = {"steps": np.inf, "low": np.inf, "high": np.inf}
    return Intervals(
        *(
            np.append(value, np.full(dim - len(value), missing.get(name, np.nan)))
            for name, value in of_modes._asdict().items()
        )
    )


def finite_intervals(finite: Finite, limit: Intervals) -> Intervals:
    """Return the intervals of networks of finite width, (dim,).

    Example:
        >>> finite = Finite(np.full((4, 1), 100.0), np.full((4, 1), 9.0), 0.08)
        >>> limit = Intervals(*np.full((7, 1), 0.0))
        >>> found = finite_intervals(finite, limit._replace(steps=np.full(1, 300.0)))
        >>> [round(float(x[0])) for x in (found.steps, found.low, found.high)]
        [100, 95, 105]

    Args:
        finite: half times of each network; with coupling 0, their kernels do not change.
        limit: intervals of the limit, (dim,).
    """
    nets = len(finite.steps)
    learned = np.isfinite(finite.steps).mean(0) > 0.5
    logs = np.log(np.where(np.isfinite(finite.steps), np.maximum(finite.steps, 1e-9), np.nan))
    counts = np.maximum(np.isfinite(logs).sum(0), 1)
    some = np.where(np.isfinite(logs), logs, 0)
    mean = some.sum(0) / counts
    spread = np.sqrt(
        np.where(np.isfinite(logs), (logs - mean) ** 2, 0).sum(0) / np.maximum(counts - 1, 1)
    )
    before = np.arange(len(limit.steps))  # number of dimensions that have moved the kernel
    change = np.maximum(_CHANGE * np.sqrt(before) * finite.coupling / _COUPLING, _LEAST)
    factor = stdtrit(nets - 1, (1 + LEVEL) / 2) if nets > 1 else 1.645
    total = np.sqrt(spread**2 * (1 + 1 / nets) + change**2)
    # The change of the kernel is not estimated from these networks.
    half = np.sqrt((factor * spread) ** 2 * (1 + 1 / nets) + (min(factor, 2.4) * change) ** 2)
    middle = np.nan_to_num(_medians(logs))
    steps = np.exp(middle)
    start = np.minimum(limit.start_errors, steps * spread)
    width = np.sqrt(np.maximum((steps * total) ** 2 - np.nan_to_num(start) ** 2, 0))
    known = np.isfinite(limit.steps) & (limit.steps > 0)
    ratio = np.where(known, steps / np.where(known, limit.steps, 1), 1)
    always = np.isfinite(finite.steps).all(0)
    return Intervals(
        np.where(learned, steps, np.inf),
        np.where(learned, _medians(finite.rises), np.nan),
        np.where(learned, np.exp(middle - half), np.inf),
        np.where(learned & always, np.exp(middle + half), np.inf),
        np.where(learned, start, np.nan),
        np.where(learned, width, np.nan),
        np.where(learned, limit.new_data_errors * ratio, np.nan),
    )


def given_intervals(limit: Intervals) -> Intervals:
    """Return the intervals of an encoder of the user in the limit, (dim,), with their least width.

    Its start is known and is no source of error, but the closed form is not exact.
    """
    known = np.isfinite(limit.steps)
    steps = np.where(known, limit.steps, 0)
    error = np.where(known, np.hypot(np.nan_to_num(limit.start_errors), _LEAST * steps), np.nan)
    half = 1.645 * np.nan_to_num(error)
    low = np.where(known, steps**2 / np.maximum(steps + half, 1e-300), limit.low)
    high = np.where(known, steps + half, limit.high)
    return limit._replace(low=low, high=high, start_errors=error)


def followed_intervals(
    steps: np.ndarray,
    rises: np.ndarray,
    known: Intervals,
    at: int,
    reached: float,
    off_diagonal: float,
) -> Intervals:
    """Return the intervals of a network whose own gradient flow was followed, (dim,).

    What is left is the error of the integration, and of descent beside its flow: of the order of
    a step and of `_LEAST` of the time. Where outputs are hardly kept apart, later dimensions
    amplify it: descent at two stable rates differs by a tenth there.

    Args:
        steps: (dim,) steps from the given parameters; NaN for dimensions that were not followed so
            far, which come between the last step that was followed and that with the kernel of the
            start.
        rises: (dim,) steps from 10 % to 90 %, or NaN.
        known: intervals with the kernel of the start.
        at: step of the given parameters.
        reached: number of steps that were followed.
        off_diagonal: weight with which the loss keeps outputs apart.
    """
    learned, missing = np.isfinite(steps), np.isnan(steps)
    own = np.where(learned, steps, 0)
    relative = np.full(len(own), _LEAST if off_diagonal > _LOOSE else _AMPLIFIED)
    relative[:1] = _LEAST
    error = np.hypot(relative * own, 1)
    half = 1.645 * error
    remaining = np.where(np.isfinite(known.steps), known.steps - at, 0)
    ratio = np.where(remaining > 0, own / np.where(remaining > 0, remaining, 1), 1)
    of_flow = Intervals(
        np.where(learned, at + own, np.inf),
        np.where(learned & np.isfinite(rises), rises, known.rises),
        np.where(learned, at + own**2 / (own + half), np.inf),
        np.where(learned, at + own + half, np.inf),
        np.where(learned, 0, np.nan),
        np.where(learned, error, np.nan),
        np.where(learned, known.new_data_errors * ratio, np.nan),
    )
    later = np.isfinite(known.high) & (known.high > at + reached)
    known = known._replace(
        steps=np.maximum(known.steps, at + reached),
        low=np.full(len(own), at + reached),
        high=np.where(later, known.high, np.inf),
    )
    both = zip(known, of_flow, strict=True)
    return Intervals(*(np.where(missing, old, new) for old, new in both))


def _medians(values: np.ndarray) -> np.ndarray:
    """Return the median of the finite values of each column; NaN where there is none."""
    kept = (x[np.isfinite(x)] for x in values.T)
    return np.array([np.median(x) if len(x) else np.nan for x in kept])
