"""The studies of papers side by side: on a CPU each in a process of its own, as cores are free.

Most of a study's time at `quick` is compilation, which takes one core. The numbers do not depend
on how many processes there are: a study's draws come from its seed alone. Accelerators belong to
one process, so there studies run here, one after the other.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from jssl.errors import InputError
from jssl.memory import free_memory
from jssl.papers import Experiment, Outcome, Part, Settings, endure, experiment, gather, run
from jssl.report.html import draw
from jssl.sweeps.devices import cores

MEMORY = {"quick": 4e9, "paper": 6e9, "large": 26e9}
"""Bytes a process may want at a scale, generously; 4e9 were seen at `paper` (deep)."""

started = False
"""Whether this process ever started others."""

Show = Callable[[str, str, float], None]
Task = tuple[str, str]  # paper, study


def processes(jobs: int | None, papers: Sequence[str], settings: Settings) -> int:
    """Return how many processes run the studies of papers.

    Args:
        jobs: what was asked for; None for one a core on CPU, as memory allows, and 1 elsewhere.
        papers: which will be run.
        settings: scale and seed.

    Raises:
        InputError: jobs below 1.
    """
    if jobs is not None and jobs < 1:
        message = f"--jobs must be 1 or more; got {jobs}"
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
    """Run every study of papers; return what was found, in the order of the papers.

    A study that breaks off is a claim that fails, and the others go on.

    Args:
        papers: names in `jssl.papers.PAPERS`.
        settings: scale and seed.
        jobs: number of processes; 1 runs the studies here.
        show: `show(paper, what, share)`, the share of the paper that is done in [0, 1].

    Raises:
        InputError: a study refuses, or a process was lost.
    """
    if jobs == 1:

        def here(name: str) -> Settings:
            return settings._replace(progress=lambda what, share: show(name, what, share))

        return {name: run(name, here(name), endure) for name in papers}
    plans = {name: experiment(name, settings) for name in papers}
    parts = _side_by_side(plans, settings, jobs, show)
    return {
        name: gather(plan, [parts[name, study] for study in plan.studies])
        for name, plan in plans.items()
    }


def _side_by_side(
    plans: Mapping[str, Experiment], settings: Settings, jobs: int, show: Show
) -> dict[Task, Part]:
    global started
    started = True
    tasks = [(name, study) for name, plan in plans.items() for study in plan.studies]
    served = multiprocessing.get_start_method(allow_none=True) == "forkserver"
    context = multiprocessing.get_context("forkserver" if served else "spawn")
    reports = context.SimpleQueue()
    shares = dict.fromkeys(tasks, 0.0)

    def advance(task: Task, what: str, share: float) -> None:
        shares[task] = max(share, shares[task])
        plan = plans[task[0]].studies
        show(task[0], what, sum(shares[task[0], study] for study in plan) / len(plan))

    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(jobs, context, _enlist, (reports,))
    try:
        futures: dict[Future[Part], Task] = {
            pool.submit(_study, task, settings.scale, settings.seed): task for task in tasks
        }
        pool.submit(int)  # one submission beyond the last process lets the pool watch that one too
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
            "a process that ran a study was lost, most likely for want of memory; "
            "run again with --jobs 1"
        )
        raise InputError(message) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
    return parts


_reports: Any = None


def _enlist(reports: Any) -> None:
    """Prepare a process: it reports its progress, leaves Ctrl-C to its parent, and ends with it."""
    global _reports
    _reports = reports
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()


def _study(task: Task, scale: Any, seed: int) -> Part:
    """Run one study in a process; its figures come back drawn."""

    def progress(what: str, share: float) -> None:
        _reports.put((task, what, share))

    progress(task[1], 0.0)
    part = endure(*task, Settings(scale, seed, progress))
    figures = [figure._replace(figure=draw(figure.figure)) for figure in part.figures]
    return part._replace(figures=figures)
