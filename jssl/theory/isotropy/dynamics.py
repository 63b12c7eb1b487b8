r"""Eigenvalues of the embedding in time, for a linear encoder of Gaussian views.

    ds_j/dt = -4 s_j (c_j + strength q_j dR/ds_j)

for x = u + e, x' = u + e' with commuting covariances, from an aligned start (I-17). Fresh batches
of N samples weaken the repulsion by 1 - 1/N in the mean, exactly for small steps; the population
form is wrong there by many standard errors at N = 16. A generic small start behaves as the aligned
one with s_j(0) = q_j R_jj^2 of `jssl.theory.stepwise.qr_alignment`.

References:
    Derived here, for the losses of arXiv 2511.08544.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy.integrate import solve_ivp

from jssl.errors import InputError
from jssl.theory.isotropy.regularisers import slope, spectrum
from jssl.types import Array

_TOLERANCE = {"rtol": 1e-10, "atol": 1e-12}


def growth_rates(
    variances: Any,
    noises: Any,
    strength: float,
    *,
    eigenvalues: Any = None,
    regulariser: str = "sigreg",
    width: float | None = None,
    batch: float | None = None,
) -> np.ndarray:
    """Return d log s_j / dt: how fast each mode grows at a state, by default at collapse (I-18).

    Example:
        >>> print(growth_rates([1.0, 0.5], [0.0, 0.4], 2.0).round(3))
        [ 2.586 -0.307]

    At collapse it is 4 (strength g0 q_j - c_j) with g0 = -dR/ds at 0: a mode leaves 0 if its noise
    share c_j / q_j is below strength x g0, and modes are learned in the order of these rates.

    Args:
        variances: (K,) q_j > 0.
        noises: (K,) c_j, from 0 to q_j.
        strength: lambda > 0.
        eigenvalues: (K,) s_j of the state; None is 0.
        regulariser: `sigreg` or `bhep`.
        width: b > 0; None is 1 for `sigreg`, 2/K for `bhep`.
        batch: N >= 2; None is the population.
    """
    q, c = moments(variances, noises, strength)
    s = np.zeros_like(q) if eigenvalues is None else same_length(eigenvalues, q)
    pull = slope(s, regulariser=regulariser, width=width, batch=batch)
    return -4 * (c + strength * q * pull)


def trajectory(
    times: Any,
    start: Any,
    variances: Any,
    noises: Any,
    strength: float,
    *,
    regulariser: str = "sigreg",
    width: float | None = None,
    batch: float | None = None,
) -> np.ndarray:
    """Return the eigenvalues s_j (times, K) of the embedding covariance.

    Example:
        >>> s = trajectory([0.0, 6.0, 50.0], [1e-4, 1e-4], [1.0, 0.5], [0.0, 0.0], 2.0)
        >>> print(s.round(2))
        [[0.   0.  ]
         [1.03 0.05]
         [1.   0.99]]

    A mode rises above its target while others are empty, and shrinks when they are learned.

    Args:
        times: (T,) increasing, >= 0, learning rate x step.
        start: (K,) s_j(0) > 0.
        variances: (K,) q_j > 0.
        noises: (K,) c_j, from 0 to q_j.
        strength: lambda > 0.
        regulariser: `sigreg` or `bhep`.
        width: b > 0; None is 1 for `sigreg`, 2/K for `bhep`.
        batch: N >= 2; None is the population.

    Returns:
        float64, integrated in log s_j with a relative tolerance of 1e-10.

    Raises:
        InputError: for arrays of unequal lengths or numbers out of range.
    """
    q, c = moments(variances, noises, strength)
    s = same_length(start, q)
    if not (s > 0).all():
        message = "every start must be positive: a mode that starts at 0 stays there"
        raise InputError(message)
    t = np.atleast_1d(np.asarray(times, float))
    finite = t.ndim == 1 and bool(len(t)) and bool(np.isfinite(t).all())
    if not finite or (np.diff(t) <= 0).any() or t[0] < 0:
        message = "times must be finite, increasing and >= 0"
        raise InputError(message)
    options: dict[str, Any] = {"regulariser": regulariser, "width": width, "batch": batch}
    if t[-1] == 0:
        return s[None]
    solved = solve_ivp(
        lambda _, y: growth_rates(q, c, strength, eigenvalues=np.exp(y), **options),
        (0.0, t[-1]),
        np.log(s),
        method="LSODA",
        t_eval=t,
        **_TOLERANCE,
    )
    return np.exp(solved.y.T)


def half_times(
    start: Any,
    variances: Any,
    noises: Any,
    strength: float,
    *,
    level: float = 0.5,
    regulariser: str = "sigreg",
    width: float | None = None,
    batch: float | None = None,
) -> np.ndarray:
    """Return when each eigenvalue first reaches a level; infinite for a mode that is lost.

    Example:
        >>> print(half_times(np.full(2, 1e-6), [1.0, 0.5], [0.0, 0.0], 2.0).round(2))
        [ 5.87 20.69]

    Args:
        start: (K,) s_j(0) > 0.
        variances: (K,) q_j > 0.
        noises: (K,) c_j, from 0 to q_j.
        strength: lambda > 0.
        level: of s_j, > 0.
        regulariser: `sigreg` or `bhep`.
        width: b > 0; None is 1 for `sigreg`, 2/K for `bhep`.
        batch: N >= 2; None is the population.
    """
    q, c = moments(variances, noises, strength)
    y = np.log(same_length(start, q))
    options: dict[str, Any] = {"regulariser": regulariser, "width": width, "batch": batch}

    def rates(_: float, y: np.ndarray) -> np.ndarray:
        return growth_rates(q, c, strength, eigenvalues=np.exp(y), **options)

    def crossing(mode: int) -> Any:
        return lambda _, y: y[mode] - np.log(level)

    found = np.where(y >= np.log(level), 0.0, np.inf)
    begin, horizon = 0.0, 10 / max(np.abs(rates(0.0, y)).max(), 1e-12)
    while not np.isfinite(found).all():
        modes = np.flatnonzero(~np.isfinite(found))
        solved = solve_ivp(
            rates,
            (begin, horizon),
            y,
            method="LSODA",
            events=[crossing(int(mode)) for mode in modes],
            **_TOLERANCE,
        )
        for mode, times in zip(modes, solved.t_events, strict=True):
            if len(times):
                found[mode] = times[0]
        y, begin, horizon = solved.y[:, -1], horizon, 2 * horizon
        rate = rates(0.0, y)
        settled = np.abs(rate) * np.exp(y) < 1e-9
        if (settled & ((rate <= 1e-9) | np.isfinite(found))).all():
            break
    return found


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
    """
    moved = weight @ view_cov
    values, vectors = jnp.linalg.eigh(moved @ weight.T)
    pull = slope(jnp.maximum(values, 0), regulariser=regulariser, width=width)
    return -2 * weight @ noise_cov - 2 * strength * (vectors * pull) @ (vectors.T @ moved)


def moments(variances: Any, noises: Any, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Return q and c, checked."""
    q, _ = spectrum(np.asarray(variances, float))
    c = same_length(noises, q)
    if not ((q > 0).all() and (c >= 0).all() and (c <= q).all()):
        message = "need variances > 0 and noises from 0 to the variances: views x = u + e"
        raise InputError(message)
    if not 0 < strength < np.inf:
        message = f"strength must be positive; got {strength}"
        raise InputError(message)
    return q, c


def same_length(values: Any, like: np.ndarray) -> np.ndarray:
    """Return values as an array with one entry for each mode."""
    array = np.asarray(values, float)
    if array.shape != like.shape:
        message = f"need one number for each of the {len(like)} modes; got shape {array.shape}"
        raise InputError(message)
    return array
