"""The row objective N-2 of the four cells, without noise, with it, and for a finite sample.

The rows of the loss N-1 decouple. With s = +-1 and q in {0, 1} equally likely,

    l(u, v) = -1/4 sum_{s, q} act(s u + q tau v)^2 + decay (u^2 + v^2).

With sample noise rho xi and view noises rho e, rho e', a row w with coordinates (u, v) in the plane
of the features and norm |w| in all dimensions has the pre-activations m + rho |w| (xi + e) and
m + rho |w| (xi + e'): the expectation is a double Gaussian quadrature.

References:
    Yang, Li, Jiang, Li, arXiv 2401.03214.
"""

import functools
import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from jssl.errors import InputError
from jssl.host_arithmetic import refuse_traced
from jssl.models.activations import activation as named
from jssl.precision import constant
from jssl.types import Array


def cells(tau: Any) -> Array:
    """Return the four cell centres (s, q tau), one per row.

    Example:
        >>> print(cells(7.0))
        [[ 1.  0.]
         [-1.  0.]
         [ 1.  7.]
         [-1.  7.]]
    """
    tau = jnp.asarray(tau, float) if isinstance(tau, int | float) else jnp.asarray(tau)
    return (
        jnp.array([[1, 0], [-1, 0], [1, 0], [-1, 0]])
        + jnp.array([[0, 0], [0, 0], [0, 1], [0, 1]]) * tau
    )


def row_objective(
    point: Array,
    tau: Any,
    decay: Any,
    *,
    activation: str = "sigmoid",
    noise: Any = 0.0,
    view_noise: Any = None,
    correlation: Any = 0.0,
    nodes: int = 24,
) -> Array:
    """Return the population objective of one row.

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{row_objective(jnp.array([3.8162, 1.51986]), 7.0, 1 / 800):.4f}")
        -0.7178

    Args:
        point: (2,) coordinates (u, v), or (3,) with the norm of the orthogonal coordinates third.
        tau: strength of the hidden feature.
        decay: weight decay (alpha).
        activation: a name in `jssl.models.activations`.
        noise: standard deviation rho of the samples in their cell.
        view_noise: standard deviation of the view noise; None for `noise`.
        correlation: of the two view noises, in [-1, 1]; 0 is the paper's. The two pre-activations
            may not be negatively correlated: noise^2 + correlation view_noise^2 >= 0.
        nodes: of each Gauss-Hermite rule; unused where both noises are the number 0.

    Returns:
        Scalar, in the dtype of `point`; differentiable away from the origin.

    References:
        Yang et al., arXiv 2401.03214 (N-2); the noisy form follows from its data and views.
    """
    act = named(activation).function
    centre = cells(tau).astype(point.dtype) @ point[:2]
    size = point @ point
    view_noise = noise if view_noise is None else view_noise
    if all(isinstance(level, int | float) and level == 0 for level in (noise, view_noise)):
        return -jnp.mean(act(centre) ** 2) + decay * size
    shared = jnp.sqrt(jnp.maximum(noise**2 + correlation * view_noise**2, 0))  # 0 but for rounding
    private = view_noise * jnp.sqrt(1.0 - correlation)
    at, weights = quadrature(nodes)
    at, weights = at.astype(point.dtype), weights.astype(point.dtype)
    shift = jnp.sqrt(size) * (shared * at[:, None] + private * at[None, :])
    inner = act(centre[:, None, None] + shift) @ weights
    return -jnp.mean(inner**2 @ weights) + decay * size


def expected_loss(
    row: Array,
    x: Array,
    *,
    noise: Any,
    decay: Any,
    activation: str = "sigmoid",
    nodes: int = 2,
) -> Array:
    """Return N-1 of one row on a finite sample, averaged over independent view noise.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[1.0, 0.0], [-1.0, 0.0], [1.0, 7.0], [-1.0, 7.0]])
        >>> row = jnp.array([3.8162, 1.51986])
        >>> print(f"{expected_loss(row, x, noise=0.0, decay=1 / 800):.4f}")
        -0.7178

    Given the sample the views are independent, so the average is
    -(1/n) sum_i (E act(w . x_i + noise |w| e))^2 + decay |w|^2.

    Args:
        row: (d,) one row of W.
        x: (n, d) samples before the view noise.
        noise: standard deviation of the view noise.
        decay: weight decay (alpha).
        activation: a name in `jssl.models.activations`.
        nodes: of the Gauss-Hermite rule; 2 leaves an error of order noise^4.

    Returns:
        Scalar.
    """
    act = named(activation).function
    at, weights = quadrature(nodes)
    size = row @ row
    spread = noise * jnp.sqrt(size) * at.astype(row.dtype)
    mean = weights.astype(row.dtype) @ act((x @ row)[None, :] + spread[:, None])
    return -jnp.mean(mean**2) + decay * size


@functools.lru_cache
def _rule(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    at, weights = np.polynomial.hermite_e.hermegauss(nodes)
    return at, weights / math.sqrt(2 * math.pi)


def quadrature(nodes: int) -> tuple[Array, Array]:
    """Return nodes and weights of E f(e) = sum w f(at) for e ~ N(0, 1)."""
    at, weights = _rule(nodes)
    return jnp.asarray(constant(at)), jnp.asarray(constant(weights))


def require_problem(tau: float, decay: float, noise: float = 0.0) -> None:
    """Raise InputError unless tau and decay are positive and the noise is not negative."""
    for name, value in (("tau", tau), ("decay", decay), ("noise", noise)):
        refuse_traced(name, value)
        good = value >= 0 if name == "noise" else value > 0
        if not (good and math.isfinite(value)):
            least = "0 or more" if name == "noise" else "positive"
            message = f"{name} must be {least} and finite; got {value}"
            raise InputError(message)
