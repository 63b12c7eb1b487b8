"""The limit of infinite width: modes, final states, starts and steps of a question."""

from typing import Any, NamedTuple

import numpy as np

from jssl.errors import InputError
from jssl.forecast.custom_loss import Loss, custom_ends, custom_rule, custom_steps
from jssl.forecast.encoders import Kernels, kernels_of
from jssl.forecast.fresh_views import fresh_modes
from jssl.forecast.given_encoder import GivenEncoder
from jssl.forecast.intervals import Intervals, limit_intervals, padded
from jssl.forecast.modes import Modes, modes_with_errors
from jssl.forecast.rules import Rule
from jssl.forecast.starts import Start, start_of
from jssl.forecast.steps import Ends, LossPairings, Steps, ends_of, loss_pairings, steps_of
from jssl.theory.stepwise import error_estimate
from jssl.types import Array

_SHARE = 0.1  # learning rate over the largest stable one


class Question(NamedTuple):
    """What is asked, besides the encoder.

    Attributes:
        name: of the loss.
        rule: of the loss; None for a loss of the user.
        loss: `loss(za, zb)` of the user, or None.
        placement: of the augmentation.
        clean: whether the first views are clean.
        dim: number of outputs.
        weight_decay: factor of the squared norm of the parameters.
        learning_rate: given, or None.
        scale: factor of the initial embedding, or None.
        seed: of all draws.
        draws: number of views of each side of every sample; 1 for fixed pairs.
    """

    name: str
    rule: Rule | None
    loss: Loss | None
    placement: str
    clean: bool
    dim: int
    weight_decay: float
    learning_rate: float | None
    scale: float | None
    seed: int
    draws: int = 1


class Limit(NamedTuple):
    """The answer in the limit, where outputs do not affect each other.

    Attributes:
        kernels: of all views.
        modes: of the signal's pairing.
        rule: of the loss.
        pairings: of the loss.
        loss: `loss(za, zb)` of the user, or None.
        ends: final states.
        start: initial amplitudes.
        times: (dim,) t = learning rate x step.
        intervals: (dim,) steps and their intervals.
        rate: learning rate.
        stable_rate: the largest stable one.
        relative_start: initial over final amplitude of mode 1.
        estimate: what the closed form misses for this start.
        leading_steps: (dim,) steps at which the leading terms alone reach half of their end, where
            `intervals` are those of the exact loss; else None.
    """

    kernels: Kernels
    modes: Modes
    rule: Rule
    pairings: LossPairings
    loss: Loss | None
    ends: Ends
    start: Start
    times: np.ndarray
    intervals: Intervals
    rate: float
    stable_rate: float
    relative_start: float
    estimate: Any
    leading_steps: np.ndarray | None


def limit_of(
    question: Question, encoder: GivenEncoder, views: Array, kernels: Kernels | None = None
) -> Limit:
    """Return the answer in the limit for views (2n, ...), and kernels if they are known.

    Raises:
        InputError: as `kernels_of`, `custom_rule` and `modes_with_errors`.
    """
    dim, decay, n = question.dim, question.weight_decay, len(views) // 2 // question.draws
    draws = np.random.default_rng(question.seed)
    if kernels is None:
        kernels = kernels_of(encoder, views, dim, decay > 0)
    own = question.loss
    if own is None:
        assert question.rule is not None
        rule = question.rule
        pairings = loss_pairings(rule, question.placement, question.clean)
    else:
        rule, pairings = custom_rule(own, n, dim)
    gram, count = kernels.gram, mode_count(dim, n)
    if question.draws > 1:
        modes = fresh_modes(gram, count, rule.centred, draws, pairings.signal, question.draws)
    else:
        given = (gram, count, rule.centred, draws, pairings.signal, question.placement)
        modes = modes_with_errors(*given)
    if own is None:
        ends = ends_of(gram, modes.values, modes.vectors, rule, pairings, dim, decay)
    else:
        ends = custom_ends(own, gram, modes, rule, pairings, dim)
    scale = 1.0 if encoder.step else question.scale
    start = start_of(modes, ends, kernels, dim, scale, draws)
    stable = 2 / ends.curvature if ends.curvature > 0 else float("inf")
    asked = question.learning_rate
    rate = _SHARE * stable if asked is None else float(asked)
    initial = start.amplitudes
    steps: Steps
    if own is None:
        steps = steps_of(rule, modes.values, initial, ends, dim, decay, rate)
    else:
        steps = custom_steps(own, gram, modes, initial, ends, dim, rate)
    intervals = padded(limit_intervals(steps, start.spread, rule, ends, modes), dim)
    times = np.append(steps.times, np.full(dim - len(steps.times), np.inf))
    relative = float(initial[0] / ends.scales[0])
    net = np.maximum(ends.net, 0)
    estimate = error_estimate(np.clip(relative, 1e-300, 1), net, dim=dim)
    known = (kernels, modes, rule, pairings, own, ends, start, times, intervals)
    leading = None
    if ends.leading is not None:
        quartic = ends._replace(scales=ends.leading, gaussian=None)
        of_terms = steps_of(rule, modes.values, initial, quartic, dim, decay, rate).steps
        leading = np.append(of_terms, np.full(dim - len(of_terms), np.inf))
    return Limit(*known, rate, stable, relative, estimate, leading)


def mode_count(dim: int, pairs: int) -> int:
    """Return the number of modes to compute: more than `dim`, and fewer than half of the pairs.

    Example:
        >>> mode_count(16, 200)
        24

    Raises:
        InputError: for too few pairs.
    """
    count = min(dim + max(dim // 2, 8), pairs // 2 - 1)
    if dim > count:
        remedy = f"take dim <= {count}" if count > 0 else "take more pairs"
        message = (
            f"dim {dim} needs more than {2 * dim + 2} pairs, since half of them are held out; got "
            f"{pairs}: {remedy}"
        )
        raise InputError(message)
    return count
