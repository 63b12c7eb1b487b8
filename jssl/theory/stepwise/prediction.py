"""The prediction for a `Problem`.

`predict(problem, times, key)` reads the problem (a plain linear encoder, linearised Barlow Twins, a
fixed set of pairs) and returns the closed form as a Trajectory; `trajectory` is the pure function
inside. `read` returns what the prediction depends on, and `assess` its errors.

Simon et al. 2023, arXiv 2303.15438, proposition 4.1 and result 4.6.
"""

import warnings
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.data.checks import require_range
from jssl.data.pairs import cross_moment
from jssl.errors import InputError
from jssl.theory.problem import fixed_pairs, linear_weight
from jssl.theory.stepwise.close import effective_modes
from jssl.theory.stepwise.generic import (
    ErrorEstimate,
    IdentifiabilityWarning,
    align,
    error_estimate,
    explain,
)
from jssl.theory.stepwise.linear import Modes, mode_eigenvalues, modes
from jssl.types import Array, Problem, Trajectory, start_key

_TOLERANCE = 0.05


class Setting(NamedTuple):
    """The parts of a problem that the theory depends on.

    Attributes:
        cross_moment: (m, m) Gamma of the pairs.
        start_weight: (dim, m) W(0).
        learning_rate: the constant learning rate of plain gradient descent, else None.
    """

    cross_moment: Array
    start_weight: Array
    learning_rate: Any


def predict(problem: Problem, times: Array, key: Array) -> Trajectory:
    """Return the closed-form loss and spectrum of a linear problem at the given times.

    Example:
        >>> from jssl.data.pairs import fixed
        >>> from jssl.losses.linearized import barlow_twins_linearized
        >>> from jssl.models.linear import linear
        >>> from jssl.optim import gradient_descent
        >>> from jssl.types import Pairs
        >>> x = jnp.diag(jnp.array([2.0, 1.0, 0.2]))
        >>> problem = Problem(
        ...     fixed(Pairs(x, x)), linear(3, 2, scale=1e-3), barlow_twins_linearized,
        ...     gradient_descent(0.01),
        ... )
        >>> prediction = predict(problem, jnp.array([0.0, 2.5, 50.0]), jax.random.key(0))
        >>> [round(x, 2) for x in prediction.observables["loss"].tolist()]
        [2.0, 1.0, 0.0]

    The run's parameters are `model.init(start_key(key))`, as a simulation with this key draws them.
    Equal and close eigenvalues are handled, too (`effective_modes`; `assess(...).spectrum` is the
    error). The flow is that of a step -> 0: mode j of a real run is later by the factor
    `descent_delay`, 1 + 2 lr gamma_j. If there are more outputs than positive modes of
    Gamma, the other outputs stay at 0, and the final loss is their number.

    Args:
        problem: a plain linear encoder on a fixed set of pairs under linearised Barlow Twins.
        times: (points,) finite times >= 0, learning rate x step.
        key: the run's typed key.

    Returns:
        Trajectory on t = times with the observables `loss` (points,) and `eigenvalues`
        (points, dim), those of C in descending order; `step` is t / learning rate, NaN where the
        optimiser has no constant `learning_rate`.

    Raises:
        InputError: where the theory does not apply: another loss or objective, an encoder that is
            not z = W x with W its only parameters, pairs that change with the key, a start of
            exactly zero, times that are negative or not finite.

    Warns:
        IdentifiabilityWarning: where the start is too large for the gap after mode dim: the
            times of the steps hold, but the learned subspace is not that of the top modes. Also
            where the start is so large that modes that are close, but not equal, put the
            eigenvalues off by more than 0.05.

    References:
        Simon et al. 2023, arXiv 2303.15438, proposition 4.1 and result 4.6.
    """
    setting = read(problem, key)
    times = jnp.asarray(times, setting.cross_moment.dtype)
    require_range("times", times, 0, float(jnp.finfo(times.dtype).max))
    estimate = assess(setting)
    if not estimate.identifiable:
        warnings.warn(explain(estimate), IdentifiabilityWarning, stacklevel=2)
    elif estimate.spectrum > _TOLERANCE:
        message = (
            f"{explain(estimate)} Some eigenvalues are close and the start is large; use a "
            "smaller start."
        )
        warnings.warn(message, IdentifiabilityWarning, stacklevel=2)
    return trajectory(times, *setting)


def trajectory(
    times: Array, cross_moment: Array, start_weight: Array, learning_rate: Any = None
) -> Trajectory:
    """Return the closed-form loss and spectrum from a cross moment and a small start.

    Example:
        >>> gamma, start = jnp.diag(jnp.array([1.0, 0.1, -1.0])), 1e-3 * jnp.eye(2, 3)
        >>> spectrum = trajectory(jnp.array([0.0, 5.0]), gamma, start).observables["eigenvalues"]
        >>> [round(x, 3) for x in spectrum[1].tolist()]
        [1.0, 0.0]

    Pure: jit it, or vmap it over seeds (start_weight) and data sets (cross_moment). For pairs that
    are drawn anew at every step, pass `jssl.data.pairs.expected_cross_moment`.

    Args:
        times: (points,) times >= 0.
        cross_moment: (m, m) symmetric.
        start_weight: (dim, m).
        learning_rate: of plain gradient descent, to count steps; None or a schedule for none.

    Returns:
        As `predict`.
    """
    spectrum = _spectrum(times, start_weight, modes(cross_moment))
    known = learning_rate is not None and not callable(learning_rate)
    step = times / learning_rate if known else jnp.full_like(times, jnp.nan)
    observables = {"loss": jnp.square(1 - spectrum).sum(-1), "eigenvalues": spectrum}
    return Trajectory(step, times, observables)


def read(problem: Problem, key: Array) -> Setting:
    """Return the cross moment, start and learning rate of a problem.

    Example:
        >>> from jssl.data.pairs import fixed
        >>> from jssl.losses.linearized import barlow_twins_linearized
        >>> from jssl.models.linear import linear
        >>> from jssl.types import Pairs
        >>> pairs = fixed(Pairs(jnp.eye(3), jnp.eye(3)))
        >>> problem = Problem(pairs, linear(3, 2), barlow_twins_linearized, None)
        >>> read(problem, jax.random.key(0)).start_weight.shape
        (2, 3)

    Args:
        problem: as in `predict`.
        key: the run's typed key.

    Returns:
        Setting.

    Raises:
        InputError: as `predict`.
    """
    if problem.objective is not None:
        message = "the stepwise theory covers losses of two embeddings only; leave out `objective`"
        raise InputError(message)
    pairs = fixed_pairs(problem, key, instead="give trajectory() the expected_cross_moment")
    params = problem.model.init(start_key(key))
    weight = linear_weight(problem, params, pairs.first)
    _require_linearised(problem, weight)
    if not jnp.any(weight):
        message = "the start is exactly zero, which is a stationary point; use a small start"
        raise InputError(message)
    return Setting(cross_moment(pairs), weight, getattr(problem.optimiser, "learning_rate", None))


def assess(setting: Setting, *, tolerance: float = 0.1) -> ErrorEstimate:
    """Return the errors of the closed form for this start, in orders of magnitude.

    Example:
        >>> gamma = jnp.diag(jnp.array([1.0, 0.9, 0.1]))
        >>> bool(assess(Setting(gamma, 1e-6 * jnp.eye(1, 3), None)).identifiable)
        False

    Args:
        setting: from `read`.
        tolerance: leakage up to which the learned subspace counts as identified.

    Returns:
        `error_estimate` at the start_scale max_j sqrt(gamma_j) s_j(0), at most 1.
    """
    dim = min(setting.start_weight.shape)
    every = modes(setting.cross_moment)
    top = Modes(every.eigenvalues[:dim], every.eigenvectors[:dim])
    start = align(setting.start_weight, top).start_scales
    relative = (jnp.sqrt(jnp.maximum(top.eigenvalues, 0)) * start).max()
    relative = jnp.clip(relative, jnp.finfo(relative.dtype).tiny, 1)
    return error_estimate(relative, every.eigenvalues, dim, tolerance=tolerance)


@jax.jit
def _spectrum(times: Array, start_weight: Array, every: Modes) -> Array:
    projection = jnp.matmul(start_weight, every.eigenvectors.mT, precision="highest")
    eigenvalues = mode_eigenvalues(times, *effective_modes(projection, every.eigenvalues))
    missing = [(0, 0)] * times.ndim + [(0, len(start_weight) - eigenvalues.shape[-1])]
    return jnp.sort(jnp.pad(eigenvalues, missing), axis=-1)[..., ::-1]


def _require_linearised(problem: Problem, weight: Array) -> None:
    za, zb = np.random.default_rng(0).standard_normal((2, 7, len(weight)))
    c = (za.T @ zb + zb.T @ za) / 14
    expected = np.square(c - np.eye(len(weight))).sum()
    found = problem.loss(jnp.asarray(za, weight.dtype), jnp.asarray(zb, weight.dtype))
    if not np.allclose(found, expected, rtol=1e-3):
        message = "the loss must be linearised Barlow Twins, ||C - I||^2, for the stepwise theory"
        raise InputError(message)
