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

from jssl.errors import InputError, shown
from jssl.host_arithmetic import host_float64, host_value
from jssl.integration import integrate
from jssl.number_checks import require_number
from jssl.theory.distillation.objective import arrays, require_not_negative, require_positive
from jssl.types import Array

EQUAL = 1e-11
"""Relative spread of the eigenvalues of the predictor from which they are at rest."""
MOST_DECAY = 300
"""Largest decay x time: the time of the flow without decay is then e^600 / (2 decay)."""


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
        norm: (...) >= 0 at time 0.
        decay: (...) eta >= 0, the same for every matrix.

    Raises:
        InputError: for numbers that are negative or not finite.
    """
    require_not_negative(time=time, norm=norm, decay=decay)
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
    require_not_negative(time=time, decay=decay)
    t, eta = arrays(time, decay)
    x = 2 * eta * t
    small = x < 0.5
    series, little = jnp.ones_like(x), jnp.where(small, x, 0)
    for n in range(14, 0, -1):  # of (e^x - 1) / x, for the derivatives at a small decay
        series = 1 + little / (n + 1) * series
    large = jnp.where(small, 1, jnp.minimum(x, 1e4))  # e^10000 is infinite
    return t * jnp.where(small, series, jnp.expm1(large) / large)


def cosine_velocity(modes: CosineModes, noise: Any, decay: Any = 0.0) -> CosineModes:
    """Return dp/dt and df/dt at infinite width (D-39).

    Example:
        >>> modes = CosineModes(jnp.array([0.2, 0.9]), jnp.ones(2))
        >>> print((cosine_velocity(modes, 0.25).predictor > 0).tolist())
        [True, False]

    Args:
        modes: p and f >= 0, (..., k) each, at least one of their products positive.
        noise: sigma^2 >= 0.
        decay: eta >= 0.

    Raises:
        InputError: for numbers that are negative or not finite, or shapes that do not fit.
    """
    p, f = _both(modes)
    require_not_negative(predictor=p, encoder=f, noise=noise, decay=decay)
    p, f, noise, decay = arrays(p, f, noise, decay)
    if not p.ndim or not p.shape[-1]:
        message = f"p and f must be (..., k), k >= 1; got {np.shape(modes[0])}"
        raise InputError(message)
    some = host_value((p * f).sum(-1))
    if some is not None and not (some > 0).all():
        message = "of the products of p and f one must be positive: without it there is no cosine"
        raise InputError(message)
    spread = 1 + noise
    first, second = (p * f).sum(-1, keepdims=True), (p**2 * f).sum(-1, keepdims=True)
    norms = spread * jnp.sqrt(second * f.sum(-1, keepdims=True))
    # differences from pbar: equal eigenvalues are at rest, and close ones keep their digits
    away = p - second / first
    b = ((away * p * f).sum(-1, keepdims=True) - away * first) / second / norms
    return CosineModes(f * b - decay * p, 2 * p * f * b - 2 * decay * f)


def _both(modes: Any) -> tuple[Any, Any]:
    """Return p and f, or say that there are not two."""
    if not isinstance(modes, tuple) or len(modes) != 2:
        message = f"modes must be CosineModes(predictor, encoder); got {shown(modes)}"
        raise InputError(message)
    return modes[0], modes[1]


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
        InputError: for numbers out of range, arrays that do not match, times that do not increase,
            or an integration that does not end.
    """
    predictor, encoder = _both(start)
    require_positive(predictor=predictor, encoder=encoder)
    noise = require_number("noise", noise, low=0)
    decay = require_number("decay", decay, low=0)
    times, p, f = (host_float64("times and modes", x) for x in (times, predictor, encoder))
    if p.ndim != 1 or p.shape != f.shape or times.ndim != 1 or not (len(times) and len(p)):
        message = (
            f"times must be (points,), p and f (k,) each; got {times.shape}, {p.shape}, {f.shape}"
        )
        raise InputError(message)
    increasing = times[0] >= 0 and (np.diff(times) >= 0).all() and np.isfinite(times[-1])
    if not (increasing and decay * float(times[-1]) < MOST_DECAY):
        message = (
            "times must be finite and increase from 0 or above, and decay x time must be below "
            f"{MOST_DECAY}, where the sizes are {np.exp(-MOST_DECAY):.0e} of those at the start"
        )
        raise InputError(message)
    spread, k = 1 + noise, len(p)

    def rates(_: float, y: np.ndarray) -> np.ndarray:  # without decay, which is a change of time
        p, f = y[:k], y[k:]
        first, second = p @ f, p**2 @ f
        b = (1 - p * first / second) / (spread * np.sqrt(second * f.sum()))
        return np.concatenate([f * b, 2 * p * f * b])

    def equal(_: float, y: np.ndarray) -> float:
        return float(np.ptp(y[:k]) / np.max(y[:k]) - EQUAL)

    equal.terminal = True  # type: ignore[attr-defined]
    stretched = np.expm1(2 * decay * times) / (2 * decay) if decay else times
    first = np.concatenate([p, f])
    values = np.tile(first, (len(times), 1))
    grid, back = np.unique(stretched, return_inverse=True)
    if equal(0, first) > 0:
        solution = integrate(
            rates,
            (0, max(float(grid[-1]), 1e-300)),
            first,
            method="DOP853",
            t_eval=grid,
            events=equal,
            rtol=1e-10,
            atol=1e-13,
        )
        seen = np.asarray(solution.y).T.reshape(-1, 2 * k)
        if len(seen) < len(grid):
            rest = np.broadcast_to(solution.y_events[0][0], (len(grid) - len(seen), 2 * k))
            seen = np.concatenate([seen, rest])  # the rest point
        values = seen[back]
    shrink = np.exp(-decay * times)[:, None]
    return CosineModes(shrink * values[:, :k], shrink**2 * values[:, k:])
