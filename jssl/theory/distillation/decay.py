r"""Weight decay: the threshold of collapse, the levels of a mode, and how long both take.

    dw/dt = w^{2L} (lambda - s w) - eta w  (jepa),      w^L (lambda - s w^{L+1}) - eta w  (mae)

A learned end exists iff eta is below

    jepa   lambda rho^{2L-1} (2L-1)^{2L-1} / (2L)^{2L}                               (D-20)
    mae    lambda (rho (L-1) / (2L))^{(L-1)/(L+1)} (L+1) / (2L)

It is the upper root of w^{2L-1} (lambda - s w) = eta; the lower root is the edge of its basin, and
a smaller start shrinks to zero under any decay (D-22). For JEPA and L = 1 the roots are
(lambda -+ sqrt(lambda^2 - 4 s eta)) / (2 s) (D-21). On the isotropic data of Tian et al. 2021,
arXiv 2102.06810, with augmentation sigma^2, lambda = 1 and s = 1 + sigma^2. Derived here.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jssl.theory.distillation.objective import (
    arrays,
    check_setting,
    require_not_negative,
    require_positive,
)
from jssl.theory.distillation.passage import Way, passage
from jssl.types import Array


class DecayedLevels(NamedTuple):
    """Rest points of a mode under weight decay.

    Attributes:
        upper: (...) the learned end; NaN above the threshold.
        lower: (...) the edge of its basin: a smaller start shrinks to zero. NaN above the
            threshold.
    """

    upper: Array
    lower: Array


def collapse_threshold(
    covariance: Any, coefficient: Any, *, depth: int = 1, objective: str = "jepa"
) -> Array:
    """Return the weight decay above which a mode collapses from any start (D-20).

    Example:
        >>> print(collapse_threshold(1.0, jnp.array([0.8, 0.3]), depth=2).round(6))
        [0.054    0.002848]
        >>> print(collapse_threshold(1.0, jnp.array([0.8, 0.3]), depth=2, objective="mae").round(4))
        [0.4386 0.3163]

    The decay is that of descent, w <- w - learning rate (gradient + decay w), on every layer and
    the predictor.

    Args:
        covariance: (...) lambda, of any sign.
        coefficient: (...) rho.
        depth: number of layers L, 1 to 256.
        objective: "jepa" or "mae".

    Returns:
        (...) 0 where lambda <= 0 or rho <= 0: such a mode collapses without decay. NaN where
        lambda or rho is NaN.

    Raises:
        InputError: for a depth out of range or an unknown objective.
    """
    depth = check_setting(depth, objective)
    lam, rho = arrays(covariance, coefficient)
    learned = ~((lam <= 0) | (rho <= 0))  # NaN stays NaN
    rho = jnp.where(learned, rho, 1)
    if objective == "jepa":
        # a quotient of whole numbers, rounded once: 1/4 for L = 1 exactly
        level = rho ** (2 * depth - 1) * (
            (2 * depth - 1) ** (2 * depth - 1) / (2 * depth) ** (2 * depth)
        )
    else:
        power = (depth - 1) / (depth + 1)
        # rho apart from the constant: for L = 1 the slope of (0 rho)^0 would be NaN
        level = rho**power * ((depth - 1) / (2 * depth)) ** power * (depth + 1) / (2 * depth)
    return jnp.where(learned, lam * level, 0)


def decayed_levels(
    covariance: Any,
    coefficient: Any,
    decay: Any,
    *,
    depth: int = 1,
    objective: str = "jepa",
) -> DecayedLevels:
    """Return the learned end under weight decay and the edge of its basin (D-21, D-22).

    Example:
        >>> levels = decayed_levels(1.0, 0.8, 0.05)
        >>> [round(float(level), 4) for level in levels]
        [0.7464, 0.0536]

    A small start shrinks to zero under any decay, since the edge is about
    (eta / lambda)^{1/(2L-1)}. The edge is that of a balanced start, w = v. For a masked autoencoder
    with L = 1 it is 0: zero is not stable there.

    Args:
        covariance: (...) lambda > 0.
        coefficient: (...) rho > 0.
        decay: (...) eta > 0.
        depth: number of layers L, 1 to 256.
        objective: "jepa" or "mae".

    Raises:
        InputError: for a depth out of range, an unknown objective, or numbers that are not
            positive.
    """
    depth = check_setting(depth, objective)
    require_positive(covariance=covariance, coefficient=coefficient, decay=decay)
    lam, rho, eta = arrays(covariance, coefficient, decay)
    threshold = collapse_threshold(lam, rho, depth=depth, objective=objective)
    allowed = eta < threshold
    safe = jnp.where(allowed, eta, threshold / 2)
    # dw/dt = 0 in x = log w: rise(x) log-concave, with its maximum at the peak
    if objective == "jepa":
        power, rest, end = 2 * depth - 1, 1, rho
        peak = end * power / (2 * depth)
    else:
        power, rest, end = depth - 1, depth + 1, rho ** (1 / (depth + 1))
        peak = end * (power / (2 * depth)) ** (1 / rest)
    tiny = jnp.finfo(lam.dtype).tiny

    def excess(w: Array) -> Array:
        return lam * w**power * (1 - (w / end) ** rest) - safe

    upper = _root(excess, peak, end)
    if power:
        edge = (safe / lam) ** (1 / power)  # below the lower root, since 1 - (w/end)^rest < 1
        lower = _root(excess, peak, jnp.minimum(edge, peak) + tiny)
    else:
        lower = jnp.zeros_like(upper)
    return DecayedLevels(jnp.where(allowed, upper, jnp.nan), jnp.where(allowed, lower, jnp.nan))


def decayed_time(
    covariance: Any,
    coefficient: Any,
    start: Any,
    end: Any,
    decay: Any,
) -> Array:
    """Return the time of JEPA with one layer from w to another w under decay (D-21).

    Example:
        >>> round(float(decayed_time(1.0, 0.8, 0.1, 0.6, 0.05)), 3)  # learned
        19.594
        >>> round(float(decayed_time(1.0, 0.8, 0.8, 0.08, 0.21)), 2)  # collapse
        66.38

    Args:
        covariance: (...) lambda > 0.
        coefficient: (...) rho > 0.
        start: (...) w > 0 at time 0, every layer and the predictor.
        end: (...) w > 0 that is reached.
        decay: (...) eta > 0.

    Returns:
        (...) NaN where the flow from `start` never reaches `end`.

    Raises:
        InputError: for numbers that are not positive.
    """
    require_positive(
        covariance=covariance, coefficient=coefficient, start=start, end=end, decay=decay
    )
    lam, rho, a, b, eta = arrays(covariance, coefficient, start, end, decay)
    level = eta / (lam * rho)
    a, b, step = a / rho, b / rho, (b - a) / rho
    # z (1 - z) and not (z - 1/2)^2 - 1/4: a small z keeps its digits
    before, after = (level - z * (1 - z) for z in (a, b))
    gap, x, y = 0.25 - level, a - 0.5, b - 0.5
    # The way is free if dw/dt points from start to end at both, and no rest point lies between.
    same = (jnp.sign(before) * step < 0) & (jnp.sign(before) == jnp.sign(after))
    over = (gap >= 0) & (x * y < 0) & (before > 0)
    way = Way(a, b, step, x, y, before, after, x * y - gap, level, gap)
    reached = same & ~over
    time = jnp.where(reached, passage(way, reached) / (lam * rho), jnp.nan)
    return jnp.where(step == 0, 0, time)


def lingering_time(covariance: Any, coefficient: Any, decay: Any) -> Array:
    """Return how long JEPA with one layer lingers near p* = rho/2 just above the threshold (D-23).

    Example:
        >>> print(lingering_time(1.0, 0.8, 0.2001).round(1))
        702.5

    pi / (p* sqrt(s (eta - eta_c))): the time of the collapse, to leading order in eta - eta_c.

    Args:
        covariance: (...) lambda > 0.
        coefficient: (...) rho > 0.
        decay: (...) eta.

    Returns:
        (...) infinite at or below the threshold.

    Raises:
        InputError: for a covariance or coefficient that is not positive, or a negative decay.
    """
    require_positive(covariance=covariance, coefficient=coefficient)
    require_not_negative(decay=decay)
    lam, rho, eta = arrays(covariance, coefficient, decay)
    above = eta - lam * rho / 4
    safe = jnp.where(above > 0, above, 1)
    return jnp.where(above > 0, jnp.pi / (rho / 2 * jnp.sqrt(lam / rho * safe)), jnp.inf)


def _root(excess: Callable[[Array], Array], above: Array, below: Array) -> Array:
    """Return the root between a point with excess >= 0 and one with excess <= 0.

    Its derivatives are those of the implicit function, of every order; bisection has none.
    """
    above, below = jax.lax.stop_gradient((above, below))

    def bisect(function: Callable[[Array], Array], _: Array) -> Array:
        def halve(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
            above, below = ends
            middle = (above + below) / 2
            passed = function(middle) < 0
            return jnp.where(passed, above, middle), jnp.where(passed, middle, below)

        above_end, below_end = jax.lax.fori_loop(0, 64, halve, (above, below))
        return (above_end + below_end) / 2

    def divide(linear: Callable[[Array], Array], x: Array) -> Array:
        return x / linear(jnp.ones_like(x))  # each root has its own equation

    return jax.lax.custom_root(excess, (above + below) / 2, bisect, divide)
