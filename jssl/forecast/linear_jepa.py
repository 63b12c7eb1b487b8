"""The forecast of JEPA with linear layers from the moments of pairs."""

import numpy as np

from jssl.errors import InputError
from jssl.forecast import linear_summary
from jssl.forecast.distilled import (
    SHARES,
    START,
    Distilled,
    ModeStart,
    distilled_modes,
    final_amplitudes,
    largest_rate,
    mode_start,
    steps_to,
)
from jssl.forecast.linear_found import SHARE, Found, LinearQuestion
from jssl.forecast.linear_views import LinearModes, LinearViews
from jssl.forecast.lost_dimensions import WIDEST, LostDimensions
from jssl.theory import distillation

Z = 3.9
"""Standard errors of a two-sided test at 1e-4."""


def jepa_of_layers(
    asked: LinearQuestion,
    views: LinearViews,
    count: int,
    draws: np.random.Generator,
    depth: int,
) -> tuple[LinearModes, Found]:
    """Return the modes and the steps, from views in principal axes.

    Args:
        asked: the question.
        views: the first are the context; they are not centred.
        count: number of modes that are checked on held-out pairs.
        draws: of the halves and of random starts.
        depth: number of layers.

    Raises:
        InputError: if no mode has a positive covariance.
    """
    dim = asked.dim
    of = distilled_modes(views, count, draws)
    lam, rho = of.covariances[:dim], of.coefficients[:dim]
    positive = (lam > 0) & (rho > 0)
    if not positive.any():
        message = "no mode of the pairs has a positive covariance of both views: nothing is learned"
        raise InputError(message)
    largest = float(rho[positive].max())
    scale = START * largest if asked.scale is None else float(asked.scale)
    typical, drawn = mode_start(scale, dim, views.inputs, draws, len(lam))
    stable = 2 / largest_rate(of.covariances, of.coefficients, int(positive.sum()), depth)
    asked_rate = SHARE * stable if asked.learning_rate is None else float(asked.learning_rate)
    # Above the stable rate no step is predicted; which modes are learned does not depend on it.
    rate = SHARE * stable if asked_rate >= stable else asked_rate
    own = (lam, rho, depth, rate)
    low, steps, high = (steps_to(share, typical, *own) for share in SHARES)
    spread, quantiles = np.zeros(len(lam)), None
    if len(drawn.first) > 1:
        several = steps_to(SHARES[1], drawn, *own)
        spread, quantiles = _spread(several)
        quantiles = np.pad(quantiles, ((0, 0), (0, dim - len(lam))))
    ends = final_amplitudes(typical, rho, depth)  # modes that start above it shrink to it
    with np.errstate(invalid="ignore"):
        rises = np.where(np.isfinite(steps), high - low, np.nan)
    known = np.where(np.isfinite(steps), steps, 0)
    earliest = _earliest(steps, lam, rho, depth, scale, rate)
    told = steps if asked_rate < stable else np.full_like(steps, np.nan)
    found = Found(
        _padded(steps, dim, np.inf),
        _padded(spread, dim, np.nan),
        _padded((of.off_diagonal**2 + of.skew**2) * known, dim, np.nan),
        _padded(earliest, dim, 0.0),
        _padded(rises, dim, np.nan),
        _padded(np.where(np.isfinite(steps), lam * ends**2, 0), dim, 0.0),
        asked_rate,
        stable,
        scale,
        _relative(typical, depth, float(ends[0] or rho[0] ** depth)),
        {
            "covariance": of.covariances[: len(of.modes.values)],
            "regression coefficient": of.coefficients[: len(of.modes.values)],
            "first layer at the start": typical.first,
            "encoder at the end": ends,
        },
        {"modes of": "the cross moment of context and target", "layers": depth},
        _lost_to_sign(of, views, int(positive.sum())),
        [
            *linear_summary.unsure_starts(drawn, lam, rho),
            *linear_summary.jepa_caveats(of, views, told, depth, scale, rate),
        ],
        quantiles,
    )
    return of.modes, found


def _spread(several: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return standard errors and quantiles of the steps from random starts, (starts, modes).

    Where a mode is not learned from one of them or more, its error is not known.
    """
    learned = np.isfinite(several)
    finite = np.where(learned.all(0), several, 0)
    unit = np.maximum(finite.max(0), 1e-300)  # squares of the steps need not fit
    quantiles = np.quantile(finite, (0.05, 0.95), axis=0)
    lost = ~learned.all(0)
    quantiles[0, lost] = np.quantile(several[:, lost], 0.05, axis=0, method="lower")
    quantiles[1, lost] = np.quantile(several[:, lost], 0.95, axis=0, method="higher")
    return np.where(lost, np.nan, (finite / unit).std(0) * unit), quantiles


def _relative(start: ModeStart, depth: int, end: float) -> float:
    """Return the amplitude of mode 1 at the start over the one at the end."""
    logs = np.log(start.first[0]) + (depth - 1) * np.log(start.rest) - np.log(max(end, 1e-300))
    return float(np.exp(np.minimum(logs, np.log(np.finfo(float).max))))


def _earliest(
    steps: np.ndarray,
    lam: np.ndarray,
    rho: np.ndarray,
    depth: int,
    scale: float,
    rate: float,
) -> np.ndarray:
    """Return the step from which takeover can bring each mode early (D-14), else infinity."""
    found = np.full(len(steps), np.inf)
    known = np.flatnonzero(np.isfinite(steps))
    rates = np.asarray(distillation.takeover_rates(lam[known], rho[known], depth=depth))
    for a, i in enumerate(known):
        folds = max(np.log(rho[i]) - np.log(scale), 0.0)
        wait = folds / np.where(rates[a] > 0, rates[a], np.inf) / rate
        arrival = np.where(rates[a] > 0, steps[i] + wait, np.inf)
        found[known] = np.minimum(found[known], arrival)
    return found


def _lost_to_sign(of: Distilled, views: LinearViews, learned: int) -> LostDimensions:
    """Return how many directions have no positive covariance: those JEPA does not learn (D-18)."""
    held = of.modes
    positive = int((of.covariances > 0).sum())
    unsure = int((np.abs(held.held_out) <= Z * held.errors).sum())
    return LostDimensions(
        carried=len(of.covariances),
        surviving=max(positive - unsure, 0),
        undecided=min(unsure, positive),
        lost=len(of.covariances) - positive,
        rank=learned,
        factor=float("inf"),
        reduced=views.inputs if views.inputs > WIDEST else 0,
        trust="exact",
        factors=np.full(learned, np.inf),
    )


def _padded(values: np.ndarray, dim: int, missing: float) -> np.ndarray:
    return np.append(values, np.full(dim - len(values), missing))
