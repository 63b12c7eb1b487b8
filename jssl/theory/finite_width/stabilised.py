r"""A stabilised Runge-Kutta method for flows whose rates differ by orders of magnitude.

A step of size h evaluates db/dt = F(b) s times, in the three-term recurrence of the Chebyshev
polynomials T_j (second order, damped by 2/13). It is stable for real rates up to .653 s^2 / h, so
that a flow with the largest rate R is followed over a time t in about sqrt(t R) evaluations for
each step that accuracy asks for. No linear system is solved and no Jacobian is formed: the flow of
F-5 costs products with its Gram matrix alone.

References:
    Sommeijer, Shampine, Verwer 1998, J. Comput. Appl. Math. 88, 315 (RKC), equations 2.1 to 2.8.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.single_use import MATRIX_STEPS
from jssl.types import Array

CHUNK = 16
"""Steps that one call of a program makes."""

_DAMPING = 2 / 13
_STABLE = 0.653  # (2/3) (1 - 2/15 x damping)
_MOST = 2000  # stages of a step
_SAFETY = 1.2  # of the largest rate, which is found by iteration
_LOOKS = 8  # iterations before the first step; one more in every step
_BESIDE = (
    1e-3  # distance from b over |b|, at which F' is looked for: well above rounding in float32
)
_FIRST = 0.1  # first step times the largest rate
_SHORTEST = 1e-14  # step over the time so far, at which the flow ends


class Path(NamedTuple):
    """The accepted steps of a flow.

    Attributes:
        times: (steps,).
        values: (steps, size) b.
        slopes: (steps, size) F(b).
    """

    times: np.ndarray
    values: np.ndarray
    slopes: np.ndarray

    def at(self, times: np.ndarray) -> np.ndarray:
        """Return b at other times, (points, size), by cubic Hermite interpolation."""
        right = np.clip(np.searchsorted(self.times, times), 1, len(self.times) - 1)
        left = right - 1
        length = (self.times[right] - self.times[left])[:, None]
        x = (times - self.times[left])[:, None] / length
        found = self.values[left] * ((1 + 2 * x) * (1 - x) ** 2)
        found += self.values[right] * (x**2 * (3 - 2 * x))
        found += self.slopes[left] * (length * x * (1 - x) ** 2)
        found += self.slopes[right] * (length * x**2 * (x - 1))
        return found


class _State(NamedTuple):
    """Where a flow is: time, b, F(b), the next step, F' of a unit vector, and the steps so far."""

    time: Any
    value: Any
    slope: Any
    length: Any
    direction: Any
    looks: Any


def make_stabilised(flow: Callable[..., Array]) -> Callable[..., Path]:
    """Return `follow(b, fixed, last, relative, absolute, ends) -> Path` of db/dt = flow(b, *fixed).

    Example:
        >>> from jssl.precision import float64
        >>> follow = make_stabilised(lambda b, rates: -rates * b)
        >>> with float64():
        ...     path = follow(np.ones(2), (np.array([1.0, 1e4]),), 1.0, 1e-4, 1e-7)
        >>> path.values[-1].round(3).tolist(), len(path.times) < 400
        ([0.368, 0.0], True)

    Args:
        flow: its Jacobian has real eigenvalues, as that of a gradient flow in any fixed metric.

    Returns:
        A function of the start `b`, (size,); `fixed`, further arguments of `flow`; `last`, the time
        at which to end; `relative` and `absolute`, the error of a step in the root mean square over
        coordinates; and `ends`, None or `ends(times, values) -> bool` of the newest steps, (steps,)
        and (steps, size), which says whether to end early. The path ends before `last` as well
        where values are no longer finite.
    """
    advance = jax.jit(_advance(flow), compiler_options=MATRIX_STEPS)

    def follow(
        b: np.ndarray,
        fixed: tuple[Any, ...],
        last: float,
        relative: float,
        absolute: float,
        ends: Callable[[np.ndarray, np.ndarray], bool] | None = None,
    ) -> Path:
        begin: Any = np.asarray(b, jnp.result_type(float))
        zero, one = np.zeros_like(begin), np.ones_like(begin)
        state = _State(zero.sum(), begin, zero, zero.sum(), one, np.int32(0))
        numbers = tuple(np.asarray(x, begin.dtype) for x in (last, relative, absolute))
        parts: list[tuple[np.ndarray, ...]] = []
        while not parts or parts[-1][0][-1] < last:
            state, (accepted, *new) = advance(state, fixed, numbers)
            kept = tuple(np.asarray(x)[np.asarray(accepted)] for x in new)
            if len(kept[0]):
                parts.append(kept)
                if ends is not None and ends(kept[0], kept[1]):
                    break
            if not parts or not float(state.length) > _SHORTEST * float(state.time):
                break
        return Path(*(np.concatenate(x) for x in zip(*parts, strict=True)))

    return follow


def _advance(flow: Callable[..., Array]) -> Callable[..., Any]:
    """Return `advance(state, fixed, numbers) -> (state, (accepted, times, values, slopes))`.

    The first steps have no length: they find F(b) and the largest rate.
    """

    def advance(state: _State, fixed: tuple[Any, ...], numbers: tuple[Array, ...]) -> Any:
        last, relative, absolute = numbers
        tiny = jnp.finfo(last.dtype).tiny

        def step(state: _State, _: None) -> tuple[_State, tuple[Array, ...]]:
            b, left = state.value, last - state.time
            rate = jnp.maximum(_SAFETY * jnp.linalg.norm(state.direction), tiny)
            wished = jnp.where(state.length > 0, state.length, _FIRST / rate)
            wished = jnp.minimum(wished, _STABLE * (_MOST**2 - 1) / rate)
            length = jnp.where(state.looks < _LOOKS, 0, jnp.minimum(wished, left))
            new, slope, direction = _step(lambda b: flow(b, *fixed), state, length, rate)
            missed = 0.8 * (b - new) + 0.4 * length * (state.slope + slope)
            allowed = absolute + relative * jnp.maximum(jnp.abs(b), jnp.abs(new))
            error = jnp.sqrt(jnp.mean(jnp.square(missed / allowed)))
            error = jnp.where(jnp.isfinite(error), error, jnp.inf)
            accepted = (error < 1) & (left > 0)
            scaled = length * jnp.clip(0.8 * jnp.maximum(error, 1e-9) ** (-1 / 3), 0.1, 5)
            moved = _State(
                jnp.where(
                    accepted, jnp.where(length < left, state.time + length, last), state.time
                ),
                jnp.where(accepted, new, b),
                jnp.where(accepted, slope, state.slope),
                jnp.where(left > 0, scaled, state.length),
                direction,
                state.looks + 1,
            )
            known = accepted & (moved.looks >= _LOOKS)  # the last look is the start
            return moved, (known, moved.time, moved.value, moved.slope)

        return jax.lax.scan(step, state, length=CHUNK)

    return advance


def _step(
    field: Callable[[Array], Array], state: _State, length: Array, rate: Array
) -> tuple[Array, Array, Array]:
    """Return b after one step, F there, and F' of the unit vector along `direction` before it.

    notation: w0, w1 shift and stretch the Chebyshev polynomials T_j, whose values and derivatives
    at w0 are t, d, e; c_j = T_j'' / T_j'^2 are the weights b_j of the paper. One loop evaluates F
    for all stages, and then at the new b and beside the old one: F is compiled once.
    """
    b, slope = state.value, state.slope
    stages = jnp.clip(jnp.ceil(jnp.sqrt(1 + length * rate / _STABLE)), 2, _MOST).astype(int)
    w0 = 1 + _DAMPING / jnp.square(stages.astype(b.dtype))

    def next_of(new: tuple[Array, ...], old: tuple[Array, ...]) -> tuple[Array, ...]:
        t, d, e = new
        return 2 * w0 * t - old[0], 2 * t + 2 * w0 * d - old[1], 4 * d + 2 * w0 * e - old[2]

    one, zero = jnp.ones_like(w0), jnp.zeros_like(w0)
    begin = (one, zero, zero), (w0, one, zero)
    second = next_of(*reversed(begin))
    _, (_, d, e) = jax.lax.fori_loop(
        1, stages, lambda _, pair: (pair[1], next_of(pair[1], pair[0])), begin
    )
    w1 = d / e
    c2 = second[2] / jnp.square(second[1])  # c_0 = c_1 = c_2
    norm = jnp.linalg.norm(state.direction)
    unit = jnp.where(norm > 0, state.direction / jnp.where(norm > 0, norm, 1), b.size**-0.5)
    size = _BESIDE * jnp.linalg.norm(b)
    beside = b + size * unit

    def stage(j: Array, carry: Any) -> Any:
        (older, newer), (c_older, c_newer), (y_older, y_newer), point, found, _ = carry
        value = field(point)
        here = next_of(newer, older)
        c = here[2] / jnp.square(here[1])
        mu, nu, stretch = 2 * c * w0 / c_newer, -c / c_older, 2 * c * w1 / c_newer
        old = (c_newer * newer[0] - 1) * stretch  # of the slope at the start
        y = (1 - mu - nu) * b + mu * y_newer + nu * y_older
        y = y + length * (stretch * value + old * slope)
        y = jnp.where(j < stages, y, y_newer)
        point = jnp.where(j < stages, y, beside)
        found = jnp.where(j == stages, value, found)
        return (newer, here), (c_newer, c), (y_newer, y), point, found, value

    first = b + c2 * w1 * length * slope
    carry = begin, (c2, c2), (b, first), first, slope, slope
    after = jax.lax.fori_loop(1, stages + 2, stage, carry)
    direction = (after[5] - slope) / jnp.where(size > 0, size, 1)
    kept = jnp.isfinite(direction).all()
    return after[2][1], after[4], jnp.where(kept, direction, state.direction)
