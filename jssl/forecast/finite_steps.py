"""The steps of a forecast: of the limit, of random networks, of an own encoder, of a checkpoint."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jssl.forecast.finite import Progress, Reduction, finite_forecast
from jssl.forecast.fresh_views import FreshViews
from jssl.forecast.given_encoder import GivenEncoder
from jssl.forecast.intervals import Intervals, finite_intervals
from jssl.forecast.limit import Limit
from jssl.forecast.networks import Networks, random_networks
from jssl.forecast.own_encoder import NEGLIGIBLE
from jssl.types import Array

_MARGIN = 3.0  # integrated time over the last time of the limit
_SMALL = 1e-3  # start from which the time of a checkpoint's forecast is estimated


class Found(NamedTuple):
    """The steps of a forecast.

    Attributes:
        intervals: (dim,) each.
        networks: (nets, dim) steps of each network; (0, dim) in the limit.
        simulated: (runs, dim) steps of trained networks.
    """

    intervals: Intervals
    networks: np.ndarray
    simulated: np.ndarray


def finite_steps(
    limit: Limit,
    encoder: GivenEncoder,
    views: Array,
    *,
    fresh: FreshViews | None,
    weight_decay: float,
    seed: int,
    progress: Progress | None,
) -> Found:
    """Return the steps and their intervals; those of the limit where outputs do not interact.

    Raises:
        InputError: as `random_networks` and `jssl.forecast.simulated.train`.
    """
    dim = len(limit.intervals.steps)
    none = np.empty((0, dim))
    networks = _networks(encoder, views, dim, seed)
    if networks is None:
        return Found(limit.intervals, none, none)
    own = limit.kernels.own
    taken = views.astype(jnp.float32) if encoder.width is not None else views
    known = (limit.kernels.gram, limit.modes, limit.rule, limit.pairings, limit.loss)
    reduction = Reduction(*known, np.asarray(taken), fresh)
    intervals, found = limit.intervals, none
    if own is None or own.deviation.whole > NEGLIGIBLE or encoder.step:
        finite = finite_forecast(
            networks,
            reduction,
            limit.ends,
            _last_time(limit, encoder.step),
            limit.start.scale,
            limit.rate,
            weight_decay=weight_decay,
            seed=seed,
            progress=progress,
        )
        found = finite.steps + encoder.step
        intervals = finite_intervals(finite._replace(steps=found), limit.intervals)
        if encoder.step:
            before = np.all(finite.steps <= 0, axis=0)
            intervals = _with_learned(intervals, before, encoder.step)
    runs = none
    if encoder.simulate:
        from jssl.forecast.simulated import train  # imports Optax

        last = int(np.ceil(1.2 * intervals.high[np.isfinite(intervals.high)].max(initial=1)))
        runs = encoder.step + train(
            networks,
            reduction,
            limit.ends,
            count=encoder.simulate,
            scale=limit.start.scale,
            rate=limit.rate,
            steps=max(last - encoder.step, 1),
            seed=seed,
            weight_decay=weight_decay,
            progress=progress,
        )
    return Found(intervals, found, runs)


def _with_learned(intervals: Intervals, learned: np.ndarray, step: int) -> Intervals:
    """Return intervals in which dimensions that a checkpoint has learned were so before its step.

    Args:
        intervals: (dim,) each.
        learned: (dim,) whether more than half is there at the checkpoint.
        step: of the checkpoint.
    """
    before = {"steps": step, "low": 0.0, "high": step, "rises": np.nan, "new_data_errors": np.nan}
    unknown = {"start_errors": np.nan, "width_errors": np.nan}
    values = {n: np.where(learned, x, getattr(intervals, n)) for n, x in (before | unknown).items()}
    return Intervals(**values)


def _networks(encoder: GivenEncoder, views: Array, dim: int, seed: int) -> Networks | None:
    if encoder.width is not None:
        shape = views.shape[1:]
        return random_networks(encoder.kernel, encoder.width, encoder.nets, shape, dim, seed)
    if encoder.apply is not None:
        return Networks(encoder.apply, (encoder.params,), 0)
    if encoder.torch is not None:
        return Networks(encoder.torch, (None,), 0)
    if encoder.gram is None:
        return None
    random = encoder.gram.start is None
    draws = tuple(seed + i for i in range(encoder.nets)) if random else (None,)
    return Networks(encoder.gram, draws, 0)


def _last_time(limit: Limit, step: int) -> float:
    """Return the time until which networks are followed: beyond the last dimension of the limit."""
    steps = limit.intervals.steps
    last = _MARGIN * limit.rate * float(steps[np.isfinite(steps)].max(initial=0))
    if step or not last:
        net = limit.ends.net[: len(steps)]
        slowest = float(net[net > 0].min(initial=np.inf))
        if np.isfinite(slowest):
            last = max(last, _MARGIN * 2 * np.log(1 / _SMALL) / (4 * slowest))
    return last or 1.0
