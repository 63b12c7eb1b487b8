r"""The predictor: its learning rate, its start, its own decay, and the optimal one.

A ratio alpha of learning rates is a change of scale (D-24): V(t) of (w_0, alpha, eta, beta) is that
of (sqrt(alpha) w_0, 1, eta alpha^{L-1}, beta alpha^{L-1}) at the time t alpha^{1-L}. For one layer
without decay c = alpha w^2 - v^2 is constant and dv/dt = (v^2 + c) (lambda - s v), so that

    w_end^2 = w_0^2 + (rho^2 - v_0^2) / alpha,

and the mode collapses iff v_0^2 >= rho^2 + alpha w_0^2 (D-25). In particular V = I with rho < 1
collapses unless alpha w_0^2 > 1 - rho^2. The subject is that of Tian et al. 2021, arXiv 2102.06810;
derived here.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jssl.data.checks import require_layers, require_range
from jssl.data.moments import Moments
from jssl.errors import InputError
from jssl.host_arithmetic import host_float64, host_value
from jssl.theory.distillation.modes import check_moments
from jssl.theory.distillation.objective import (
    arrays,
    require_finite,
    require_not_negative,
    require_positive,
)
from jssl.theory.distillation.passage import Way, passage
from jssl.types import Array

MOST_CONDITION = 1e14
"""Largest condition number of the embeddings' moment at which a predictor keeps two digits."""


class EqualRates(NamedTuple):
    """A problem with equal learning rates that has the same predictor at a scaled time.

    Attributes:
        scale: factor of every layer's start, sqrt(alpha).
        decay: weight decay of the equal problem.
        target_rate: rate of the averaged target of the equal problem.
        time: factor of the time: the given problem at t is the equal one at this times t.
    """

    scale: Array
    decay: Array
    target_rate: Array
    time: Array


class UnbalancedEnd(NamedTuple):
    """The end of a mode of one layer from an unbalanced start.

    Attributes:
        layer: (...) w; 0 where the mode collapses.
        predictor: (...) v.
        collapses: (...) whether it does.
    """

    layer: Array
    predictor: Array
    collapses: Array


def equal_rates(
    rate_ratio: Any,
    *,
    depth: int = 1,
    decay: Any = 0.0,
    target_rate: Any = 0.0,
) -> EqualRates:
    """Return the equivalent problem with equal learning rates (D-24); for JEPA and BYOL.

    Example:
        >>> print(*equal_rates(4.0, depth=2, decay=0.1))
        2.0 0.4 0.0 0.25

    Args:
        rate_ratio: alpha > 0, the predictor's learning rate over that of the layers.
        depth: number of layers L, 1 to 256.
        decay: eta >= 0.
        target_rate: beta >= 0 of an averaged target.

    Raises:
        InputError: for a depth out of range or numbers out of range.
    """
    depth = require_layers(depth)
    require_positive(rate_ratio=rate_ratio)
    require_not_negative(decay=decay)
    require_range("target_rate", target_rate, 0)
    alpha, eta, beta = arrays(rate_ratio, decay, target_rate)
    factor = alpha ** (depth - 1)
    return EqualRates(jnp.sqrt(alpha), eta * factor, beta * factor, 1 / factor)


def unbalanced_end(
    coefficient: Any,
    start: Any,
    predictor_start: Any,
    rate_ratio: Any = 1.0,
) -> UnbalancedEnd:
    """Return where a mode of one layer ends from any start, without decay (D-19, D-25).

    A predictor that starts at v_0 < 0 turns positive, and the mode is learned, iff v_0^2 is below
    alpha w_0^2: its rows then cost no dimension. With orthogonal rows and predictor this is the
    boundary, so that an eigenvalue -1 of a random orthogonal predictor loses a dimension.

    Example:
        >>> end = unbalanced_end(0.6, 0.1, jnp.array([0.1, 1.0]), 50.0)
        >>> [[round(x, 4) for x in part.tolist()] for part in end[:2]]
        [[0.1304, 0.0], [0.6, 0.7071]]

    Args:
        coefficient: (...) rho > 0.
        start: (...) w_0 > 0.
        predictor_start: (...) v_0, of any sign.
        rate_ratio: (...) alpha > 0.

    Raises:
        InputError: for numbers out of range.
    """
    require_positive(coefficient=coefficient, start=start, rate_ratio=rate_ratio)
    require_finite(predictor_start=predictor_start)
    rho, w, v, alpha = arrays(coefficient, start, predictor_start, rate_ratio)
    square = w**2 + (rho - v) * (rho + v) / alpha
    opposed = (v < 0) & (v**2 >= alpha * w**2)
    collapses = (square <= 0) | opposed
    layer = jnp.where(collapses, 0, jnp.sqrt(jnp.where(collapses, 1, square)))
    rest = jnp.where(collapses, jnp.maximum(v**2 - alpha * w**2, 0), 1)
    predictor = jnp.sign(v) * jnp.sqrt(jnp.where(rest > 0, rest, 1)) * (rest > 0)
    return UnbalancedEnd(layer, jnp.where(collapses, predictor, rho), collapses)


def unbalanced_time(
    covariance: Any,
    coefficient: Any,
    start: Any,
    predictor_start: Any,
    predictor_end: Any,
    rate_ratio: Any = 1.0,
) -> Array:
    """Return the time of JEPA with one layer from v_0 to another v, without decay (D-25).

    Example:
        >>> print(unbalanced_time(1.0, 0.6, 0.02, 0.2, 0.5, 3.0).round(6))
        18.926054

    Args:
        covariance: (...) lambda > 0.
        coefficient: (...) rho > 0.
        start: (...) w_0 > 0.
        predictor_start: (...) v_0 >= 0.
        predictor_end: (...) v > 0, between v_0 and rho.
        rate_ratio: (...) alpha > 0.

    Returns:
        (...) NaN where v is not reached.

    Raises:
        InputError: for numbers out of range.
    """
    require_positive(
        covariance=covariance,
        coefficient=coefficient,
        start=start,
        predictor_end=predictor_end,
        rate_ratio=rate_ratio,
    )
    require_not_negative(predictor_start=predictor_start)
    lam, rho, w, a, b, alpha = arrays(
        covariance, coefficient, start, predictor_start, predictor_end, rate_ratio
    )
    c, step = alpha * w**2 - a**2, b - a
    # dv/dt = (v^2 + c)(lambda - s v): v moves towards rho, or down to sqrt(-c) where it collapses.
    # v_0^2 + c is alpha w_0^2: no difference of nearly equal numbers is taken for it.
    before = alpha * w**2
    after = before + step * (b + a)
    reached = ((step >= 0) & (b < rho)) | ((step <= 0) & (b > rho) & (after > 0))
    product = jnp.where(step >= 0, before + a * step, after - b * step)
    square = 4 * rho**2
    way = Way(
        first=(rho - a) / (2 * rho),
        last=(rho - b) / (2 * rho),
        step=-step / (2 * rho),
        first_offset=-a / (2 * rho),
        last_offset=-b / (2 * rho),
        first_quadratic=before / square,
        last_quadratic=after / square,
        product=product / square,
        level=(before + (rho - a) * (rho + a)) / square,
        gap=-c / square,
    )
    return jnp.where(reached, passage(way, reached) / (4 * lam * rho), jnp.nan)


def unequal_decay_end(
    covariance: Any,
    coefficient: Any,
    encoder_decay: Any,
    predictor_decay: Any,
    rate_ratio: Any = 1.0,
) -> UnbalancedEnd:
    """Return the learned end of one layer under different decays (D-26).

    Example:
        >>> end = unequal_decay_end(1.0, 0.8, 0.05, 0.1)
        >>> [round(float(part), 4) for part in end[:2]]
        [1.0556, 0.7464]

    With decay on the encoder alone the mode collapses at any decay: w^2 = 0. With decay on the
    predictor alone w^2 grows without bound, as 2 eta_V rho^2 t / alpha, and the result is infinite.

    Args:
        covariance: (...) lambda > 0.
        coefficient: (...) rho > 0.
        encoder_decay: (...) eta_W >= 0.
        predictor_decay: (...) eta_V >= 0; with eta_W = 0 it is positive.
        rate_ratio: (...) alpha > 0.

    Raises:
        InputError: for numbers out of range.
    """
    require_positive(covariance=covariance, coefficient=coefficient, rate_ratio=rate_ratio)
    require_not_negative(encoder_decay=encoder_decay, predictor_decay=predictor_decay)
    lam, rho, eta_w, eta_v, alpha = arrays(
        covariance, coefficient, encoder_decay, predictor_decay, rate_ratio
    )
    decays = host_value(eta_w + eta_v)
    if decays is not None and (decays == 0).any():
        message = "encoder_decay or predictor_decay must be positive; without both: unbalanced_end"
        raise InputError(message)
    square = 1 - 4 * eta_w / (lam * rho)
    collapses = (square < 0) | ((eta_v == 0) & (eta_w > 0))
    root = jnp.where(square < 0, 0, jnp.sqrt(jnp.where(square < 0, 1, square)))
    v = rho * (1 + root) / 2
    ratio = jnp.where(eta_w > 0, eta_v / jnp.where(eta_w > 0, eta_w, 1), jnp.inf)
    layer = jnp.where(collapses, 0, jnp.sqrt(ratio / alpha) * v)
    return UnbalancedEnd(layer, jnp.where(collapses & (eta_v > 0), 0, v), collapses)


def optimal_predictor(encoder: Any, moments: Moments) -> np.ndarray:
    """Return the predictor of least loss, W S_yx W^T (W S_x W^T)^{-1} (D-27).

    Example:
        >>> optimal_predictor(np.eye(2), Moments(np.diag([2.0, 1.0]), np.diag([1.0, 0.8]))).tolist()
        [[0.5, 0.0], [0.0, 0.8]]

    With it the gradient of a square encoder is zero, so that nothing is learned and nothing
    collapses; a wide one keeps W W^T and its row space turns to the d largest coefficients.

    Args:
        encoder: W (d, m) of full rank, d <= m.
        moments: of context and target.

    Raises:
        InputError: for moments that are not valid, an encoder of another shape or not of full rank,
            or a context without variance in its row space.
    """
    context, cross, _ = check_moments(moments)
    w = host_float64("encoder", encoder)
    if w.ndim != 2 or w.shape[1] != len(context) or not 1 <= len(w) <= len(context):
        message = f"encoder must be (d, {len(context)}) with d <= {len(context)}; got {w.shape}"
        raise InputError(message)
    if not np.isfinite(w).all():
        message = "encoder has values that are not finite; drop or repair them"
        raise InputError(message)
    inside = w @ context @ w.T
    if not np.linalg.cond(inside) < MOST_CONDITION:
        message = (
            "no single predictor is optimal: the rows of encoder must be linearly independent, and "
            "context must have variance in each direction that they span"
        )
        raise InputError(message)
    return np.linalg.solve(inside, w @ cross.T @ w.T).T
