"""`jssl sweep`: run a study from a file in one process, or together with other processes."""

import contextlib
import functools
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bars

from jssl import interrupts
from jssl.commands.sweep_text import describe, duration, lacking, show_plan
from jssl.errors import InputError, shown
from jssl.precision import float64
from jssl.sweeps import journal
from jssl.sweeps import store as stores
from jssl.sweeps.adaptive import check_observable, sweep_until
from jssl.sweeps.devices import cores, use_all_cores
from jssl.sweeps.execute import Progress
from jssl.sweeps.labels import variables_of
from jssl.sweeps.meeting import meet
from jssl.sweeps.plan import Plan, from_json
from jssl.sweeps.prepare import Prepared, cost_of, plan_of, prepare
from jssl.sweeps.resume import refuse_other
from jssl.sweeps.sizes import check_sizes
from jssl.sweeps.study import Study, read_study
from jssl.sweeps.sweep import sweep
from jssl.sweeps.tiles import chunks

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
    _check_place(coordinator, processes, process, timeout)
    study = read_study(path)
    errors = Console(stderr=True)
    use_all_cores(devices)
    if devices is not None and devices > cores():
        line = f"jssl: {devices:,} devices share {cores():,} cores; one device per core is fastest"
        errors.print(line, highlight=False, soft_wrap=True)
    if coordinator is not None:
        own = meet(coordinator, processes, process, timeout)
    with float64() if study.precision == "float64" else contextlib.nullcontext():
        prepared = prepare(study.request)
        if plan:
            show_plan(prepared, *_stored_or_new(prepared, study))
            return 0
        with interrupts.unwinding():
            interrupts.outcome("finished chunks are kept; rerun to resume")
            if coordinator is None:
                last = _run(study, own, errors)
            else:
                with contextlib.ExitStack() as held:
                    try:
                        held.enter_context(journal.lock(_lock(study.store, *own)))
                    except OSError as error:
                        raise stores.cannot_write(study.store, error) from error
                    last = _run(study, own, errors)
                    _wait_for_others(study.store, prepared, own)
    where = ", ".join(f"{duration(seconds)} {name}" for name, seconds in last.spent.items())
    if shard is not None:
        line = lacking(study.store, prepared, own, path)
        Console().print(f"{line}; time spent: {where}", highlight=False, soft_wrap=True)
    elif own[0] == 0:
        runs = f"{last.done:,} of {last.total:,} runs" if study.until else f"{last.total:,} runs"
        line = (
            f"{study.store}: finished, {runs}; see `jssl report {study.store}`; time spent: {where}"
        )
        Console().print(line, highlight=False, markup=False, soft_wrap=True)
    return 0


def _run(study: Study, shard: tuple[int, int], errors: Console) -> Progress:
    if study.until is not None and shard[1] > 1:
        message = "a study with [until] needs all seeds; run it in one process, without shards"
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
                sweep(request.make_problem, request.axes, shard=shard, **kept)
            else:
                sweep_until(request.make_problem, request.axes, study.until, **kept)
        except BaseException:
            bar.live.transient = True  # remove the bar, so that the last line is the error
            errors.quiet = not errors.is_terminal  # and print no empty line where it is a file
            raise
    return last


_GIVEN = ("make_problem", "axes", "settings")


def _stored_or_new(prepared: Prepared, study: Study) -> tuple[Plan, int]:
    if stores.is_store(study.store):
        attributes, stored = stores.read_plan(study.store)
        refuse_other(study.store, attributes.get("settings", {}), prepared.settings)
        plan = from_json(prepared.grid, stored, functools.partial(cost_of, prepared))
        return plan, len(stores.finished_names(study.store))
    plan = plan_of(prepared, study.request)
    check_sizes(prepared.grid, plan, study.store, all_runs=study.until is None)
    variables = variables_of(prepared, plan, study.request)
    if study.until is not None:
        check_observable(study.until, variables)
    return plan, 0


def _shard(shard: str | None) -> tuple[int, int]:
    if shard is None:
        return 0, 1
    index, slash, count = shard.partition("/")
    valid = all(number.isdecimal() and len(number) < 20 for number in (index, count))
    if not (slash and valid and int(index) < int(count)):
        message = f"--shard must be i/n with 0 <= i < n, such as 0/4; got {shown(shard)}"
        raise InputError(message)
    return int(index), int(count)


def _check_place(
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
    store: str,
    prepared: Prepared,
    shard: tuple[int, int],
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return when every shard is finished; raise where a process ended before its shard was."""
    index, count = shard
    _, stored = stores.read_plan(store)
    plan = from_json(prepared.grid, stored)
    names: list[set[str]] = [set() for _ in range(count)]
    for number, chunk in enumerate(chunks(prepared.grid, plan)):
        names[number % count].add(chunk.name)
    free_since: dict[int, float] = {}
    while True:
        done = stores.finished_names(store)
        unfinished = [i for i in range(count) if not names[i] <= done]
        if not unfinished:
            return
        for other in unfinished:
            with journal.lock(_lock(store, other, count)) as free:
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
