"""The host loop of a sweep: chunk after chunk, each computed, stored and never computed again.

While the outputs of one chunk are computed, the chunk before it is stored, and the next program is
compiled: tracing and lowering are Python and stay in this thread, XLA compiles on others.
"""

import contextlib
import math
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, NamedTuple, Self

import jax
import numpy as np

from jssl.eigenvalues import decompose_on_host
from jssl.memory import peak_memory
from jssl.progress import Progress
from jssl.sweeps.costs import note_compiled, note_rate
from jssl.sweeps.plan import Chunk, Plan, chunks, count_runs
from jssl.sweeps.programs import Calls, calls, share
from jssl.sweeps.store import Result
from jssl.sweeps.workload import digest_of, lane_arguments, mesh_of, on_one_device


class Launched(NamedTuple):
    """A chunk whose outputs may still be computed while the chunk before it is stored."""

    chunk: Chunk
    outputs: Mapping[str, Any]
    live: int
    release: contextlib.ExitStack


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
    wanted: Callable[[Chunk], bool] | None = None,
    checkpoint_seconds: float = 60.0,
) -> None:
    """Compute and store every chunk of a shard that is not finished.

    Chunks that another process computes are left to it. When nothing else is left, this process
    waits for them, and computes them itself if that process dies. With a `shard` (i, n), n > 1,
    nothing is waited for.

    Args:
        plan: what runs, in which pieces.
        result: where results go.
        shard: (i, n): compute every n-th chunk, from chunk i on.
        progress: called after every chunk.
        wanted: asked before a chunk whether it is still needed; all earlier blocks are stored then.
        checkpoint_seconds: least time between saved states of a long chunk.
    """
    study = plan.workload.grid.study
    settings = RunSettings(
        plan,
        result,
        [mesh_of(plan.workload, x.program) for x in plan.layouts],
        jax.random.key(study.seed, impl="threefry2x32"),
        np.diff(study.record_steps, prepend=0).astype(np.int32),
        checkpoint_seconds,
        {"compile": 0.0, "compute": 0.0, "write": 0.0},
    )
    finished = result.finished()
    mine = [c for i, c in enumerate(chunks(plan)) if i % shard[1] == shard[0]]
    count = _counter(mine, finished, progress, settings.spent)
    fastest = _FastestRates(plan)

    def commit(launched: Launched | None) -> None:
        _commit(launched, settings, count, fastest)

    waiting = [c for c in mine if c.name not in finished]
    while waiting:
        left = _compute(waiting, settings, commit, wanted)
        if not left or shard[1] > 1:
            return
        time.sleep(0.5)
        finished = result.finished()
        waiting = [c for c in left if c.name not in finished]


class CompileAhead:
    """Compiles programs in a known order, one further than is asked for; a context manager.

    A later call of the jitted function finds what was compiled for the same shapes and shardings.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> double, halve = jax.jit(lambda x: 2 * x), jax.jit(lambda x: x / 2)
        >>> with CompileAhead([double, halve], lambda f: f.lower(jnp.ones(3))) as compiler:
        ...     compiler.ready(double)  # halve is compiled too, from here on
        ...     print(float(double(jnp.ones(3)).sum()))
        6.0
    """

    def __init__(self, order: Iterable[Hashable], lower: Callable[[Any], Any]) -> None:
        """Store the order.

        Args:
            order: names of programs, in the order in which they will be asked for; repetitions
                are dropped.
            lower: `lower(name)` gives what `jax.jit(f).lower(...)` gives.
        """
        self.order = list(dict.fromkeys(order))
        self.lower = lower
        self.threads = ThreadPoolExecutor(2, "compile")
        self.compiled: dict[Any, Future[Any] | None] = {}

    def ready(self, name: Any) -> None:
        """Return once a program is compiled, or raise what its compilation raised."""
        if len(self.order) < 2:  # nothing to compile in parallel: the call itself compiles
            return
        at = self.order.index(name)
        for near in self.order[at : at + 2]:
            if near not in self.compiled:
                self.compiled[near] = self.threads.submit(self.lower(near).compile)
        waited = self.compiled[name]
        if waited is not None:
            waited.result()
            self.compiled[name] = None  # a long sweep does not keep every program it ever ran

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        """Stop the threads; a compilation that is under way ends by itself."""
        self.threads.shutdown(wait=False, cancel_futures=True)


def _compute(
    waiting: Sequence[Chunk],
    settings: RunSettings,
    commit: Callable[[Launched | None], None],
    wanted: Callable[[Chunk], bool] | None,
) -> list[Chunk]:
    """Compute chunks in order; return those that other processes are computing."""
    plan, left = settings.plan, []
    before: Launched | None = None
    block = waiting[0].block

    def lower(layout: int) -> Any:
        functions, lanes, _ = _arguments(next(c for c in waiting if c.layout == layout), settings)
        shared = share((settings.key, settings.increments), settings.meshes[layout])
        return functions.whole.lower(*lanes, *shared)

    order = (c.layout for c in waiting)
    # Claims are released whatever happens: other processes wait for one that is left open.
    with CompileAhead(order, lower) as compiler, contextlib.ExitStack() as claims:
        for chunk in waiting:
            if wanted is not None and chunk.block != block:
                commit(before)
                before, block = None, chunk.block
            if wanted is not None and not wanted(chunk):
                continue
            release = contextlib.ExitStack()
            claims.callback(release.close)
            if not release.enter_context(settings.result.claim(chunk.name)):
                left.append(chunk)
                continue
            if on_one_device(plan.workload, plan.layouts[chunk.layout].program):
                commit(before)  # one LAPACK program at a time
                before = None
            launched = _launch(chunk, settings, compiler, release)
            commit(before)
            before = launched
        commit(before)
    return left


def _arguments(chunk: Chunk, settings: RunSettings) -> tuple[Calls, tuple[Any, Any], int]:
    """Return the jitted functions of a chunk, (numbers, seeds) of its lanes, and its runs."""
    plan, mesh = settings.plan, settings.meshes[chunk.layout]
    layout, workload = plan.layouts[chunk.layout], plan.workload
    by_seed = workload.spec.parallel == "seed"
    each = layout.micro * (len(mesh.devices.flat) if by_seed else 1)
    index, seeds, live = lanes_of(chunk, each * math.ceil(layout.lanes / each))
    lanes = lane_arguments(workload, layout.program, index, seeds, mesh)
    token = digest_of(workload, layout.program)
    functions = calls(workload.spec, layout.program.static, layout.micro, mesh, token)
    return functions, lanes, live


def _launch(
    chunk: Chunk, settings: RunSettings, compiler: CompileAhead, release: contextlib.ExitStack
) -> Launched:
    """Start to compute a chunk; one in segments is computed completely."""
    functions, lanes, live = _arguments(chunk, settings)
    if settings.plan.segment < len(settings.increments):
        outputs = _in_segments(chunk, functions, lanes, live, settings)
        return Launched(chunk, outputs, live, release)
    with _timed(settings.spent, "compile"):
        compiler.ready(chunk.layout)
        shared = share((settings.key, settings.increments), settings.meshes[chunk.layout])
        outputs = functions.whole(*lanes, *shared)
    note_compiled(settings.plan.workload, settings.plan.layouts[chunk.layout].program)
    return Launched(chunk, outputs, live, release)


def _in_segments(
    chunk: Chunk, functions: Calls, lanes: tuple[Any, Any], live: int, settings: RunSettings
) -> dict[str, np.ndarray]:
    """Compute a long chunk a few record points at a time, saving its state in between."""
    (numbers, seeds), mesh, spent = lanes, settings.meshes[chunk.layout], settings.spent
    increments, length = settings.increments, settings.plan.segment
    saved = settings.result.checkpoint(chunk.name, settings.checkpoint_seconds, live)
    with _timed(spent, "compile"):
        state = functions.start(numbers, seeds, share(settings.key, mesh))
    begin, state, parts = saved.restore(state)
    for first in range(begin, len(increments), length):
        piece = increments[first : first + length]
        padded = np.concatenate([piece, np.zeros(length - len(piece), np.int32)])
        with _timed(spent, "compile"):
            state, outputs = functions.segment(numbers, state, share(padded, mesh))
        with _timed(spent, "compute"):
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


def _commit(
    launched: Launched | None,
    settings: RunSettings,
    count: Callable[[int, int], None],
    fastest: "_FastestRates",
) -> None:
    """Wait for a chunk's outputs, store them tile by tile, and release its claim."""
    if launched is None:
        return
    chunk, outputs, live, release = launched
    with release:
        with _timed(settings.spent, "compute"):
            arrays = {
                name: decompose_on_host(jax.tree.map(lambda x: np.asarray(x)[:live], output))
                for name, output in outputs.items()
            }
        fastest.arrived(chunk, live)
        sizes = [tuple(s.stop - s.start for s in tile.slices) for tile in chunk.tiles]
        cuts = np.cumsum([math.prod(size) for size in sizes])[:-1]
        pieces = {
            name: [
                piece.reshape(*size, *array.shape[1:])
                for piece, size in zip(np.split(array, cuts), sizes, strict=True)
            ]
            for name, array in arrays.items()
        }
        diverged = int((arrays["first_bad_step"] >= 0).sum())
        with _timed(settings.spent, "write"):
            settings.result.write(chunk, pieces, {"runs": live, "diverged": diverged})
    count(live, diverged)


@contextlib.contextmanager
def _timed(spent: dict[str, float], name: str) -> Iterator[None]:
    begin = time.perf_counter()
    yield
    spent[name] += time.perf_counter() - begin


def _counter(
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

    def arrived(self, chunk: Chunk, live: int) -> None:
        now, workload = time.perf_counter(), self.plan.workload
        if self.last is not None and self.last[0] == chunk.layout:
            program = self.plan.layouts[chunk.layout].program
            steps = max(int(workload.grid.study.record_steps[-1]), 1)
            devices = 1 if on_one_device(workload, program) else self.plan.devices
            seconds = (now - self.last[1]) * devices / live / steps
            if seconds < self.best.get(chunk.layout, math.inf):
                self.best[chunk.layout] = seconds
                note_rate(workload, program, seconds)
        self.last = (chunk.layout, now)


def lanes_of(chunk: Chunk, lanes: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the runs of a chunk: (lanes, dimensions) positions, (lanes,) seeds, and their number.

    The rest of the lanes repeats the first run.
    """
    index = [
        np.stack(
            np.meshgrid(*(np.arange(s.start, s.stop) for s in tile.slices), indexing="ij"), -1
        ).reshape(-1, len(tile.slices))
        for tile in chunk.tiles
    ]
    runs = np.concatenate(index)
    live = len(runs)
    filled = np.concatenate([runs, np.repeat(runs[:1], lanes - live, axis=0)])
    return filled[:, :-1], filled[:, -1].astype(np.uint32), live
