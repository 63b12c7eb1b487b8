"""The command line: `jssl reproduce`, `predict`, `diagnose`, `compare`, `sweep` and others.

The exit status is 0 for success, 1 if a claim fails, 2 for invalid input, 3 if no claim fails but
one is undecided, or for a collapse where `jssl diagnose --fail-on` asks for it, 130 after Ctrl-C
and 143 after SIGTERM. It is also 1 for a sweep whose store cannot be written, whose processes did
not start or whose scheduler was lost, and where the system denies a file or memory; and 2 for a
diagnosis that left out a checkpoint. Large modules are imported after the signal handlers are
installed and the arguments are parsed, so `jssl --help` is fast and Ctrl-C always prints one line.
"""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False  # as in `typing`, whose import would double the time before Ctrl-C is handled
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from jssl.commands.arguments import Command, Report, Reproduce, Sweep


SMALL_COUNT = 2000
"""Pairs up to which a forecast uses one thread of BLAS."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    sys.excepthook = _before_signals_are_handled
    gc.disable()  # until everything is imported: imports make no garbage worth a search
    from jssl import interrupts

    interrupts.install()
    try:
        status = _flushed(run(arguments, own_process=True))
    except BrokenPipeError:  # the reader of the output has ended
        status = 1
        _discard_output()
    finally:
        gc.enable()
        interrupts.finish()
    side_by_side = getattr(sys.modules.get("jssl.papers.parallel"), "started", False)
    if status == interrupts.status() and not side_by_side:
        # A thread may be running in XLA: exit without finalising the interpreter. With studies in
        # other processes there is no such thread, but there are semaphores to release.
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def run(arguments: Sequence[str] | None = None, *, own_process: bool = False) -> int:
    """Run the command line; return its exit status.

    Example:
        >>> run(["--version"]) == 0
        jssl ...
        True
        >>> run(["reproduce", "no-such-paper"])
        2

    Args:
        arguments: the words after `jssl`; those of this process by default.
        own_process: whether the process ends with this command. Only then are the variables set
            that JAX and BLAS read from the environment, and are worker processes forked from it.
    """
    import jssl
    from jssl import interrupts

    interrupts.begin()
    if list(sys.argv[1:] if arguments is None else arguments) == ["--version"]:
        print(f"jssl {jssl.__version__}")
        return 0
    from jssl.commands.arguments import parse
    from jssl.errors import InputError

    command = parse(arguments)
    try:
        if own_process:
            _prepare_jax(command)
            _prepare_blas(command)
        work = _imported(command, own_process)
        if own_process:
            gc.freeze()  # what is imported stays, and is not searched again
            gc.enable()
        return work()
    except InputError as error:
        print(f"jssl: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(interrupts.message(), file=sys.stderr)
        return interrupts.status()
    except BrokenPipeError:
        raise
    except OSError as error:
        place = f"'{error.filename}': " if error.filename else ""
        reason = (error.strerror or str(error)).lower()
        print(f"jssl: {place}{reason}; check free space and permissions", file=sys.stderr)
        return 1
    except MemoryError as error:
        reason = " ".join(str(error).split()).rstrip(".")
        print(f"jssl: not enough memory; {reason or 'take fewer samples'}", file=sys.stderr)
        return 1


def _before_signals_are_handled(
    kind: type[BaseException], value: BaseException, traceback: TracebackType | None
) -> None:
    """Print one line for Ctrl-C while `jssl.interrupts` itself is imported."""
    if issubclass(kind, KeyboardInterrupt):
        os.write(2, b"jssl: interrupted; nothing was written\n")
        os._exit(130)
    sys.__excepthook__(kind, value, traceback)


def _imported(command: Command, own_process: bool) -> Callable[[], int]:
    """Import the modules of a command; return the function that runs it."""
    from jssl.commands.arguments import (
        Compare,
        Diagnose,
        Doctor,
        Predict,
        Report,
        Reproduce,
        Sweep,
    )

    if isinstance(command, Reproduce):
        return _reproduce(command, own_process)
    arguments = vars(command)
    if isinstance(command, Predict):
        from jssl.commands.predict import run_predict

        return lambda: run_predict(**arguments)
    if isinstance(command, Diagnose):
        from jssl.commands.diagnose import run_diagnose

        return lambda: run_diagnose(**arguments)
    if isinstance(command, Compare):
        from jssl.commands.compare import run_compare

        return lambda: run_compare(**arguments)
    if isinstance(command, Sweep | Report):
        return _sweep(command)
    assert isinstance(command, Doctor)
    from jssl.commands.doctor import examine

    return examine


def _reproduce(command: Reproduce, own_process: bool) -> Callable[[], int]:
    from jssl.commands.paper_names import PAPERS, list_papers, paper_names

    if command.list:
        return list_papers
    names = paper_names(command.papers, PAPERS)
    if own_process and command.jobs != 1:
        _start_fork_server(names)
    from jssl.commands.reproduce import reproduce

    return lambda: reproduce(
        names, command.scale, command.out, command.seed, command.jobs, overwrite=command.overwrite
    )


def _start_fork_server(papers: Sequence[str]) -> None:
    """Start a process that imports the studies, from which worker processes are forked.

    It runs no thread and no JAX backend, since a fork would break them. It is used on Linux only:
    on other systems fork is missing or unsafe with system libraries.
    """
    if sys.platform == "linux":
        import multiprocessing
        import signal
        from multiprocessing import forkserver

        modules = ["jssl.papers.parallel", *(f"jssl.papers.{name}" for name in papers)]
        multiprocessing.set_start_method("forkserver", force=True)
        multiprocessing.get_context("forkserver").set_forkserver_preload(modules)
        # Only this process handles Ctrl-C: the forked processes inherit the blocked signal.
        usual = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            forkserver.ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, usual)


def _sweep(command: Sweep | Report) -> Callable[[], int]:
    from functools import partial

    from jssl.commands.arguments import Report
    from jssl.sweeps import StoreError

    work: Callable[[], int]
    if isinstance(command, Report):
        from jssl.commands.report import report_folder

        work = partial(report_folder, **vars(command))
    else:
        from jssl.commands.sweep import run_sweep

        work = partial(
            run_sweep,
            command.study,
            plan=command.plan,
            shard=command.shard,
            devices=command.devices,
            coordinator=command.coordinator,
            processes=command.num_processes,
            process=command.process_id,
            timeout=command.coordinator_timeout,
            scheduler=command.scheduler,
        )

    def run_on_store() -> int:
        try:
            return work()
        except StoreError as error:
            print(f"jssl: {error}", file=sys.stderr)
            return 1

    return run_on_store


def _prepare_jax(command: Command) -> None:
    """Keep compiled programs in the user's cache folder, if there is one and JAX can read them.

    At `quick`, the claims of papers compile hundreds of programs that run once.
    """
    from jssl.commands.arguments import Reproduce
    from jssl.errors import InputError
    from jssl.paths import expanded

    if isinstance(command, Reproduce) and command.scale == "quick" and not command.list:
        from jssl.single_use import compile_cheaply_by_default

        compile_cheaply_by_default()
    import jaxlib

    if jaxlib.__version__ in ("0.10.0", "0.10.1"):
        # On many CPUs they keep programs and then refuse them, each with kilobytes of errors on
        # the terminal (issue 38445 of JAX).
        return
    try:
        cache = expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "jssl" / "xla"
    except InputError:
        return
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.05")


def _prepare_blas(command: Command) -> None:
    """Let BLAS use one thread where matrices are small: its threads then only wait for each other.

    It reads the variable when NumPy and SciPy are imported; one that is set already is followed.
    """
    from jssl.commands.arguments import Diagnose, Doctor, Predict

    small = isinstance(command, Predict) and command.count <= SMALL_COUNT
    small = small or isinstance(command, Doctor)
    if isinstance(command, Diagnose):
        from jssl.commands.blas_threads import is_small

        small = is_small(command.embeddings, exact=command.exact)
    if small:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _flushed(status: int) -> int:
    """Return the exit status, or 1 if standard output cannot be written."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        print(f"jssl: cannot write to standard output ({reason})", file=sys.stderr)
        _discard_output()
        return status or 1
    return status


def _discard_output() -> None:
    """Discard the remaining output, so that the exit of the process prints no error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())


if __name__ == "__main__":
    main()
