r"""Gradient flow in the quartic landscape, t = learning rate x step (L-10).

    dW/dt = 2 W (B - decay I) - 4 own Kn W N - 2 cross (Ka W N + Kn W A)

with A = cov(anchor), N = cov(negative). If all matrices commute and each mode is in a separate
output at the start, modes do not interact: with the rate r_i = 4 (B_i - decay),

    w_i^2(t) = w_i^2(0) e^{r_i t} / (1 + (2 q_i / b_i) w_i^2(0) (e^{r_i t} - 1)),

which tends to w_i*^2 = b_i / (2 q_i): modes are learned one by one in the order of B_i - decay, not
of Sigma. (In V = W Sigma^{1/2}, dV/dt = -dL/dV, rates are 4 s_i and the order can differ.) In every
other case the flow is integrated.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.data.checks import require_range
from jssl.errors import InputError
from jssl.manifolds.linalg import matmul
from jssl.theory.landscape.bounded import require_minimum
from jssl.theory.landscape.dictionary import Form, decayed_signal, energy
from jssl.types import Array, Trajectory

MOST_STEPS = 10_000_000
"""Largest number of steps of one integration, so that it ends within minutes."""


def velocity(form: Form, weight: Array) -> Array:
    """Return dW/dt = -dL/dW of a weight (m, d)."""
    on_anchor, on_negative = matmul(weight, form.anchor), matmul(weight, form.negative)
    of_anchor, of_negative = matmul(on_anchor, weight.T), matmul(on_negative, weight.T)
    pull = 2 * form.own * matmul(of_negative, on_negative)
    pull += form.cross * (matmul(of_anchor, on_negative) + matmul(of_negative, on_anchor))
    return 2 * (matmul(weight, decayed_signal(form)) - pull)


def aligned_squares(times: Array, start: Array, strength: Array, stiffness: Array) -> Array:
    """Return w_i^2 (times, r) of modes that do not interact.

    Example:
        >>> print(aligned_squares(jnp.array([0.0, 9.0]), 1e-6, 1.0, 0.75).round(4))
        [0.     0.6667]

    Args:
        times: (..., 1) or broadcastable.
        start: (r,) w_i^2(0) >= 0.
        strength: (r,) b_i = B_i - decay, of any sign.
        stiffness: (r,) q_i > 0.
    """
    exponent = 4 * strength * times
    decayed = jnp.exp(-jnp.abs(exponent))
    # (1 - e^{-|x|}) / |b|, which is 4 t at b = 0
    small = jnp.abs(strength) < jnp.finfo(decayed.dtype).tiny
    gap = jnp.where(small, 4 * times, -jnp.expm1(-jnp.abs(exponent)) / jnp.abs(strength + small))
    top = jnp.where(strength > 0, 1, decayed)
    bottom = jnp.where(strength > 0, decayed, 1)
    return start * top / (bottom + 2 * stiffness * start * gap)


def trajectory(
    form: Form, start_weight: Array, times: Array, *, tolerance: float = 1e-9
) -> Trajectory:
    """Return the gradient flow from a start.

    Example:
        >>> from jssl.theory.landscape.dictionary import general_form
        >>> landscape = general_form([1.0, 0.5], [1.0, 1.0], 0.5)
        >>> path = trajectory(landscape, 1e-3 * jnp.eye(2), jnp.array([0.0, 20.0]))
        >>> print(path.observables["eigenvalues"][1].round(4))
        [1.  0.5]

    Args:
        form: from `jssl.theory.landscape.form`.
        start_weight: (m, d).
        times: (points,) from 0 on, not decreasing, learning rate x step.
        tolerance: of the integration where there is no closed form, relative to each entry or to
            1e-4 of the largest; at least 100 rounding errors.

    Returns:
        Trajectory on t = times with `loss` (points,), `eigenvalues` (points, m) of W A0 W^T,
        descending, as a simulation of the same problem records them, and `weight` (points, m, d).

    Raises:
        InputError: for shapes that do not fit, a start that is not finite, times that are negative,
            decreasing or not finite, a loss without a minimum (with the direction in which the
            flow diverges), and a flow that takes more than `MOST_STEPS` steps.
    """
    times = jnp.asarray(times, start_weight.dtype)
    require_range("times", times, 0, float(jnp.finfo(times.dtype).max))
    if start_weight.ndim != 2 or start_weight.shape[1] != len(form.signal) or times.ndim != 1:
        message = (
            f"the start must be (m, {len(form.signal)}) and times (points,); got "
            f"{start_weight.shape} and {times.shape}"
        )
        raise InputError(message)
    if np.any(np.diff(np.asarray(times)) < 0):
        message = "times must not decrease"
        raise InputError(message)
    if not np.isfinite(np.asarray(start_weight)).all():
        message = "the start has values that are not finite; drop or repair them"
        raise InputError(message)
    require_minimum(form)
    if _aligned(form, start_weight):
        weights = _closed(form, start_weight, times)
    else:
        floor = 100 * float(jnp.finfo(times.dtype).eps)
        weights, reached = _integrate(form, start_weight, times, max(tolerance, floor))
        if float(reached) < float(times[-1]):
            message = (
                f"the flow could not be integrated beyond t = {float(reached):.3g} of "
                f"{float(times[-1]):.3g}: its steps became too small or too many; take earlier "
                "times, or a smaller start"
            )
            raise InputError(message)
    covariances = matmul(matmul(weights, form.data), weights.mT)
    observables = {
        "loss": energy(form, weights),
        "eigenvalues": jnp.linalg.eigvalsh(covariances)[:, ::-1],
        "weight": weights,
    }
    return Trajectory(jnp.full_like(times, jnp.nan), times, observables)


def _aligned(form: Form, weight: Array) -> bool:
    """Return whether all matrices are diagonal and each output has a separate coordinate."""
    entries = np.asarray(weight) != 0
    alone = (entries.sum(0) <= 1).all() and (entries.sum(1) <= 1).all()
    matrices = (form.signal, form.anchor, form.negative)
    return bool(
        alone and all(not (x - np.diag(np.diagonal(x))).any() for x in map(np.asarray, matrices))
    )


def _closed(form: Form, weight: Array, times: Array) -> Array:
    strength = jnp.diagonal(decayed_signal(form))
    anchor, negative = jnp.diagonal(form.anchor), jnp.diagonal(form.negative)
    stiffness = form.own * negative**2 + form.cross * anchor * negative
    squares = aligned_squares(times[:, None, None], weight**2, strength, stiffness)
    return jnp.sign(weight) * jnp.sqrt(squares)


# Dormand and Prince 1980, order 5 with an error estimate of order 4.
_NODES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_ERROR = (71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)


@partial(jax.jit, static_argnames="tolerance")
def _integrate(form: Form, start: Array, times: Array, tolerance: float) -> tuple[Array, Array]:
    """Return the weights at the times, and the time that was reached."""

    def attempt(weight: Array, size: Array) -> tuple[Array, Array]:
        slopes = [velocity(form, weight)]
        point = weight
        for row in _NODES:
            change = sum(c * k for c, k in zip(row, slopes, strict=True))
            point = weight + size * change
            slopes.append(velocity(form, point))
        error = size * sum(c * k for c, k in zip(_ERROR, slopes, strict=True))
        size_of = jnp.maximum(jnp.abs(weight), jnp.abs(point))
        scale = tolerance * (size_of + 1e-4 * size_of.max())
        worst = jnp.max(jnp.abs(error) / jnp.where(scale > 0, scale, 1))
        # Beyond the range of the dtype the error is no number: such a step is refused.
        return point, jnp.where(jnp.isnan(worst), jnp.inf, worst)

    def to_next(carry: _Walk, end: Array) -> tuple[_Walk, Array]:
        def unfinished(state: _Walk) -> Array:
            moves = state.time + jnp.minimum(state.size, end - state.time) > state.time
            return (state.time < end) & moves & (state.steps < MOST_STEPS)

        def step(state: _Walk) -> _Walk:
            last = state.time + state.size >= end
            taken = jnp.where(last, end - state.time, state.size)
            point, error = attempt(state.weight, taken)
            good = error <= 1
            factor = jnp.clip(0.9 * jnp.maximum(error, 1e-10) ** -0.2, 0.2, 5)
            grown = jnp.where(last & good, jnp.maximum(state.size, taken * factor), taken * factor)
            return _Walk(
                jnp.where(good, jnp.where(last, end, state.time + taken), state.time),
                jnp.where(good, point, state.weight),
                grown,
                state.steps + 1,
            )

        carry = jax.lax.while_loop(unfinished, step, carry)
        return carry, carry.weight

    rate = jnp.abs(decayed_signal(form)).sum(0).max()
    first = (1e-2 / jnp.where(rate > 0, rate, 1)).astype(times.dtype)
    begin = _Walk(jnp.zeros((), times.dtype), start, first, jnp.int32(0))
    walk, weights = jax.lax.scan(to_next, begin, times)
    return weights, walk.time


class _Walk(NamedTuple):
    time: Array
    weight: Array
    size: Array  # of the step to try
    steps: Array
