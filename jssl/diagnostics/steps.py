"""Steps in a logged spectrum: when each dimension was learned, and which were learned together.

Mode j of a spectrum that is sorted at every record point is *learned* when its last value exceeds
a share of the largest last value; its half time is its first crossing of half its last value; two
neighbouring modes are *separate steps* when the earlier has reached the plateau level (a share of
its last value) before the later reaches half of its own.

A time is NaN where a value up to it is not finite; counts are -1 where a last value is not.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jssl.arithmetic import working
from jssl.errors import InputError
from jssl.types import Array


class Steps(NamedTuple):
    """What the detector finds.

    Attributes:
        half_times: (dim,) first crossing of half the last value; NaN where not learned.
        rise_times: (dim,) time from 10 % to 90 % of the last value; NaN where not learned.
        learned: () number of learned dimensions; -1 where a last value is not finite.
        separate: (dim - 1,) whether mode j + 1 was learned in a step of its own after mode j.
        distinct: () number of distinct steps: `learned` if every dimension had its own; -1 where a
            last value, or any value of a learned mode, is not finite.
    """

    half_times: Array
    rise_times: Array
    learned: Array
    separate: Array
    distinct: Array


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
        finite: the level may have been reached there.

    Raises:
        InputError: for shapes that do not fit, or values that are not real numbers.
    """
    times, values, levels = _checked(t, values, levels)

    def of_mode(v: Array, level: Array) -> Array:
        reached = (v >= level) | ~jnp.isfinite(v)
        after = jnp.argmax(reached)
        before = jnp.maximum(after - 1, 0)
        rise = v[after] - v[before]
        share = jnp.where(rise > 0, (level - v[before]) / jnp.where(rise > 0, rise, 1), 0)
        time = times[before] + share * (times[after] - times[before])
        return jnp.where(reached.any() & jnp.isfinite(v[after] + level), time, jnp.nan)

    return jax.vmap(of_mode, in_axes=(1, 0))(values, levels)


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
    learned_share: float = 0.1,
    plateau: float = 0.8,
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
        final: (dim,) or scalar level of a learned mode, where theory knows it (1 for the
            eigenvalues of C under Barlow Twins, the temperature for unnormalised InfoNCE, which
            grows on without bound); None for the last value.
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
    known = jnp.isfinite(values[-1] + level).all()
    learned = values[-1] > learned_share * level.max()
    half, low, high, flat = (
        jnp.where(learned, crossing_times(times, values, share * level), jnp.nan)
        for share in (0.5, 0.1, 0.9, plateau)
    )
    separate = learned[1:] & (half[1:] >= flat[:-1]) & (half[1:] > half[:-1])
    distinct = separate.sum() + (learned.sum() > 0).astype(jnp.int32)
    timed = known & (~learned | jnp.isfinite(values).all(0)).all()
    return Steps(
        half,
        high - low,
        jnp.where(known, learned.sum(), -1),
        separate & known,
        jnp.where(timed, distinct, -1),
    )


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
