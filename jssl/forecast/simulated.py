"""Trained networks beside their forecast: full-batch gradient descent on the same pairs.

The runs are those of `jssl.simulate`. Their cost is measured on a few steps first, and a
simulation that would take too long is refused.
"""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl import losses
from jssl.data.pairs import fixed
from jssl.eigenvalues import EigenvaluesOf
from jssl.errors import InputError
from jssl.forecast.finite import Progress, Reduction, final_levels
from jssl.forecast.networks import Networks
from jssl.forecast.reduced import Loss
from jssl.forecast.rules import Rule
from jssl.forecast.steps import Ends
from jssl.formulas.steps import crossing_times
from jssl.models import centred
from jssl.optim import gradient_descent
from jssl.simulation import simulate
from jssl.theory.landscape.pairing import Pairing
from jssl.types import Array, Model, Pairs, Params, Problem

LIMIT = 1800.0
"""Longest simulation in seconds, as estimated from its first steps."""

_RECORDS = 400
_FEW = 20


def training_loss(rule: Rule, own: Loss | None = None) -> Loss:
    """Return the loss that a forecast is for, as a function of two embeddings.

    Example:
        >>> from jssl.forecast.rules import RULES
        >>> z = jnp.array([[1.0], [-1.0]])
        >>> float(training_loss(RULES["barlow_twins"])(z, z))
        0.0

    It is the loss that the rule stands for, where that differs from the named one.

    Args:
        rule: of the loss.
        own: loss of the user, which is returned.
    """
    if own is not None:
        return own
    if rule.own_spread:
        loss = losses.get("barlow_twins_linearized", redundancy=rule.off_diagonal)
    elif rule.tempered:
        score = "dot" if rule.views_apart else "euclidean"
        return losses.get("info_nce", temperature=1 / rule.signal, score=score)
    else:
        loss = losses.get("vicreg_squared" if rule.centred else "spectral_contrastive")
    if not rule.centred:
        return loss

    def of_centred(za: Array, zb: Array) -> Array:
        return loss(za - za.mean(0), zb - zb.mean(0))

    return of_centred


def train(
    networks: Networks,
    reduction: Reduction,
    ends: Ends,
    *,
    scale: float,
    rate: float,
    steps: int,
    weight_decay: float = 0.0,
    limit: float = LIMIT,
    progress: Progress | None = None,
) -> np.ndarray:
    """Return the steps (networks, dim) at which trained networks have half-learned each dimension.

    Args:
        networks: the networks at the start.
        reduction: their pairs and their loss.
        ends: final states, which give the levels.
        scale: factor of the initial embeddings.
        rate: learning rate.
        steps: number of steps.
        weight_decay: must be 0.
        limit: longest time in seconds.
        progress: called with a description and the share that is done.

    Raises:
        InputError: for weight decay, and where the estimated time is above the limit.
    """
    if weight_decay:
        message = "simulate does not cover weight_decay; drop one of them"
        raise InputError(message)
    views = jnp.asarray(reduction.views)
    n = len(views) // 2
    pairs = Pairs(views[:n], views[n:])
    loss = training_loss(reduction.rule, reduction.loss)
    records = np.unique(np.geomspace(1, steps, _RECORDS).astype(int))
    levels = final_levels(reduction.modes.values, ends)
    signal = reduction.pairings.signal
    model = centred(Model(lambda _: networks.params[0], networks.apply), scale)
    problem = Problem(fixed(pairs), model, loss, gradient_descent(rate))
    simulation = simulate(problem, _observe(problem, reduction.rule, signal))
    advance = jax.jit(simulation.advance)
    first = simulation.init(jax.random.key(0))
    advance(first, 0)  # compiles
    _require_time(advance, first, steps * len(networks.params), limit)
    found = []
    for index, params in enumerate(networks.params):
        state = first._replace(params={"params": params, "start": params})
        seen, done = [], 0
        for record in records:
            state, values = advance(state, int(record) - done)
            seen.append(np.asarray(values["eigenvalues"], np.float64))
            done = int(record)
            if progress is not None:
                share = (index + done / steps) / len(networks.params)
                progress(f"training network {index + 1} of {len(networks.params)}", share)
        values_ = np.array(seen)
        dim = values_.shape[1]
        half = np.full(dim, np.inf)
        kept = levels[:dim]
        at = crossing_times(records.astype(float), values_[:, : len(kept)], kept, np)
        half[: len(kept)] = np.where(np.isnan(at), np.inf, at)
        found.append(half)
    return np.array(found)


def _observe(problem: Problem, rule: Rule, signal: Pairing) -> Callable[..., dict[str, Any]]:
    def observe(params: Params, pairs: Pairs) -> dict[str, Any]:
        za, zb = (problem.model.apply(params, x) for x in (pairs.first, pairs.second))
        if rule.centred:
            za, zb = za - za.mean(0), zb - zb.mean(0)
        cross = za.T @ zb
        total = signal.cross * (cross + cross.T) / 2
        total = total + signal.first * za.T @ za + signal.second * zb.T @ zb
        return {"eigenvalues": EigenvaluesOf(total / len(za))}

    return observe


def _require_time(advance: Callable[..., Any], state: Any, steps: int, limit: float) -> None:
    started = time.perf_counter()
    jax.block_until_ready(advance(state, _FEW))
    seconds = (time.perf_counter() - started) / _FEW * steps
    if seconds > limit:
        message = (
            f"training {steps:,} steps would take about {_duration(seconds)}, above the limit of "
            f"{_duration(limit)}; take fewer pairs, a smaller width or dim, or a smaller simulate"
        )
        raise InputError(message)


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds > 5400 else f"{seconds / 60:.0f} minutes"
