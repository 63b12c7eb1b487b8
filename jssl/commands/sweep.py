"""`jssl sweep`: a study from a file, with progress, in one process or beside others."""

import contextlib
import functools
import math
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from jssl import interrupts
from jssl.errors import InputError, printable
from jssl.precision import float64
from jssl.sweeps import journal
from jssl.sweeps import store as stores
from jssl.sweeps.adaptive import check_observable, sweep_until
from jssl.sweeps.devices import cores, use_all_cores
from jssl.sweeps.execute import Progress
from jssl.sweeps.labels import variables_of
from jssl.sweeps.meeting import meet
from jssl.sweeps.plan import Plan, chunk_bytes, devices_of, from_json, predicted_seconds
from jssl.sweeps.prepare import Prepared, cost_of, one_device_line, plan_of, prepare
from jssl.sweeps.resume import refuse_other
from jssl.sweeps.sizes import check_sizes
from jssl.sweeps.study import Study, read_study
from jssl.sweeps.sweep import sweep
from jssl.sweeps.tiles import chunks, count_chunks, runs_of

LOST_SECONDS = 10.0
"""A process whose lock stays free for so long, its part not done, is lost."""


def run_sweep(
    path: Path,
    *,
    plan: bool = False,
    shard: str | None = None,
    devices: int | None = None,
    coordinator: str | None = None,
    processes: int | None = None,
    process: int | None = None,
    timeout: int = 300,
) -> int:
    """Run a study, or print its plan; return the exit status.

    Args:
        path: of the TOML file.
        plan: print what would run, and write nothing.
        shard: "i/n", i from 0: compute every n-th chunk; n such commands share the store.
        devices: CPU devices; None for one per core.
        coordinator: "host:port" of process 0, or "auto" where JAX finds it (TPU pods, Slurm).
        processes: how many processes there are.
        process: which one this is, from 0.
        timeout: seconds in which all processes must meet.
    """
    part = _part(shard)
    if coordinator is not None and shard is not None:
        message = "give --shard or --coordinator, not both"
        raise InputError(message)
    _check_place(coordinator, processes, process, timeout)
    study = read_study(path)
    errors = Console(stderr=True)
    use_all_cores(devices)
    if devices is not None and devices > cores():
        line = f"jssl: {devices:,} devices share {cores():,} cores; one per core is fastest"
        errors.print(line, highlight=False, soft_wrap=True)
    if coordinator is not None:
        part = meet(coordinator, processes, process, timeout)
    with float64() if study.precision == "float64" else contextlib.nullcontext():
        prepared = prepare(study.request)
        if plan:
            show_plan(prepared, *_stored_or_new(prepared, study))
            return 0
        with interrupts.unwinding():
            interrupts.outcome("finished chunks are kept; rerun to resume")
            if coordinator is None:
                last = _run(study, part, errors)
            else:
                with contextlib.ExitStack() as held:
                    try:
                        held.enter_context(journal.lock(_lock(study.store, *part)))
                    except OSError as error:
                        raise stores.cannot_write(study.store, error) from error
                    last = _run(study, part, errors)
                    _wait_for_others(study.store, prepared, part)
    where = ", ".join(f"{duration(seconds)} {name}" for name, seconds in last.spent.items())
    if shard is not None:
        line = lacking(study.store, prepared, part, path)
        Console().print(f"{line}; time went into: {where}", highlight=False, soft_wrap=True)
    elif part[0] == 0:
        runs = f"{last.done:,} of {last.total:,} runs" if study.until else f"{last.total:,} runs"
        line = (
            f"{study.store}: finished, {runs}; see `jssl report {study.store}`; "
            f"time went into: {where}"
        )
        Console().print(line, highlight=False, markup=False, soft_wrap=True)
    return 0


def show_plan(prepared: Prepared, plan: Plan, done: int) -> None:
    """Print programs, chunks, memory and predicted time."""
    steps = max(int(prepared.steps[-1]), 1)
    table = Table(title="plan", pad_edge=False)
    for name in ("program", "runs", "runs a call", "together", "memory", "compile", "run"):
        table.add_column(name, justify="left" if name == "program" else "right")
    for x in plan.layouts:
        what = (
            ", ".join(f"{name}={printable(str(value))}" for name, value in x.program.static)
            or "all points"
        )
        runs = x.program.points * prepared.grid.seeds
        devices = devices_of(x.cost, plan.devices)
        table.add_row(
            Text(what),
            f"{runs:,}",
            f"{x.lanes:,}",
            str(x.micro),
            f"{chunk_bytes(x, prepared.machine) * devices / 1e6:.3g} MB",
            "cached" if x.cost.compile == 0 else duration(x.cost.compile),
            duration(runs * x.cost.step * steps / devices),
        )
    console = Console()
    console.print(table)
    compiling, running = predicted_seconds(plan, prepared.grid, steps)
    total = count_chunks(prepared.grid, plan)
    padded = f"; widths padded {dict(plan.bins)}" if plan.bins else ""
    console.print(
        f"{prepared.grid.runs:,} runs of {steps:,} steps in {total:,} chunks ({done:,} done) on "
        f"{plan.devices} x {prepared.machine.platform}{padded}; about {duration(compiling)} to "
        f"compile and {duration(running)} to run",
        highlight=False,
        markup=False,
    )
    line = one_device_line(prepared, plan)
    if line:
        console.print(line, highlight=False, soft_wrap=True)


def lacking(store: str, prepared: Prepared, part: tuple[int, int], study: Path) -> str:
    """Return a line that says what a store still lacks after a shard is done, and of which shards.

    Args:
        store: of the sweep.
        prepared: what runs.
        part: (index, count) of the shard that is done.
        study: path of the TOML file.
    """
    index, count = part
    _, stored = stores.read_plan(store)
    done = stores.finished_names(store)
    left: dict[int, tuple[int, int]] = {}
    total = made = 0
    for number, chunk in enumerate(chunks(prepared.grid, from_json(prepared.grid, stored))):
        total, made = total + 1, made + (chunk.name in done)
        if chunk.name not in done:
            known, runs = left.get(number % count, (0, 0))
            left[number % count] = known + 1, runs + runs_of(chunk)
    line = f"{store}: shard {index}/{count} finished, {made:,} of {total:,} chunks are there"
    if left:
        shown = [f"{n:,} ({r:,} runs) of shard {i}/{count}" for i, (n, r) in sorted(left.items())]
        more = f" and of {len(shown) - 8:,} more shards" if len(shown) > 8 else ""
        line += f"; lacking: {', '.join(shown[:8])}{more}"
        which = next(iter(left)) if len(left) == 1 else "i"
        line += f"; run `jssl sweep {study} --shard {which}/{count}` unless it is running"
    else:
        line += f"; see `jssl report {store}`"
    return line


def duration(seconds: float) -> str:
    """Return a duration as people say it.

    Example:
        >>> print(duration(0.5), duration(90), duration(7300), duration(float("inf")))
        0.5 s 1.5 min 2 h ?
    """
    if not math.isfinite(seconds):
        return "?"
    for limit, unit, name in ((60, 1, "s"), (3600, 60, "min"), (86400, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.2g} {name}"
    return f"{seconds / 86400:.3g} days"


def _run(study: Study, part: tuple[int, int], errors: Console) -> Progress:
    if study.until is not None and part[1] > 1:
        message = "[until] looks at all seeds: run it in one process"
        raise InputError(message)
    request = study.request
    options = {k: v for k, v in request._asdict().items() if k not in _GIVEN}
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"))
    with warnings.catch_warnings(), Bars(*columns, console=errors) as bar:
        task = bar.add_task("sweep", state="compiling")

        last = Progress(0, 0, 0.0, 0.0, 0, 0, {})

        def show(progress: Progress) -> None:
            nonlocal last
            last = progress
            bar.update(
                task, total=progress.total, completed=progress.done, state=describe(progress)
            )

        kept: dict[str, Any] = {"store": study.store, "progress": show, **options}
        try:
            warnings.showwarning = lambda message, *_, **__: errors.print(
                str(message), highlight=False, soft_wrap=True
            )
            if study.until is None:
                sweep(request.make_problem, request.axes, part=part, **kept)
            else:
                sweep_until(request.make_problem, request.axes, study.until, **kept)
        except BaseException:
            bar.live.transient = True  # leave the line to what went wrong,
            errors.quiet = not errors.is_terminal  # in files too, where a bar ends in an empty one
            raise
    return last


_GIVEN = ("make_problem", "axes", "settings")


def describe(progress: Progress) -> str:
    """Return progress as one line: runs, rate, time left, memory, diverged runs.

    Example:
        >>> describe(Progress(50, 100, 10.0, 5.0, 2_000_000_000, 1, {}))
        '50 of 100 runs, 10 runs/s, 5 s left, 2 GB, 1 diverged'
    """
    parts = [f"{progress.done:,} of {progress.total:,} runs"]
    if progress.rate:  # else nothing has been run here, so far or because nothing is left
        parts.append(f"{progress.rate:.3g} runs/s")
        parts.append(f"{duration(progress.seconds_left)} left")
    parts.append(f"{progress.memory / 1e9:.2g} GB")
    parts.append(f"{progress.diverged:,} diverged")
    return ", ".join(parts)


def _stored_or_new(prepared: Prepared, study: Study) -> tuple[Plan, int]:
    if stores.is_store(study.store):
        attributes, stored = stores.read_plan(study.store)
        refuse_other(study.store, attributes.get("settings", {}), prepared.settings)
        plan = from_json(prepared.grid, stored, functools.partial(cost_of, prepared))
        return plan, len(stores.finished_names(study.store))
    plan = plan_of(prepared, study.request)
    check_sizes(prepared.grid, plan, study.store, all_runs=study.until is None)
    found = variables_of(prepared, plan, study.request)
    if study.until is not None:
        check_observable(study.until, found)
    return plan, 0


def _part(shard: str | None) -> tuple[int, int]:
    if shard is None:
        return 0, 1
    index, slash, count = shard.partition("/")
    valid = bool(slash) and index.isdecimal() and count.isdecimal()
    if not valid or not int(index) < int(count):
        message = f"--shard must be i/n with 0 <= i < n, such as 0/4; got '{shard}'"
        raise InputError(message)
    return int(index), int(count)


def _check_place(
    coordinator: str | None, processes: int | None, process: int | None, timeout: int
) -> None:
    if not 1 <= timeout <= 10**6:
        message = f"--coordinator-timeout must be from 1 to 1,000,000 seconds; got {timeout}"
        raise InputError(message)
    if coordinator in (None, "auto"):
        return
    _, colon, port = str(coordinator).rpartition(":")
    if not colon or not port.isdecimal() or not 1 <= int(port) < 2**16:
        message = f"--coordinator must be host:port, or auto; got '{coordinator}'"
        raise InputError(message)
    if processes is None or process is None or not 0 <= process < processes:
        message = "--coordinator host:port needs --num-processes n and --process-id i, 0 <= i < n"
        raise InputError(message)


def _lock(store: str, index: int, count: int) -> Path:
    return Path(store).parent / f".{Path(store).name}.processes" / f"{index}-of-{count}"


def _wait_for_others(
    store: str,
    prepared: Prepared,
    part: tuple[int, int],
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return when every part is done; raise where a process is gone and its part is not done."""
    index, count = part
    _, stored = stores.read_plan(store)
    plan = from_json(prepared.grid, stored)
    parts: list[set[str]] = [set() for _ in range(count)]
    for number, chunk in enumerate(chunks(prepared.grid, plan)):
        parts[number % count].add(chunk.name)
    free_since: dict[int, float] = {}
    while True:
        done = stores.finished_names(store)
        open_parts = [i for i in range(count) if not parts[i] <= done]
        if not open_parts:
            return
        for other in open_parts:
            with journal.lock(_lock(store, other, count)) as free:
                if not free or other == index:
                    free_since.pop(other, None)
                    continue
            since = free_since.setdefault(other, time.monotonic())
            if time.monotonic() - since >= LOST_SECONDS:
                message = (
                    f"process {other} of {count} was lost before its part was done; run the same "
                    "command again to go on"
                )
                raise stores.StoreError(message)
        sleep(0.5)
