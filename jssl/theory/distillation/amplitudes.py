"""The curve of a mode under the flow, at any depth (D-9).

The time of `times` is inverted in the logit y of the share z = w / w_end, with which it increases.
Bisection gives y to rounding, and one Newton step at the end makes the derivative with respect to
every argument right. For JEPA and L = 1 the result is
w = rho / (1 + omega(y_0 + log y_0 - lambda rho t)), y_0 = rho/w_0 - 1, with Wright's omega.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jssl.data.checks import require_range
from jssl.theory.distillation.objective import arrays, check_setting, require_positive
from jssl.theory.distillation.times import elapsed, layer_end
from jssl.types import Array

BISECTIONS = 64
_FAR = 1e6  # a logit at which the share is 1 in every dtype


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
        depth: number of layers L, 1 to 256.
        objective: "jepa" or "mae".

    Returns:
        (...) between w_0 and the end; NaN where lambda <= 0 or rho <= 0, as such a mode shrinks to
        zero on another curve, where w_0 is at the end or above, and where lambda or rho is NaN.

    Raises:
        InputError: for a depth out of range, an unknown objective, a negative time or a start that
            is not positive.
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
    y = _inverse(t, first, lam, rho, depth, objective)
    # For y above the mantissa's reach, 1 / (1 + e^{-y}) is 1 and the mode has reached its end.
    return jnp.where(valid, end * jax.nn.sigmoid(y), jnp.nan)


def _inverse(
    time: Array, first: Array, lam: Array, rho: Array, depth: int, objective: str
) -> Array:
    """Return y >= first that is reached after a time."""
    # dy/dt = lambda w^{2L-1} for JEPA and lambda w^{L-1} (1 + z + ... + z^L) for a masked
    # autoencoder, and w is at most its end, which bounds y from above.
    end = layer_end(rho, depth, objective)
    power = 2 * depth - 1 if objective == "jepa" else depth - 1
    slowest = 1 if objective == "jepa" else depth + 1
    low = first
    high = jnp.maximum(first, 0) + jnp.minimum(slowest * lam * end**power * time, _FAR) + 1

    def halve(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = (low + high) / 2
        below = elapsed(first, middle, lam, rho, depth, objective) < time
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    low, high = jax.lax.fori_loop(0, BISECTIONS, halve, (low, high))
    y = jax.lax.stop_gradient((low + high) / 2)
    log_w = jnp.log(end) - jnp.logaddexp(0, -y)
    speed = lam * jnp.exp(power * log_w)  # dy/dt of JEPA
    if objective == "mae":
        z = jax.nn.sigmoid(y)
        speed = speed * (z[..., None] ** jnp.arange(depth + 1)).sum(-1)
    taken = elapsed(first, y, lam, rho, depth, objective)
    known = jnp.isfinite(taken)  # beyond the largest number of the dtype, the mode stays at first
    return jnp.where(known, y + (time - jnp.where(known, taken, 0)) * speed, first)
