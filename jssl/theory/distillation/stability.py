"""The largest learning rate at which the end of JEPA with one layer is stable.

The rates at which a square encoder and its predictor return to the learned end from a change of
entry (i, j) are s_j (rho_i^2 + rho_j^2 - rho_i rho_j) and zero, so descent is stable below 2 over
the largest of them. Derived here for commuting moments, in the setting of Littwin et al. 2024,
arXiv 2407.03475.
"""

from typing import Any

import jax.numpy as jnp

from jssl.theory.distillation.objective import arrays, require_modes
from jssl.types import Array


def stable_learning_rate(covariances: Any, coefficients: Any) -> Array:
    """Return the learning rate below which descent is stable at the end, for one layer.

    Example:
        >>> round(float(stable_learning_rate(jnp.array([1.0, 0.8]), jnp.array([0.5, 0.8]))), 4)
        2.0408

    Args:
        covariances: (k,) lambda > 0 of the learned modes.
        coefficients: (k,) rho > 0.

    Returns:
        2 / max_ij s_j (rho_i^2 + rho_j^2 - rho_i rho_j), scalar.

    Raises:
        InputError: for numbers that are not positive, or anything but two lists of one length.
    """
    require_modes(covariances, coefficients)
    lam, rho = arrays(covariances, coefficients)
    square = rho[:, None] ** 2 + rho**2 - rho[:, None] * rho
    return 2 / jnp.max(lam / rho * square)
