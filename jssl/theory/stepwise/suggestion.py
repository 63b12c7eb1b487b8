"""A learning rate, a start and a number of steps with which the learning steps are visible.

    learning rate    share x `stability_threshold`     1 / (4 gamma_1), less for negative modes
    start            8192 eps / sqrt(gamma_1)          above the rounding error of the small modes
    steps            (tau_dim + rise time) / lr        until the last mode is learned

Derived here for the model of Simon et al. 2023, arXiv 2303.15438.
"""

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jssl.data.checks import require_count, require_range
from jssl.errors import InputError
from jssl.theory.stepwise.generic import error_estimate, explain
from jssl.theory.stepwise.landscape import stability_threshold
from jssl.theory.stepwise.linear import modes
from jssl.theory.stepwise.times import critical_time, rise_time
from jssl.types import Array

SMALLEST_START = 8192
"""Smallest start for a dtype, in units of its epsilon: 1e-3 in float32, 2e-12 in float64.

Rounding errors of large modes are added to small modes, so a start must be well above them."""


class Suggestion(NamedTuple):
    """Settings with which the learning steps are visible.

    Attributes:
        learning_rate: a share of the stability threshold.
        start_scale: standard deviation of the entries of W(0).
        steps: until the last of the modes is learned, its rise included.
        critical_times: (dim,) expected times of the steps, infinite for modes never learned.
        smallest_start: smallest start_scale for the dtype.
        identifiable: whether this start learns the top modes' subspace.
        message: the consequences, as a sentence.
    """

    learning_rate: float
    start_scale: float
    steps: int
    critical_times: np.ndarray
    smallest_start: float
    identifiable: bool
    message: str


def suggest(
    cross_moment: Array,
    dim: int,
    dtype: Any = jnp.float32,
    *,
    share: float = 0.1,
    start_scale: float | None = None,
) -> Suggestion:
    """Return a stable learning rate, a small start and the steps to the last mode.

    Example:
        >>> advice = suggest(jnp.diag(jnp.array([1.0, 0.5, 0.05])), dim=2)
        >>> round(advice.learning_rate, 3), advice.steps // 10, advice.identifiable
        (0.025, 19, True)

    At the share s of the threshold the first step is late by the fraction s / 2, and later ones
    by less (`descent_delay`), so the default of a tenth keeps every step within 5 % of the flow.
    A start is relative to the first mode's final scale, gamma_1^{-1/2}.

    Args:
        cross_moment: (m, m) symmetric, or all its (m,) eigenvalues, negative ones included.
        dim: embedding dimension.
        dtype: of the run; float32 or float64.
        share: of the `stability_threshold`, in (0, 1): 1 / (4 gamma_1), or 1 / (2 |gamma_m|) of the
            most negative eigenvalue where that is less.
        start_scale: standard deviation of the entries of W(0); None for the smallest for the
            dtype, but not below 1e-6 of the final scale.

    Returns:
        Suggestion.

    Raises:
        InputError: for a cross moment without a positive mode, a dtype of too low precision for a
            small start, a share outside (0, 1), or a start_scale that is not positive.
    """
    dim = require_count("dim", dim)
    require_range("share", share, np.finfo(float).eps, 1 - np.finfo(float).eps)
    values = jnp.asarray(cross_moment)
    spectrum = np.asarray(jnp.sort(values)[::-1] if values.ndim == 1 else modes(values).eigenvalues)
    if not np.isfinite(spectrum).all() or not spectrum.max(initial=0) > 0:
        message = "the cross moment has no positive eigenvalue, so no dimension can be learned"
        raise InputError(message)
    floor = SMALLEST_START * float(jnp.finfo(dtype).eps)
    if floor > 0.1:
        name = jnp.dtype(dtype).name
        message = f"the precision of {name} is too low for a small start; use float32 or float64"
        raise InputError(message)
    top = float(spectrum[0])
    smallest = floor / math.sqrt(top)
    start = max(smallest, 1e-6 / math.sqrt(top)) if start_scale is None else float(start_scale)
    require_range("start_scale", start, np.finfo(float).tiny)

    eigenvalues = jnp.asarray(spectrum)
    times = np.asarray(critical_time(jnp.full_like(eigenvalues[:dim], start), eigenvalues[:dim]))
    rate = share * float(stability_threshold(eigenvalues))
    ends = times + np.asarray(rise_time(eigenvalues[:dim]))
    last = ends[np.isfinite(ends)].max(initial=0.0)
    estimate = error_estimate(min(start * math.sqrt(top), 1.0), eigenvalues, dim)
    message = explain(estimate)
    if start < smallest:
        name = jnp.dtype(dtype).name
        message += f" Below {smallest:.1e}, rounding errors of {name} determine the steps."
    learned = int((spectrum[:dim] > 0).sum())
    if learned < dim:
        message += f" Only {learned} of {dim} dimensions can be learned."
    steps = math.ceil(last / rate)
    return Suggestion(rate, start, steps, times, smallest, bool(estimate.identifiable), message)
