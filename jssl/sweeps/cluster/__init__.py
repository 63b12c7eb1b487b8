"""A sweep on a cluster: chunks are tasks of dask.distributed, and the store is where they meet.

    run_on_cluster(plan, result, client): chunk -> task -> receipt

The scheduler gives chunks to workers, one worker at a time, tries those of a lost worker elsewhere
and shows the progress on its dashboard. Here tasks are only made, and receipts counted. Workers may
come and go: whatever a worker has stored stays stored.
"""

import contextlib
import functools
import importlib.metadata
import itertools
import os
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax

from jssl.errors import InputError
from jssl.paths import is_url
from jssl.progress import Progress
from jssl.sweeps.cluster.worker import (
    CACHE,
    PACKAGES,
    Job,
    facts,
    other_version,
    run_chunk,
    versions,
)
from jssl.sweeps.plan import Chunk, Plan, chunks, to_json
from jssl.sweeps.run import Wanted, counter, runs_to_do
from jssl.sweeps.store import Result, StoreError
from jssl.sweeps.study import Study
from jssl.sweeps.workload import Machine

TASKS = 1000
"""Tasks that the scheduler has at a time, or four for each thread of the cluster."""
ROUNDS = 5
"""How often a chunk is given to the scheduler again after it gave up: each time after four workers
that had the chunk were lost."""
RETRIES = 2
"""How often the scheduler repeats a chunk that raised an error, such as a failed connection."""
START_SECONDS = 10.0
"""Time to reach a scheduler."""
WORKER_SECONDS = 600.0
"""Time within which the first worker must come."""
_EXTRA = "a cluster needs dask.distributed: install jssl[cluster]"


def connect(address: str) -> Any:
    """Return a client of the scheduler at an address.

    Args:
        address: such as tcp://host:8786.

    Raises:
        InputError: where nothing answers there within 10 s.
    """
    with quiet():
        try:
            import distributed
        except ImportError as error:
            raise InputError(_EXTRA) from error
        try:
            return distributed.Client(address, timeout=START_SECONDS, name="jssl")
        except (OSError, ValueError) as error:
            message = (
                f"no scheduler answers at {address}; start one with `dask scheduler`, and give the "
                "address that it prints"
            )
            raise InputError(message) from error


def check_client(client: Any, study: Study) -> Study:
    """Return a study as workers need it, its store a path from the root or a URL.

    Raises:
        InputError: for something that is not a client, a store that workers cannot share, or
            workers with other versions.
    """
    try:
        import distributed
    except ImportError as error:
        raise InputError(_EXTRA) from error
    if not isinstance(client, distributed.Client) or client.asynchronous:
        message = f"client must be a dask.distributed.Client; got {type(client).__name__}"
        raise InputError(message)
    if study.store is None:
        message = "client=... needs a store that all workers share: pass store=..."
        raise InputError(message)
    if study.store.startswith("memory://"):
        message = "workers do not share memory://; give a folder that they share, or another URL"
        raise InputError(message)
    store = study.store if is_url(study.store) else os.path.abspath(study.store)
    pickled(study)
    ours = versions()
    for name in PACKAGES:
        found = client.run(importlib.metadata.version, name, on_error="return")
        for place, version in found.items():
            if version != ours[name]:
                raise other_version(place, name, version, ours[name])
    return study._replace(store=store)


def machine_of(client: Any, study: Study) -> tuple[Machine, int]:
    """Return the devices of a worker, with the least memory of all, and the number of workers.

    Raises:
        InputError: where no worker comes.
    """
    import distributed

    try:  # a task, so that a cluster that grows on demand starts a worker
        first = client.submit(facts, study.dtype, study.memory, pure=False, resources=_gpu(client))
        found = first.result(timeout=WORKER_SECONDS)
    except (TimeoutError, distributed.TimeoutError) as error:
        message = (
            f"no worker came to {client.scheduler.address} in {WORKER_SECONDS:.0f} s; start some "
            "with `dask worker`"
        )
        raise InputError(message) from error
    every = [found, *client.run(facts, study.dtype, study.memory).values()]
    least = min(every, key=lambda m: m.memory)
    return found._replace(memory=least.memory), max(1, len(every) - 1)


def pickled(study: Study) -> bytes:
    """Return a study as bytes, with the functions of modules that workers may not have.

    Raises:
        InputError: naming what cannot be pickled.
    """
    import cloudpickle

    functions = [f for f in (study.make_problem, study.observe) if f is not None]
    with _by_value(functions):
        for name in ("make_problem", "observe", *Study._fields):
            try:
                cloudpickle.dumps(getattr(study, name))
            except Exception as error:  # whatever the reducers of the user's objects raise
                reason = " ".join(str(error).split()).rstrip(".")[:200]
                message = (
                    f"{name} cannot be sent to workers ({type(error).__name__}: {reason}); make "
                    "what it holds inside the function"
                )
                raise InputError(message) from error
        return cloudpickle.dumps(study)


def run_on_cluster(
    plan: Plan,
    result: Result,
    client: Any,
    *,
    progress: Callable[[Progress], None] | None = None,
    wanted: Wanted | None = None,
) -> None:
    """Compute and store every chunk that is not finished, by the workers of a cluster.

    Args:
        plan: what runs, in which pieces; its study is one of `check_client`.
        result: the store.
        client: of dask.distributed.
        progress: called after every chunk.
        wanted: which runs of a chunk are needed; None for all.

    Raises:
        InputError: where a worker cannot run the study.
        StoreError: where the scheduler is lost, or a worker cannot write.
    """
    study, spent = plan.workload.grid.study, {"compile": 0.0, "compute": 0.0, "write": 0.0}
    finished = result.finished()
    listed = list(chunks(plan))
    count = counter(listed, finished, progress, spent)
    waiting = [c for c in listed if c.name not in finished]
    cache = {n: jax.config.values[n] for n in (CACHE, "jax_persistent_cache_min_compile_time_secs")}
    made = to_json(plan)
    job = Job(uuid.uuid4().hex, pickled(study), made, study.dtype, versions(), cache)
    blocks = [waiting]
    if wanted is not None:  # which runs are needed depends on the blocks before
        blocks = [[c for c in waiting if c.block == b] for b in sorted({c.block for c in waiting})]
    for block in blocks:
        tasks = ((c, runs_to_do(c, result, wanted)) for c in block)
        for receipt in _receipts(client, job, ((c, todo) for c, todo in tasks if todo.any())):
            for name, seconds in receipt.spent.items():
                spent[name] += seconds
            count(receipt.runs, receipt.diverged)


def _receipts(client: Any, job: Job, tasks: Iterator[tuple[Chunk, Any]]) -> Iterator[Any]:
    """Yield the receipts of all tasks, as they come; cancel the rest where anything fails."""
    import distributed

    address = client.scheduler.address
    # A task, not data, so that the scheduler makes it again where its worker is lost.
    shared = client.submit(Job, *job, key=f"jssl-job-{job.token}", pure=False)
    options = {"pure": False, "retries": RETRIES, "resources": _gpu(client)}
    running: dict[Any, tuple[Chunk, Any, int]] = {}

    def submit(chunk: Chunk, todo: Any, rounds: int) -> Any:
        key = f"chunk-{chunk.name}-{job.token}-{rounds}"
        future = client.submit(run_chunk, shared, chunk, todo, key=key, **options)
        running[future] = chunk, todo, rounds
        return future

    most = max(TASKS, 4 * sum(client.nthreads().values()))
    try:
        # No list of futures is kept: receipts that are lost after they arrived are not made again.
        arriving = distributed.as_completed(submit(*t, 0) for t in itertools.islice(tasks, most))
        for future in arriving:
            chunk, todo, rounds = running.pop(future)
            try:
                receipt = future.result()
            except distributed.KilledWorker as error:
                if rounds + 1 == ROUNDS:
                    raise _lost_chunk(chunk, error) from error
                arriving.add(submit(chunk, todo, rounds + 1))
                continue
            yield receipt
            arriving.update([submit(*task, 0) for task in itertools.islice(tasks, 1)])
    except (InputError, StoreError):
        raise
    except (OSError, distributed.CancelledError, distributed.TimeoutError) as error:
        message = (
            f"the scheduler at {address} was lost; finished chunks are kept: start it again, then "
            "rerun to resume"
        )
        raise StoreError(message) from error
    except Exception as error:
        lines = str(error).strip().splitlines() or ["no message"]
        message = (
            f"a worker failed ({type(error).__name__}: {lines[0][:200]}); finished chunks are "
            "kept: rerun to resume"
        )
        raise StoreError(message) from error
    finally:
        with contextlib.suppress(Exception), quiet():  # the scheduler may be lost
            client.cancel([*running, shared])


def _lost_chunk(chunk: Chunk, error: Exception) -> StoreError:
    return StoreError(
        f"every worker that computed chunk {chunk.name} was lost ({error.args[0]}); finished "
        "chunks are kept: give workers more memory, or the study a smaller [layout] memory, then "
        "rerun to resume"
    )


def _gpu(client: Any) -> dict[str, int] | None:
    """Return the resources of a task: one GPU where workers were started with some."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return {"GPU": 1} if any("GPU" in w.get("resources", {}) for w in workers) else None


@contextlib.contextmanager
def _by_value(functions: Sequence[Any]) -> Iterator[None]:
    """Pickle functions of modules that are not installed by their code, not by their name."""
    import cloudpickle

    own = set()
    for function in functions:
        while isinstance(function, functools.partial):
            function = function.func
        module = sys.modules.get(getattr(function, "__module__", None) or type(function).__module__)
        file = os.path.abspath(getattr(module, "__file__", None) or sys.prefix)
        name = getattr(module, "__name__", "jssl").partition(".")[0]
        installed = "site-packages" in file or file.startswith((sys.prefix, sys.base_prefix))
        if module is not None and name not in ("jssl", "__main__") and not installed:
            own.add(module)
    known = set(cloudpickle.list_registry_pickle_by_value())
    own = {module for module in own if module.__name__ not in known}
    for module in own:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in own:
            cloudpickle.unregister_pickle_by_value(module)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the log of dask.distributed off the terminal: errors are told in one line."""
    import logging

    log = logging.getLogger("distributed")
    before, log.disabled = log.disabled, True
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.disabled = before
        log.setLevel(level)
