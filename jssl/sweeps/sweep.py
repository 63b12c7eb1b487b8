"""`jssl.sweep` and `jssl.sweeps.sweep_until`: a study passes each stage once, in one direction.

    Study -> Grid -> Workload -> Plan -> run_chunks -> Result

`make_study` checks what is asked, `make_grid` lists the runs, `make_workload` traces what each
program computes, `make_plan` divides the work, `run_chunks` computes it chunk by chunk, and the
`Result` stores it:

    result[point, i] = run(make_problem(**point), fold_in(key(root seed), i))
"""

import contextlib
import importlib
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jssl.errors import InputError, unknown_name
from jssl.progress import Progress, progress_bar
from jssl.seed_statistics import FINITE, student_interval
from jssl.sweeps.grid import make_grid
from jssl.sweeps.opening import open_study
from jssl.sweeps.plan import Chunk, Plan, runs_of
from jssl.sweeps.preview import growing_line, preview_of
from jssl.sweeps.run import Wanted, run_chunks
from jssl.sweeps.store import Result
from jssl.sweeps.study import Layout, Study, Target, check_function, check_shard, make_study
from jssl.sweeps.workload import make_workload, one_device_line

if TYPE_CHECKING:
    import xarray as xr

_SHARED = ("observe", "seed", "points", "zip", "static", "dims", "precision", "parallel")


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
    client: Any = None,
    plan: bool = False,
    progress: bool | Callable[[Progress], None] = True,
    **layout: Any,
) -> Any:
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
    another seed changes a run's numbers, except for the order of sums: another plan (runs mapped
    together, a width padded to another) changes them by rounding, 1e-8 to 2e-7 in float32. Work is
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
            None for about 20, log-spaced up to 1,000.
        store: folder or URL of the result, created, or resumed if it is there; None keeps the
            result in memory. A study that asks for more seeds, more values of an axis or a further
            axis makes its store grow: finished runs keep their bits.
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
        client: of dask.distributed: its workers compute and store the chunks. They need the same
            versions of jssl and JAX, and see the store.
        plan: True returns a `jssl.sweeps.Preview` of what would run, with its time and memory, and
            writes nothing.
        progress: True draws a bar on stderr if it is a terminal, or below a notebook's cell; False
            draws none; a function is called with a `Progress` after every chunk.
        **layout: how the work is divided: `chunk_seconds`, `seed_block`, `segment`, `memory` (bytes
            a device).

    Returns:
        Dataset with dimensions of the axes, seed, step and those of each observable; variables
        are the observables, `t` (effective time, NaN where there is none) and `first_bad_step`
        (first step whose loss or parameters were not finite; -1: none, -2: not run). An observable
        with the name of an axis is stored as `NAME_value`: `loss_value` beside an axis `loss`. The
        arrays of a store are read when used.

    On several CPU devices, programs that call LAPACK (`eigh`, `svd`, `qr`, `cholesky`, `solve` in
    `observe`, in a start or in an optimiser) run on one of them, since they may deadlock on
    several; a warning says so.

    Raises:
        InputError: for anything that cannot run, before anything is written.
        jssl.sweeps.StoreError: where nothing can be written into the store any more, or the
            scheduler of the workers is lost.
    """
    _check_options(layout, Layout.__struct_fields__)
    study = make_study(
        make_problem,
        axes,
        record_steps,
        store=store,
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
    if plan:
        return preview_of(study)
    return run_study(study, shard=shard, client=client, progress=progress)[1].dataset()


def sweep_until(
    make_problem: Callable[..., Any],
    axes: Mapping[str, Any],
    target: Target,
    *,
    record_steps: Any,
    store: str | os.PathLike[str] | None = None,
    client: Any = None,
    progress: bool | Callable[[Progress], None] = True,
    **options: Any,
) -> "xr.Dataset":
    """Add blocks of seeds to every point until its interval is narrow enough.

    The interval of a mean over n seeds is Student's, with half width t_{n-1} s / sqrt(n). It is
    computed again after every block, so it covers a little less than its level (by 1-2 % after
    some ten blocks at 95 %): choose a lower target where that matters.

    Example:
        >>> import jssl, jax.numpy as jnp
        >>> from jssl import losses, models
        >>> from jssl.data import pairs, toy
        >>> from jssl.optim import gradient_descent
        >>> def make_problem(scale):
        ...     data = toy.pairs_with_cross_moment(jnp.array([1.0, 0.5]), 4)
        ...     loss, rule = losses.get("vicreg"), gradient_descent(0.01)
        ...     return jssl.Problem(pairs.fixed(data), models.linear(2, 1, scale=scale), loss, rule)
        >>> target = Target("loss", half_width=1e3, least=2)
        >>> axes = {"scale": [0.1], "seed": 100}
        >>> result = sweep_until(make_problem, axes, target, record_steps=[0, 1])
        >>> print(int((result.first_bad_step == -1).sum()))
        2

    Args:
        make_problem: see `jssl.sweep`.
        axes: see `jssl.sweep`; `seed` is the greatest number of seeds.
        target: when a point has enough.
        record_steps: see `jssl.sweep`.
        store: see `jssl.sweep`.
        client: see `jssl.sweep`.
        progress: see `jssl.sweep`.
        **options: further arguments of `jssl.sweep`; `seed_block` is the number of seeds added
            at a time, `target.least` if not given.

    Returns:
        Dataset with all seeds as a dimension; runs that were not needed have `first_bad_step` -2
        and NaN.

    Raises:
        InputError: as `jssl.sweep`, or for a target that no interval can meet.
    """
    _check_options(options, (*_SHARED, *Layout.__struct_fields__))
    study = make_study(make_problem, axes, record_steps, store=store, until=target, **options)
    return run_study(study, client=client, progress=progress)[1].dataset()


def run_study(
    study: Study,
    *,
    shard: tuple[int, int] = (0, 1),
    client: Any = None,
    progress: bool | Callable[[Progress], None] = True,
    say: Callable[[str], None] | None = None,
) -> tuple[Plan, Result]:
    """Run a study, or resume it from its store; return its plan and its result.

    Args:
        study: what is asked for.
        shard: see `jssl.sweep`.
        client: see `jssl.sweep`.
        progress: see `jssl.sweep`.
        say: called with a line where the store has to grow.

    Raises:
        InputError: for anything that cannot run, before anything is written.
        StoreError: where nothing can be written into the store any more.
    """
    check_shard(shard, study.store)
    if shard[1] > 1 and study.until is not None:
        message = "a study with [until] needs all seeds; run it in one process, without shards"
        raise InputError(message)
    if not isinstance(progress, bool):
        check_function("progress", progress)
    if client is not None and shard[1] > 1:
        message = "give client=... or shard=(i, n), not both"
        raise InputError(message)
    cluster = None if client is None else importlib.import_module("jssl.sweeps.cluster")
    study = study if cluster is None else cluster.check_client(client, study)
    workload = make_workload(make_grid(study))
    workers = 1
    if cluster is not None:
        machine, workers = cluster.machine_of(client, study)
        workload = workload._replace(machine=machine)
    opened = open_study(workload, workers=0 if cluster is None else workers)
    if opened.growth is not None and say is not None:
        say(growing_line(opened))
    plan, result = opened.create()
    line = one_device_line(workload, [x.program for x in plan.layouts])
    if line:
        warnings.warn(line, stacklevel=3)
    wanted = None if study.until is None else _not_narrow(plan, result, study.until)
    with contextlib.ExitStack() as stack:
        show = None if isinstance(progress, bool) else progress
        if progress is True:
            show = stack.enter_context(progress_bar("sweep"))
        if cluster is not None:
            cluster.run_on_cluster(plan, result, client, progress=show, wanted=wanted)
        else:
            run_chunks(plan, result, shard=shard, progress=show, wanted=wanted)
    return plan, result


def interval(result: "xr.Dataset", target: Target) -> tuple[np.ndarray, np.ndarray]:
    """Return (half width, mean) of the target's observable at every point; see `Target`."""
    values = result[target.observable].isel({"step": -1, **target.select}).transpose(..., "seed")
    finite = result.first_bad_step.transpose(..., "seed").values == FINITE
    return student_interval(values.values, finite, target.level)


def _not_narrow(plan: Plan, result: Result, target: Target) -> Wanted:
    """Return which runs of a chunk are at points that need seeds; results are read once a block."""
    needed: dict[int, np.ndarray] = {}

    def wanted(chunk: Chunk) -> np.ndarray:
        if chunk.block not in needed:
            first = chunk.block * plan.seed_block
            half, mean = interval(result.dataset().isel(seed=slice(0, first)), target)
            wide = ~(half <= np.maximum(target.half_width, target.relative * np.abs(mean)))
            needed[chunk.block] = (first < target.least) | wide
        return needed[chunk.block][tuple(runs_of(chunk)[:, :-1].T)]

    return wanted


def _check_options(options: Mapping[str, Any], known: Iterable[str]) -> None:
    for name in options:
        if name not in known:
            raise unknown_name(kind="option", name=name, known=known)
