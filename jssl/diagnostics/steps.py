"""Steps in a logged spectrum: when each dimension was learned, and which were learned together.

Mode j of a spectrum that is sorted at every record point is *learned* when its last value exceeds
a share of the largest last value; its half time is its first crossing of half its last value; two
neighbouring modes are *separate steps* when the earlier one has reached the plateau level (a share
of its last value) before the later one reaches half of its own last value.

A time is NaN where a value up to it is not finite. A value that is not finite after the crossing
does not change the time; `detect_steps` then gives `distinct` = -1. Counts are -1 where a last
value is not finite.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jssl.arithmetic import working
from jssl.errors import InputError
from jssl.formulas import steps as formulas
from jssl.formulas.steps import LEARNED_SHARE, PLATEAU, Steps
from jssl.types import Array


def crossing_times(t: ArrayLike, values: ArrayLike, levels: ArrayLike) -> Array:
    """Return the first time at which each mode reaches its level, linearly interpolated.

    Example:
        >>> t = jnp.array([0.0, 1.0, 2.0])
        >>> print(crossing_times(t, jnp.array([[0.0], [1.0], [3.0]]), jnp.array([2.0])))
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
    times, values, levels = _checked(t, values, levels)
    return _crossing_times(times, values, levels)


def half_times(t: ArrayLike, values: ArrayLike, final: ArrayLike | None = None) -> Array:
    """Return the time at which each mode first reaches half its final value.

    Example:
        >>> t = jnp.linspace(0.0, 10.0, 101)
        >>> print(half_times(t, jax.nn.sigmoid(t[:, None] - jnp.array([3.0, 5.0])), jnp.ones(2)))
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
    times, values, final = _checked(t, values, final)
    return crossing_times(times, values, final / 2)


def detect_steps(
    t: ArrayLike,
    values: ArrayLike,
    final: ArrayLike | None = None,
    *,
    learned_share: float = LEARNED_SHARE,
    plateau: float = PLATEAU,
) -> Steps:
    """Find the steps in a logged spectrum.

    Example:
        >>> t = jnp.linspace(0.0, 30.0, 301)
        >>> values = jax.nn.sigmoid(4 * (t[:, None] - jnp.array([5.0, 10.0, 10.1, 99.0])))
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
    times, values, level = _checked(t, values, final)
    return _detect_steps(times, values, level, learned_share, plateau)


_crossing_times = jax.jit(partial(formulas.crossing_times, xp=jnp))
_detect_steps = jax.jit(partial(formulas.detect_steps, xp=jnp))


def _checked(
    t: ArrayLike, values: ArrayLike, final: ArrayLike | None
) -> tuple[Array, Array, Array]:
    """Return times, values and a level of every mode, the last values by default."""
    times, values = working(t=t, values=values)
    if values.ndim != 2 or times.shape != values.shape[:1] or not values.size:
        message = (
            "steps need times (points,) and values (points, dim); "
            f"got {times.shape} and {values.shape}"
        )
        raise InputError(message)
    if final is None:
        return times, values, values[-1]
    level = working(final=final)[0].astype(values.dtype)
    if level.shape not in ((), values.shape[1:]):
        message = f"levels must be one number, or ({values.shape[1]},); got shape {level.shape}"
        raise InputError(message)
    return times, values, jnp.broadcast_to(level, values.shape[1:])
