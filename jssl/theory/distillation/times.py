r"""When a mode is learned: critical times of JEPA and of a masked autoencoder (D-5 to D-11).

From an aligned start every layer of a mode and its predictor equal one number w, with

    jepa   dw/dt = w^{2L} (lambda - s w)        end rho
    mae    dw/dt = w^L (lambda - s w^{L+1})     end w* = rho^{1/(L+1)}

The time from w_0 to the share p of the end is

    jepa   (Phi(p) - Phi(w_0/rho)) / (lambda rho^{2L-1})
    mae    (Psi(p) - Psi(w_0/w*)) / (lambda w*^{L-1})

    Phi(z) = log(z / (1-z)) - sum_{j=1}^{2L-1} z^{-j} / j
    Psi(z) = log z or -z^{1-L} / (L-1)
             + [-log(1-z) + int_0^z (sum_{j=1}^{L-1} (L-j) x^j - 1) / (sum_{k=0}^L x^k) dx] / (L+1)

The integrand is smooth, so that 24 Gauss-Legendre nodes give rounding. Littwin et al. 2024, arXiv
2407.03475, state the leading term for JEPA; the exact times are derived here.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jssl.errors import InputError, shown
from jssl.host_arithmetic import host_value
from jssl.theory.distillation.objective import (
    arrays,
    check_setting,
    require_finite,
    require_not_negative,
    require_positive,
    require_share,
    require_start_below,
    require_variance,
)
from jssl.types import Array

NODES, WEIGHTS = np.polynomial.legendre.leggauss(24)


def critical_time(
    covariance: Any,
    coefficient: Any,
    start: Any,
    *,
    depth: int = 1,
    objective: str = "jepa",
    share: Any = 0.5,
) -> Array:
    """Return the time at which a mode reaches a share of its end (D-7, D-8).

    Example:
        >>> rho = jnp.array([0.3, 0.8])
        >>> print([round(t, 2) for t in critical_time(1.0, rho, 0.01).tolist()])
        [104.56, 102.96]
        >>> print([round(t, 2) for t in critical_time(1.0, rho, 0.01, objective="mae").tolist()])
        [3.45, 3.94]

    The leading term of JEPA, w_0^{1-2L} / ((2L-1) lambda), does not contain rho. The share refers
    to the layer, p = w / w_end, not to the encoder w^L.

    Args:
        covariance: (...) lambda, of any sign.
        coefficient: (...) rho = lambda / s.
        start: (...) w_0 > 0, every layer and the predictor at time 0.
        depth: number of layers L, 1 to 256.
        objective: "jepa" or "mae".
        share: p between 0 and 1.

    Returns:
        (...) learning rate x step. Infinite where lambda <= 0 or rho <= 0, since such a mode is
        not learned (its `end_state` is 0), and where the time exceeds the largest number of the
        dtype (its `end_state` is not 0). NaN where the mode starts at its share or above, or where
        lambda or rho is NaN.

    Raises:
        InputError: for a depth out of range, an unknown objective, a start or a share out of range.

    References:
        Littwin et al. 2024, arXiv 2407.03475, for the leading term.
    """
    depth = check_setting(depth, objective)
    require_positive(start=start)
    require_share(share)
    lam, rho, w, p = arrays(covariance, coefficient, start, share)
    learned = ~((lam <= 0) | (rho <= 0))  # NaN stays NaN
    lam, rho = (jnp.where(learned, x, 1) for x in (lam, rho))
    end = layer_end(rho, depth, objective)
    early = w < p * end
    z = jnp.where(early, w / end, p / 2)
    time = elapsed(_logit(z), _logit(p), lam, rho, depth, objective)
    return jnp.where(learned, jnp.where(early, time, jnp.nan), jnp.inf)


def descent_critical_time(
    covariance: Any,
    coefficient: Any,
    start: Any,
    learning_rate: Any,
    *,
    depth: int = 1,
    objective: str = "jepa",
    share: Any = 0.5,
) -> Array:
    """Return the critical time under gradient descent, learning rate x steps (D-11).

    Example:
        >>> w, steps = 0.1, 0
        >>> while w < 0.3:
        ...     w, steps = w + 0.1 * w**2 * (1 - w / 0.6), steps + 1
        >>> time = descent_critical_time(jnp.ones(()), jnp.full((), 0.6), 0.1, 0.1)
        >>> steps - 1 < time.item() / 0.1 <= steps
        True

    A step of size lr keeps balanced modes balanced, and adds (lr / 2) log(f(w_1) / f(w_0)) to the
    time of a scalar flow dw/dt = f(w) from w_0 to w_1. The error is of second order in lr.

    Args:
        covariance: as in `critical_time`, as are the others.
        coefficient: (...) rho.
        start: (...) w_0 > 0.
        learning_rate: lr >= 0.
        depth: number of layers L, 1 to 256.
        objective: "jepa" or "mae".
        share: p between 0 and 1.

    Raises:
        InputError: as `critical_time`, or for a negative learning rate.
    """
    require_not_negative(learning_rate=learning_rate)
    flow = critical_time(
        covariance, coefficient, start, depth=depth, objective=objective, share=share
    )
    lam, rho, w, p, lr = arrays(covariance, coefficient, start, share, learning_rate)
    moving = jnp.isfinite(flow)
    lam, rho = (jnp.where(moving, x, 1) for x in (lam, rho))
    reached = p * layer_end(rho, depth, objective)
    w = jnp.where(moving, w, reached)
    speeds = [scalar_velocity(x, lam, rho, depth=depth, objective=objective) for x in (reached, w)]
    return flow + jnp.where(moving, lr / 2 * jnp.log(speeds[0] / speeds[1]), 0)


def scalar_velocity(
    layer: Array,
    covariance: Any,
    coefficient: Any,
    *,
    depth: int = 1,
    objective: str = "jepa",
    decay: Any = 0.0,
) -> Array:
    """Return dw/dt of a balanced mode with weight decay (D-5).

    Example:
        >>> print(scalar_velocity(jnp.array([0.5, 0.8]), 1.0, 0.8))
        [0.09375 0.     ]

    Args:
        layer: (...) w >= 0, every layer of the mode and its predictor.
        covariance: (...) lambda, of any sign.
        coefficient: (...) rho, of the sign of lambda and not 0; else s = lambda / rho, a variance,
            is negative.
        depth: number of layers L, 1 to 256.
        objective: "jepa" or "mae".
        decay: eta >= 0 of every layer and the predictor.

    Raises:
        InputError: for a depth out of range, an unknown objective, a negative layer or decay, or a
            coefficient that is 0 or of another sign than the covariance.
    """
    depth = check_setting(depth, objective)
    require_not_negative(decay=decay, layer=layer)
    require_finite(covariance=covariance, coefficient=coefficient)
    w, lam, rho, eta = arrays(layer, covariance, coefficient, decay)
    require_variance(lam, rho)
    if objective == "jepa":
        return w ** (2 * depth) * lam * (1 - w / rho) - eta * w
    return w**depth * lam * (1 - w ** (depth + 1) / rho) - eta * w


def small_start_time(
    covariance: Any,
    coefficient: Any,
    start: Any,
    *,
    depth: int = 1,
    objective: str = "jepa",
) -> Array:
    """Return the leading terms of the critical time for a small start (D-10).

    Example:
        >>> times = small_start_time(1.0, jnp.array([0.3, 0.8]), 1e-3, depth=2)
        >>> [f"{t:.3e}" for t in times.tolist()]
        ['3.350e+08', '3.340e+08']

    For JEPA these are the two largest terms, w_0^{1-2L} / ((2L-1) lambda), which does not contain
    rho, and w_0^{2-2L} / ((2L-2) lambda rho), or log(1/w_0) / (lambda rho) at L = 1. For a masked
    autoencoder it is one term, w_0^{1-L} / ((L-1) lambda), or log(1/w_0) / lambda at L = 1.

    Args:
        covariance: (...) lambda > 0.
        coefficient: (...) rho > 0.
        start: (...) w_0 > 0, below the end of the layer and far below 1.
        depth: number of layers L, 1 to 256.
        objective: "jepa" or "mae".

    Raises:
        InputError: for a depth out of range, an unknown objective, numbers that are not positive,
            or a start that is not small.
    """
    depth = check_setting(depth, objective)
    require_positive(covariance=covariance, coefficient=coefficient, start=start)
    lam, rho, w = arrays(covariance, coefficient, start)
    require_start_below(w, layer_end(rho, depth, objective), "the end of the layer")

    def power(order: int) -> Array:  # the integral of w^{-order-1}
        return -jnp.log(w) if order == 0 else w**-order / order

    if objective == "mae":
        time = power(depth - 1) / lam
    else:
        time = (power(2 * depth - 1) + power(2 * depth - 2) / rho) / lam
    known = host_value(time)
    if known is not None and not (known > 0).all():
        message = (
            "start is not small: the leading terms of the time are not positive; take "
            f"critical_time, which is exact; got {shown(start)}"
        )
        raise InputError(message)
    return time


def layer_end(coefficient: Any, depth: int, objective: str) -> Array:
    """Return w at the end: rho for JEPA, rho^{1/(L+1)} for a masked autoencoder (D-6).

    Example:
        >>> print(layer_end(0.25, 1, "jepa"), layer_end(0.25, 1, "mae"))
        0.25 0.5
    """
    return coefficient if objective == "jepa" else coefficient ** (1 / (depth + 1))


def elapsed(
    first: Array, last: Array, covariance: Any, coefficient: Any, depth: int, objective: str
) -> Array:
    """Return the time between two shares z = 1 / (1 + e^{-y}) of the end, given by their logits y.

    Example:
        >>> ends = jnp.array(-2.0), jnp.array(0.0)
        >>> print(elapsed(*ends, 1.0, 0.5, 1, "jepa").round(4))  # e^2 - 1 + 2, over 0.5
        16.7781

    The differences of the powers in Phi and Psi are taken before the division by the rate, so that
    nothing overflows at large depth unless the time does, and shares near one another, near 0 and
    near 1 keep their digits.

    Args:
        first: (...) logit at the beginning.
        last: (...) logit at the end, at least `first`.
        covariance: (...) lambda > 0.
        coefficient: (...) rho > 0.
        depth: number of layers L.
        objective: "jepa" or "mae".
    """
    log_first, log_last = (-jnp.logaddexp(0, -y) for y in (first, last))
    gap = log_first - log_last  # <= 0
    log_end = jnp.log(layer_end(coefficient, depth, objective))
    if objective == "jepa":
        j = jnp.arange(1, 2 * depth, dtype=gap.dtype)
        logs = -j * log_first[..., None] - (2 * depth - 1) * log_end[..., None]
        powers = _scaled(jnp.sum, logs, -jnp.expm1(j * gap[..., None]) / j)
        return (powers + _scaled(_same, (1 - 2 * depth) * log_end, last - first)) / covariance
    if depth == 1:
        head = -gap
    else:
        logs = (1 - depth) * (log_first + log_end)
        head = _scaled(_same, logs, -jnp.expm1((depth - 1) * gap) / (depth - 1))
    ends = [jnp.logaddexp(0, y) for y in (first, last)]
    ends = [
        y + _smooth_integral(jnp.exp(z), depth)
        for y, z in zip(ends, (log_first, log_last), strict=True)
    ]
    rest = _scaled(_same, (1 - depth) * log_end, (ends[1] - ends[0]) / (depth + 1))
    return (head + rest) / covariance


def _same(x: Array) -> Array:
    return x


def _scaled(total: Any, logs: Array, values: Array) -> Array:
    """Return e^logs x values, summed over the last axis for `jnp.sum`; zero values stay zero."""
    limit = np.log(np.finfo(values.dtype).max) - 1
    products = jnp.exp(jnp.minimum(logs, limit)) * values
    products = jnp.where((logs > limit) & (values > 0), jnp.inf, products)
    return total(products, axis=-1) if total is jnp.sum else products


def _smooth_integral(z: Array, depth: int) -> Array:
    """Return int_0^z (sum_{j=1}^{L-1} (L-j) x^j - 1) / (sum_{k=0}^L x^k) dx."""
    x = z[..., None] * (1 + jnp.asarray(NODES, z.dtype)) / 2
    j = np.arange(depth + 1)
    powers = x[..., None] ** j
    above = powers[..., :-1] @ jnp.asarray(np.where(j > 0, depth - j, -1)[:-1], z.dtype)
    below = powers.sum(-1)
    return z / 2 * ((above / below) @ jnp.asarray(WEIGHTS, z.dtype))


def _logit(z: Array) -> Array:
    return jnp.log(z) - jnp.log1p(-z)
