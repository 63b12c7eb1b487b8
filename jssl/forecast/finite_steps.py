"""The steps of a forecast: of the limit, of random networks, of an own encoder, of a checkpoint."""

from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import jax.numpy as jnp
import numpy as np

from jssl.forecast.finite import Progress, Reduction, finite_forecast
from jssl.forecast.fresh_views import FreshViews
from jssl.forecast.given_encoder import GivenEncoder
from jssl.forecast.intervals import (
    Intervals,
    finite_intervals,
    followed_intervals,
    given_intervals,
)
from jssl.forecast.limit import Limit
from jssl.forecast.networks import Networks, random_networks
from jssl.forecast.own_encoder import NEGLIGIBLE
from jssl.types import Array

if TYPE_CHECKING:
    from jssl.forecast.own_flow import Followed

_MARGIN = 3.0  # integrated time over the last time of the limit
_SMALL = 1e-3  # start from which the time of a checkpoint's forecast is estimated


class Found(NamedTuple):
    """The steps of a forecast.

    Attributes:
        intervals: (dim,) each.
        networks: (nets, dim) steps of each network with the kernel of its start; (0, dim) in the
            limit.
        simulated: (runs, dim) steps of trained networks.
    """

    intervals: Intervals
    networks: np.ndarray
    simulated: np.ndarray


def followed_flow(
    limit: Limit, encoder: GivenEncoder, views: Array, progress: Progress | None
) -> Optional["Followed"]:
    """Return the gradient flow of the user's own network on fixed pairs, views (2n, ...).

    None for an encoder that is linear in its parameters, for which F-5 is exact.
    """
    if _is_linear(limit):
        return None
    from jssl.forecast.own_flow import follow_network  # imports the losses

    networks = _networks(encoder, views, len(limit.intervals.steps), 0)
    assert networks is not None
    reduction = _reduction(limit, encoder, views, None)
    last = _last_time(limit, encoder.step)
    return follow_network(networks, reduction, limit.ends, last, limit.start.scale, progress)


def finite_steps(
    limit: Limit,
    encoder: GivenEncoder,
    views: Array,
    followed: Optional["Followed"],
    *,
    fresh: FreshViews | None,
    weight_decay: float,
    seed: int,
    progress: Progress | None,
) -> Found:
    """Return the steps and their intervals; those of the limit where outputs do not interact.

    Args:
        limit: the answer in the limit.
        encoder: as it was given.
        views: (2n, ...).
        followed: the gradient flow of the user's own network, where it was followed.
        fresh: where the views are drawn anew in every step.
        weight_decay: factor of the squared norm of the parameters.
        seed: of the subset of pairs and of fresh views.
        progress: called with a description and the share that is done.

    Raises:
        InputError: as `random_networks` and `jssl.forecast.simulated.train`.
    """
    dim = len(limit.intervals.steps)
    none = np.empty((0, dim))
    networks = _networks(encoder, views, dim, seed)
    if networks is None:
        return Found(limit.intervals, none, none)
    reduction = _reduction(limit, encoder, views, fresh)
    given: dict[str, Any] = {"seed": seed, "weight_decay": weight_decay, "progress": progress}
    found, scale, rate = none, limit.start.scale, limit.rate
    intervals = given_intervals(limit.intervals) if encoder.own else limit.intervals
    if _interact(limit, encoder):
        last = _last_time(limit, encoder.step)
        finite = finite_forecast(networks, reduction, limit.ends, last, scale, rate, **given)
        found = finite.steps + encoder.step
        coupling = 0.0 if _is_linear(limit) else finite.coupling
        of_start = finite._replace(steps=found, coupling=coupling)
        intervals = finite_intervals(of_start, limit.intervals)
        before = np.all(finite.steps <= 0, axis=0)
        if followed is not None:
            steps = followed.steps(rate)
            own = followed_intervals(
                steps,
                followed.rises / rate,
                intervals,
                encoder.step,
                followed.reached / rate,
                limit.rule.off_diagonal if limit.rule.own_spread else 1.0,
            )
            intervals, before = own, np.where(np.isnan(steps), before, steps <= 0)
        if encoder.step:
            intervals = _with_learned(intervals, before, encoder.step)
    runs = none
    if encoder.simulate:
        from jssl.forecast.simulated import train  # imports Optax

        end = int(np.ceil(1.2 * intervals.high[np.isfinite(intervals.high)].max(initial=1)))
        asked: dict[str, Any] = {"count": encoder.simulate, "steps": max(end - encoder.step, 1)}
        asked |= {"scale": scale, "rate": rate}
        runs = encoder.step + train(networks, reduction, limit.ends, **asked, **given)
    return Found(intervals, found, runs)


def _interact(limit: Limit, encoder: GivenEncoder) -> bool:
    """Return whether F-5 says more than the limit: outputs that affect each other, or a checkpoint.

    The limit describes neither; nor, alone, a network of the user whose kernel changes.
    """
    own = limit.kernels.own
    if own is None or own.deviation.whole > NEGLIGIBLE or encoder.step > 0:
        return True
    return encoder.gram is None and not own.linear


def _is_linear(limit: Limit) -> bool:
    """Return whether the user's encoder is linear in its parameters."""
    return limit.kernels.own is not None and limit.kernels.own.linear


def _reduction(
    limit: Limit, encoder: GivenEncoder, views: Array, fresh: FreshViews | None
) -> Reduction:
    taken = views.astype(jnp.float32) if encoder.width is not None else views
    known = (limit.kernels.gram, limit.modes, limit.rule, limit.pairings, limit.loss)
    return Reduction(*known, np.asarray(taken), fresh)


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
