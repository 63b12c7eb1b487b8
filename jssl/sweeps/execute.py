"""The host loop of a sweep: chunk after chunk, each computed, committed and never run again."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.eigenvalues import decompose_on_host
from jssl.sweeps import records
from jssl.sweeps.ahead import Ahead
from jssl.sweeps.axes import values_at
from jssl.sweeps.plan import Layout, Plan
from jssl.sweeps.prepare import (
    Prepared,
    compile_name,
    mesh_of,
    on_one_device,
    rate_name,
    token_of,
)
from jssl.sweeps.programs import Calls, calls, place, share
from jssl.sweeps.resume import Checkpoint, checkpoints
from jssl.sweeps.store import Result
from jssl.sweeps.tiles import Chunk, chunks, lanes_of, runs_of


class Progress(NamedTuple):
    """How far a sweep is.

    Attributes:
        done: runs finished, those of an earlier call included.
        total: runs of this call's shard.
        rate: runs a second of this call.
        seconds_left: at that rate.
        memory: peak bytes of this process.
        diverged: finished runs whose loss or parameters were not finite at some step.
        spent: seconds of this call so far that went into `compile` (and launching), `compute`
            (waiting for results) and `write`.
    """

    done: int
    total: int
    rate: float
    seconds_left: float
    memory: int
    diverged: int
    spent: Mapping[str, float]


class Launched(NamedTuple):
    """A chunk on its way: its outputs may still be computed while the last one is written."""

    chunk: Chunk
    outputs: Mapping[str, Any]
    live: int
    release: contextlib.ExitStack


def execute(
    prepared: Prepared,
    plan: Plan,
    result: Result,
    *,
    root: int,
    shard: tuple[int, int] = (0, 1),
    progress: Callable[[Progress], None] | None = None,
    wanted: Callable[[Chunk], bool] | None = None,
    checkpoint_seconds: float = 60.0,
) -> None:
    """Compute every chunk of a shard that is not finished.

    Chunks that another process holds are left to it; when nothing else is left to do, they are
    waited for, and taken over if that process dies. With `shard` (i, n) only every n-th chunk is
    this process's, and nothing is waited for.

    Args:
        prepared: what runs.
        plan: in which pieces.
        result: where results go.
        root: the root seed.
        shard: (index, count) of this process among those that share the work.
        progress: called after every chunk.
        wanted: asked before a chunk whether it is still needed; all earlier blocks are committed.
        checkpoint_seconds: least time between saved states of a long chunk.
    """
    axis = prepared.spec.parallel
    meshes = [mesh_of(prepared, x.program) for x in plan.layouts]
    key = jax.random.key(root, impl="threefry2x32")
    increments = np.diff(prepared.steps, prepend=0).astype(np.int32)
    finished = result.finished()
    mine = [c for i, c in enumerate(chunks(prepared.grid, plan)) if i % shard[1] == shard[0]]
    waiting = [c for c in mine if c.name not in finished]
    spent = {"compile": 0.0, "compute": 0.0, "write": 0.0}
    tell = _teller(mine, finished, progress, spent)

    def arguments(chunk: Chunk) -> tuple[Calls, tuple[Any, Any], int]:
        layout, mesh = plan.layouts[chunk.layout], meshes[chunk.layout]
        each = layout.micro * (len(mesh.devices.flat) if axis == "seed" else 1)
        index, seeds, live = lanes_of(chunk, each * math.ceil(layout.lanes / each))
        dtype = jnp.result_type(float)
        numbers = {
            name: place(v if v.dtype == np.int32 else v.astype(dtype), prepared.spec, mesh)
            for name, v in values_at(prepared.grid, layout.program.traced, index).items()
        }
        token = token_of(prepared, layout.program)
        functions = calls(prepared.spec, layout.program.static, layout.micro, mesh, token)
        return functions, (numbers, place(seeds, prepared.spec, mesh)), live

    def lower(layout: int) -> Any:
        functions, lanes, _ = arguments(next(c for c in waiting if c.layout == layout))
        return functions.whole.lower(*lanes, *share((key, increments), meshes[layout]))

    def launch(chunk: Chunk, ahead: Ahead, release: contextlib.ExitStack) -> Launched:
        functions, lanes, live = arguments(chunk)
        mesh = meshes[chunk.layout]
        if plan.segment < len(increments):
            saved = checkpoints(result.folder, chunk.name, checkpoint_seconds, live)
            pieces = (increments, plan.segment)
            shared = share(key, mesh)
            outputs = _in_segments(functions, lanes, shared, pieces, live, saved, mesh, spent)
        else:
            with _counted(spent, "compile"):
                ahead.ready(chunk.layout)
                outputs = functions.whole(*lanes, *share((key, increments), mesh))
            program = plan.layouts[chunk.layout].program
            records.update(compile_name(prepared, program), compiled=True)
        return Launched(chunk, outputs, live, release)

    timer = _Rate(prepared, plan)
    while waiting:
        skipped: list[Chunk] = []
        queue: Launched | None = None
        block = waiting[0].block
        order = (c.layout for c in waiting)
        # Claims are given back whatever happens: one left open would be waited for for ever.
        with Ahead(order, lower) as ahead, contextlib.ExitStack() as claims:
            for chunk in waiting:
                if wanted is not None and chunk.block != block:
                    _commit(queue, result, tell, timer, spent)
                    queue, block = None, chunk.block
                if wanted is not None and not wanted(chunk):
                    continue
                release = contextlib.ExitStack()
                claims.callback(release.close)
                if not release.enter_context(result.claim(chunk.name)):
                    skipped.append(chunk)
                    continue
                if on_one_device(prepared, plan.layouts[chunk.layout].program):
                    _commit(queue, result, tell, timer, spent)  # one LAPACK program at a time
                    queue = None
                following = launch(chunk, ahead, release)
                _commit(queue, result, tell, timer, spent)
                queue = following
            _commit(queue, result, tell, timer, spent)
        if skipped and shard[1] == 1:
            time.sleep(0.5)
            finished = result.finished()
            waiting = [c for c in skipped if c.name not in finished]
        else:
            waiting = []


def _commit(
    launched: Launched | None,
    result: Result,
    tell: Callable[[int, int], None],
    timer: "_Rate",
    spent: dict[str, float],
) -> None:
    """Write a chunk's outputs tile by tile and release it."""
    if launched is None:
        return
    chunk, outputs, live, release = launched
    with release:
        with _counted(spent, "compute"):
            arrays = {n: decompose_on_host(_first(v, live)) for n, v in outputs.items()}
        timer.arrived(chunk, live)
        sizes = [tuple(s.stop - s.start for s in tile.slices) for tile in chunk.tiles]
        cuts = np.cumsum([math.prod(size) for size in sizes])[:-1]
        values = {
            name: [
                piece.reshape(*size, *array.shape[1:])
                for piece, size in zip(np.split(array, cuts), sizes, strict=True)
            ]
            for name, array in arrays.items()
        }
        diverged = int((arrays["first_bad_step"] >= 0).sum())
        with _counted(spent, "write"):
            result.write(chunk, values, {"runs": live, "diverged": diverged})
    tell(live, diverged)


def _first(output: Any, live: int) -> Any:
    """Return the first runs of an output, on the host."""
    return jax.tree.map(lambda x: np.asarray(x)[:live], output)


@contextlib.contextmanager
def _counted(spent: dict[str, float], on: str) -> Iterator[None]:
    begin = time.perf_counter()
    yield
    spent[on] += time.perf_counter() - begin


def _in_segments(
    functions: Calls,
    lanes: tuple[Any, Any],
    key: Any,
    pieces: tuple[np.ndarray, int],
    live: int,
    saved: Checkpoint,
    mesh: Any,
    spent: dict[str, float],
) -> dict[str, np.ndarray]:
    """Run a long chunk a few record points at a time, saving its state on the way."""
    (numbers, seeds), (increments, length) = lanes, pieces
    with _counted(spent, "compile"):
        state = functions.start(numbers, seeds, key)
    begin, state, parts = saved.restore(state)
    for first in range(begin, len(increments), length):
        piece = increments[first : first + length]
        padded = np.concatenate([piece, np.zeros(length - len(piece), np.int32)])
        with _counted(spent, "compile"):
            state, outputs = functions.segment(numbers, state, share(padded, mesh))
        with _counted(spent, "compute"):
            runs = {name: decompose_on_host(v)[:live] for name, v in outputs.items()}
            kept = {
                name: v if name == "first_bad_step" else v[:, : len(piece)]
                for name, v in runs.items()
            }
        parts.append(kept)
        if first + length < len(increments):
            with _counted(spent, "write"):
                saved.save(first + length, state, parts)
    joined = {
        name: np.concatenate([p[name] for p in parts], axis=1)
        for name in parts[0]
        if name != "first_bad_step"
    }
    return {**joined, "first_bad_step": parts[-1]["first_bad_step"]}


def _teller(
    mine: Sequence[Chunk],
    finished: Mapping[str, dict[str, Any]],
    progress: Callable[[Progress], None] | None,
    spent: dict[str, float],
) -> Callable[[int, int], None]:
    total = sum(runs_of(chunk) for chunk in mine)
    before = [finished[c.name] for c in mine if c.name in finished]
    done, diverged = (sum(f[k] for f in before) for k in ("runs", "diverged"))
    started, own = time.perf_counter(), 0

    def tell(runs: int, bad: int) -> None:
        nonlocal done, diverged, own
        done, diverged, own = done + runs, diverged + bad, own + runs
        rate = own / max(time.perf_counter() - started, 1e-9)
        left = (total - done) / rate if rate else math.inf
        if progress is not None:
            progress(Progress(done, total, rate, left, peak_memory(), diverged, dict(spent)))

    if progress is not None:
        progress(Progress(done, total, 0.0, math.inf, peak_memory(), diverged, dict(spent)))
    return tell


class _Rate:
    """Keeps the fastest rate seen of each program between two arrivals of its chunks."""

    def __init__(self, prepared: Prepared, plan: Plan) -> None:
        self.prepared, self.plan = prepared, plan
        self.devices = [
            1 if on_one_device(prepared, x.program) else plan.devices for x in plan.layouts
        ]
        self.last: tuple[int, float] | None = None
        self.best: dict[int, float] = {}

    def arrived(self, chunk: Chunk, live: int) -> None:
        now = time.perf_counter()
        if self.last is not None and self.last[0] == chunk.layout:
            layout: Layout = self.plan.layouts[chunk.layout]
            steps = max(int(self.prepared.steps[-1]), 1)
            devices = self.devices[chunk.layout]
            seconds = (now - self.last[1]) * devices / live / steps
            if seconds < self.best.get(chunk.layout, math.inf):
                self.best[chunk.layout] = seconds
                records.update(rate_name(self.prepared, layout.program), step=seconds)
        self.last = (chunk.layout, now)


def peak_memory() -> int:
    """Return the peak resident bytes of this process, 0 where the system does not say."""
    import sys

    try:
        import resource
    except ImportError:  # Windows
        return 0

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
