r"""A learned mode is not stable: an unlearned mode can displace it in its output (D-14, D-36).

Once mode i is learned, an unlearned mode j enters the same output exponentially, at the rate

    jepa   lambda_j rho_i^{2L-1} (1 - rho_i / rho_j), positive iff rho_j > rho_i
    mae    the larger eigenvalue of [[-w^{2L} s_j, w^{L-1} lambda_j],
                                     [w^{L-1} lambda_j, -w^{2L} s_i]],   w = rho_i^{1/(L+1)},
           positive iff lambda_j rho_j > lambda_i rho_i

From a component of relative size `noise` it arrives log(1/noise) / rate after mode i, however small
the start is; mode i falls and is learned again later. Rounding is enough: about 36 / rate in
float64. Derived here; the aligned solution is that of Littwin et al. 2024, arXiv 2407.03475.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jssl.errors import InputError
from jssl.theory.distillation.objective import (
    arrays,
    check_setting,
    require_modes,
    require_not_negative,
)
from jssl.types import Array


def takeover_rates(
    covariances: Any,
    coefficients: Any,
    *,
    depth: int = 1,
    objective: str = "jepa",
    decay: Any = 0.0,
    target_rate: Any = None,
) -> Array:
    """Return the rate at which unlearned mode j enters the output of learned mode i.

    Example:
        >>> rates = takeover_rates(jnp.array([1.0, 0.5]), jnp.array([0.4, 0.8]))
        >>> print(rates.round(3))
        [[ 0.   0.1]
         [-0.8  0. ]]

    Args:
        covariances: (k,) lambda > 0: other modes are not learned (`end_state`).
        coefficients: (k,) rho > 0.
        depth: number of layers L, 1 to 256.
        objective: "jepa" or "mae".
        decay: eta >= 0 of every layer and the predictor, for JEPA with L = 1: mode i is then at
            its decayed end, and the rate is v (lambda_j - lambda_i - v (s_j - s_i)).
        target_rate: beta of an averaged target, for JEPA with L = 1 and no decay; None for a
            target that is the encoder itself.

    Returns:
        (k, k) rates, row i for the learned mode and column j for the unlearned one; 0 on the
        diagonal. NaN in the row of a mode that decay does not allow.

    Raises:
        InputError: for a depth out of range, an unknown objective, modes that do not match or are
            not positive, or a decay or target rate where no formula is given.
    """
    depth = check_setting(depth, objective)
    require_not_negative(decay=decay)
    require_modes(covariances, coefficients, least=0)
    if target_rate is not None:
        require_not_negative(target_rate=target_rate)
        if np.ndim(target_rate):
            message = f"target_rate must be one number; got shape {np.shape(target_rate)}"
            raise InputError(message)
    lam, rho, eta = arrays(covariances, coefficients, decay)
    plain = isinstance(decay, float | int) and decay == 0
    if (not plain or target_rate is not None) and (depth > 1 or objective != "jepa"):
        message = "takeover with decay or an averaged target is known for jepa and depth 1 only"
        raise InputError(message)
    if not plain and target_rate is not None:
        message = "takeover is known with decay or with an averaged target, not with both"
        raise InputError(message)
    own, other = lam[:, None], lam[None, :]
    own_rho, other_rho = rho[:, None], rho[None, :]
    # Differences of coefficients and not of rates: equal ones give 0, close ones keep their digits.
    lead = (other_rho - own_rho) / other_rho
    if objective == "mae":
        w = own_rho ** (1 / (depth + 1))
        a, d = -(w ** (2 * depth)) * other / other_rho, -(w ** (2 * depth)) * own / own_rho
        drive = w ** (depth - 1) * other
        # the product of the eigenvalues over the smaller one; w^{L+1} = rho_i
        excess = (other * other_rho - own * own_rho) / (other * other_rho)
        rates = drive * excess * (drive / (jnp.hypot((a - d) / 2, drive) - (a + d) / 2))
    elif target_rate is not None:
        rates = _with_averaged_target(own_rho, other, other_rho, lead, target_rate)
    elif depth == 1:
        # The upper end of the decayed mode is z rho_i, where z (1 - z) = eta / (lambda_i rho_i).
        share = 4 * eta[:, None] / (own * own_rho)
        allowed = share <= 1
        z = (1 + jnp.sqrt(jnp.where(allowed, 1 - share, 1))) / 2
        lost = share / (4 * z)  # 1 - z
        rates = z * own_rho * (other * lead + lost * own_rho * (other / other_rho - own / own_rho))
        rates = jnp.where(allowed, rates, jnp.nan)
    else:
        rates = other * own_rho ** (2 * depth - 1) * lead
    return jnp.where(jnp.eye(len(lam), dtype=bool), 0, rates)


def _with_averaged_target(
    own_rho: Array, other: Array, other_rho: Array, lead: Array, beta: Any
) -> Array:
    """Return the larger root of r^2 + (speed + beta) r = beta lambda_j rho_i lead."""
    speed = own_rho**2 * other / other_rho
    total = speed + beta
    drive = other * own_rho / total
    # (speed + beta)^2 + 4 beta lambda_j rho_i lead, as a sum and over the total, which may be large
    root = jnp.sqrt(((speed - beta) / total) ** 2 + 4 * (beta / total) * drive)
    return 2 * beta * drive * lead / (1 + root)
