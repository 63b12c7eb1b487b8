"""`jssl.sweep`: seeds x widths x hyperparameters as few programs, in one labelled array.

result[point, i] = run(make_problem(**point), fold_in(key(root seed), i))
"""

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from jssl.errors import InputError, unknown_name
from jssl.paths import expanded
from jssl.record_steps import log_spaced_steps
from jssl.sweeps import store as stores
from jssl.sweeps.arguments import check_function, check_shard, check_store
from jssl.sweeps.execute import Progress, execute
from jssl.sweeps.labels import attributes_of, coordinates_of, variables_of
from jssl.sweeps.measure import measure
from jssl.sweeps.plan import Plan, from_json, to_json
from jssl.sweeps.prepare import Prepared, Request, one_device_line, plan_of, prepare
from jssl.sweeps.resume import refuse_other
from jssl.sweeps.sizes import check_sizes


def sweep(
    make_problem: Callable[..., Any],
    axes: Mapping[str, Any],
    *,
    record_steps: Sequence[int] | np.ndarray | None = None,
    store: str | os.PathLike[str] | None = None,
    observe: Any = None,
    seed: int = 0,
    points: Sequence[Mapping[str, Any]] | None = None,
    zip: Sequence[Sequence[str]] = (),
    static: Sequence[str] = (),
    dims: Mapping[str, Sequence[str]] | None = None,
    precision: str = "highest",
    parallel: str = "seed",
    shard: tuple[int, int] = (0, 1),
    progress: Callable[[Progress], None] | None = None,
    **layout: Any,
) -> xr.Dataset:
    """Run every point under every seed; return one labelled array an observable.

    Example:
        >>> import jax.numpy as jnp, jssl
        >>> from jssl import losses, models
        >>> from jssl.data import pairs, toy
        >>> from jssl.optim import gradient_descent
        >>> def make_problem(learning_rate, loss):
        ...     data = toy.pairs_with_cross_moment(jnp.array([1.0, 0.5, 0.1]), 4)
        ...     model = models.linear(3, 2, scale=0.1)
        ...     rule = gradient_descent(learning_rate)
        ...     return jssl.Problem(pairs.fixed(data), model, losses.get(loss), rule)
        >>> axes = {"learning_rate": [0.01, 0.03], "loss": ["vicreg"], "seed": 3}
        >>> result = sweep(make_problem, axes, record_steps=[0, 10, 20])
        >>> print(dict(result.eigenvalues.sizes))
        {'learning_rate': 2, 'loss': 1, 'seed': 3, 'step': 3, 'mode': 2}
        >>> bool((result.first_bad_step == -1).all())
        True

    Seed i of every point starts from fold_in(key(seed), i), so that neither another point nor
    another seed changes a run's numbers, but for the order of sums: another plan (runs mapped
    together, a width padded to another) moves them by rounding, 1e-8 to 2e-7 in float32. Work is
    done in chunks by a plan that is stored with the result. After an interruption, the same call
    resumes after the last finished chunk and ends with the same bits. A store is resumed only
    where the problem computes the same as when it was written: `make_problem` is traced, and its
    operations and constants are compared, not its text. So `make_problem` must return the same
    problem each time it is called. Precision follows the caller: inside `jssl.precision.float64()`
    runs are in float64 on the CPU.

    Args:
        make_problem: `make_problem(**point) -> Problem`, called inside the trace. Its floats are
            traced; names, flags and whole numbers are static, a program each. Where it takes
            `max_width`, the plan may ask for `width` traced in arrays of that size.
        axes: field -> list of values; `seed` is the number of seeds (1 if absent). An axis of
            numbers with a float among them is traced.
        record_steps: (points,) steps at which observables are kept, increasing from 0 or more;
            None for some 20, log-spaced up to 1,000.
        store: folder of the result, created, or resumed if it is there; None keeps the result in
            memory.
        observe: `observe(problem) -> (params, pairs) -> dict` of arrays and of
            `jssl.EigenvaluesOf(matrix)`, which is stored as eigenvalues, computed on the host in
            double precision; None for the loss and the eigenvalues of C
            (`jssl.simulation.observe_embeddings`).
        seed: root seed, 0 to 2**32 - 1.
        points: explicit points, a dimension `point` of the result that multiplies the axes.
        zip: groups of axes that run together, along one dimension named after them.
        static: fields that `make_problem` needs as Python numbers although they are floats.
        dims: observable -> names of its own axes, after the step.
        precision: of matrix products.
        parallel: "seed" splits runs over this process's devices; "batch" splits the batch of every
            run, for models too wide for one.
        shard: (i, n): compute every n-th chunk, from chunk i on. The other n - 1 shards are
            computed by other calls with the same store.
        progress: called with a `Progress` after every chunk.
        **layout: fields of `Request` that shape the plan: `chunk_seconds`, `seed_block`,
            `segment`, `memory` (bytes a device).

    Returns:
        Dataset with dimensions of the axes, seed, step and those of each observable; variables
        are the observables, `t` (effective time, NaN where there is none) and `first_bad_step`
        (first step whose loss or parameters were not finite; -1: none, -2: not run). An observable
        called like an axis is stored as `NAME_value`: `loss_value` beside an axis `loss`. From a
        store, arrays are read when used.

    On several CPU devices, programs that call LAPACK (`eigh`, `svd`, `qr`, `cholesky`, `solve` in
    `observe`, in a start or in an optimiser) run on one of them, since they may wait for each other
    for ever; a warning says so.

    Raises:
        InputError: for anything that cannot run, before anything is written.
        jssl.sweeps.StoreError: where the store cannot take a result.
    """
    check_shard(shard, store)
    if store is not None:
        check_store(store)
    if progress is not None:
        check_function("progress", progress)
    request = make_request(
        make_problem,
        axes,
        log_spaced_steps(1000, 20) if record_steps is None else record_steps,
        observe=observe,
        seed=seed,
        points=points,
        zip=zip,
        static=static,
        dims={} if dims is None else dims,
        precision=precision,
        parallel=parallel,
        **layout,
    )
    prepared = prepare(request)
    plan, result = open_result(prepared, request, store)
    execute(prepared, plan, result, root=seed, shard=shard, progress=progress)
    return result.dataset()


def make_request(
    make_problem: Callable[..., Any], axes: Mapping[str, Any], record_steps: Any, **options: Any
) -> Request:
    """Return a request, or say which option is unknown."""
    for name in options:
        if name not in Request._fields:
            raise unknown_name(kind="option", name=name, known=Request._fields)
    return Request(make_problem, axes, record_steps, **options)


def open_result(
    prepared: Prepared, request: Request, store: str | os.PathLike[str] | None
) -> tuple[Plan, stores.Result]:
    """Return the plan and the place of the result: those of the store where there is one.

    Raises:
        InputError: for a store of another configuration, or a folder that cannot be written.
    """
    store = None if store is None else expanded(store)
    if store is not None and not stores.is_store(store):
        if not stores.is_free(store):
            message = f"'{store}' is there and holds no sweep; name another store"
            raise InputError(message)
        plan, variables = _measured_plan(prepared, request, store)
        coordinates = coordinates_of(prepared, variables)
        attributes = attributes_of(prepared)
        tile = (*plan.blocks, plan.seed_block)
        stores.create(store, variables, coordinates, attributes, to_json(plan), tile)
    if store is not None:
        attributes, stored = stores.read_plan(store)
        refuse_other(store, attributes.get("settings", {}), prepared.settings)
        plan = from_json(prepared.grid, stored)
        _warn_of_one_device(prepared, plan)
        return plan, stores.in_folder(store)
    plan, variables = _measured_plan(prepared, request, None)
    _warn_of_one_device(prepared, plan)
    coordinates = coordinates_of(prepared, variables)
    return plan, stores.in_memory(variables, coordinates, attributes_of(prepared))


def _measured_plan(
    prepared: Prepared, request: Request, store: str | os.PathLike[str] | None
) -> tuple[Plan, dict[str, stores.Variable]]:
    """Return the plan and the arrays of the result; all is checked before anything is measured."""
    plan = plan_of(prepared, request)
    check_sizes(prepared.grid, plan, store, all_runs=not request.point_by_point)
    variables = variables_of(prepared, plan, request)
    measured = measure(prepared, plan, request.seed)
    return plan_of(prepared, request, measured) if measured else plan, variables


def _warn_of_one_device(prepared: Prepared, plan: Plan) -> None:
    line = one_device_line(prepared, plan)
    if line:
        warnings.warn(line, stacklevel=4)
