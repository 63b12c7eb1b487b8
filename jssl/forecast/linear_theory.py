"""Forecasts of JEPA and LeJEPA, whose theories cover linear encoders, from the moments of pairs.

`lejepa` is `jssl.forecast.linear_lejepa`, `jepa` with a linear predictor `linear_jepa`. The
result has the fields of every forecast; what these losses know of a mode besides is in `columns`.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from jssl.errors import InputError, shown
from jssl.forecast import linear_summary
from jssl.forecast.linear_found import Found, LinearQuestion
from jssl.forecast.linear_jepa import jepa_of_layers
from jssl.forecast.linear_lejepa import lejepa
from jssl.forecast.linear_views import LinearModes, LinearViews, principal_views
from jssl.forecast.values import Values, without_steps
from jssl.precision import float64

Z = 3.9
"""Standard errors of a two-sided test at 1e-4."""
DEEPEST = 64


def linear_forecast(
    pairs: tuple[np.ndarray, np.ndarray], asked: LinearQuestion, refused: Mapping[str, Any]
) -> Values:
    """Return the forecast.

    Args:
        pairs: (n, ...) first and second views, float64.
        asked: the question.
        refused: arguments that these losses do not take; none may be given.

    Raises:
        InputError: for an encoder that is not linear, an argument that the loss does not take,
            views that are zero, or more dimensions than the views have.
    """
    _refuse(asked, refused)
    depth = _depth(asked)
    draws = np.random.default_rng(asked.seed)
    with float64():
        isotropic = asked.name == "lejepa"
        views = principal_views(*pairs, draws, centred=isotropic)
        n, r = views.first.shape
        if not r:
            message = "all views are zero: the pairs must contain different samples"
            raise InputError(message)
        most = r if isotropic else views.inputs
        if asked.dim > most:
            what = "directions" if isotropic else "input dimensions"
            message = f"dim of {asked.name} must be at most the {most} {what}; got {asked.dim}"
            raise InputError(message)
        count = min(asked.dim + max(asked.dim // 2, 8), r)
        if n < 8:
            message = f"the forecast needs 8 pairs or more, since half are held out; got {n}"
            raise InputError(message)
        given = (asked, views, count, draws)
        modes, found = lejepa(*given) if isotropic else jepa_of_layers(*given, depth)
    found.settings.update({"largest dim": most, "directions left out": views.left_out})
    return _values(asked, pairs[0], views, modes, found)


def _refuse(asked: LinearQuestion, refused: Mapping[str, Any]) -> None:
    for name, value in refused.items():
        off = value is None or value is False or (isinstance(value, int | float) and value == 0)
        if not off:
            message = (
                f"forecasts of {asked.name} are for a linear encoder from a small random start "
                f"without weight decay; leave {name} out"
            )
            raise InputError(message)
    if asked.name == "jepa" and (asked.trade_off is not None or asked.batch is not None):
        message = "trade_off and batch belong to the loss lejepa; leave them out"
        raise InputError(message)


def _depth(asked: LinearQuestion) -> int:
    """Return the number of linear layers that the kernel names."""
    kernel = "linear" if asked.kernel is None else asked.kernel
    deep = re.fullmatch(r"linear(?:-(\d{1,3}))?", kernel) if isinstance(kernel, str) else None
    depth = int(deep[1] or 1) if deep else 0
    most = DEEPEST if asked.name == "jepa" else 1
    if not 1 <= depth <= most:
        names = f"linear, or linear-<layers> with 1 to {most} layers" if most > 1 else "linear"
        message = (
            f"the theory of {asked.name} covers linear encoders only: pass kernel={names} "
            f"(--kernel linear); got {shown(kernel)}. To see a network, train it: jssl.run"
        )
        raise InputError(message)
    return depth


def _values(
    asked: LinearQuestion,
    first: np.ndarray,
    views: LinearViews,
    modes: LinearModes,
    found: Found,
) -> Values:
    dim, n = asked.dim, len(views.first)
    shown_modes = modes.values > 1e-5 * modes.values[0]
    kept = int(np.cumprod(shown_modes).sum())
    values, held, errors = (x[:kept] for x in (modes.values, modes.held_out, modes.errors))
    steps = found.steps
    finite = np.isfinite(steps)
    spread = np.nan_to_num(found.spread)
    blur = np.nan_to_num(found.blur)
    off = np.full(dim, np.nan)
    own = min(dim, kept)
    off[:own] = np.hypot(errors[:own], values[:own] - held[:own]) / values[:own]
    at = np.where(finite, steps, 0)
    apart = modes.held_out - Z * modes.errors > 0
    distinguishable = int(np.cumprod(apart[:kept]).sum())
    low, high = at - 1.645 * np.hypot(spread, blur), at + 1.645 * np.hypot(spread, blur)
    if found.quantiles is not None:
        low, high = found.quantiles[0] - blur, found.quantiles[1] + blur
    low = np.minimum(np.maximum(low, 0), at)
    low = np.minimum(low, np.where(found.earliest > 0, found.earliest, np.inf))
    result = Values(
        eigenvalues=values,
        held_out=held,
        errors=errors,
        times=np.where(finite, at * found.rate, np.inf),
        steps=steps,
        low=np.where(finite, low, np.inf),
        high=np.where(finite, np.maximum(high, at), np.inf),
        start_errors=np.where(finite, found.spread, np.nan),
        width_errors=np.where(finite, 0.0, np.nan),
        new_data_errors=np.where(finite, at * off, np.nan),
        limit_steps=steps,
        networks=np.empty((0, dim)),
        simulated=np.empty((0, dim)),
        rises=np.where(finite, found.rises, np.nan),
        final=np.where(finite, found.final, 0),
        learning_rate=found.rate,
        stable_rate=found.stable,
        scale=found.scale,
        relative_start=found.relative,
        distinguishable=distinguishable,
        all_distinguishable=bool(apart.all()) and views.first.shape[1] > len(modes.values),
        leakage=0.0,
        lost=found.lost,
        summary=(),
        caveats=(),
        settings={
            "loss": asked.name,
            "kernel": "linear" if asked.kernel is None else asked.kernel,
            "width": 0,
            "dim": dim,
            "pairs": n,
            "sample": " x ".join(map(str, first.shape[1:])),
            "modes computed": kept,
            "placement": "none",
            "first views": "context" if asked.name == "jepa" else "as given, mean subtracted",
            "temperature": "none",
            "weight decay": 0.0,
            "step": 0,
            "seed": asked.seed,
            **found.settings,
        },
        columns=found.columns,
        curves=found.curves,
    )
    result = without_steps(result)
    return result._replace(
        summary=tuple(linear_summary.linear_summary(result)),
        caveats=(*linear_summary.rate_caveats(result), *found.caveats),
    )
