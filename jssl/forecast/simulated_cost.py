"""The cost of a simulation before any network is followed, so that a refusal takes seconds.

It is that of the trace of one step, times the steps of the limit, which are known first. Networks
of finite width learn their last dimensions earlier than the limit, and machines differ; so a
simulation is refused here only where a `_MARGIN`-th of that cost is too much, for each two cores.
`simulated.train` then measures a step and refuses by the steps of the networks themselves.
"""

import os
from functools import partial

import jax.numpy as jnp
import numpy as np

from jssl.forecast import simulated
from jssl.forecast.finite import Reduction
from jssl.forecast.fresh_views import FreshViews
from jssl.forecast.given_encoder import GivenEncoder
from jssl.forecast.limit import Limit
from jssl.forecast.networks import Networks, network
from jssl.sweeps.costs import cost_of_trace
from jssl.sweeps.plan import choose_plan, predicted_seconds
from jssl.types import Array

_MARGIN = 20.0
"""Found: 8, of 1,000 digits and width 256 on two cores, for which the rates of the trace hold."""


def require_affordable(
    limit: Limit, encoder: GivenEncoder, views: Array, fresh: FreshViews | None
) -> None:
    """Raise for a simulation that would certainly take longer than `simulated.LIMIT` seconds.

    Args:
        limit: the answer in the limit.
        encoder: with the number of networks that are to be trained.
        views: (2n, ...).
        fresh: where the views are drawn anew in every step.

    Raises:
        InputError: with the least time that it would take.
    """
    dim = len(limit.intervals.steps)
    steps = int(np.ceil(limit.intervals.steps[np.isfinite(limit.intervals.steps)].max(initial=1)))
    if encoder.width is not None:
        model = network(encoder.kernel, encoder.width, views.shape[1:], dim)
        networks = Networks(model.apply, (), encoder.width, model.init)
        views = views.astype(jnp.float32)
    else:
        networks = Networks(encoder.apply, (encoder.params,), 0)
    known = (limit.kernels.gram, limit.modes, limit.rule, limit.pairings, limit.loss)
    reduction = Reduction(*known, np.asarray(views), fresh)
    problem = simulated.problem_of(networks, reduction, limit.start.scale, limit.rate)
    _, workload = simulated.workload_of(problem, reduction, encoder.simulate, steps, 0)
    plan = choose_plan(workload, partial(cost_of_trace, workload))
    least = predicted_seconds(plan)[1] / (_MARGIN * max((os.cpu_count() or 2) / 2, 1))
    if least > simulated.LIMIT:
        raise simulated.too_long(steps, least, simulated.LIMIT, "more than")
