"""The forecast of JEPA with linear layers from the moments of pairs."""

import numpy as np

from jssl.errors import InputError
from jssl.forecast.distilled import (
    SHARES,
    START,
    Distilled,
    ModeStart,
    distilled_modes,
    final_amplitudes,
    largest_rate,
    mode_start,
    rate_of_start,
    steps_to,
)
from jssl.forecast.followed import ERROR, Followed, followed
from jssl.forecast.jepa_caveats import jepa_caveats
from jssl.forecast.linear_found import SHARE, Found, LinearQuestion
from jssl.forecast.linear_views import LinearModes, LinearViews
from jssl.forecast.lost_dimensions import WIDEST, LostDimensions
from jssl.theory import distillation

_RETURNS = 10
"""Folds of e by which modes return to their ends, where they all start above them."""
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
    stable = 2 / _largest_rate(of, int(positive.sum()), depth, scale)
    asked_rate = SHARE * stable if asked.learning_rate is None else float(asked.learning_rate)
    # Above the stable rate no step is predicted; which modes are learned does not depend on it.
    rate = SHARE * stable if asked_rate >= stable else asked_rate
    typical, drawn = mode_start(scale, dim, views.inputs, draws, len(lam))
    found = _independent(of, views, typical, depth, (asked_rate, rate, stable))
    latest = float(np.max(found.steps, where=np.isfinite(found.steps), initial=0))
    if (
        np.isfinite(found.steps).any() and latest == 0
    ):  # every mode starts above half of its end, and returns to it
        slowest = float((lam * np.maximum(rho, 0) ** (2 * depth - 1))[positive].min())
        latest = _RETURNS / max(slowest * rate, 1e-300)
    path = None
    if asked_rate < stable and latest > 0 and not (of.commute and dim == views.inputs):
        sizes = dim, views.inputs, scale, depth
        path = followed(of.moments, *sizes, rate, latest, draws, asked.progress)
        found.settings["modes"] = "treated alone"
    if path is not None:
        found = _with_path(found, path)
    elif len(drawn.first) > 1:
        spread, quantiles = _spread(steps_to(SHARES[1], drawn, lam, rho, depth, rate))
        found = found._replace(spread=spread, quantiles=quantiles)
    found = _padded(found, dim)
    told = found if asked_rate < stable else found._replace(steps=np.full(dim, np.nan))
    return of.modes, found._replace(caveats=jepa_caveats(of, views, told, depth))


def _largest_rate(of: Distilled, learned: int, depth: int, scale: float) -> float:
    """Return the largest rate of return to the end, or from a start above it."""
    rate = largest_rate(of.covariances, of.coefficients, learned, depth)
    if scale > float(of.coefficients.max()):
        moment = float(np.linalg.eigvalsh(of.moments.context)[-1])
        rate = max(rate, rate_of_start(scale, moment, depth))
    if not np.isfinite(rate):
        message = f"a start (scale) of {scale:.3g} is too large; take one such as {START}"
        raise InputError(message)
    return rate


def _independent(
    of: Distilled,
    views: LinearViews,
    typical: ModeStart,
    depth: int,
    rates: tuple[float, float, float],
) -> Found:
    """Return the steps of modes that are learned independently of each other."""
    asked_rate, rate, stable = rates
    k = len(typical.first)
    lam, rho = of.covariances[:k], of.coefficients[:k]
    own = (lam, rho, depth, rate)
    low, steps, high = (steps_to(share, typical, *own) for share in SHARES)
    ends = final_amplitudes(rho, depth)  # modes that start above it shrink to it
    with np.errstate(invalid="ignore"):
        rises = np.where(np.isfinite(steps), high - low, np.nan)
    known = np.where(np.isfinite(steps), steps, 0)
    share = float(np.hypot(of.off_diagonal, of.skew))
    return Found(
        steps,
        np.zeros(k),
        share * known,
        _earliest(of, steps, depth, typical.rest, rate, share),
        rises,
        np.where(np.isfinite(steps), lam * ends**2, 0),
        asked_rate,
        stable,
        typical.rest,
        _relative(typical, depth, float(ends[0] or rho[0] ** depth)),
        {
            "covariance": of.covariances[: len(of.modes.values)],
            "regression coefficient": of.coefficients[: len(of.modes.values)],
            "first layer at the start": typical.first,
            "encoder at the end": ends,
        },
        {
            "modes of": "the cross moment of context and target",
            "layers": depth,
            "modes": "independent",
        },
        _lost_to_sign(of, views, int(((lam > 0) & (rho > 0)).sum())),
        [],
    )


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
    of: Distilled,
    steps: np.ndarray,
    depth: int,
    scale: float,
    rate: float,
    share: float,
) -> np.ndarray:
    """Return the step from which takeover can bring each mode early (D-14), else infinity.

    It grows from the size of the start, or from the share of the moments that does not commute.
    Such a share displaces modes in every output, so that nothing after the first takeover is
    learned alone.
    """
    known = np.flatnonzero((of.covariances > 0) & (of.coefficients > 0))
    lam, rho = of.covariances[known], of.coefficients[known]
    rates = np.asarray(distillation.takeover_rates(lam, rho, depth=depth))
    arrivals = np.full(len(of.covariances), np.inf)
    for a, i in enumerate(known[known < len(steps)]):
        if np.isfinite(steps[i]):
            folds = max(min(np.log(rho[a] / scale), -np.log(max(share, 1e-300))), 0.0)
            wait = np.full(len(known), np.inf)
            wait[rates[a] > 0] = folds / rates[a][rates[a] > 0] / rate
            arrivals[known] = np.minimum(arrivals[known], steps[i] + wait)
    if of.commute:
        return arrivals[: len(steps)]
    return np.where(steps > arrivals.min(), arrivals.min(), np.inf)


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


def _with_path(found: Found, path: Followed) -> Found:
    """Return what integrated paths say, in place of independent modes."""
    columns = {name: found.columns[name] for name in ("covariance", "regression coefficient")}
    return found._replace(
        steps=path.steps,
        spread=path.spread,
        blur=ERROR * np.where(np.isfinite(path.steps), path.steps, 0) + 1,
        earliest=np.zeros(len(path.steps)),
        rises=path.rises,
        final=path.final,
        columns=columns | {"eigenvalue of the predictor at the end": path.predictor},
        settings=found.settings
        | {
            "modes": "integrated together",
            "steps integrated": round(path.last),
            "settled": path.settled,
        },
        quantiles=path.quantiles,
        curves=path.curves,
    )


def _padded(found: Found, dim: int) -> Found:
    """Return it with outputs that have no mode, which are not learned."""
    more = dim - len(found.steps)

    def longer(values: np.ndarray, missing: float) -> np.ndarray:
        return np.append(values, np.full(more, missing))

    quantiles = found.quantiles
    return found._replace(
        steps=longer(found.steps, np.inf),
        spread=longer(found.spread, np.nan),
        blur=longer(found.blur, np.nan),
        earliest=longer(found.earliest, 0.0),
        rises=longer(found.rises, np.nan),
        final=longer(found.final, 0.0),
        quantiles=None if quantiles is None else np.pad(quantiles, ((0, 0), (0, more))),
    )
