"""The curve of a mode under the flow, at any depth (D-9).

The time of `times` is inverted in the logit y of the share z = w / w_end: F(y) = F(y_0) + rate t,
with F = Phi or Psi, increasing. Bisection gives y to rounding, and one Newton step at the end makes
the derivative with respect to every argument right. For JEPA and L = 1 the result is
w = rho / (1 + omega(y_0 + log y_0 - lambda rho t)), y_0 = rho/w_0 - 1, with Wright's omega.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jssl.data.checks import require_range
from jssl.theory.distillation.objective import arrays, check_setting, require_positive
from jssl.theory.distillation.times import layer_end, logit_time, rate
from jssl.types import Array

BISECTIONS = 64


def amplitude(
    time: Any,
    covariance: Any,
    coefficient: Any,
    start: Any,
    *,
    depth: int = 1,
    objective: str = "jepa",
) -> Array:
    """Return the layer w(t) of a mode, which is also its predictor.

    Example:
        >>> w = amplitude(jnp.array([0.0, 20.0, 400.0]), 1.3, 0.6, 0.05)
        >>> [round(x, 4) for x in w.tolist()]
        [0.05, 0.5454, 0.6]

    The encoder's amplitude is w^L.

    Args:
        time: (...) >= 0, learning rate x step.
        covariance: (...) lambda > 0; a mode with lambda <= 0 is not learned.
        coefficient: (...) rho > 0.
        start: (...) w_0 > 0, below the end.
        depth: number of layers L >= 1.
        objective: "jepa" or "mae".

    Returns:
        (...) between w_0 and the end; NaN where lambda <= 0 or w_0 is at the end or above.

    Raises:
        InputError: for a depth below 1, an unknown objective, a negative time or a start that is
            not positive.
    """
    depth = check_setting(depth, objective)
    require_positive(start=start)
    require_range("time", time, 0)
    t, lam, rho, w = arrays(time, covariance, coefficient, start)
    valid = (lam > 0) & (rho > 0)
    lam, rho = (jnp.where(valid, x, 1) for x in (lam, rho))
    end = layer_end(rho, depth, objective)
    valid &= w < end
    z = jnp.where(valid, w / end, 0.5)
    first = jnp.log(z) - jnp.log1p(-z)
    target = logit_time(first, depth, objective) + rate(lam, rho, depth, objective) * t
    y = _inverse(target, first, depth, objective)
    # For y above the mantissa's reach, 1 / (1 + e^{-y}) is 1 and the mode has reached its end.
    return jnp.where(valid, end * jax.nn.sigmoid(y), jnp.nan)


def _inverse(target: Array, first: Any, depth: int, objective: str) -> Array:
    """Return y >= first with logit_time(y) = target."""
    half = logit_time(jnp.zeros_like(target), depth, objective)
    # From z = 1/2 on, dF/dy is at least 1 for JEPA and 1 / (L + 1) for a masked autoencoder.
    slowest = 1 if objective == "jepa" else depth + 1
    low, high = first, jnp.maximum(slowest * (target - half), 0) + 1
    high = jnp.maximum(high, first)

    def halve(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = (low + high) / 2
        below = logit_time(middle, depth, objective) < target
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    low, high = jax.lax.fori_loop(0, BISECTIONS, halve, (low, high))
    y = jax.lax.stop_gradient((low + high) / 2)
    log_z = -jnp.logaddexp(0, -y)
    if objective == "jepa":
        slope = jnp.exp((1 - 2 * depth) * log_z)
    else:
        z = jnp.exp(log_z)
        slope = jnp.exp((1 - depth) * log_z) / sum(z**k for k in range(depth + 1))
    return y + (target - logit_time(y, depth, objective)) / slope
