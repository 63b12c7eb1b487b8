"""When each mode is learned: critical times, half times, rise times, under the flow and by steps.

    tau_j = -log(g s_0^2) / (8 g)                    critical time
    log(1 / (g s_0^2) - 1) / (8 g)                   exact half time, g s^2 = 1/2
    log(81) / (8 g)                                  rise of the eigenvalue from 10 % to 90 %
    log(21 + 6 sqrt(10)) / (8 g) = 3.688 / (8 g)     the same for its loss (1 - g s^2)^2,
                                                     half fallen log(1 + sqrt(2)) / (8 g) earlier

Times are t = learning rate x step; a mode with g <= 0 is never learned and its times are infinite.
Simon et al. 2023, arXiv 2303.15438, section 4, where only the critical time is the paper's.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp

from jssl.models.correlation import namespace
from jssl.types import Array


class LossStep(NamedTuple):
    """How the loss falls by one when a mode is learned.

    Attributes:
        duration: (k,) time from 90 % to 10 % of the mode's unit loss.
        lead: (k,) time by which the mode's loss is half fallen before its eigenvalue is half risen.
    """

    duration: Array
    lead: Array


def critical_time(start_scales: Array, eigenvalues: Array) -> Array:
    """Return tau_j = -log(g s_j(0)^2) / (8 g), when mode j is learned.

    Example:
        >>> times = critical_time(jnp.full(3, 1e-3), jnp.array([1.0, 0.5, -1.0]))
        >>> [round(x, 3) for x in times.tolist()]
        [1.727, 3.627, inf]

    Args:
        start_scales: (k,) scales at time 0.
        eigenvalues: (k,) of the cross moment.

    Returns:
        (k,): infinite where the mode is never learned (g <= 0 or a start of zero), NaN where it
        starts learned, g s_j(0)^2 >= 1.

    References:
        Simon et al. 2023, arXiv 2303.15438, section 4.
    """
    return _rate_time(lambda size: -size, 1.0, start_scales, eigenvalues)


def half_time(start_scales: Array, eigenvalues: Array) -> Array:
    """Return log(1 / (g s_j(0)^2) - 1) / (8 g), the exact time at which g s_j^2 = 1/2.

    Example:
        >>> round(half_time(jnp.array([0.5]), jnp.array([1.0])).item(), 4)  # log(3) / 8
        0.1373

    Args:
        start_scales: (k,) scales at time 0.
        eigenvalues: (k,) of the cross moment.

    Returns:
        (k,): infinite where the mode is never learned, NaN where it starts at 1/2 or above.

    References:
        From Simon et al. 2023, arXiv 2303.15438, section 4.
    """
    return _rate_time(lambda size: jnp.log1p(-jnp.exp(size)) - size, 0.5, start_scales, eigenvalues)


def descent_half_time(start_scales: Array, eigenvalues: Array, learning_rate: Array) -> Array:
    """Return the half time under gradient descent with a finite step, learning rate x steps.

    Example:
        >>> s, steps = 1e-3, 0
        >>> while s**2 < 0.5:
        ...     s, steps = s + 4 * 0.05 * s * (1 - s**2), steps + 1
        >>> time = descent_half_time(jnp.array([1e-3]), jnp.array([1.0]), 0.05)[0]
        >>> steps - 1 < time.item() / 0.05 < steps
        True

    With h = 4 lr g, descent maps s to s (1 + h (1 - g s^2)). Its modified equation, summed to all
    orders in h at both ends (s near 0 grows by 1 + h a step, the defect near the end shrinks by
    1 - 2 h), takes from u_0 = g s_0^2 to u the time 4 g t =

        h log(u/u_0) / (2 log(1+h)) + h log((1-u)/(1-u_0)) / log(1-2h) + (5/8) h^2 (u-u_0) + O(h^3)

    with no logarithm in the error: it stays below h^3 / 4 (h^2 / 4 steps) for h <= 0.4, however
    small the start.

    Args:
        start_scales: (k,) scales at time 0.
        eigenvalues: (k,) of the cross moment.
        learning_rate: scalar > 0, or (k,).

    Returns:
        (k,) as `half_time`, and NaN where lr >= 1 / (8 g): there the mode overshoots.

    References:
        Derived here; the flow is Simon et al. 2023, arXiv 2303.15438, section 4.
    """
    growth = 4 * learning_rate * eigenvalues
    slow = jnp.where(growth > 0, growth, 0.1)

    def doubled_time(size: Array) -> Array:
        start = jnp.exp(size)
        early = -slow / jnp.log1p(slow) * (math.log(2) + size)
        late = 2 * slow / jnp.log1p(-2 * slow) * -jnp.log(2 * (1 - start))
        return early + late + 1.25 * slow**2 * (0.5 - start)

    return _rate_time(doubled_time, 0.5, start_scales, eigenvalues)


def descent_delay(eigenvalues: Array, learning_rate: Array) -> Array:
    """Return the factor by which a finite step stretches the growth of a small mode.

    Example:
        >>> delays = descent_delay(jnp.array([1.0, 0.1]), 0.005)
        >>> [round(x, 3) for x in delays.tolist()]
        [1.01, 1.001]

    4 lr g / log(1 + 4 lr g), or 1 + 2 lr g for small steps: the steps x lr to reach a given size
    over the time of the flow, exact while g s^2 << 1. `descent_half_time` adds the saturation.

    Args:
        eigenvalues: (k,) of the cross moment, of any sign; 4 lr g > -1.
        learning_rate: scalar >= 0, or (k,).

    Returns:
        (k,), 1 where lr g = 0.
    """
    xp = namespace(eigenvalues, learning_rate)
    growth = 4 * learning_rate * eigenvalues
    moves = growth != 0
    safe = xp.where(moves, growth, 1)
    return xp.where(moves, safe / xp.log1p(safe), 1)


def rise_time(eigenvalues: Array) -> Array:
    """Return log(81) / (8 g), the time in which a mode's eigenvalue rises from 10 % to 90 %.

    Example:
        >>> [round(x, 3) for x in rise_time(jnp.array([1.0, 0.0])).tolist()]
        [0.549, inf]

    Args:
        eigenvalues: (k,) of the cross moment.

    Returns:
        (k,): infinite where g <= 0.
    """
    return math.log(81) * _unit_time(eigenvalues)


def loss_step_time(eigenvalues: Array) -> LossStep:
    """Return the duration of a step of the loss and its lead over that of the eigenvalue.

    Example:
        >>> [round(x.item(), 3) for x in loss_step_time(jnp.array([0.125]))]
        [3.688, 0.881]

    Args:
        eigenvalues: (k,) of the cross moment.

    Returns:
        LossStep in time, infinite where g <= 0.
    """
    unit = _unit_time(eigenvalues)
    return LossStep(math.log(21 + 6 * math.sqrt(10)) * unit, math.log1p(math.sqrt(2)) * unit)


def _unit_time(eigenvalues: Array) -> Array:
    positive = eigenvalues > 0
    return jnp.where(positive, 1 / (8 * jnp.where(positive, eigenvalues, 1)), jnp.inf)


def _rate_time(
    function: Callable[[Array], Array], level: float, start_scales: Array, eigenvalues: Array
) -> Array:
    """Return function(log(g s_0^2)) / (8 g) where 0 < g s_0^2 < level; inf below, NaN above."""
    grows = (eigenvalues > 0) & (start_scales != 0)
    gamma, scale = (jnp.where(grows, x, 1) for x in (eigenvalues, start_scales))
    size = jnp.log(gamma) + 2 * jnp.log(jnp.abs(scale))  # s_0^2 itself may underflow
    early = size < math.log(level)
    time = function(jnp.where(grows & early, size, math.log(level / 2))) / (8 * gamma)
    return jnp.where(grows, jnp.where(early, time, jnp.nan), jnp.inf)
