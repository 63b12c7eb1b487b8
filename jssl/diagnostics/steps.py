"""Steps in a logged spectrum: when each dimension was learned, and which were learned together.

Mode j of a spectrum that is sorted at every record point is *learned* when its last value exceeds
a share of the largest last value; its half time is its first crossing of half its last value; two
neighbouring modes are *separate steps* when the earlier has reached the plateau level (a share of
its last value) before the later reaches half of its own.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jssl.types import Array


class Steps(NamedTuple):
    """What the detector finds.

    Attributes:
        half_times: (dim,) first crossing of half the last value; NaN where not learned.
        rise_times: (dim,) time from 10 % to 90 % of the last value; NaN where not learned.
        learned: () number of learned dimensions.
        separate: (dim - 1,) whether mode j + 1 was learned in a step of its own after mode j.
        distinct: () number of distinct steps: `learned` if every dimension had its own.
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
        levels: (dim,).

    Returns:
        (dim,) times; NaN where the level is never reached.
    """
    times = jnp.asarray(t)

    def of_mode(v: Array, level: Array) -> Array:
        reached = v >= level
        after = jnp.argmax(reached)
        before = jnp.maximum(after - 1, 0)
        rise = v[after] - v[before]
        share = jnp.where(rise > 0, (level - v[before]) / jnp.where(rise > 0, rise, 1), 0)
        return jnp.where(
            reached.any(), times[before] + share * (times[after] - times[before]), jnp.nan
        )

    return jax.vmap(of_mode, in_axes=(1, 0))(jnp.asarray(values), jnp.asarray(levels))


def half_times(t: ArrayLike, values: ArrayLike, final: ArrayLike | None = None) -> Array:
    """Return the time at which each mode first reaches half its final value.

    Example:
        >>> t = jnp.linspace(0.0, 10.0, 101)
        >>> print(half_times(t, jax.nn.sigmoid(t[:, None] - jnp.array([3.0, 5.0])), jnp.ones(2)))
        [3. 5.]

    Args:
        t: (points,) increasing times.
        values: (points, dim) eigenvalues, each column one mode.
        final: (dim,) final values; None for the last record.
    """
    values = jnp.asarray(values)
    return crossing_times(t, values, (values[-1] if final is None else jnp.asarray(final)) / 2)


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
    """
    values = jnp.asarray(values)
    level = values[-1] if final is None else jnp.broadcast_to(final, values[-1].shape)
    learned = values[-1] > learned_share * level.max()
    half, low, high, flat = (
        jnp.where(learned, crossing_times(t, values, share * level), jnp.nan)
        for share in (0.5, 0.1, 0.9, plateau)
    )
    separate = learned[1:] & (half[1:] >= flat[:-1]) & (half[1:] > half[:-1])
    any_learned = (learned.sum() > 0).astype(jnp.int32)
    return Steps(half, high - low, learned.sum(), separate, separate.sum() + any_learned)
