"""Steps in a logged spectrum: when each dimension was learned, and which were learned together.

Mode j of a spectrum that is sorted at every record point is *learned* when its last value exceeds
a share of the largest last value; its half time is its first crossing of half its last value; two
neighbouring modes are *separate steps* when the earlier one has reached the plateau level (a share
of its last value) before the later one reaches half of its own last value.

A time is NaN where a value up to it is not finite. A value that is not finite after the crossing
does not change the time; `detect_steps` then gives `distinct` = -1. Counts are -1 where a last
value is not finite.
"""

from __future__ import annotations

from typing import Any

from jssl.errors import InputError
from jssl.formulas import steps as formulas
from jssl.formulas.libraries import Array, compiled, working
from jssl.formulas.steps import LEARNED_SHARE, PLATEAU, Steps


def crossing_times(t: Array, values: Array, levels: Array) -> Array:
    """Return the first time at which each mode reaches its level, linearly interpolated.

    Example:
        >>> import numpy as np
        >>> t = np.array([0.0, 1.0, 2.0])
        >>> print(crossing_times(t, np.array([[0.0], [1.0], [3.0]]), np.array([2.0])))
        [1.5]

    Args:
        t: (points,) increasing times.
        values: (points, dim).
        levels: (dim,), or one for all modes.

    Returns:
        (dim,) times; NaN where the level is never reached, or where a value before that is not
        finite, because the level may have been reached there.

    Raises:
        InputError: for shapes that do not fit, or values that are not real numbers.
    """
    xp, times, values, levels = _checked(t, values, levels)
    return _crossing_times(times, values, levels, xp=xp)


def half_times(t: Array, values: Array, final: Array | None = None) -> Array:
    """Return the time at which each mode first reaches half its final value.

    Example:
        >>> import numpy as np
        >>> t = np.linspace(0.0, 10.0, 101)
        >>> print(half_times(t, 1 / (1 + np.exp(np.array([3.0, 5.0]) - t[:, None])), np.ones(2)))
        [3. 5.]

    Args:
        t: (points,) increasing times.
        values: (points, dim) eigenvalues, each column one mode.
        final: (dim,) or scalar final values; None for the last record.

    Returns:
        (dim,) as `crossing_times`.

    Raises:
        InputError: as `crossing_times`.
    """
    _, times, values, final = _checked(t, values, final)
    return crossing_times(times, values, final / 2)


def detect_steps(
    t: Array,
    values: Array,
    final: Array | None = None,
    *,
    learned_share: float = LEARNED_SHARE,
    plateau: float = PLATEAU,
) -> Steps:
    """Find the steps in a logged spectrum.

    Example:
        >>> import numpy as np
        >>> t = np.linspace(0.0, 30.0, 301)
        >>> values = 1 / (1 + np.exp(4 * (np.array([5.0, 10.0, 10.1, 99.0]) - t[:, None])))
        >>> steps = detect_steps(t, values)
        >>> print(int(steps.learned), steps.separate, int(steps.distinct))
        3 [ True False False] 2

    Works on any spectrum: of C, of a covariance, of a hidden layer. Times in the unit of `t`.

    Args:
        t: (points,) increasing times or step numbers.
        values: (points, dim) eigenvalues, sorted descending at every point.
        final: (dim,) or scalar level of a learned mode, where it is known from theory: 1 for
            the eigenvalues of C under Barlow Twins, the temperature for unnormalised InfoNCE, whose
            eigenvalues grow without bound. None for the last value.
        learned_share: a mode is learned when its last value exceeds this share of the largest
            final value.
        plateau: share of its last value that a mode must have reached before the next one is
            at half, for the two to be separate steps.

    Returns:
        Steps.

    Raises:
        InputError: for shapes that do not fit, or values that are not real numbers.
    """
    xp, times, values, level = _checked(t, values, final)
    return _detect_steps(times, values, level, learned_share, plateau, xp=xp)


_crossing_times = compiled(formulas.crossing_times)
_detect_steps = compiled(formulas.detect_steps)


def _checked(t: Any, values: Any, final: Any) -> tuple[Any, Any, Any, Any]:
    """Return the namespace, times, values and a level of every mode, the last by default."""
    given = {} if final is None else {"final": final}
    xp, times, values, *level = working(t=t, values=values, **given)
    if values.ndim != 2 or times.shape != values.shape[:1] or 0 in values.shape:
        message = (
            "steps need times (points,) and values (points, dim); "
            f"got {tuple(times.shape)} and {tuple(values.shape)}"
        )
        raise InputError(message)
    if final is None:
        return xp, times, values, values[-1]
    if tuple(level[0].shape) not in ((), tuple(values.shape[1:])):
        shape = tuple(level[0].shape)
        message = f"levels must be one number, or ({values.shape[1]},); got shape {shape}"
        raise InputError(message)
    return xp, times, values, xp.broadcast_to(level[0], tuple(values.shape[1:]))
