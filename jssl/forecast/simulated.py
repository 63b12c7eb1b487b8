"""Trained networks beside their forecast: full-batch gradient descent on the same pairs.

The runs are those of a sweep over seeds, whose plan predicts or measures their cost first; a
simulation that would take too long is refused. Fresh views are drawn anew in every step, and C is
then that of the pooled views of the forecast.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from jssl.data import pairs as samplers
from jssl.eigenvalues import EigenvaluesOf
from jssl.errors import InputError
from jssl.forecast.exact_loss import learned_moment, training_loss
from jssl.forecast.finite import Progress, Reduction, final_levels
from jssl.forecast.networks import Networks
from jssl.forecast.steps import Ends
from jssl.formulas.steps import crossing_times
from jssl.models import centred
from jssl.optim import gradient_descent
from jssl.progress import Progress as SweepProgress
from jssl.progress import duration
from jssl.sweeps.grid import make_grid
from jssl.sweeps.opening import open_study
from jssl.sweeps.plan import predicted_seconds
from jssl.sweeps.run import run_chunks
from jssl.sweeps.study import make_study
from jssl.sweeps.workload import Workload, make_workload
from jssl.types import Model, Pairs, Params, Problem

LIMIT = 1800.0
"""Longest simulation in seconds, as estimated by the plan of the sweep."""

_RECORDS = 400
_CHUNK_SECONDS = 10.0  # between two reports of progress


def train(
    networks: Networks,
    reduction: Reduction,
    ends: Ends,
    *,
    count: int,
    scale: float,
    rate: float,
    steps: int,
    seed: int = 0,
    weight_decay: float = 0.0,
    limit: float = LIMIT,
    progress: Progress | None = None,
) -> np.ndarray:
    """Return the steps (count, dim) at which trained networks have half-learned each dimension.

    Args:
        networks: the networks at the start; the first `count` are trained.
        reduction: their pairs and their loss.
        ends: final states, which give the levels.
        count: number of networks.
        scale: factor of the initial embeddings.
        rate: learning rate.
        steps: number of steps.
        seed: of the networks' starts, and of fresh views.
        weight_decay: must be 0.
        limit: longest time in seconds.
        progress: called with a description and the share that is done.

    Raises:
        InputError: for weight decay, and where the estimated time is above the limit.
    """
    if weight_decay:
        message = "simulate does not cover weight_decay; drop one of them"
        raise InputError(message)
    problem = problem_of(networks, reduction, scale, rate)
    records, workload = workload_of(problem, reduction, count, steps, seed)
    plan, result = open_study(workload).create()
    seconds = sum(predicted_seconds(plan))
    if seconds > limit:
        raise too_long(steps, seconds, limit)

    def show(done: SweepProgress) -> None:
        if progress is not None:
            progress("training networks", done.done / done.total)

    run_chunks(plan, result, progress=show)
    seen = result.dataset().eigenvalues.transpose("seed", "step", "mode").values
    levels = final_levels(reduction.modes.values, ends)
    return np.array([_half_steps(records, values, levels) for values in np.asarray(seen, float)])


def workload_of(
    problem: Problem, reduction: Reduction, count: int, steps: int, seed: int
) -> tuple[np.ndarray, Workload]:
    """Return the recorded steps, and the training of `count` networks as a workload of a sweep."""
    records = np.unique(np.geomspace(1, steps, _RECORDS).astype(int))
    study = make_study(
        lambda: problem,
        {"seed": count},
        records,
        observe=lambda _: _observe(problem, reduction),
        seed=seed,
        chunk_seconds=_CHUNK_SECONDS,
    )
    return records, make_workload(make_grid(study))


def too_long(steps: int, seconds: float, limit: float, bound: str = "about") -> InputError:
    """Return the error for a training that would take too long."""
    return InputError(
        f"training {steps:,} steps would take {bound} {duration(seconds)}, above the limit of "
        f"{duration(limit)}; take fewer pairs, a smaller width or dim, or a smaller simulate"
    )


def problem_of(networks: Networks, reduction: Reduction, scale: float, rate: float) -> Problem:
    """Return the training of the networks, whose starts are those of the forecast."""
    views = jnp.asarray(reduction.views)
    if reduction.fresh is None:
        n = len(views) // 2
        sampler = samplers.fixed(Pairs(views[:n], views[n:]))
    else:
        samples = jnp.asarray(reduction.fresh.samples, views.dtype)
        sampler = samplers.fresh(samples, reduction.fresh.view)
    init = networks.init or (lambda _: networks.params[0])
    model = centred(Model(init, networks.apply), scale)
    loss = training_loss(reduction.rule, reduction.loss)
    return Problem(sampler, model, loss, gradient_descent(rate))


def _half_steps(records: np.ndarray, values: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return the steps (dim,) at which eigenvalues (records, dim) cross the levels."""
    dim = values.shape[1]
    half = np.full(dim, np.inf)
    kept = levels[:dim]
    at = crossing_times(records.astype(float), values[:, : len(kept)], kept, np)
    half[: len(kept)] = np.where(np.isnan(at), np.inf, at)
    return half


def _observe(problem: Problem, reduction: Reduction) -> Callable[..., dict[str, Any]]:
    """Return the observable C of the forecast's pairs."""
    views = jnp.asarray(reduction.views)
    n = len(views) // 2

    def observe(params: Params, pairs: Pairs) -> dict[str, Any]:
        del pairs
        za, zb = (problem.model.apply(params, x) for x in (views[:n], views[n:]))
        return {"eigenvalues": EigenvaluesOf(learned_moment(za, zb, reduction))}

    return observe
