r"""A target that is an exponential average of the encoder, layer by layer (D-31 to D-36).

    du/dt = beta (w - u),      dw/dt = w^L (lambda u^L - s w^{L+1})

A step target <- tau target + (1 - tau) online is beta = (1 - tau) / (tau lr) (D-32). End states and
the threshold of collapse do not depend on beta. A fast target delays every mode by the same time,
(L / beta) (logit p - logit(w_0/rho)) (D-33). A slow one removes the order by lambda: u^{1/(L+1)}
relaxes to its end at the rate beta / (L+1), on w^{L+1} = rho u^L (D-35).
The target is that of BYOL, Grill et al. 2020, arXiv 2006.07733; the dynamics are derived here.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jssl.data.checks import require_layers, require_range
from jssl.errors import InputError
from jssl.host_arithmetic import host_value
from jssl.integration import integrate, too_far_apart
from jssl.number_checks import require_number
from jssl.theory.distillation.objective import (
    arrays,
    require_positive,
    require_share,
    require_start_below,
)
from jssl.types import Array


def target_rate(momentum: Any, learning_rate: Any) -> Array:
    """Return the rate beta of a target that is averaged with a momentum (D-32).

    Example:
        >>> round(float(target_rate(0.9, 0.1)), 4)
        1.1111

    The mean lag of the average is lr tau / (1 - tau). (1 - tau) / lr would be off by 11 % at
    tau = 0.9.

    Args:
        momentum: tau in [0, 1): target <- tau target + (1 - tau) online after each step.
        learning_rate: lr > 0.

    Returns:
        (...) infinite at tau = 0, where the target is the encoder.

    Raises:
        InputError: for a momentum outside [0, 1) or a learning rate that is not positive.
    """
    arrays(momentum)
    known = host_value(momentum)
    if known is not None and not ((known >= 0) & (known < 1)).all():
        message = f"momentum must lie in [0, 1): at 1 the target never moves; got {momentum}"
        raise InputError(message)
    require_positive(learning_rate=learning_rate)
    tau, lr = arrays(momentum, learning_rate)
    moving = tau > 0
    return jnp.where(moving, (1 - tau) / (jnp.where(moving, tau, 1) * lr), jnp.inf)


def averaged_delay(
    coefficient: Any,
    start: Any,
    rate: Any,
    *,
    depth: int = 1,
    share: Any = 0.5,
) -> Array:
    """Return by how much a fast target delays a mode (D-33).

    Example:
        >>> round(float(averaged_delay(0.8, 0.01, 10.0)), 4)
        0.4369

    It is the lag 1 / beta times the growth of the log of the encoder, and does not depend on
    lambda. Its relative error is below 0.3 lambda rho^{2L-1} / beta.

    Args:
        coefficient: (...) rho > 0.
        start: (...) w_0 in (0, share x rho).
        rate: (...) beta > 0.
        depth: number of layers L, 1 to 256.
        share: p between 0 and 1.

    Raises:
        InputError: for a depth out of range or numbers out of range.
    """
    depth = require_layers(depth)
    require_positive(coefficient=coefficient, start=start, rate=rate)
    require_share(share)
    rho, w, beta, p = arrays(coefficient, start, rate, share)
    require_start_below(w, p * rho, "share x coefficient")
    z = w / rho
    return depth / beta * (jnp.log(p / (1 - p)) - jnp.log(z / (1 - z)))


def averaged_tail_rate(covariance: Any, coefficient: Any, rate: Any, *, depth: int = 1) -> Array:
    """Return the rate of the last approach to the end (D-34).

    Example:
        >>> round(float(averaged_tail_rate(1.0, 0.8, 0.5)), 4)
        0.2118

    The smaller root r of r^2 - ((L+1) g + beta) r + beta g = 0 with g = lambda rho^{2L-1}.

    Args:
        covariance: (...) lambda > 0.
        coefficient: (...) rho > 0.
        rate: (...) beta > 0.
        depth: number of layers L, 1 to 256.

    Raises:
        InputError: for a depth out of range or numbers out of range.
    """
    depth = require_layers(depth)
    require_positive(covariance=covariance, coefficient=coefficient, rate=rate)
    lam, rho, beta = arrays(covariance, coefficient, rate)
    g = lam * rho ** (2 * depth - 1)
    total = (depth + 1) * g + beta
    # 2 c / (b + sqrt(b^2 - 4 c)) keeps its digits where the roots are far apart
    return 2 * beta * g / (total + jnp.sqrt(total**2 - 4 * beta * g))


def slow_target_time(
    covariance: Any,
    coefficient: Any,
    start: Any,
    rate: Any,
    *,
    share: Any = 0.5,
) -> Array:
    """Return the critical time under a slow target, for one layer (D-35).

    Example:
        >>> times = slow_target_time(jnp.array([1.0, 0.125]), 0.8, 0.01, 1e-4)
        >>> round(float(times[1] / times[0]), 3)
        1.127

    With z_0 = sqrt(w_0 / rho) and Z(z) = log(z / (1-z)) - 1/z - 1/(2 z^2),

        T = (2 / beta) log((1 - z_0) / (1 - p))                  u on the curve w = sqrt(rho u)
            + log((1 + 1/z_0) / 2) / (lambda w_0 (1 - z_0))      the rise of w onto the curve
            + (Z(p) - Z(z_0) + 1/p^2) / (2 lambda rho)           its lag behind the curve

    up to terms of order beta / (lambda w_0)^2. The order by lambda is in the last two lines alone.

    Args:
        covariance: (...) lambda > 0.
        coefficient: (...) rho > 0.
        start: (...) w_0 in (0, share^2 x rho): a larger one passes its share before it is on the
            curve, see `averaged_time`.
        rate: (...) beta > 0.
        share: p between 0 and 1.

    Raises:
        InputError: for numbers out of range.
    """
    require_positive(covariance=covariance, coefficient=coefficient, start=start, rate=rate)
    require_share(share)
    lam, rho, w, beta, p = arrays(covariance, coefficient, start, rate, share)
    require_start_below(w, p**2 * rho, "share^2 x coefficient")
    z = jnp.sqrt(w / rho)
    rise = jnp.log((1 + 1 / z) / 2) / (lam * w * (1 - z))

    def on_curve(z: Array) -> Array:
        return jnp.log(z / (1 - z)) - 1 / z - 1 / (2 * z**2)

    lag = (on_curve(p) - on_curve(z) + p**-2) / (2 * lam * rho)
    return 2 / beta * jnp.log((1 - z) / (1 - p)) + rise + lag


def averaged_time(
    covariance: float,
    coefficient: float,
    start: float,
    rate: float,
    *,
    depth: int = 1,
    share: float = 0.5,
) -> float:
    """Return the critical time of w under an averaged target, by integration on the host (D-31).

    Example:
        >>> print(round(averaged_time(1.0, 0.8, 0.01, 0.1), 4))
        130.8621

    Args:
        covariance: lambda > 0, a number.
        coefficient: rho > 0.
        start: w_0 in (0, share x rho), every layer, the predictor and the target.
        rate: beta > 0.
        depth: number of layers L, 1 to 256.
        share: p between 0 and 1.

    Raises:
        InputError: for a depth or numbers out of range, or so many orders of magnitude apart that
            the integration does not end.
    """
    depth = require_layers(depth)
    covariance = require_number("covariance", covariance, above=0)
    coefficient = require_number("coefficient", coefficient, above=0)
    start = require_number("start", start, above=0)
    rate = require_number("rate", rate, above=0)
    require_share(share)
    share = require_number("share", share, above=0, below=1)
    level = np.log(share)
    if not start < share * coefficient:
        message = f"start must be below share x coefficient = {share * coefficient:g}; got {start}"
        raise InputError(message)
    log_scale = np.log(float(covariance)) + (2 * depth - 1) * np.log(float(coefficient))
    if not max(abs(log_scale), abs(np.log(float(rate)))) < 600:  # near the ends of float64
        raise too_far_apart()
    scale = np.exp(log_scale)
    ratio = rate / scale

    def rates(_: float, y: Any) -> tuple[float, float]:  # logs of w / rho and u / rho, in scale t
        w, u = np.exp(y)
        return w ** (depth - 1) * (u**depth - w ** (depth + 1)), ratio * (w / u - 1)

    def crossed(_: float, y: Any) -> float:
        return float(y[0] - level)

    crossed.terminal = True  # type: ignore[attr-defined]
    first = np.log(start / coefficient)
    solution = integrate(
        rates,
        (0, np.inf),
        (first, first),
        method="LSODA",
        events=crossed,
        rtol=1e-11,
        atol=1e-12,
    )
    return float(solution.t_events[0][0] / scale)


def held_predictor_growth(covariance: Any, coefficient: Any, predictor: Any, rate: Any) -> Array:
    """Return the growth rate of a small mode while the predictor is held, for one layer (D-36).

    Example:
        >>> round(float(held_predictor_growth(1.0, 0.6, 0.3, 0.2)), 4)
        0.0712

    The mode grows iff v_0 < rho. From a balanced small start nothing is linear.

    Args:
        covariance: (...) lambda > 0.
        coefficient: (...) rho > 0.
        predictor: (...) v_0 >= 0.
        rate: (...) beta > 0.

    Raises:
        InputError: for numbers out of range.
    """
    require_positive(covariance=covariance, coefficient=coefficient, rate=rate)
    require_range("predictor", predictor, 0, 1e300)
    lam, rho, v, beta = arrays(covariance, coefficient, predictor, rate)
    shrink = lam / rho * v**2
    drive = 4 * beta * v * (lam / rho) * (rho - v)
    # (shrink + beta)^2 + drive as a sum: no cancellation at any v
    root = jnp.sqrt((shrink - beta) ** 2 + 4 * beta * v * lam)
    return drive / (2 * (shrink + beta + root))
