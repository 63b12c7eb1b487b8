"""Run the studies of papers in parallel: on a CPU, each in its own process.

Most of a study's time at `quick` is compilation, which uses one core. The results do not depend on
the number of processes, since a study's random numbers depend on its seed alone. An accelerator can
be used by one process only; there, studies run in this process, one after the other.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from jssl.devices import cores
from jssl.errors import InputError
from jssl.memory import free_memory
from jssl.papers import (
    Experiment,
    Outcome,
    Part,
    Settings,
    experiment,
    gather,
    run,
    run_study_or_record_failure,
)
from jssl.report.html import draw

MEMORY = {"quick": 4e9, "paper": 6e9, "large": 26e9}
"""Upper estimate of the memory of one process, in bytes; 4e9 were measured at `paper` (deep)."""

MOST_JOBS = 1024
"""Upper bound of --jobs."""

started = False
"""Whether this process has started worker processes."""

Show = Callable[[str, str, float], None]
Task = tuple[str, str]  # paper, study


def processes(jobs: int | None, papers: Sequence[str], settings: Settings) -> int:
    """Return the number of processes that run the studies of papers.

    Args:
        jobs: requested number. None means one process per core on a CPU, or fewer if memory is
            short, and 1 on an accelerator.
        papers: names of the papers to run.
        settings: scale and seed.

    Raises:
        InputError: if jobs is below 1 or above `MOST_JOBS`.
    """
    if jobs is not None and not 1 <= jobs <= MOST_JOBS:
        message = f"--jobs must be from 1 to {MOST_JOBS:,}; got {jobs:,}"
        raise InputError(message)
    studies = sum(len(experiment(name, settings).studies) for name in papers)
    if jobs is None:
        import jax

        fits = max(1, int(free_memory() / MEMORY[settings.scale]))
        jobs = min(cores(), fits) if jax.default_backend() == "cpu" else 1
    return min(jobs, studies)


def outcomes(
    papers: Sequence[str], settings: Settings, jobs: int, show: Show
) -> dict[str, Outcome]:
    """Run every study of papers and return their results, in the order of the papers.

    A study that raises an error becomes a claim that fails; the other studies continue.

    Args:
        papers: names in `jssl.papers.PAPERS`.
        settings: scale and seed.
        jobs: number of processes; 1 runs the studies in this process.
        show: `show(paper, what, share)`, with the completed share of the paper in [0, 1].

    Raises:
        InputError: if a study rejects its settings, or a process ends unexpectedly.
    """
    if jobs == 1:

        def with_progress(name: str) -> Settings:
            return settings._replace(progress=lambda what, share: show(name, what, share))

        return {
            name: run(name, with_progress(name), run_study_or_record_failure) for name in papers
        }
    plans = {name: experiment(name, settings) for name in papers}
    parts = _in_parallel(plans, settings, jobs, show)
    return {
        name: gather(plan, [parts[name, study] for study in plan.studies])
        for name, plan in plans.items()
    }


def _in_parallel(
    plans: Mapping[str, Experiment], settings: Settings, jobs: int, show: Show
) -> dict[Task, Part]:
    global started
    started = True
    tasks = [(name, study) for name, plan in plans.items() for study in plan.studies]
    method = multiprocessing.get_start_method(allow_none=True)
    context = multiprocessing.get_context("forkserver" if method == "forkserver" else "spawn")
    reports = context.SimpleQueue()
    shares = dict.fromkeys(tasks, 0.0)

    def advance(task: Task, what: str, share: float) -> None:
        shares[task] = max(share, shares[task])
        plan = plans[task[0]].studies
        show(task[0], what, sum(shares[task[0], study] for study in plan) / len(plan))

    earlier = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(jobs, context, _initialise, (reports,))
    try:
        futures: dict[Future[Part], Task] = {
            pool.submit(_run_in_worker, task, settings.scale, settings.seed): task for task in tasks
        }
        pool.submit(int)  # one more submission makes the pool watch the last process too
        waiting = set(futures)
        parts = {}
        while waiting:
            finished, waiting = wait(waiting, 0.1, FIRST_COMPLETED)
            while not reports.empty():
                advance(*reports.get())
            for future in finished:
                parts[futures[future]] = future.result()
                advance(futures[future], futures[future][1], 1.0)
    except BrokenProcessPool as error:
        message = (
            "a process running a study ended unexpectedly, probably for lack of memory; "
            "rerun with --jobs 1"
        )
        raise InputError(message) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - earlier:
            child.terminate()
    return parts


_reports: Any = None


def _initialise(reports: Any) -> None:
    """Prepare a worker: it reports progress, ignores Ctrl-C, and ends when its parent ends."""
    global _reports
    _reports = reports
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()


def _run_in_worker(task: Task, scale: Any, seed: int) -> Part:
    """Run one study in a worker process; return its figures already drawn."""

    def progress(what: str, share: float) -> None:
        _reports.put((task, what, share))

    progress(task[1], 0.0)
    part = run_study_or_record_failure(*task, Settings(scale, seed, progress))
    figures = [figure._replace(figure=draw(figure.figure)) for figure in part.figures]
    return part._replace(figures=figures)
