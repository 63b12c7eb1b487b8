r"""A normalised loss: -E[cos(V W x, sg(W x'))], one layer, isotropic data (D-37 to D-39).

x and x' are the same standard Gaussian sample with noise of variance sigma^2. For any data, width
and depth, each matrix is orthogonal to its gradient, so |V| and |W_a| shrink exactly as
e^{-eta t} under decay eta, and theta(t) = e^{-eta t} theta_0((e^{2 eta t} - 1) / (2 eta)) with
theta_0 the flow without decay: decay changes time and never collapses a direction. At infinite
width, with p_j the eigenvalues of V and f_j those of W W^T,

    dp_j/dt = f_j b_j - eta p_j,   df_j/dt = 2 p_j f_j b_j - 2 eta f_j,
    b_j = (1 - p_j / pbar) / (N_V N_W),   pbar = sum p^2 f / sum p f,
    N_V = sqrt((1 + sigma^2) sum p^2 f),   N_W = sqrt((1 + sigma^2) sum f).

Modes below the weighted mean pbar grow and those above it shrink, until all are equal to
|V| / sqrt(k). The subject is that of Bao 2023, arXiv 2309.16109; these equations are derived here.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import scipy.integrate

from jssl.data.checks import require_range
from jssl.theory.distillation.objective import arrays, require_positive
from jssl.types import Array


class CosineModes(NamedTuple):
    """Eigenvalues of the predictor and of the encoder's Gram matrix in one basis.

    Attributes:
        predictor: (..., k) p_j.
        encoder: (..., k) f_j.
    """

    predictor: Any
    encoder: Any


def cosine_norm(time: Any, norm: Any, decay: Any) -> Array:
    """Return the Frobenius norm of any weight matrix under a loss without scale (D-37).

    Example:
        >>> round(float(cosine_norm(4.0, 1.0, 0.4)), 4)
        0.2019

    Args:
        time: (...) >= 0, learning rate x step.
        norm: (...) at time 0.
        decay: (...) eta >= 0, the same for every matrix.

    Raises:
        InputError: for a negative time or decay.
    """
    require_range("time", time, 0)
    require_range("decay", decay, 0)
    t, size, eta = arrays(time, norm, decay)
    return size * jnp.exp(-eta * t)


def normalised_time(time: Any, decay: Any) -> Array:
    """Return the time of the flow without decay that has the same directions (D-38).

    Example:
        >>> [round(t, 3) for t in normalised_time(4.0, jnp.array([0.0, 0.4])).tolist()]
        [4.0, 29.416]

    Args:
        time: (...) >= 0, learning rate x step.
        decay: (...) eta >= 0, the same for every matrix.

    Raises:
        InputError: for a negative time or decay.
    """
    require_range("time", time, 0)
    require_range("decay", decay, 0)
    t, eta = arrays(time, decay)
    decayed = eta > 0
    return jnp.where(decayed, jnp.expm1(2 * eta * t) / jnp.where(decayed, 2 * eta, 1), t)


def cosine_velocity(modes: CosineModes, noise: Any, decay: Any = 0.0) -> CosineModes:
    """Return dp/dt and df/dt at infinite width (D-39).

    Example:
        >>> modes = CosineModes(jnp.array([0.2, 0.9]), jnp.ones(2))
        >>> print((cosine_velocity(modes, 0.25).predictor > 0).tolist())
        [True, False]

    Args:
        modes: p and f >= 0.
        noise: sigma^2 >= 0.
        decay: eta >= 0.

    Raises:
        InputError: for a negative noise or decay.
    """
    require_range("noise", noise, 0)
    require_range("decay", decay, 0)
    p, f = modes
    spread = 1 + jnp.asarray(noise)
    first, second = (p * f).sum(-1, keepdims=True), (p**2 * f).sum(-1, keepdims=True)
    norms = spread * jnp.sqrt(second * f.sum(-1, keepdims=True))
    b = (1 - p * first / second) / norms
    return CosineModes(f * b - decay * p, 2 * p * f * b - 2 * decay * f)


def cosine_amplitudes(
    times: np.ndarray, start: CosineModes, noise: float, decay: float = 0.0
) -> CosineModes:
    """Return p and f at times by integration on the host (D-39).

    Example:
        >>> p = np.array([0.2, 0.5, 0.9, 1.3])
        >>> end = cosine_amplitudes(np.array([100.0]), CosineModes(p, p**2), 0.25)
        >>> print(end.predictor.round(4))
        [[0.8352 0.8352 0.8352 0.8352]]

    Args:
        times: (points,) >= 0, increasing.
        start: p and f > 0, (k,) each.
        noise: sigma^2 >= 0.
        decay: eta >= 0.

    Returns:
        (points, k) each.

    Raises:
        InputError: for numbers out of range.
    """
    require_positive(predictor=start.predictor, encoder=start.encoder)
    require_range("noise", noise, 0)
    require_range("times", times, 0)
    p, f = (np.asarray(x, float) for x in start)
    spread, k = 1 + noise, len(p)

    def rates(_: float, y: np.ndarray) -> np.ndarray:  # without decay, which is a change of time
        p, f = y[:k], y[k:]
        first, second = p @ f, p**2 @ f
        b = (1 - p * first / second) / (spread * np.sqrt(second * f.sum()))
        return np.concatenate([f * b, 2 * p * f * b])

    stretched = np.asarray(normalised_time(times, decay), float)
    solution = scipy.integrate.solve_ivp(
        rates,
        (0, max(float(stretched[-1]), 1e-300)),
        np.concatenate([p, f]),
        "DOP853",
        t_eval=stretched,
        rtol=1e-10,
        atol=1e-13,
    )
    shrink = np.exp(-decay * np.asarray(times, float))[:, None]
    values = solution.y.T
    return CosineModes(shrink * values[:, :k], shrink**2 * values[:, k:])
