r"""Eigenvalues of the embedding in time, for a linear encoder of Gaussian views.

    ds_j/dt = -4 s_j (c_j + strength q_j dR/ds_j)

for x = u + e, x' = u + e' with commuting covariances, from an aligned start (I-17). Fresh batches
of N samples weaken the repulsion by 1 - 1/N in the mean, exactly for small steps; the population
form is wrong there by many standard errors at N = 16. A generic small start behaves as the aligned
one with s_j(0) = q_j R_jj^2 of `jssl.theory.stepwise.qr_alignment`.

References:
    Derived here, for the losses of arXiv 2511.08544.
"""

import sys
from typing import Any

import numpy as np

from jssl.errors import InputError
from jssl.host_arithmetic import ROUNDING, host_float64
from jssl.integration import integrate, path, too_far_apart
from jssl.number_checks import require_number
from jssl.theory.isotropy.arguments import LARGEST, spectrum, usual_width
from jssl.theory.isotropy.regularisers import parts, repulsion_share, slope

_TOLERANCE: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-12}
_DOUBLINGS = 150  # of the time that `half_times` looks ahead
_LARGEST_LOG = 230.0  # of an eigenvalue
_ROUNDED = 1 + ROUNDING * np.finfo(float).eps


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
        noises: (K,) c_j, from 0 to q_j, or to 2 q_j where the views have a negative covariance.
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
        noises: (K,) c_j, from 0 to q_j, or to 2 q_j where the views have a negative covariance.
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
    s = positive_start(start, q)
    t = np.atleast_1d(host_float64("times", times))
    finite = t.ndim == 1 and bool(len(t)) and bool(np.isfinite(t).all())
    if not finite or (np.diff(t) <= 0).any() or t[0] < 0:
        message = "times must be finite, increasing and >= 0"
        raise InputError(message)
    options: dict[str, Any] = {"regulariser": regulariser, "width": width, "batch": batch}
    rates = flow(q, c, strength, **options)
    return np.exp(_with_fallback(path, rates, t, np.log(s)))


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
        noises: (K,) c_j, from 0 to q_j, or to 2 q_j where the views have a negative covariance.
        strength: lambda > 0.
        level: of s_j, > 0.
        regulariser: `sigreg` or `bhep`.
        width: b > 0; None is 1 for `sigreg`, 2/K for `bhep`.
        batch: N >= 2; None is the population.

    Raises:
        InputError: for arrays of unequal lengths or numbers out of range.
    """
    q, c = moments(variances, noises, strength)
    y = np.log(positive_start(start, q))
    options: dict[str, Any] = {"regulariser": regulariser, "width": width, "batch": batch}
    log_level = np.log(require_number("level", level, above=0))

    rates = flow(q, c, strength, **options)

    def crossing(mode: int) -> Any:
        return lambda _, y: y[mode] - log_level

    found = np.where(y >= log_level, 0.0, np.inf)
    begin, horizon = 0.0, 10 / max(np.abs(rates(0.0, y)).max(), 1e-200)
    for _ in range(_DOUBLINGS):
        if np.isfinite(found).all():
            return found
        modes = np.flatnonzero(~np.isfinite(found))
        events = [crossing(int(mode)) for mode in modes]
        solved = _with_fallback(integrate, rates, (begin, horizon), y, events=events)
        for mode, times in zip(modes, solved.t_events, strict=True):
            if len(times):
                found[mode] = times[0]
        y, begin, horizon = solved.y[:, -1], horizon, 2 * horizon
        if ended(y, np.isfinite(found), q, c, strength, **options):
            return found
    raise too_far_apart()


def ended(
    y: np.ndarray,
    reached: np.ndarray,
    q: np.ndarray,
    c: np.ndarray,
    strength: float,
    **options: Any,
) -> bool:
    """Return whether no mode that has not reached its level can still do so.

    Either no mode moves, or those that move have reached theirs and grow, and on the others even
    the repulsion alone is ten times too weak against the noise. It becomes weaker as others grow.

    Args:
        y: (K,) log s_j.
        reached: (K,) whether a mode has reached its level.
        q: (K,) variances of the views.
        c: (K,) noises.
        strength: lambda.
        **options: of `growth_rates`.
    """
    s = np.exp(np.clip(y, -_LARGEST_LOG, _LARGEST_LOG))
    forces = parts(s, regulariser=options["regulariser"], width=options["width"])
    rate = growth_rates(q, c, strength, eigenvalues=s, **options)
    relative = rate / (4 * np.maximum(c + strength * q * forces.attraction, 1e-300))
    still = np.abs(relative) * s < 1e-9
    if not (still & (relative <= 1e-9) | reached & (still | (relative > 0))).all():
        return False
    hopeless = strength * q * forces.repulsion < c / 10
    return bool(still.all() or (reached | hopeless).all())


def flow(q: np.ndarray, c: np.ndarray, strength: float, **options: Any) -> Any:
    """Return d log s / dt as a function of t and log s, of any size that a solver may try."""
    usual_width(options["regulariser"], len(q), options["width"])
    repulsion_share(options["batch"])

    def rates(_: float, y: np.ndarray) -> np.ndarray:
        if not np.isfinite(y).all():
            raise too_far_apart()
        eigenvalues = np.exp(np.clip(y, -_LARGEST_LOG, _LARGEST_LOG))
        return growth_rates(q, c, strength, eigenvalues=eigenvalues, **options)

    return rates


def _with_fallback(solve: Any, rates: Any, span: Any, start: np.ndarray, **options: Any) -> Any:
    """Solve by LSODA, or by BDF where LSODA takes too many steps: times far apart."""
    most = 2_000 + 500 * len(start)  # a Jacobian takes an evaluation for each mode
    options |= _TOLERANCE
    try:
        return solve(rates, span, start, method="LSODA", evaluations=most, **options)
    except InputError:
        return solve(rates, span, start, method="BDF", evaluations=2 * most, **options)


def moments(variances: Any, noises: Any, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Return q and c, checked."""
    q, _ = spectrum(host_float64("variances", variances), "variances", sys.float_info.max)
    c = same_length(noises, q)
    if not (
        (q > 0).all() and (q < np.inf).all() and (c >= 0).all() and (c <= 2 * _ROUNDED * q).all()
    ):
        message = "need finite variances q > 0 and noises from 0 to 2 q: half the variance of the "
        message += "difference of both views"
        raise InputError(message)
    require_number("strength", strength, above=0, high=LARGEST)
    return q, c


def positive_start(start: Any, like: np.ndarray) -> np.ndarray:
    """Return s_j(0), checked."""
    s = same_length(start, like)
    if not ((s > 0) & (s < np.inf)).all():
        message = "every start must be positive: a mode that starts at 0 stays there"
        raise InputError(message)
    return s


def same_length(values: Any, like: np.ndarray) -> np.ndarray:
    """Return values as an array with one entry for each mode."""
    array = host_float64("every argument of a mode", values)
    if array.shape != like.shape:
        message = f"need one number for each of the {len(like)} modes; got shape {array.shape}"
        raise InputError(message)
    return array
