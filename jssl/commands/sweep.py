"""`jssl sweep`: run a study from a file in one process, as a shard, or on a cluster."""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from jssl import interrupts
from jssl.commands.processes import process_index
from jssl.commands.sweep_text import missing_chunks, show_plan
from jssl.devices import cores, use_all_cores
from jssl.errors import InputError, shown
from jssl.precision import float64
from jssl.progress import Progress, duration, progress_bar
from jssl.studies.study_file import read_study
from jssl.sweeps.plan import Plan
from jssl.sweeps.preview import preview_of
from jssl.sweeps.study import Study
from jssl.sweeps.sweep import run_study


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
    scheduler: str | None = None,
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
        scheduler: address of a dask scheduler, whose workers compute the study.
    """
    own = _shard(shard)
    if scheduler is not None and (shard or coordinator or devices):
        message = (
            "--scheduler gives the work to other processes: leave out --shard, --coordinator and "
            "--devices"
        )
        raise InputError(message)
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
            show_plan(preview_of(study))
            return 0
        with interrupts.unwinding():
            interrupts.outcome("finished chunks are kept; rerun to resume")
            made, last = _run(study, own, errors, scheduler)
    where = ", ".join(f"{duration(seconds)} {name}" for name, seconds in last.spent.items())
    if own[1] > 1:
        line = missing_chunks(made, own, path)
        Console().print(f"{line}; time spent: {where}", highlight=False, soft_wrap=True)
    else:
        runs = f"{last.done:,} of {last.total:,} runs" if study.until else f"{last.total:,} runs"
        line = (
            f"{study.store}: finished, {runs}; see `jssl report {study.store}`; time spent: {where}"
        )
        Console().print(line, highlight=False, markup=False, soft_wrap=True)
    return 0


def _run(
    study: Study, shard: tuple[int, int], errors: Console, scheduler: str | None
) -> tuple[Plan, Progress]:
    """Run a study with a bar on stderr; return its plan and the last progress."""
    last = Progress(0, 0, 0.0, 0.0, 0, 0, {})
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        client = None if scheduler is None else stack.enter_context(_client(scheduler))
        draw = stack.enter_context(progress_bar("sweep", errors))

        def show(progress: Progress) -> None:
            nonlocal last
            last = progress
            draw(progress)

        def say(line: str) -> None:
            errors.print(line, highlight=False, markup=False, soft_wrap=True)

        warnings.showwarning = lambda message, *_, **__: say(str(message))
        plan, _ = run_study(study, shard=shard, client=client, progress=show, say=say)
    return plan, last


@contextlib.contextmanager
def _client(scheduler: str) -> Iterator[Any]:
    """Give a client of a scheduler, whose log stays off the terminal."""
    from jssl.sweeps.cluster import connect, quiet

    with quiet():
        client = connect(scheduler)
        try:
            yield client
        finally:
            client.close(timeout=2)


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
