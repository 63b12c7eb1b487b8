"""How far the minimum of a row moves: by view noise, and by drawing n samples.

With H the Hessian of N-2 at its minimum p, and m = a . p the pre-activation of cell a,

    noise      p -> p + H^-1 grad(|p|^2/4 sum_a (variance act act'' + covariance act'^2)(m))
    sampling   p -> p + N(0, H^-1 S H^-1 / n),  S = Cov(2 act(w . x) act'(w . x) x) over samples x,

the first from the expansion of E act(m + |w| a) act(m + |w| b) to second order, where the noises a
and b of the two views have variance (sample^2 + view^2) rho^2 and covariance
(sample^2 + correlation view^2) rho^2: sample and view noise of the base case both have strength 1.

References:
    Yang, Li, Jiang, Li, arXiv 2401.03214 (the shifts that its certificate N-3 has to cover).
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.errors import InputError
from jssl.models.activations import activation as named
from jssl.theory.learnability.curves import curve
from jssl.theory.learnability.objective import cells, require_problem, row_objective
from jssl.theory.learnability.stationary import minimum
from jssl.types import Array


class SamplingLaw(NamedTuple):
    """The spread of the minimum over data sets, to leading order; divide by n.

    Attributes:
        covariance: (2, 2) n times the covariance of (u, v).
        orthogonal: n times the variance of one orthogonal coordinate.
        shift: sqrt(n) times the root mean square distance in the (u, v) plane.
        gradient: sqrt(n) times the root mean square error of the gradient in all dimensions.
    """

    covariance: np.ndarray
    orthogonal: float
    shift: float
    gradient: float


def noise_shift(
    tau: float,
    decay: float,
    *,
    sample: float = 1.0,
    view: float = 1.0,
    correlation: float = 0.0,
    activation: str = "sigmoid",
) -> np.ndarray:
    """Return the displacement of the minimum (u > 0) per unit of rho^2, for small rho.

    Example:
        >>> print(noise_shift(7.0, 1 / 800, sample=0.0).round(1))
        [2.5 0.9]
        >>> print(noise_shift(7.0, 1 / 800).round(1))
        [4.5 1.7]

    Args:
        tau: strength of the hidden feature, > 0.
        decay: weight decay (alpha), > 0.
        sample: standard deviation of the samples in their cell, in units of rho.
        view: standard deviation of the view noise, in units of rho.
        correlation: of the two view noises, in [-1, 1].
        activation: `sigmoid`, `tanh` or `erf`.

    Returns:
        (2,) direction and size, in the default float.
    """
    point = jnp.asarray(minimum(tau, decay, activation=activation), float)
    variance, covariance = sample**2 + view**2, sample**2 + correlation * view**2
    return np.asarray(_shift(point, tau, decay, variance, covariance, activation))


@functools.partial(jax.jit, static_argnums=5)
def _shift(
    point: Array, tau: Any, decay: Any, variance: Any, covariance: Any, activation: str
) -> Array:
    act = named(activation).function
    slope = jax.grad(act)
    bend = jax.grad(slope)

    def correction(point: Array) -> Array:
        h = cells(tau).astype(point.dtype) @ point
        terms = variance * act(h) * jax.vmap(bend)(h) + covariance * jax.vmap(slope)(h) ** 2
        return -(point @ point) * jnp.sum(terms) / 4

    hessian = jax.hessian(row_objective)(point, tau, decay, activation=activation)
    return -jnp.linalg.solve(hessian, jax.grad(correction)(point))


def noisy_minimum(
    tau: float,
    decay: float,
    noise: float,
    *,
    view_noise: float | None = None,
    correlation: float = 0.0,
    activation: str = "sigmoid",
) -> np.ndarray:
    """Return the minimum (u > 0) of the row objective with noise, to the default float's rounding.

    Example:
        >>> print(noisy_minimum(7.0, 1 / 800, 0.1).round(2))
        [3.86 1.54]

    Newton's method starts from the minimum without noise, and the noise is increased in steps of
    0.05.

    Args:
        tau: strength of the hidden feature, > 0.
        decay: weight decay (alpha), > 0.
        noise: standard deviation of the samples in their cell, >= 0.
        view_noise: standard deviation of the view noise; None for `noise`.
        correlation: of the two view noises, in [-1, 1].
        activation: `sigmoid`, `tanh` or `erf`.

    Returns:
        (2,) coordinates (u, v).

    Raises:
        InputError: where the minimum disappears at a smaller noise.
    """
    view_noise = noise if view_noise is None else view_noise
    require_problem(tau, decay, noise)
    require_problem(tau, decay, view_noise)
    if noise**2 + correlation * view_noise**2 < 0:
        message = "the views may not be negatively correlated; lower view_noise or raise noise"
        raise InputError(message)
    point = jnp.asarray(minimum(tau, decay, activation=activation), float)

    rungs = int(np.ceil(max(noise, view_noise) / 0.05))
    for level in np.linspace(0, 1, rungs + 1)[1:]:
        levels = level * noise, level * view_noise, correlation
        point, lowest = _newton(point, tau, decay, *levels, activation)
        if not (bool(jnp.isfinite(point).all()) and float(lowest) > 0 and float(point[0]) > 0):
            message = f"the minimum disappears at noise {level * noise:.3g}; use a smaller one"
            raise InputError(message)
    return np.asarray(point)


@functools.partial(jax.jit, static_argnums=6)
def _newton(
    point: Array, tau: Any, decay: Any, noise: Any, view: Any, correlation: Any, activation: str
) -> tuple[Array, Array]:
    """Return the minimum near the point and the smallest eigenvalue of the Hessian there."""

    def objective(point: Array) -> Array:
        levels = {"noise": noise, "view_noise": view, "correlation": correlation}
        return row_objective(point, tau, decay, activation=activation, **levels)

    def step(_: Any, state: tuple[Array, Array]) -> tuple[Array, Array]:
        point, _ = state
        hessian = jax.hessian(objective)(point)
        move = jnp.linalg.solve(hessian, jax.grad(objective)(point))
        return point - move, jnp.linalg.eigvalsh(hessian)[0]

    return jax.lax.fori_loop(0, 7, step, (point, jnp.zeros((), point.dtype)))


def sampling_law(
    tau: float, decay: float, *, noise: float, dim: int, activation: str = "sigmoid"
) -> SamplingLaw:
    """Return how the minimum of a finite sample spreads around that of the population.

    Example:
        >>> law = sampling_law(7.0, 1 / 800, noise=10**-1.5, dim=10)
        >>> round(law.shift, 1)
        1.6

    Leading order in 1/n and in the noise: cells of probability 1/4 drawn independently.

    Args:
        tau: strength of the hidden feature, > 0.
        decay: weight decay (alpha), > 0.
        noise: rho, >= 0; it affects the orthogonal coordinates only.
        dim: dimension d >= 2 of the samples.
        activation: `sigmoid`, `tanh` or `erf`.
    """
    require_problem(tau, decay, noise)
    point = minimum(tau, decay, activation=activation)
    corners = np.array([[1, 0], [-1, 0], [1, tau], [-1, tau]], float)
    shape = curve(activation)
    h = corners @ point
    pulls = 2 * shape.slope(h)[:, None] * corners
    spread = np.cov(pulls.T, bias=True)
    hessian = 2 * decay * np.eye(2) - 0.5 * (shape.curvature(h) * corners.T) @ corners
    covariance = np.linalg.solve(hessian, np.linalg.solve(hessian, spread).T)
    across = noise**2 * float(np.mean((2 * shape.slope(h)) ** 2))
    gradient = np.sqrt(np.trace(spread) + (dim - 2) * across)
    orthogonal = across / (2 * decay) ** 2
    return SamplingLaw(
        covariance, orthogonal, float(np.sqrt(np.trace(covariance))), float(gradient)
    )
