r"""Thousands of small minimisations as one program: L-BFGS whose every step is one evaluation.

Each iteration evaluates one point. A step that lowers the loss enough (Armijo) is accepted, and its
curvature pair is stored; any other step is shortened. There is no inner loop, so under `vmap` all
starts do the same work in every iteration.

Nocedal and Wright 2006, algorithms 7.4 and 3.1.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jssl.data.checks import require_count
from jssl.single_use import compile_for_many_steps
from jssl.types import Array


class Minimum(NamedTuple):
    """The end point of a minimisation.

    Attributes:
        point: of the shape of the start.
        value: the loss there.
        gradient: largest entry of the gradient, in absolute value.
        steps: evaluations used.
        converged: whether the gradient met its tolerance, or no step lowers the loss any more.
        diverged: whether the loss fell below the floor or was not finite at the start.
    """

    point: Array
    value: Array
    gradient: Array
    steps: Array
    converged: Array
    diverged: Array


class _Search(NamedTuple):
    point: Array
    value: Array
    gradient: Array
    direction: Array
    moves: Array  # (memory, n) last steps
    changes: Array  # (memory, n) and the changes of the gradient along them
    inverse: Array  # (memory,) 1 / (move . change), 0 where empty
    size: Array  # of the step to try
    enough: Array  # the gradient that ends the search
    done: Array
    steps: Array


def minimise(
    loss: Callable[..., Array],
    start: Array,
    *arguments: Any,
    steps: int = 500,
    tolerance: float = 1e-6,
    memory: int = 5,
    floor: float = -1e12,
) -> Minimum:
    """Minimise `loss(point, *arguments)` from one start; vmap it over starts or arguments.

    Example:
        >>> loss = lambda x, b: jnp.sum((x**2 - b) ** 2)
        >>> found = minimise(loss, jnp.ones(2), jnp.array([4.0, 9.0]))
        >>> print(found.point.round(2), found.converged)
        [2. 3.] True

    Args:
        loss: differentiable; the point has the shape of the start.
        start: floating-point array.
        *arguments: further arguments of the loss.
        steps: largest number of evaluations, static.
        tolerance: of the largest entry of the gradient, relative to 1 + that of the start.
        memory: number of stored curvature pairs, static.
        floor: a loss below it counts as diverged.

    Returns:
        Minimum; a start that diverges is marked and stops.

    Raises:
        InputError: for steps or memory below 1.
    """
    steps, memory = require_count("steps", steps), require_count("memory", memory)
    shape = start.shape

    def evaluate(flat: Array) -> tuple[Array, Array]:
        return jax.value_and_grad(lambda x: loss(x.reshape(shape), *arguments))(flat)

    def unfinished(state: _Search) -> Array:
        return (state.steps < steps) & ~state.done

    def step(state: _Search) -> _Search:
        return _step(state, evaluate, tolerance, floor)

    end = jax.lax.while_loop(unfinished, step, _start(start.ravel(), memory))
    diverged = ~jnp.isfinite(end.value) | (end.value < floor)
    return Minimum(
        end.point.reshape(shape),
        end.value,
        _largest(end.gradient),
        end.steps,
        end.done & ~diverged,
        diverged,
    )


@partial(
    compile_for_many_steps,
    static_argnames=("loss", "batch", "steps", "tolerance", "memory", "floor"),
)
def minimise_all(
    loss: Callable[..., Array], starts: Array, *arguments: Any, batch: int = 128, **options: Any
) -> Minimum:
    """Minimise from every start (starts, ...), a batch at a time that fits the cache.

    Example:
        >>> starts = jnp.array([[-3.0], [0.1], [2.0]])
        >>> found = minimise_all(lambda x: jnp.sum((x**2 - 1) ** 2), starts)
        >>> print(found.point.ravel().round(3))
        [-1.  1.  1.]

    Args:
        loss: as in `minimise`; static: pass the same function object again to reuse the compiled
            program.
        starts: (starts, ...).
        *arguments: shared by all starts.
        batch: starts minimised together, static.
        **options: of `minimise`, static.

    Returns:
        Minimum of arrays over the starts.
    """
    count = len(starts)
    batch = min(batch, count)
    rounds = -(-count // batch)
    last = jnp.repeat(starts[-1:], rounds * batch - count, axis=0)  # one program, no remainder
    rows = jnp.concatenate([starts, last]).reshape(rounds, batch, *starts.shape[1:])
    one = jax.vmap(lambda s: minimise(loss, s, *arguments, **options))
    ends = jax.lax.map(one, rows)
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:])[:count], ends)


def _start(flat: Array, memory: int) -> _Search:
    """Return the state before the first evaluation, of which the first step is zero."""
    zero, empty = jnp.zeros((), flat.dtype), jnp.zeros((memory, flat.size), flat.dtype)
    return _Search(
        point=flat,
        value=jnp.full((), jnp.inf, flat.dtype),
        gradient=jnp.zeros_like(flat),
        direction=jnp.zeros_like(flat),
        moves=empty,
        changes=empty,
        inverse=empty[:, 0],
        size=zero,
        enough=zero,
        done=jnp.zeros((), bool),
        steps=jnp.int32(0),
    )


def _step(
    state: _Search,
    evaluate: Callable[[Array], tuple[Array, Array]],
    tolerance: float,
    floor: float,
) -> _Search:
    """Evaluate one point, and accept it if it lowers the loss enough."""
    first = state.steps == 0  # evaluates the start: one copy of the loss in the program
    move = state.size * state.direction
    point = state.point + move
    value, gradient = evaluate(point)
    slope = jnp.vdot(state.gradient, move)
    near = 4 * jnp.finfo(point.dtype).eps * jnp.where(first, 0, jnp.abs(state.value))
    taken = value <= state.value + 1e-4 * slope + near
    moves, changes, inverses = _remember(state, move, gradient - state.gradient, taken)
    bad = first & ~(jnp.isfinite(value) & jnp.isfinite(_largest(gradient)))
    enough = jnp.where(first, tolerance * (1 + _largest(gradient)), state.enough)
    gradient = jnp.where(taken, gradient, state.gradient)
    direction = _direction(gradient, moves, changes, inverses)
    size = jnp.where(taken, 1, state.size * 0.3).astype(point.dtype)
    size = jnp.where(first, 1 / jnp.maximum(jnp.linalg.norm(gradient), 1), size)
    value = jnp.where(taken, value, state.value)
    done = (_largest(gradient) <= enough) | (size < 1e-12) | (value < floor) | bad
    return _Search(
        jnp.where(taken, point, state.point),
        jnp.where(bad, jnp.nan, value),
        gradient,
        jnp.where(taken, direction, state.direction),
        moves,
        changes,
        inverses,
        size,
        enough,
        done,
        state.steps + 1,
    )


def _remember(
    state: _Search, move: Array, change: Array, taken: Array
) -> tuple[Array, Array, Array]:
    """Return the curvature pairs, with the new one in front where the loss curves along it."""
    product = jnp.vdot(move, change)
    curved = taken & (product > 1e-10 * jnp.vdot(change, change) * state.size)
    inverse = 1 / jnp.where(curved, product, 1)
    pairs = ((move, state.moves), (change, state.changes), (inverse, state.inverse))
    moves, changes, inverses = (
        jnp.where(curved, jnp.concatenate([new[None], old[:-1]]), old) for new, old in pairs
    )
    return moves, changes, inverses


def _largest(gradient: Array) -> Array:
    return jnp.max(jnp.abs(gradient))


def _direction(gradient: Array, moves: Array, changes: Array, inverse: Array) -> Array:
    pairs = (moves, changes, inverse)

    def down(kept: Array, pair: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        move, change, factor = pair
        weight = factor * jnp.vdot(move, kept)
        return kept - weight * change, weight

    def up(kept: Array, pair: tuple[Array, ...]) -> tuple[Array, None]:
        move, change, factor, weight = pair
        return kept + move * (weight - factor * jnp.vdot(change, kept)), None

    kept, weights = jax.lax.scan(down, gradient, pairs)
    newest = inverse[0] * jnp.vdot(changes[0], changes[0])
    kept = kept / jnp.where(newest > 0, newest, 1)
    return -jax.lax.scan(up, kept, (*pairs, weights), reverse=True)[0]
