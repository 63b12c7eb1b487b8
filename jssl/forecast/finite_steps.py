"""The steps of a forecast: of the limit, of random networks, of an own encoder, of a checkpoint."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jssl.errors import InputError
from jssl.forecast.encoders import Kernels
from jssl.forecast.finite import Finite, Progress, Reduction, finite_forecast
from jssl.forecast.intervals import Intervals, finite_intervals
from jssl.forecast.modes import Modes
from jssl.forecast.networks import Networks, random_networks
from jssl.forecast.own_encoder import NEGLIGIBLE
from jssl.forecast.reduced import Loss
from jssl.forecast.rules import Rule
from jssl.forecast.simulated import train
from jssl.forecast.starts import Start
from jssl.forecast.steps import Ends, LossPairings
from jssl.types import Array, Params

NETS = 8
"""Number of random networks by default."""

_MARGIN = 3.0  # integrated time over the last time of the limit
_SMALL = 1e-3  # start from which the time of a checkpoint's forecast is estimated


class Job(NamedTuple):
    """What is known of the limit.

    Attributes:
        kernels: of all views.
        modes: of the signal's pairing.
        rule: of the loss.
        pairings: of the loss.
        loss: `loss(za, zb)` of the user, or None.
        ends: final states.
        start: initial amplitudes.
        limit: steps and intervals in the limit, (dim,).
        rate: learning rate.
    """

    kernels: Kernels
    modes: Modes
    rule: Rule
    pairings: LossPairings
    loss: Loss | None
    ends: Ends
    start: Start
    limit: Intervals
    rate: float


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
    job: Job,
    views: Array,
    *,
    dim: int,
    kernel: str,
    width: int | None,
    nets: int,
    apply: Callable[[Params, Array], Array] | None,
    params: Params,
    torch: Any,
    step: int,
    simulate: int,
    weight_decay: float,
    seed: int,
    progress: Progress | None,
) -> Found:
    """Return the steps and their intervals; those of the limit where outputs do not interact.

    Raises:
        InputError: as `random_networks` and `jssl.forecast.simulated.train`.
    """
    none = np.empty((0, dim))
    networks = _networks(kernel, width, nets, apply, params, torch, views, dim, seed)
    if networks is None:
        return Found(job.limit, none, none)
    if simulate > len(networks.params):
        message = f"simulate trains the networks of the forecast: pass simulate <= nets = {nets}"
        raise InputError(message)
    own = job.kernels.own
    taken = views.astype(jnp.float32) if width is not None else views
    reduction = Reduction(
        job.kernels.gram, job.modes, job.rule, job.pairings, job.loss, np.asarray(taken)
    )
    intervals, found = job.limit, none
    if own is None or own.deviation.whole > NEGLIGIBLE or step:
        finite = finite_forecast(
            networks,
            reduction,
            job.ends,
            _last_time(job, dim, step),
            job.start.scale,
            job.rate,
            weight_decay=weight_decay,
            seed=seed,
            progress=progress,
        )
        found = finite.steps + step
        intervals = finite_intervals(Finite(found, finite.rises, finite.coupling), job.limit)
    runs = none
    if simulate:
        finite_ = intervals.high[np.isfinite(intervals.high)]
        last = int(np.ceil(1.2 * finite_.max(initial=1))) - step
        runs = step + train(
            Networks(networks.apply, networks.params[:simulate], networks.width),
            reduction,
            job.ends,
            scale=job.start.scale,
            rate=job.rate,
            steps=last,
            weight_decay=weight_decay,
            progress=progress,
        )
    return Found(intervals, found, runs)


def _networks(
    kernel: str,
    width: int | None,
    nets: int,
    apply: Callable[[Params, Array], Array] | None,
    params: Params,
    torch: Any,
    views: Array,
    dim: int,
    seed: int,
) -> Networks | None:
    if width is not None:
        return random_networks(kernel, width, nets, views.shape[1:], dim, seed)
    if apply is not None:
        return Networks(apply, (params,), 0)
    if torch is not None:
        return Networks(torch, (None,), 0)
    return None


def _last_time(job: Job, dim: int, step: int) -> float:
    """Return the time until which networks are followed: beyond the last dimension of the limit."""
    finite = job.limit.steps[np.isfinite(job.limit.steps)]
    last = _MARGIN * job.rate * float(finite.max(initial=0))
    if step or not last:
        net = job.ends.net[: min(dim, len(job.ends.net))]
        slowest = float(net[net > 0].min(initial=np.inf))
        if np.isfinite(slowest):
            last = max(last, _MARGIN * 2 * np.log(1 / _SMALL) / (4 * slowest))
    return last or 1.0
