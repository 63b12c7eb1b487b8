"""What a worker of a cluster does: compute one chunk, store it, and return a receipt.

    run_chunk(job, chunk, todo) -> Receipt

A chunk depends on the study, the plan and its own place only, so that it may run on any worker, on
another one after a worker was lost, or twice. A worker traces and compiles a study once and keeps
its programs until another study comes.
"""

import contextlib
import importlib.metadata
import threading
from typing import Any, NamedTuple

import cloudpickle
import jax
import numpy as np

from jssl.devices import use_all_cores
from jssl.errors import InputError
from jssl.precision import float64
from jssl.sweeps import store as stores
from jssl.sweeps.compile_ahead import CompileAhead
from jssl.sweeps.grid import make_grid
from jssl.sweeps.plan import Chunk, from_json
from jssl.sweeps.run import (
    RunSettings,
    collect,
    compiler_of,
    launch,
    settings_of,
    store_arrays,
)
from jssl.sweeps.workload import Machine, differences, machine, make_workload

PACKAGES = ("jssl", "jax", "jaxlib")
"""Packages of which a worker needs the version of the client."""
CACHE = "jax_compilation_cache_dir"
"""The setting of JAX that says where compiled programs are kept."""
_one_chunk = threading.Lock()
"""A worker computes one chunk at a time, on all its devices, and stores others meanwhile."""


class Job(NamedTuple):
    """What a worker needs of a sweep, besides the chunk.

    Attributes:
        token: a name that differs from that of any other job.
        study: pickled; its store is a path that all workers see, or a URL.
        plan: as plain JSON.
        dtype: of the runs.
        versions: package -> version of the client.
        cache: settings of JAX's compilation cache on the client.
    """

    token: str
    study: bytes
    plan: dict[str, Any]
    dtype: str
    versions: dict[str, str]
    cache: dict[str, Any]


class Receipt(NamedTuple):
    """What a worker returns of a chunk that is stored.

    Attributes:
        name: of the chunk.
        runs: how many it has.
        diverged: how many of them diverged.
        spent: seconds in `compile`, `compute` and `write`.
    """

    name: str
    runs: int
    diverged: int
    spent: dict[str, float]


class State(NamedTuple):
    """A job on a worker: traced, with the programs that are compiled.

    Attributes:
        settings: what its chunks are computed with.
        compilers: index of a program -> what compiled it.
    """

    settings: RunSettings
    compilers: dict[int, CompileAhead]


_states: dict[str, State] = {}
"""The last job of this worker, by its token."""


def run_chunk(job: Job, chunk: Chunk, todo: np.ndarray) -> Receipt:
    """Compute some runs of a chunk and store it; return at once if it is stored already.

    Args:
        job: the sweep.
        chunk: a piece of it.
        todo: (runs,) which of its runs.

    Raises:
        InputError: where this worker cannot run the job.
        StoreError: where it cannot write into the store.
    """
    with _one_chunk, _precision(job.dtype):
        state = _state(job)
        spent = dict.fromkeys(state.settings.spent, 0.0)
        settings = state.settings._replace(spent=spent)
        found = settings.result.entry(chunk.name)
        if found is not None:  # by a worker that was lost before its receipt arrived
            return Receipt(chunk.name, found["runs"], found["diverged"], spent)
        if chunk.layout not in state.compilers:
            state.compilers[chunk.layout] = compiler_of([chunk], settings)
        launched = launch(chunk, todo, settings, state.compilers[chunk.layout])
        arrays = collect(launched, spent)
    return Receipt(chunk.name, *store_arrays(launched, arrays, settings), spent)


def facts(dtype: str, memory: float | None) -> Machine:
    """Return the devices of this worker and the memory that each of them may use.

    Args:
        dtype: of the runs.
        memory: bytes a device, or None.
    """
    worker = _worker()
    with _precision(dtype):
        found = machine(memory)
    limit = getattr(getattr(worker, "memory_manager", None), "memory_limit", None)
    if memory is None and limit and found.platform == "cpu":
        return found._replace(memory=min(found.memory, limit / 2 / found.devices))
    return found


def versions() -> dict[str, str]:
    """Return the versions of the packages that a worker and the client must share."""
    return {name: importlib.metadata.version(name) for name in PACKAGES}


def other_version(place: str, name: str, found: Any, ours: str) -> InputError:
    """Return the error for a worker with another version of a package, or without it."""
    has = "has no" if isinstance(found, Exception) else f"has {found} of"
    return InputError(
        f"the worker {place} {has} {name} and this process has {ours}; install the same version on "
        "both"
    )


def _state(job: Job) -> State:
    """Return what this worker keeps of a job; it is traced here at its first chunk."""
    if job.token in _states:
        return _states[job.token]
    place = getattr(_worker(), "address", "here")
    for name, version in versions().items():
        if version != job.versions[name]:
            raise other_version(place, name, version, job.versions[name])
    if jax.config.values[CACHE] is None:
        for name, value in job.cache.items():
            jax.config.update(name, value)
    try:
        study = cloudpickle.loads(job.study)
    except Exception as error:  # whatever an import of the user's modules raises
        message = (
            f"the worker {place} cannot load make_problem ({type(error).__name__}: {error}); "
            "install what it imports there, or define it in the same file"
        )
        raise InputError(message) from error
    if not stores.is_store(study.store):
        message = (
            f"the worker {place} does not see the store '{study.store}'; give a folder that all "
            "workers share, or a URL"
        )
        raise InputError(message)
    workload = make_workload(make_grid(study))
    attributes, plan = stores.read_plan(study.store)
    found = differences(attributes["settings"], workload.settings)
    if found or plan != job.plan:
        message = (
            f"on the worker {place} the problem is another one "
            f"({'; '.join(found[:3]) or 'the store has another plan'}); make_problem must return "
            "the same problem everywhere"
        )
        raise InputError(message)
    made = from_json(workload, plan)
    _states.clear()
    _states[job.token] = State(settings_of(made, stores.in_store(study.store)), {})
    return _states[job.token]


def _precision(dtype: str) -> contextlib.AbstractContextManager[None]:
    return float64() if dtype == "float64" else contextlib.nullcontext()


def _worker() -> Any:
    """Return the worker that this process is, after giving each of its threads a CPU device."""
    import distributed

    try:
        worker = distributed.get_worker()
    except ValueError:  # the function was called outside of a cluster
        return None
    with contextlib.suppress(InputError):  # JAX has started, with another number
        use_all_cores(max(1, worker.state.nthreads))
    return worker
