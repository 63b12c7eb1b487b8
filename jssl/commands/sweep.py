"""`jssl sweep`: run a study from a file in one process, or together with other processes."""

import contextlib
import functools
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from jssl import interrupts
from jssl.commands.processes import process_index
from jssl.commands.sweep_text import missing_chunks, show_plan
from jssl.devices import cores, use_all_cores
from jssl.errors import InputError, shown
from jssl.precision import float64
from jssl.progress import Progress, duration, progress_bar
from jssl.studies.study_file import read_study
from jssl.sweeps import store as stores
from jssl.sweeps.costs import cost_of
from jssl.sweeps.grid import make_grid
from jssl.sweeps.plan import Plan, chunks, make_plan
from jssl.sweeps.study import Study
from jssl.sweeps.sweep import check_observable, run_study, stored_plan
from jssl.sweeps.workload import make_workload

LOST_SECONDS = 10.0
"""A process whose lock is free for this long, while its shard is not finished, is lost."""


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
        shard: "i/n", i from 0: compute every n-th chunk, from chunk i on. The other shards are
            computed by other commands with the same store.
        devices: CPU devices; None for one per core.
        coordinator: "host:port" of process 0, or "auto" where JAX finds it (TPU pods, Slurm).
        processes: how many processes there are.
        process: which one this is, from 0.
        timeout: seconds within which all processes must have started.
    """
    own = _shard(shard)
    if coordinator is not None and shard is not None:
        message = "give --shard or --coordinator, not both"
        raise InputError(message)
    _check_coordinator(coordinator, processes, process, timeout)
    study = read_study(path)
    errors = Console(stderr=True)
    use_all_cores(devices)
    if devices is not None and devices > cores():
        line = f"jssl: {devices:,} devices share {cores():,} cores; one device per core is fastest"
        errors.print(line, highlight=False, soft_wrap=True)
    if coordinator is not None:
        own = process_index(coordinator, processes, process, timeout)
    with float64() if study.dtype == "float64" else contextlib.nullcontext():
        if plan:
            _show_plan(study)
            return 0
        with interrupts.unwinding():
            interrupts.outcome("finished chunks are kept; rerun to resume")
            run = _run if coordinator is None else _run_with_others
            made, last = run(study, own, errors)
    where = ", ".join(f"{duration(seconds)} {name}" for name, seconds in last.spent.items())
    if shard is not None:
        line = missing_chunks(made, own, path)
        Console().print(f"{line}; time spent: {where}", highlight=False, soft_wrap=True)
    elif own[0] == 0:
        runs = f"{last.done:,} of {last.total:,} runs" if study.until else f"{last.total:,} runs"
        line = (
            f"{study.store}: finished, {runs}; see `jssl report {study.store}`; time spent: {where}"
        )
        Console().print(line, highlight=False, markup=False, soft_wrap=True)
    return 0


def _run(study: Study, shard: tuple[int, int], errors: Console) -> tuple[Plan, Progress]:
    """Run a study with a bar on stderr; return its plan and the last progress."""
    last = Progress(0, 0, 0.0, 0.0, 0, 0, {})
    with warnings.catch_warnings(), progress_bar("sweep", errors) as draw:

        def show(progress: Progress) -> None:
            nonlocal last
            last = progress
            draw(progress)

        warnings.showwarning = lambda message, *_, **__: errors.print(
            str(message), highlight=False, soft_wrap=True
        )
        plan, _ = run_study(study, shard=shard, progress=show)
    return plan, last


def _run_with_others(study: Study, own: tuple[int, int], errors: Console) -> tuple[Plan, Progress]:
    """Run the shard of this process, then wait until those of the other processes are finished."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(stores.lock(_lock(str(study.store), *own)))
        except OSError as error:
            raise stores.cannot_write(str(study.store), error) from error
        plan, last = _run(study, own, errors)
        _wait_for_others(plan, own)
    return plan, last


def _show_plan(study: Study) -> None:
    workload = make_workload(make_grid(study))
    plan = stored_plan(workload, cost_of=functools.partial(cost_of, workload))
    if plan is not None:
        show_plan(plan, len(stores.finished_names(str(study.store))))
        return
    plan, variables = make_plan(workload, measure=False)
    check_observable(study.until, variables)
    show_plan(plan, 0)


def _shard(shard: str | None) -> tuple[int, int]:
    if shard is None:
        return 0, 1
    index, slash, count = shard.partition("/")
    valid = all(number.isdecimal() and len(number) < 20 for number in (index, count))
    if not (slash and valid and int(index) < int(count)):
        message = f"--shard must be i/n with 0 <= i < n, such as 0/4; got {shown(shard)}"
        raise InputError(message)
    return int(index), int(count)


def _check_coordinator(
    coordinator: str | None, processes: int | None, process: int | None, timeout: int
) -> None:
    if not 1 <= timeout <= 10**6:
        message = f"--coordinator-timeout must be from 1 to 1,000,000 seconds; got {timeout}"
        raise InputError(message)
    if coordinator is None and (processes is not None or process is not None):
        message = "--num-processes and --process-id need --coordinator host:port; add it"
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
    plan: Plan, shard: tuple[int, int], sleep: Callable[[float], None] = time.sleep
) -> None:
    """Return when every shard is finished; raise where a process ended before its shard was."""
    index, count = shard
    store = str(plan.workload.grid.study.store)
    names: list[set[str]] = [set() for _ in range(count)]
    for number, chunk in enumerate(chunks(plan)):
        names[number % count].add(chunk.name)
    free_since: dict[int, float] = {}
    while True:
        done = stores.finished_names(store)
        unfinished = [i for i in range(count) if not names[i] <= done]
        if not unfinished:
            return
        for other in unfinished:
            with stores.lock(_lock(store, other, count)) as free:
                if not free or other == index:
                    free_since.pop(other, None)
                    continue
            since = free_since.setdefault(other, time.monotonic())
            if time.monotonic() - since >= LOST_SECONDS:
                message = (
                    f"process {other} of {count} ended before its runs were finished; rerun the "
                    "same command to resume"
                )
                raise stores.StoreError(message)
        sleep(0.5)
