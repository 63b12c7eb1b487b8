"""Steps in a logged spectrum: `jssl.diagnostics.steps` has the definitions."""

from typing import Any, NamedTuple

LEARNED_SHARE = 0.1
"""Share of the largest last value above which a mode is learned, by default."""
PLATEAU = 0.8
"""Share of its last value that a mode has reached before a separate step begins, by default."""


class Steps(NamedTuple):
    """The steps in a spectrum.

    Attributes:
        half_times: (dim,) first crossing of half the last value; NaN where not learned.
        rise_times: (dim,) time from 10 % to 90 % of the last value; NaN where not learned.
        learned: () number of learned dimensions; -1 where a last value is not finite.
        separate: (dim - 1,) whether mode j + 1 was learned in a separate step after mode j.
        distinct: () number of distinct steps: `learned` if every dimension had its own; -1 where a
            last value, or any value of a learned mode, is not finite.
    """

    half_times: Any
    rise_times: Any
    learned: Any
    separate: Any
    distinct: Any


def crossing_times(times: Any, values: Any, levels: Any, xp: Any) -> Any:
    """Return the first time at which each mode reaches its level, linearly interpolated.

    Example:
        >>> import numpy as np
        >>> t = np.array([0.0, 1.0, 2.0])
        >>> crossing_times(t, np.array([[0.0], [1.0], [3.0]]), np.array([2.0]), np).tolist()
        [1.5]

    Args:
        times: (points,) increasing.
        values: (points, dim).
        levels: (dim,).
        xp: `numpy` or `jax.numpy`.

    Returns:
        (dim,) as `jssl.diagnostics.steps.crossing_times`.
    """
    reached = (values >= levels) | ~xp.isfinite(values)
    # argmax of integers: PyTorch has none of booleans
    after = xp.argmax(xp.where(reached, xp.ones_like(values), 0), axis=0)
    before = xp.where(after > 0, after - 1, 0)
    low, high = (xp.take_along_axis(values, at[None], axis=0)[0] for at in (before, after))
    rise = high - low
    share = xp.where(rise > 0, (levels - low) / xp.where(rise > 0, rise, 1), 0)
    time = times[before] + share * (times[after] - times[before])
    return xp.where(xp.any(reached, axis=0) & xp.isfinite(high + levels), time, xp.nan)


def detect_steps(
    times: Any, values: Any, levels: Any, learned_share: Any, plateau: Any, xp: Any
) -> Steps:
    """Return the steps in a logged spectrum, as `diagnostics.detect_steps`.

    Example:
        >>> import numpy as np
        >>> t = np.linspace(0.0, 20.0, 201)
        >>> values = 1 / (1 + np.exp(4 * (np.array([5.0, 10.0]) - t[:, None])))
        >>> print(detect_steps(t, values, values[-1], 0.1, 0.8, np).half_times.round(3))
        [ 5. 10.]

    Args:
        times: (points,) increasing.
        values: (points, dim) eigenvalues, sorted descending at every point.
        levels: (dim,) of learned modes.
        learned_share: a mode is learned above this share of the largest level.
        plateau: share of its level that a mode has reached before a separate step begins.
        xp: `numpy` or `jax.numpy`.
    """
    known = xp.all(xp.isfinite(values[-1] + levels))
    learned = values[-1] > learned_share * xp.max(levels)
    half, low, high, flat = (
        xp.where(learned, crossing_times(times, values, share * levels, xp), xp.nan)
        for share in (0.5, 0.1, 0.9, plateau)
    )
    separate = learned[1:] & (half[1:] >= flat[:-1]) & (half[1:] > half[:-1])
    distinct = xp.count_nonzero(separate) + xp.where(xp.any(learned), 1, 0)
    timed = known & xp.all(~learned | xp.all(xp.isfinite(values), axis=0))
    return Steps(
        half,
        high - low,
        xp.where(known, xp.count_nonzero(learned), -1),
        separate & known,
        xp.where(timed, distinct, -1),
    )
