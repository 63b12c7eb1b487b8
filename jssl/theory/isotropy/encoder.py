r"""The flow of the weight of a linear encoder, for covariances that need not commute (I-16).

    dW/dt = -2 W C - 2 strength R'(S) W Sigma,   S = W Sigma W^T

References:
    Derived here, for the losses of arXiv 2511.08544.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl.arithmetic import working
from jssl.errors import InputError
from jssl.host_arithmetic import host_value
from jssl.number_checks import real_array, require_number
from jssl.theory.isotropy.arguments import LARGEST
from jssl.theory.isotropy.regularisers import slope
from jssl.types import Array


def velocity(
    weight: Array,
    view_cov: Array,
    noise_cov: Array,
    strength: float | Array,
    *,
    regulariser: str = "sigreg",
    width: float | None = None,
) -> Array:
    """Return dW/dt = -2 W C - 2 strength R'(S) W Sigma with S = W Sigma W^T (I-16).

    Example:
        >>> import jax.numpy as jnp
        >>> print(jnp.abs(velocity(jnp.eye(2), jnp.eye(2), 0 * jnp.eye(2), 1.0)).max() < 1e-6)
        True

    The covariances need not commute. This is minus the gradient of tr(W C W^T) + strength R(S).

    Args:
        weight: (K, m) of the linear encoder.
        view_cov: (m, m) Sigma, covariance of a view.
        noise_cov: (m, m) C, half the covariance of the difference of the views.
        strength: lambda > 0.
        regulariser: `sigreg` or `bhep`.
        width: b > 0; None is 1 for `sigreg`, 2/K for `bhep`.

    Raises:
        InputError: for shapes that do not match, a covariance that is not symmetric or has a
            negative eigenvalue, or a strength that is not positive; traced values are not checked.
    """
    strength = _one_strength(strength)
    named = {"weight": weight, "view_cov": view_cov, "noise_cov": noise_cov}
    arrays = {name: real_array(name, x) for name, x in named.items()}
    if any(isinstance(x, jax.Array) for x in arrays.values()):
        arrays = dict(zip(arrays, working(**arrays), strict=True))
    weight, view_cov, noise_cov = arrays.values()
    square = (weight.shape[-1:] * 2) if weight.ndim == 2 else None
    if square is None or not weight.size or not view_cov.shape == noise_cov.shape == square:
        shapes = ", ".join(f"{x.shape}" for x in (weight, view_cov, noise_cov))
        message = f"need a weight (K, m) and two covariances (m, m); got {shapes}"
        raise InputError(message)
    for name in ("view_cov", "noise_cov"):
        _refuse_no_covariance(name, arrays[name])
    moved = weight @ view_cov
    values, vectors = jnp.linalg.eigh(moved @ weight.T)
    pull = slope(jnp.maximum(values, 0), regulariser=regulariser, width=width)
    return -2 * weight @ noise_cov - 2 * strength * (vectors * pull) @ (vectors.T @ moved)


def _one_strength(strength: Any) -> Any:
    """Return a positive number, or a traced one, or raise."""
    traced = isinstance(strength, jax.Array) and host_value(strength) is None
    if not traced:
        require_number("strength", strength, above=0, high=LARGEST)
    elif strength.shape:
        message = f"strength must be one number; got an array of shape {strength.shape}"
        raise InputError(message)
    return strength


def _refuse_no_covariance(name: str, matrix: Any) -> None:
    """Raise for a matrix of known entries that is no covariance, but for rounding."""
    known = host_value(matrix)
    if known is None:
        return
    known = known.astype(np.float64)
    size = np.abs(known).max()
    rounding = 1e-9 if matrix.dtype == np.float64 else 1e-4
    if not size <= LARGEST:
        message = f"{name} must be finite, with entries of size at most {LARGEST:g}"
        raise InputError(message)
    symmetric = (np.abs(known - known.T) <= rounding * size).all()
    if not symmetric or np.linalg.eigvalsh(known)[0] < -rounding * size * len(known):
        message = f"{name} must be a covariance: symmetric, without a negative eigenvalue"
        raise InputError(message)
