"""Simulation of a problem: two pure functions, `init` and `advance`, and a run as their scan.

    params_{k+1} = params_k + optimiser(dL/dparams(params_k, pairs(fold_in(key, k))))

`advance` takes a traced number of steps, so the same program is used for all distances between
record points; progress, checkpoints and early stops are host loops over it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from jssl.diagnostics.spectrum import cross_correlation
from jssl.eigenvalues import EigenvaluesOf, decompose
from jssl.errors import InputError, shown
from jssl.keys import require_key
from jssl.optim.descent import learning_rate_at
from jssl.record_steps import check_count, checked_record_steps
from jssl.record_steps import log_spaced_steps as log_spaced_steps
from jssl.types import Array, Pairs, Params, Problem, Simulation, State, Trajectory, start_key

Observe = Callable[[Params, Pairs], dict[str, Any]]
"""`observe(params, pairs) -> {name: array, or EigenvaluesOf(matrix)}`."""


def objective(problem: Problem) -> Callable[[Params, Pairs, Array], Array]:
    """Return `objective(params, pairs, key) -> scalar` of a problem.

    Example:
        >>> import jssl
        >>> model = jssl.Model(init=lambda key: 2.0, apply=lambda w, x: w * x)
        >>> loss = lambda za, zb: ((za - zb) ** 2).mean()
        >>> value = objective(jssl.Problem(None, model, loss, None))
        >>> print(value(2.0, jssl.Pairs(jnp.ones((3, 1)), jnp.zeros((3, 1))), None))
        4.0
    """
    if problem.objective is not None:
        return problem.objective
    if not callable(problem.loss):
        message = (
            "the loss of a Problem must be a function of two embeddings, such as "
            f"jssl.losses.get('simclr'); got {shown(problem.loss)}"
        )
        raise InputError(message)

    def of_embeddings(params: Params, pairs: Pairs, key: Array) -> Array:
        del key
        za, zb = embed_views(problem, params, pairs)
        if pairs.negative is None:
            return problem.loss(za, zb)
        negatives = problem.model.apply(params, pairs.negative)
        return problem.loss(za, zb, negatives=negatives)  # type: ignore[call-arg]

    return of_embeddings


def embed_views(problem: Problem, params: Params, pairs: Pairs) -> tuple[Array, Array]:
    """Return the embeddings of both views in one pass through the model."""
    n = pairs.first.shape[0]
    both = problem.model.apply(params, jnp.concatenate([pairs.first, pairs.second]))
    return both[:n], both[n:]


def observe_embeddings(problem: Problem) -> Observe:
    """Return the default observables: the loss and the eigenvalues of C (S-1).

    Example:
        >>> import jssl
        >>> model = jssl.Model(init=lambda key: 2.0, apply=lambda w, x: w * x)
        >>> loss = lambda za, zb: ((za - zb) ** 2).mean()
        >>> observe = observe_embeddings(jssl.Problem(None, model, loss, None))
        >>> seen = observe(2.0, jssl.Pairs(jnp.ones((3, 1)), jnp.ones((3, 1))))
        >>> print(sorted(seen), seen["eigenvalues"].matrix)
        ['eigenvalues', 'loss'] [[4.]]

    The eigenvalues are returned as `jssl.EigenvaluesOf(C)`; `jssl.simulate`, `jssl.run` and
    `jssl.sweep` record the eigenvalues, descending. A user's own `observe(params, pairs)` replaces
    this function or calls it.
    """
    value = objective(problem)

    def observe(params: Params, pairs: Pairs) -> dict[str, Any]:
        za, zb = embed_views(problem, params, pairs)
        return {
            "loss": value(params, pairs, jax.random.key(0)),
            "eigenvalues": EigenvaluesOf(cross_correlation(za, zb)),
        }

    return observe


def simulate(
    problem: Problem, observe: Observe | None = None, *, precision: str = "highest"
) -> Simulation:
    """Return the two pure functions that simulate a problem.

    Example:
        >>> import jssl
        >>> from jssl.optim import gradient_descent
        >>> model = jssl.Model(init=lambda key: jnp.float32(0.1), apply=lambda w, x: w * x)
        >>> loss = lambda za, zb: ((za * zb).mean() - 1) ** 2
        >>> pairs = jssl.Pairs(jnp.ones((4, 1)), jnp.ones((4, 1)))
        >>> problem = jssl.Problem(lambda key: pairs, model, loss, gradient_descent(0.05))
        >>> simulation = simulate(problem)
        >>> state, record = jax.jit(simulation.advance)(simulation.init(jax.random.key(0)), 100)
        >>> print(int(state.step), round(float(state.t), 3), round(float(record["loss"]), 6))
        100 5.0 0.0

    Step k draws its pairs from `fold_in(key, k)` and the record after it from the pairs of the
    next step, so a record is computed on data that the step did not use, unless the pairs are
    fixed. `init` returns new buffers, each of them once, so that the state may be donated.

    On the CPU, eigenvalues are computed by LAPACK. Do not run such programs at the same time on
    several CPU devices (`jax.shard_map`): under jaxlib 0.10 they may deadlock.
    `jssl.sweep` uses several devices safely.

    Args:
        problem: what to simulate; hyperparameters inside it may be tracers.
        observe: `observe(params, pairs) -> dict` of arrays and of `jssl.EigenvaluesOf(matrix)`,
            which is recorded as the eigenvalues; None for the loss and the eigenvalues of C.
        precision: of matrix products, `highest` so that TF32 and bfloat16 are not used;
            any name that `jax.default_matmul_precision` accepts.

    Returns:
        `Simulation(init, advance)`; both can be jitted, vmapped over keys and sharded.

    Raises:
        InputError: from `advance`, for a number of steps (unless it is traced) that is negative or
            above 2**31 - 1.
    """
    undecomposed = simulate_undecomposed(problem, observe, precision=precision)

    def advance(state: State, steps: Any) -> tuple[State, dict[str, Array]]:
        state, record = undecomposed.advance(state, steps)
        with jax.default_matmul_precision(precision):
            return state, decompose(record)

    return Simulation(undecomposed.init, advance)


def simulate_undecomposed(
    problem: Problem, observe: Observe | None = None, *, precision: str = "highest"
) -> Simulation:
    """Return `simulate(problem, observe)` whose records contain `EigenvaluesOf(matrix)`.

    Example:
        >>> import jssl, optax
        >>> model = jssl.Model(init=lambda key: jnp.float32(2), apply=lambda w, x: w * x)
        >>> pairs = jssl.Pairs(jnp.ones((4, 1)), jnp.ones((4, 1)))
        >>> loss = lambda za, zb: ((za - zb) ** 2).mean()
        >>> problem = jssl.Problem(lambda key: pairs, model, loss, optax.sgd(0.1))
        >>> simulation = simulate_undecomposed(problem)
        >>> state, record = simulation.advance(simulation.init(jax.random.key(0)), 0)
        >>> print(record["eigenvalues"].matrix)
        [[4.]]

    The arguments are those of `simulate`. The default observables then contain no LAPACK call.
    """
    value = objective(problem)
    see = observe if observe is not None else observe_embeddings(problem)

    def init(key: Array) -> State:
        params = problem.model.init(start_key(require_key(key)))
        has_time = learning_rate_at(problem.optimiser, jnp.int32(0)) is not None
        state = State(
            params=params,
            opt_state=problem.optimiser.init(params),
            key=key,
            step=jnp.int32(0),
            t=jnp.asarray(0.0 if has_time else jnp.nan),
            first_bad_step=jnp.where(is_finite(params), jnp.int32(-1), jnp.int32(0)),
        )
        # A model or an optimiser may return one buffer twice, or one that it keeps.
        return jax.tree.map(jnp.copy, state)

    def one_step(_: Any, state: State) -> State:
        draw = jax.random.fold_in(state.key, state.step)
        pairs = problem.pairs(draw)
        loss, gradients = jax.value_and_grad(value)(state.params, pairs, draw)
        updates, opt_state = problem.optimiser.update(gradients, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        is_bad = ~(jnp.isfinite(loss) & is_finite(params))
        is_first_bad = (state.first_bad_step < 0) & is_bad
        return State(
            params=params,
            opt_state=opt_state,
            key=state.key,
            step=state.step + 1,
            t=effective_time(problem.optimiser, state.t, state.step + 1),
            first_bad_step=jnp.where(is_first_bad, state.step, state.first_bad_step),
        )

    def advance(state: State, steps: Any) -> tuple[State, dict[str, Any]]:
        check_count(steps)
        with jax.default_matmul_precision(precision):
            state = lax.fori_loop(0, steps, one_step, state)
            next_pairs = problem.pairs(jax.random.fold_in(state.key, state.step))
            return state, see(state.params, next_pairs)

    return Simulation(init, advance)


def run(
    problem: Problem,
    record_steps: Sequence[int] | np.ndarray,
    observe: Observe | None = None,
    *,
    precision: str = "highest",
) -> Callable[[Array], Trajectory]:
    """Return `run(key) -> Trajectory`, a scan of `advance` over the record points.

    Example:
        >>> import jssl
        >>> from jssl.optim import gradient_descent
        >>> model = jssl.Model(init=lambda key: jnp.float32(0.1), apply=lambda w, x: w * x)
        >>> loss = lambda za, zb: ((za * zb).mean() - 1) ** 2
        >>> pairs = jssl.Pairs(jnp.ones((4, 1)), jnp.ones((4, 1)))
        >>> problem = jssl.Problem(lambda key: pairs, model, loss, gradient_descent(0.05))
        >>> keys = jax.random.split(jax.random.key(0), 3)
        >>> trajectories = jax.jit(jax.vmap(run(problem, [0, 10, 100])))(keys)
        >>> print(trajectories.observables["eigenvalues"].shape, trajectories.t[0])
        (3, 3, 1) [0.  0.5 5. ]

    Args:
        problem: what to simulate.
        record_steps: (points,) steps at which observables are recorded, increasing from 0 or more.
        observe: see `simulate`.
        precision: see `simulate`.

    Returns:
        A pure function of the run's key. `t` of its Trajectory is None where the optimiser has
        no gradient-flow time.

    Raises:
        InputError: if `record_steps` is empty, negative, not strictly increasing, or above
            2**31 - 1.
    """
    steps = checked_record_steps(record_steps)
    simulation = simulate(problem, observe, precision=precision)

    def from_key(key: Array) -> Trajectory:
        def to_next(state: State, increment: Array) -> tuple[State, tuple[Array, dict]]:
            state, record = simulation.advance(state, increment)
            return state, (state.t, record)

        increments = jnp.asarray(np.diff(steps, prepend=0), jnp.int32)
        state, (t, observables) = lax.scan(to_next, simulation.init(key), increments)
        has_time = getattr(problem.optimiser, "learning_rate", None) is not None
        return Trajectory(
            step=jnp.asarray(steps, jnp.int32),
            t=t if has_time else None,
            observables=observables,
            first_bad_step=state.first_bad_step,
        )

    return from_key


def is_finite(params: Params) -> Array:
    """Return whether the sum of the squares of all parameters is finite.

    Example:
        >>> print(is_finite({"w": jnp.array([1.0, jnp.nan])}), is_finite(jnp.array([1e30])))
        False False

    Squares are summed in float32 at least, so an entry above 1.8e19 in float32 counts as
    divergence: the norm of such parameters overflows.
    """
    total = jnp.float32(0)
    for leaf in jax.tree.leaves(params):
        if jnp.issubdtype(jnp.result_type(leaf), jnp.inexact):
            size = jnp.abs(leaf) if jnp.iscomplexobj(leaf) else leaf
            wide = jnp.promote_types(jnp.result_type(size), jnp.float32)
            total = total + jnp.sum(jnp.square(jnp.asarray(size, wide)))
    return jnp.isfinite(total)


def effective_time(optimiser: Any, before: Array, step: Array) -> Array:
    """Return the sum of the learning rates of the first `step` steps.

    A constant rate is multiplied, not summed: 1e5 float32 additions would be off by 1e-3.

    Example:
        >>> from jssl.optim import gradient_descent
        >>> print(effective_time(gradient_descent(0.5), jnp.float32(1.0), jnp.int32(3)))
        1.5
    """
    rate = learning_rate_at(optimiser, step - 1)
    if rate is None:
        return before
    if callable(optimiser.learning_rate):
        return before + jnp.asarray(rate, before.dtype)
    return jnp.asarray(rate, before.dtype) * step.astype(before.dtype)
