"""Steps, ends and intervals of JEPA from integrated paths, where modes are not independent."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jssl.data.moments import Moments
from jssl.errors import InputError
from jssl.forecast.moment_flow import (
    MomentPath,
    can_follow,
    first_steps,
    follow_until,
    is_explicit,
    random_first_layers,
    start_of,
)

STARTS = 40
"""Random starts where there are fewer outputs than inputs; quantiles 5 % and 95 % need 19."""
FEWEST = 20
WORK = 100_000
"""Evaluations, or explicit steps, after which only the fewest starts are integrated."""
EXPLICIT = 2e6
"""Largest latest step to which many weights are integrated, by explicit steps."""
LONGEST = 1e9
"""Largest latest step, in units of the fastest return, that is integrated."""
ERROR = 0.005
"""Relative error of the steps: terms of second order in the learning rate."""
_TRIED = 2
_POINTS = 600


class Followed(NamedTuple):
    """What integrated paths say, (dim,) each; a dimension is an eigenvalue of C, descending.

    Attributes:
        steps: at which it first reaches half of `final`, infinite if it is not learned; the median
            over random starts.
        quantiles: (2, dim) 5 % and 95 % over random starts.
        spread: standard deviation over random starts, NaN where one does not reach it.
        final: eigenvalue of C at the end, or its mean over the last half of the path where some
            eigenvalue does not settle; 0 if it is not learned.
        rises: steps from 10 % to 90 %.
        predictor: real parts of the predictor's eigenvalues at the end, descending.
        last: step at which the path ends.
        settled: whether nothing changes there any more.
        curves: `steps` (points,) and `eigenvalues` (points, dim), the median over starts.
    """

    steps: np.ndarray
    quantiles: np.ndarray
    spread: np.ndarray
    final: np.ndarray
    rises: np.ndarray
    predictor: np.ndarray
    last: float
    settled: bool
    curves: dict[str, np.ndarray]


def followed(
    moments: Moments,
    dim: int,
    inputs: int,
    scale: float,
    depth: int,
    learning_rate: float,
    latest: float,
    draws: np.random.Generator,
    progress: Callable[[str, float], None] | None = None,
) -> Followed | None:
    """Return what paths from typical starts say; None if the work would exceed its bounds.

    Args:
        moments: of context and target in principal axes, float64.
        dim: number of outputs.
        inputs: number of input dimensions, at least those of the moments.
        scale: w_0.
        depth: number of layers.
        learning_rate: of descent.
        latest: step by which independent modes would all be learned.
        draws: of random starts.
        progress: called with a description and the share that is done.
    """
    kept = len(moments.context)
    fastest = float(np.trace(moments.context)) * learning_rate
    if (
        not can_follow(min(dim, kept) if dim == inputs else dim, kept, depth)
        or not latest * fastest <= LONGEST
        or (is_explicit(dim, kept, depth) and not latest <= EXPLICIT)
    ):
        return None
    if dim == inputs:  # an orthogonal matrix in front of everything changes nothing
        layers = scale * np.eye(kept)[None]
    else:
        layers = random_first_layers(scale, dim, inputs, kept, STARTS, draws)
    weights = [start_of(first, scale, depth) for first in layers]
    if progress is not None:
        progress("training from one start, until it settles", 0.0)
    try:
        base = _typical(moments, weights, learning_rate, latest)
    except InputError:
        return None
    if base.steps[-1] < latest and not base.learned.all():
        return None  # too short to tell what is learned
    aim = np.where(base.learned, base.end, np.inf)
    paths = [base]
    if len(weights) > 1:
        paths = _paths(moments, weights, learning_rate, latest, aim, progress)
    return _result(paths, base, aim) if len(paths) == 1 or len(paths) >= FEWEST else None


def _typical(
    moments: Moments, weights: list[list[np.ndarray]], learning_rate: float, latest: float
) -> MomentPath:
    """Return a path that has settled, if one of the first starts gives one."""

    def done(path: MomentPath) -> bool:
        return bool(path.steps[-1] > latest and path.settled)

    first = None
    for start in weights[:_TRIED]:
        path = follow_until(done, moments, start, learning_rate, latest)
        if done(path):
            return path
        first = first or path
    assert first is not None
    return first


def _paths(
    moments: Moments,
    weights: list[list[np.ndarray]],
    learning_rate: float,
    latest: float,
    aim: np.ndarray,
    progress: Callable[[str, float], None] | None,
) -> list[MomentPath]:
    """Return the paths until eigenvalues have reached half of `aim`, from as many starts as fit.

    A start whose integration is given up is left out.
    """
    levels = np.where(np.isfinite(aim), aim / 2, -np.inf)
    paths: list[MomentPath] = []
    work = 0
    for index, start in enumerate(weights):
        if progress is not None:
            progress(f"random start {index + 1} of {len(weights)}", index / len(weights))
        try:
            path = follow_until(
                lambda x: bool(np.isfinite(first_steps(x, levels)).all()),
                moments,
                start,
                learning_rate,
                latest,
            )
        except InputError:
            continue
        paths.append(path)
        work += path.work
        if work > WORK and len(paths) >= FEWEST:
            break
    return paths


def _result(paths: list[MomentPath], base: MomentPath, aim: np.ndarray) -> Followed:
    low, half, high = (
        np.array([first_steps(path, share * aim) for path in paths]) for share in (0.1, 0.5, 0.9)
    )
    finite = np.isfinite(half).all(0)
    safe = np.where(finite, half, 0)
    rule: Any = (
        "linear" if len(paths) == 1 else "weibull"
    )  # of which 90 % of other starts lie inside
    quantiles = np.quantile(safe, (0.05, 0.95), axis=0, method=rule)
    quantiles[0, ~finite] = np.quantile(half[:, ~finite], 0.05, axis=0, method="lower")
    quantiles[1, ~finite] = np.quantile(half[:, ~finite], 0.95, axis=0, method="higher")
    steps = np.quantile(half, 0.5, axis=0, method="higher")
    steps[finite] = np.median(half[:, finite], axis=0)
    with np.errstate(invalid="ignore"):
        rises = high - low
    rises = np.where(np.isfinite(rises), rises, np.inf)
    rises = np.quantile(rises, 0.5, axis=0, method="lower")
    return Followed(
        steps,
        quantiles,
        np.where(finite, safe.std(0), np.nan),
        np.where(np.isfinite(aim) & np.isfinite(steps), aim, 0),
        np.where(np.isfinite(rises), rises, np.nan),
        np.sort(np.linalg.eigvals(base.weights[-1]).real)[::-1],
        float(base.steps[-1]),
        base.settled,
        _curves(paths, base, steps),
    )


def _curves(paths: list[MomentPath], base: MomentPath, steps: np.ndarray) -> dict[str, np.ndarray]:
    """Return the median over the starts whose paths are long enough; `base` is the longest."""
    end = float(base.steps[-1])
    begun = max(0.2 * float(np.min(steps, where=np.isfinite(steps) & (steps > 0), initial=end)), 1)
    points = np.append(0.0, np.geomspace(min(begun, end / 2), end, _POINTS))
    each = [
        [np.interp(points, x.steps, own, right=np.nan) for own in x.values.T]
        for x in (base, *paths)
    ]
    return {"steps": points, "eigenvalues": np.nanmedian(each, axis=0).T}
