"""The forecast of LeJEPA from the moments of pairs."""

import numpy as np

from jssl.data.checks import require_count
from jssl.forecast import linear_summary
from jssl.forecast.isotropic import (
    Isotropic,
    isotropic_modes,
    isotropic_rises,
    largest_curvature,
    rate_errors,
    suggested_scale,
)
from jssl.forecast.linear_found import SHARE, Found, LinearQuestion
from jssl.forecast.linear_views import LinearModes, LinearViews
from jssl.forecast.lost_dimensions import WIDEST, LostDimensions
from jssl.forecast.replacements import long_run, pull_of_next
from jssl.number_checks import require_number

TRADE_OFF = 0.05


def lejepa(
    asked: LinearQuestion, views: LinearViews, count: int, draws: np.random.Generator
) -> tuple[LinearModes, Found]:
    """Return the modes and the steps, from centred views in principal axes.

    Args:
        asked: the question.
        views: centred.
        count: number of modes.
        draws: of the halves and of random starts.
    """
    n = len(views.first)
    trade_off = TRADE_OFF if asked.trade_off is None else asked.trade_off
    trade_off = require_number("trade_off", trade_off, above=0, below=1)
    batch = n if asked.batch is None else require_count("batch", asked.batch, low=2)
    of = isotropic_modes(views, asked.dim, trade_off, batch, count, draws)
    scale = suggested_scale(of, views.inputs) if asked.scale is None else float(asked.scale)
    first = isotropic_rises(of, scale, views.inputs, None, draws)
    apart = views.first - views.second
    spread = float(np.linalg.eigvalsh(apart.T @ apart / (2 * n))[-1])
    stable = 2 / largest_curvature(of, spread)
    rate = SHARE * stable if asked.learning_rate is None else float(asked.learning_rate)
    known = rate < stable  # else no step is predicted; which modes are lost does not depend on it
    rises = isotropic_rises(of, scale, views.inputs, rate, draws) if known else first
    errors = rate_errors(of, views, rises, rate) if known else np.zeros(asked.dim)
    steps, drawn = rises.half[0], rises.half
    drawn = drawn[1:] if known else drawn
    with np.errstate(invalid="ignore"):
        spread_of = np.where(np.isfinite(drawn).all(0), np.std(drawn, axis=0), np.nan)
    order = np.argsort(steps)
    waits = np.zeros(asked.dim)
    waits[order] = np.diff(np.where(np.isfinite(steps), steps, 0)[order], prepend=0.0)
    blur = np.zeros(asked.dim)
    blur[order] = np.cumsum((errors * np.maximum(waits, 0))[order])
    told = steps if known else np.full_like(steps, np.nan)
    end = long_run(of, views, told, rate)
    found = Found(
        steps,
        spread_of,
        blur,
        np.zeros(asked.dim),
        rises.rises[0],
        np.where(np.isfinite(steps), of.levels * (1 - of.shares), 0),
        rate,
        stable,
        scale,
        float(np.sqrt(rises.starts[0] / (of.levels[0] or 1.0))),
        {
            "view variance": of.variances,
            "noise share": of.shares,
            "start": rises.starts,
            "embedding eigenvalue at the end": of.levels,
        },
        {
            "modes of": "the covariance of a view less the noise over the strength",
            "trade-off": trade_off,
            "batch": batch,
            "strength": of.strength,
            "loss factor": of.unit,
            "kept in the long run": len(end.shares),
        },
        _lost_to_noise(of, views),
        linear_summary.lejepa_caveats(of, views, end, told, rate, stable, blur),
    )
    return of.modes, found


def _lost_to_noise(of: Isotropic, views: LinearViews) -> LostDimensions:
    """Return how many directions of the views the noise removes at this strength."""
    kept = int((of.levels > 0).sum())
    threshold = pull_of_next(of)
    surviving = int((of.others < threshold).sum())
    shares = of.shares[of.levels > 0]
    clean = np.maximum(1 - shares, 1e-12)
    # f times the variance of the noise has the share f c / (a + f c), which reaches the threshold.
    known = threshold < 1
    factors = np.full(len(shares), np.inf)
    if known:
        factors = threshold / (1 - threshold) * clean / np.maximum(shares, 1e-12)
    return LostDimensions(
        carried=len(of.others),
        surviving=surviving,
        undecided=0,
        lost=len(of.others) - surviving,
        rank=kept,
        factor=float(np.min(factors, initial=np.inf)),
        reduced=views.inputs if views.inputs > WIDEST else 0,
        trust="exact",
        factors=np.sort(factors)[::-1],
    )
