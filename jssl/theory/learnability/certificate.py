"""The certificate N-3: near its minimum the gradient map is one-to-one and covers a ball.

If ||F'(x0)^-1 F'(x) - I|| <= 1/2 for |x - x0| <= r, then F is one-to-one on that ball and covers a
ball of radius r / (2 ||F'(x0)^-1||) around F(x0). With F the gradient of N-2 and F(x0) = 0, a
perturbed gradient F + e with sup |e| at most that radius still has a zero in the ball (Brouwer's
theorem for x -> F^-1(-e(x))).

References:
    Yang, Li, Jiang, Li, arXiv 2401.03214 (N-3, its exact inverse function theorem).
"""

import functools
import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.errors import InputError
from jssl.theory.learnability.curves import Curve, curve
from jssl.theory.learnability.objective import require_problem, row_objective
from jssl.theory.learnability.perturbation import sampling_law
from jssl.theory.learnability.stationary import minimum
from jssl.types import Array

_SIGNS = np.array(list(itertools.product([-1.0, 1.0], repeat=4)))
_SQUARES = 32  # along the diameter of the ball


class Certificate(NamedTuple):
    """The result of the inverse function theorem for the minimum of one row.

    Attributes:
        point: (2,) the minimum (u, v), u > 0.
        hessian: (2, 2) there.
        inverse_norm: ||H^-1|| in the plane of the features.
        inverse_norm_full: the same in all dimensions: the maximum with 1 / (2 decay).
        radius: r, the radius of the ball on which the condition is proved.
        covered: r / (2 inverse_norm), the perturbation of the gradient that is covered.
        covered_full: the same in all dimensions.
        noise_error: largest |gradient with noise - gradient without| found on the ball.
        noise_inside: whether the noise is covered in the plane; it has no effect orthogonal to it.
        sampling_error: root mean square gradient error of n samples at the minimum.
        sampling_inside: whether that is covered in all dimensions.
        samples_needed: the smallest n for which it is covered.
    """

    point: np.ndarray
    hessian: np.ndarray
    inverse_norm: float
    inverse_norm_full: float
    radius: float
    covered: float
    covered_full: float
    noise_error: float
    noise_inside: bool
    sampling_error: float
    sampling_inside: bool
    samples_needed: int


def certificate(
    tau: float,
    decay: float,
    *,
    noise: float,
    samples: int,
    dim: int,
    activation: str = "sigmoid",
) -> Certificate:
    """Return the certificate and whether noise and sample size are inside it.

    Example:
        >>> found = certificate(7.0, 1 / 800, noise=10**-1.5, samples=100, dim=10)
        >>> round(found.inverse_norm, 1), found.sampling_inside
        (87.5, False)

    Args:
        tau: strength of the hidden feature, > 0.
        decay: weight decay (alpha), > 0.
        noise: rho of samples and views, >= 0.
        samples: n, at least the number of cells, 4.
        dim: dimension d >= 2.
        activation: `sigmoid`, `tanh` or `erf`.

    Returns:
        Certificate.

    Raises:
        InputError: a number out of range, or no minimum with u > 0.

    References:
        Yang et al., arXiv 2401.03214 (N-3).
    """
    require_problem(tau, decay, noise)
    for name, value, least in (("samples", samples, 4), ("dim", dim, 2)):
        if value < least:
            message = f"{name} must be at least {least}; got {value}"
            raise InputError(message)
    shape = curve(activation)
    point = minimum(tau, decay, activation=activation)
    corners = np.array([[1, 0], [-1, 0], [1, tau], [-1, tau]], float)
    hessian = 2 * decay * np.eye(2) - 0.5 * (shape.curvature(corners @ point) * corners.T) @ corners
    low, high = 0.0, float(np.linalg.norm(point))
    while high - low > 1e-4 * high:
        middle = (low + high) / 2
        held = variation(point, hessian, corners, middle, shape) <= 0.5
        low, high = (middle, high) if held else (low, middle)
    inverse_norm = 1 / float(np.linalg.eigvalsh(hessian)[0])
    full = max(inverse_norm, 1 / (2 * decay))
    law = sampling_law(tau, decay, noise=noise, dim=dim, activation=activation)
    noise_error = _noise_error(point, low, tau, decay, noise, activation)
    sampling_error = law.gradient / samples**0.5
    return Certificate(
        point=point,
        hessian=hessian,
        inverse_norm=inverse_norm,
        inverse_norm_full=full,
        radius=low,
        covered=low / (2 * inverse_norm),
        covered_full=low / (2 * full),
        noise_error=noise_error,
        noise_inside=noise_error <= low / (2 * inverse_norm),
        sampling_error=sampling_error,
        sampling_inside=sampling_error <= low / (2 * full),
        samples_needed=int(np.ceil((law.gradient * 2 * full / low) ** 2)),
    )


def variation(
    point: np.ndarray, hessian: np.ndarray, corners: np.ndarray, radius: float, shape: Curve
) -> float:
    """Bound ||H(x0)^-1 H(x) - I|| over the ball, square by square of a grid on it.

    H(x) - H(x0) = -1/2 sum_a (k(a . x) - k(a . x0)) a a^T. On a square each of the four
    differences lies in an interval, and the norm, convex in them, is largest at a corner
    of their box.
    """
    offsets = np.linspace(-1, 1, 2 * _SQUARES + 1)[1::2] * radius
    squares = np.stack(np.meshgrid(offsets, offsets), -1).reshape(-1, 2)
    squares = squares[np.linalg.norm(squares, axis=1) <= radius * (1 + 2 / _SQUARES)]
    h, spread = corners @ point, radius * np.linalg.norm(corners, axis=1) * (1 + 3 / _SQUARES)
    along = shape.curvature(h[:, None] + spread[:, None] * np.linspace(-1, 1, 401))
    steepest = 1.01 * np.abs(np.diff(along)).max(1) * 200 / spread  # 1 % for the grid's spacing
    middle = shape.curvature(h + squares @ corners.T) - shape.curvature(h)
    reach = steepest * np.abs(corners).sum(1) * radius / _SQUARES
    moved = middle[:, None] + _SIGNS * reach
    turned = np.linalg.solve(hessian, 0.5 * corners[:, :, None] * corners[:, None, :])
    changes = (moved.reshape(-1, 4) @ turned.reshape(4, 4)).reshape(-1, 2, 2)
    square = np.square(changes).sum((1, 2))  # of the two singular values the larger, in closed form
    gap = np.sqrt(np.maximum(square**2 - 4 * np.linalg.det(changes) ** 2, 0))
    return float(np.sqrt((square + gap).max() / 2))


def _noise_error(
    point: np.ndarray, radius: float, tau: float, decay: float, noise: float, activation: str
) -> float:
    if noise == 0:
        return 0.0
    angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    ring = radius * np.stack([np.cos(angles), np.sin(angles)], 1)
    ball = point + np.concatenate([np.zeros((1, 2)), ring / 2, ring])
    return float(_errors(jnp.asarray(ball, float), tau, decay, noise, activation).max())


@functools.partial(jax.jit, static_argnums=4)
def _errors(ball: Array, tau: Any, decay: Any, noise: Any, activation: str) -> Array:
    def error(at: Array) -> Array:
        slope = jax.grad(row_objective)
        noisy = slope(at, tau, decay, activation=activation, noise=noise)
        return jnp.linalg.norm(noisy - slope(at, tau, decay, activation=activation))

    return jax.vmap(error)(ball)
