"""The host loop of a sweep: chunk after chunk, each computed, stored and never computed again.

    launch(chunk) -> Launched -> collect -> arrays -> store_arrays

A chunk is computed in calls of as many runs as the plan says, one call where they fit. While the
outputs of one chunk are computed, the chunk before it is stored, and the next program is compiled:
tracing and lowering are Python and stay in this thread, XLA compiles on others. A worker of a
cluster computes and stores a chunk by the same functions (`jssl.sweeps.cluster`).
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jssl.eigenvalues import decompose_on_host
from jssl.memory import peak_memory
from jssl.progress import Progress
from jssl.sweeps.arrays import fill_of
from jssl.sweeps.compile_ahead import CompileAhead
from jssl.sweeps.costs import note_compiled, note_rate
from jssl.sweeps.plan import Chunk, Plan, chunks, count_runs, runs_of
from jssl.sweeps.programs import Calls, calls, share
from jssl.sweeps.store import Result, import_xarray
from jssl.sweeps.workload import digest_of, lane_arguments, mesh_of, on_one_device

Arrays = dict[str, np.ndarray]
Wanted = Callable[[Chunk], np.ndarray]
"""`wanted(chunk)` says which of a chunk's runs are needed, once earlier blocks are stored."""


class Launched(NamedTuple):
    """A chunk whose outputs may still be computed while the chunk before it is stored.

    Attributes:
        chunk: what is computed.
        todo: (runs,) which of its runs.
        calls: (outputs, runs) of every call.
    """

    chunk: Chunk
    todo: np.ndarray
    calls: Sequence[tuple[Mapping[str, Any], int]]


class RunSettings(NamedTuple):
    """What every chunk of a sweep is computed with.

    Attributes:
        plan: in which pieces.
        result: where results go.
        meshes: the devices of each program.
        key: the root key.
        increments: (points,) int32 steps from one record point to the next.
        checkpoint_seconds: least time between saved states of a long chunk.
        spent: seconds so far of `compile`, `compute` and `write`, which are added to.
    """

    plan: Plan
    result: Result
    meshes: Sequence[Any]
    key: Any
    increments: np.ndarray
    checkpoint_seconds: float
    spent: dict[str, float]


def run_chunks(
    plan: Plan,
    result: Result,
    *,
    shard: tuple[int, int] = (0, 1),
    progress: Callable[[Progress], None] | None = None,
    wanted: Wanted | None = None,
    checkpoint_seconds: float = 60.0,
) -> None:
    """Compute and store every chunk of a shard that is not finished.

    Args:
        plan: what runs, in which pieces.
        result: where results go.
        shard: (i, n): compute every n-th chunk, from chunk i on.
        progress: called after every chunk.
        wanted: which runs of a chunk are needed; None for all.
        checkpoint_seconds: least time between saved states of a long chunk.
    """
    settings = settings_of(plan, result, checkpoint_seconds)
    finished = result.finished()
    mine = [c for i, c in enumerate(chunks(plan)) if i % shard[1] == shard[0]]
    count = counter(mine, finished, progress, settings.spent)
    waiting = [c for c in mine if c.name not in finished]
    if waiting:
        _compute(waiting, settings, count, wanted)


def settings_of(plan: Plan, result: Result, checkpoint_seconds: float = 60.0) -> RunSettings:
    """Return what every chunk of a plan is computed with; see `run_chunks`."""
    study = plan.workload.grid.study
    return RunSettings(
        plan,
        result,
        [mesh_of(plan.workload, x.program) for x in plan.layouts],
        jax.random.key(study.seed, impl="threefry2x32"),
        np.diff(study.record_steps, prepend=0).astype(np.int32),
        checkpoint_seconds,
        {"compile": 0.0, "compute": 0.0, "write": 0.0},
    )


def launch(
    chunk: Chunk, todo: np.ndarray, settings: RunSettings, compiler: CompileAhead
) -> Launched:
    """Start to compute some runs of a chunk; those in segments are computed completely.

    Args:
        chunk: what is computed.
        todo: (runs,) which of its runs.
        settings: what every chunk is computed with.
        compiler: compiles its program.
    """
    plan, spent = settings.plan, settings.spent
    layout = plan.layouts[chunk.layout]
    alone = on_one_device(plan.workload, layout.program)
    started = []
    for number, runs in enumerate(np.split(runs_of(chunk)[todo], _cuts(todo, layout.lanes))):
        live = len(runs)
        functions, lanes = _arguments(runs, chunk.layout, settings)
        if plan.segment < len(settings.increments):
            name = chunk.name if live == todo.sum() else f"{chunk.name}/{number:06d}"
            started.append((_in_segments(name, functions, lanes, live, chunk, settings), live))
            continue
        with _timed(spent, "compile"):
            compiler.ready(chunk.layout)
        with _timed(spent, "compute"):  # it waits where the device has enough to do
            shared = share((settings.key, settings.increments), settings.meshes[chunk.layout])
            outputs = functions.whole(*lanes, *shared)
            if alone:
                jax.block_until_ready(outputs)  # one LAPACK program at a time
        started.append((outputs, live))
    note_compiled(plan.workload, layout.program)
    return Launched(chunk, todo, started)


def collect(launched: Launched, spent: dict[str, float]) -> Arrays:
    """Wait for the outputs of a chunk; return observable -> (runs of the chunk that ran, ...)."""
    with _timed(spent, "compute"):
        parts = [_on_host(outputs, live) for outputs, live in launched.calls]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def store_arrays(launched: Launched, computed: Arrays, settings: RunSettings) -> tuple[int, int]:
    """Store the runs of a chunk tile by tile; return how many it has, and how many diverged."""
    chunk, todo, result = launched.chunk, launched.todo, settings.result
    kept = result.kept(chunk)
    arrays = computed if todo.all() else _filled(computed, todo, kept)
    bad = arrays["first_bad_step"]
    have = todo if kept is None else todo | kept.runs
    facts = {"runs": int(have.sum()), "diverged": int((bad[have] >= 0).sum())}
    sizes = [tuple(s.stop - s.start for s in tile.slices) for tile in chunk.tiles]
    cuts = np.cumsum([math.prod(size) for size in sizes])[:-1]
    pieces = {
        name: [
            piece.reshape(*size, *array.shape[1:])
            for piece, size in zip(np.split(array, cuts), sizes, strict=True)
        ]
        for name, array in arrays.items()
    }
    with _timed(settings.spent, "write"):
        result.write(chunk, pieces, facts)
    return facts["runs"], facts["diverged"]


def runs_to_do(chunk: Chunk, result: Result, wanted: Wanted | None) -> np.ndarray:
    """Return (runs,) which runs of a chunk must be computed."""
    todo = np.ones(count_runs(chunk), bool) if wanted is None else wanted(chunk)
    kept = result.kept(chunk)
    return todo if kept is None else todo & ~kept.runs


def compiler_of(waiting: Iterable[Chunk], settings: RunSettings) -> CompileAhead:
    """Return what compiles the programs of some chunks, in their order.

    Args:
        waiting: chunks; only the first one of each program counts.
        settings: what every chunk is computed with.
    """
    first: dict[int, Chunk] = {}
    for chunk in waiting:
        first.setdefault(chunk.layout, chunk)

    def lower(layout: int) -> Any:
        functions, lanes = _arguments(runs_of(first[layout])[:1], layout, settings)
        shared = share((settings.key, settings.increments), settings.meshes[layout])
        return functions.whole.lower(*lanes, *shared)

    return CompileAhead(first, lower, import_xarray)


def _compute(
    waiting: Sequence[Chunk],
    settings: RunSettings,
    count: Callable[[int, int], None],
    wanted: Wanted | None,
) -> None:
    """Compute chunks in order, each stored while the next one is computed."""
    before: Launched | None = None
    fastest = _FastestRates(settings.plan)

    def commit() -> None:
        nonlocal before
        if before is not None:
            computed = collect(before, settings.spent)
            fastest.arrived(before)
            count(*store_arrays(before, computed, settings))
            before = None

    block = waiting[0].block
    with compiler_of(waiting, settings) as compiler:
        for chunk in waiting:
            if wanted is not None and chunk.block != block:
                commit()
                block = chunk.block
            todo = runs_to_do(chunk, settings.result, wanted)
            if not todo.any():
                continue
            if on_one_device(settings.plan.workload, settings.plan.layouts[chunk.layout].program):
                commit()  # one LAPACK program at a time
            launched = launch(chunk, todo, settings, compiler)
            commit()
            before = launched
        commit()


def _on_host(outputs: Mapping[str, Any], live: int) -> Arrays:
    """Return the outputs of a call without the lanes that only fill it up, decomposed."""
    return {
        name: decompose_on_host(jax.tree.map(lambda x: np.asarray(x)[:live], output))
        for name, output in outputs.items()
    }


def _cuts(todo: np.ndarray, lanes: int) -> list[int]:
    """Return where runs are cut into calls.

    Example:
        >>> _cuts(np.ones(7, bool), 3)
        [3, 6]
    """
    return list(range(lanes, int(todo.sum()), lanes))


def _arguments(
    runs: np.ndarray, layout: int, settings: RunSettings
) -> tuple[Calls, tuple[Any, Any]]:
    """Return the jitted functions of a program, and (numbers, seeds) of the lanes of a call."""
    plan, mesh = settings.plan, settings.meshes[layout]
    made, workload = plan.layouts[layout], plan.workload
    by_seed = workload.spec.parallel == "seed"
    each = made.micro * (len(mesh.devices.flat) if by_seed else 1)
    index, seeds = lanes_of(runs, each * math.ceil(made.lanes / each))
    lanes = lane_arguments(workload, made.program, index, seeds, mesh)
    token = digest_of(workload, made.program)
    functions = calls(workload.spec, made.program.static, made.micro, mesh, token)
    return functions, lanes


def _in_segments(
    name: str,
    functions: Calls,
    lanes: tuple[Any, Any],
    live: int,
    chunk: Chunk,
    settings: RunSettings,
) -> Arrays:
    """Compute a long call a few record points at a time, saving its state in between."""
    (numbers, seeds), mesh, spent = lanes, settings.meshes[chunk.layout], settings.spent
    increments, length = settings.increments, settings.plan.segment
    saved = settings.result.checkpoint(name, settings.checkpoint_seconds, live)
    with _timed(spent, "compile"):
        state = functions.start(numbers, seeds, share(settings.key, mesh))
    begin, state, parts = saved.restore(state)
    for first in range(begin, len(increments), length):
        piece = increments[first : first + length]
        padded = share(np.concatenate([piece, np.zeros(length - len(piece), np.int32)]), mesh)
        if first == begin:
            with _timed(spent, "compile"):
                functions.segment.lower(numbers, state, padded).compile()
        with _timed(spent, "compute"):
            state, outputs = functions.segment(numbers, state, padded)
            runs = {name: decompose_on_host(v)[:live] for name, v in outputs.items()}
            kept = {
                name: v if name == "first_bad_step" else v[:, : len(piece)]
                for name, v in runs.items()
            }
        parts.append(kept)
        if first + length < len(increments):
            with _timed(spent, "write"):
                saved.save(first + length, state, parts)
    joined = {
        name: np.concatenate([p[name] for p in parts], axis=1)
        for name in parts[0]
        if name != "first_bad_step"
    }
    return {**joined, "first_bad_step": parts[-1]["first_bad_step"]}


def _filled(computed: Arrays, todo: np.ndarray, kept: Any) -> Arrays:
    """Return arrays of all runs of a chunk, from those computed, those kept, and fill values."""
    found = {}
    for name, array in computed.items():
        if kept is None:
            whole = np.full((len(todo), *array.shape[1:]), fill_of(array.dtype), array.dtype)
            whole[todo] = array
        else:
            whole = kept.arrays[name]
            whole[(todo, *(slice(0, size) for size in array.shape[1:]))] = array
        found[name] = whole
    return found


@contextlib.contextmanager
def _timed(spent: dict[str, float], name: str) -> Iterator[None]:
    begin = time.perf_counter()
    yield
    spent[name] += time.perf_counter() - begin


def counter(
    mine: Sequence[Chunk],
    finished: Mapping[str, dict[str, Any]],
    progress: Callable[[Progress], None] | None,
    spent: dict[str, float],
) -> Callable[[int, int], None]:
    """Return a function that counts (runs, diverged runs) of a chunk and reports progress."""
    total = sum(count_runs(chunk) for chunk in mine)
    before = [finished[c.name] for c in mine if c.name in finished]
    done, diverged = (sum(f[k] for f in before) for k in ("runs", "diverged"))
    started, own = time.perf_counter(), 0

    def count(runs: int, bad: int) -> None:
        nonlocal done, diverged, own
        done, diverged, own = done + runs, diverged + bad, own + runs
        rate = own / max(time.perf_counter() - started, 1e-9)
        left = (total - done) / rate if rate else math.inf
        if progress is not None:
            progress(Progress(done, total, rate, left, peak_memory(), diverged, dict(spent)))

    if progress is not None:
        progress(Progress(done, total, 0.0, math.inf, peak_memory(), diverged, dict(spent)))
    return count


class _FastestRates:
    """Keeps the fastest rate of each program, between two arrivals of its chunks."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.last: tuple[int, float] | None = None
        self.best: dict[int, float] = {}

    def arrived(self, launched: Launched) -> None:
        now, workload, chunk = time.perf_counter(), self.plan.workload, launched.chunk
        live = int(launched.todo.sum())
        if self.last is not None and self.last[0] == chunk.layout:
            program = self.plan.layouts[chunk.layout].program
            steps = max(int(workload.grid.study.record_steps[-1]), 1)
            devices = 1 if on_one_device(workload, program) else self.plan.devices
            seconds = (now - self.last[1]) * devices / live / steps
            if seconds < self.best.get(chunk.layout, math.inf):
                self.best[chunk.layout] = seconds
                note_rate(workload, program, seconds)
        self.last = (chunk.layout, now)


def lanes_of(runs: np.ndarray, lanes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (lanes, dimensions) positions and (lanes,) seeds of some runs.

    The rest of the lanes repeats the first run.

    Args:
        runs: (runs, dimensions + 1) positions, seeds last.
        lanes: at least as many as runs.
    """
    filled = np.concatenate([runs, np.repeat(runs[:1], lanes - len(runs), axis=0)])
    return filled[:, :-1], filled[:, -1].astype(np.uint32)
