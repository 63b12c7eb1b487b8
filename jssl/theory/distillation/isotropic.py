r"""DirectPred and IsoLoss: predictors that are set from the encoder, one layer (D-28 to D-30).

    DirectPred   V = F^a, F = kappa W W^T      dp/dt = 2 a [p^2 (lambda - s p) - eta p]
    IsoLoss      |z - sg(y + z - p)|^2 / 2     dp/dt = 2 a p (lambda - s p)

p is the eigenvalue of V, p_0 = (kappa w_0^2)^a. The exponent of DirectPred rescales time alone, and
a = 1/2, kappa = 1 is the learned balanced predictor. IsoLoss drops the factor V^T: its early rate
is lambda instead of lambda p, so the time grows as log(1/p_0) instead of 1/p_0. It equalises modes
that differ in p_0, not modes that differ in lambda.
Tian et al. 2021, arXiv 2102.06810; Halvagal et al. 2023, arXiv 2212.04858, whose code has no factor
1/2: its time runs twice as fast.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jssl.data.checks import require_range
from jssl.errors import InputError
from jssl.host_arithmetic import host_value
from jssl.theory.distillation.amplitudes import amplitude
from jssl.theory.distillation.objective import arrays, require_finite, require_positive
from jssl.types import Array


def direct_predictor_amplitude(
    time: Any,
    covariance: Any,
    coefficient: Any,
    start: Any,
    *,
    exponent: Any = 0.5,
    scale: Any = 1.0,
) -> Array:
    """Return the eigenvalue p(t) of DirectPred's predictor (D-28).

    Example:
        >>> print(direct_predictor_amplitude(5.0, 1.0, 0.7, 0.2, exponent=1.0).round(6))
        0.063632

    Args:
        time: (...) >= 0, learning rate x step.
        covariance: (...) lambda > 0.
        coefficient: (...) rho > 0.
        start: (...) w_0 > 0, the singular value of the encoder.
        exponent: (...) a > 0.
        scale: (...) kappa > 0: 1, or s or lambda where F averages embeddings.

    Returns:
        (...) between p_0 and rho; NaN where p_0 is at rho or above.

    Raises:
        InputError: for numbers out of range.
    """
    require_positive(
        covariance=covariance, coefficient=coefficient, start=start, exponent=exponent, scale=scale
    )
    require_range("time", time, 0)
    t, lam, rho, w, a, kappa = arrays(time, covariance, coefficient, start, exponent, scale)
    return amplitude(2 * a * t, lam, rho, (kappa * w**2) ** a)


def iso_loss_amplitude(
    time: Any,
    covariance: Any,
    coefficient: Any,
    start: Any,
    *,
    exponent: Any = 0.5,
) -> Array:
    """Return the eigenvalue p(t) of the predictor under IsoLoss (D-29).

    Example:
        >>> print(iso_loss_amplitude(3.0, 1.3, 0.7, 0.05).round(6))
        0.554172

    p = rho / (1 + (rho / p_0 - 1) e^{-2 a lambda t}).

    Args:
        time: (...) >= 0, learning rate x step.
        covariance: (...) lambda > 0.
        coefficient: (...) rho > 0.
        start: (...) p_0 > 0, the eigenvalue of the predictor at time 0.
        exponent: (...) a > 0.

    Raises:
        InputError: for numbers out of range.
    """
    require_positive(covariance=covariance, coefficient=coefficient, start=start, exponent=exponent)
    require_range("time", time, 0)
    t, lam, rho, p, a = arrays(time, covariance, coefficient, start, exponent)
    return rho / (1 + (rho / p - 1) * jnp.exp(-2 * a * lam * t))


def rate_without_stop_gradient(covariance: Any, coefficient: Any, target_variance: Any) -> Array:
    """Return a rate at which a mode shrinks, at least, without a stop-gradient (D-30).

    Example:
        >>> print(rate_without_stop_gradient(1.0, 0.8, 1.25).round(6))
        0.45

    dw/dt = -w (s v^2 - 2 lambda v + s_y) is at most -w (s_y - lambda rho), whatever the predictor
    is, and s_y >= lambda rho for moments of two views.

    Args:
        covariance: (...) lambda.
        coefficient: (...) rho.
        target_variance: (...) s_y >= lambda rho, the variance of the target view along the mode.

    Raises:
        InputError: for numbers that are not finite, lambda and rho of different signs, or s_y below
            lambda rho: no two views have such moments.
    """
    given = (covariance, coefficient, target_variance)
    require_finite(covariance=covariance, coefficient=coefficient, target_variance=target_variance)
    lam, rho, target = arrays(*given)
    known = [host_value(x) for x in (lam, rho, target)]
    if all(x is not None for x in known):
        _require_joint(*known)
    return target - lam * rho


def _require_joint(lam: Any, rho: Any, target: Any) -> None:
    """Raise unless two views have these numbers along one mode, up to rounding."""
    if not (np.sign(lam) * np.sign(rho) >= 0).all():
        message = "covariance and coefficient must have one sign: their ratio is a variance"
        raise InputError(message)
    explained = lam * rho
    if not (target >= explained * (1 - 1e3 * np.finfo(explained.dtype).eps)).all():
        message = (
            "target_variance must be at least covariance x coefficient, the variance that the "
            f"context explains; got {np.max(explained - target):.3g} less"
        )
        raise InputError(message)
