"""The command line: `jssl reproduce`, `predict`, `diagnose`, `sweep`, `report`, `doctor`.

Exit status: 0 all claims hold, 1 a claim fails, 2 bad input, 130 interrupted; 1 as well for a sweep
whose store took no more, 2 as well for a diagnosis that had to leave out a checkpoint. Everything
heavy is imported after the arguments are understood, so `jssl --help` answers at once.
"""

import _thread
import importlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from jssl.errors import InputError
from jssl.parsing import one_line

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


@dataclass(frozen=True)
class Reproduce:
    """Run papers' claims, print the verdicts, write report.html and report.json.

    Exit status 1 if a claim fails.
    """

    papers: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Which papers; all if none is named."""
    scale: Literal["quick", "paper", "large"] = "quick"
    """quick: minutes on two cores; paper: the paper's own sizes; large: what nobody has run."""
    out: Path = Path("jssl-out")
    """Folder for the report, created if needed."""
    seed: int = 0
    """Root seed of every random draw, 0 or more."""
    jobs: int | None = None
    """Processes that run studies side by side; one a core on CPU by default, 1 elsewhere."""


@dataclass(frozen=True)
class Predict:
    """Say before training which dimensions an encoder will learn, in which order, and when."""

    pairs: Path | None = None
    """An .npz of two arrays (n, ...), the two views row by row, or a .npy (2, n, ...)."""
    images: str | None = None
    """A folder or .npz of images, or digits, fashion_mnist, cifar10, stl10; with --views."""
    views: str = "crop,noise"
    """Augmentation of --images, such as crop=0.5,flip,noise=0.1; see jssl.data.views."""
    loss: str = "barlow_twins_linearized"
    """Such as barlow_twins, simclr, vicreg; jssl.practice.rules lists them."""
    dim: int = 16
    """Embedding dimension."""
    kernel: str = "mlp-relu-3"
    """linear, mlp-<activation>-<layers> or conv-<activation>-<layers>."""
    learning_rate: float | None = None
    """Of gradient descent; a tenth of the largest stable one by default."""
    scale: float | None = None
    """Multiplies the encoder's initial embedding; small enough for separate steps by default."""
    temperature: float = 0.5
    """Of losses that have one."""
    weight_decay: float = 0.0
    """Multiplies the squared norm of the parameters; of the kernel linear only."""
    placement: str = "augmented-augmented-augmented"
    """Where simclr's augmentation acts: anchor-positive-negatives."""
    clean_first: bool | None = None
    """Whether pairs are (clean, augmented); found out where a placement is given."""
    count: int = 2000
    """Pairs at most, drawn at random."""
    size: int | None = None
    """Side to which images of a folder are resized; 32 where they differ or are above 64."""
    out: Path = Path("jssl-predict")
    """Folder for the report, created if needed."""
    seed: int = 0
    """Of the draw, the views and the split into halves."""


@dataclass(frozen=True)
class Diagnose:
    """Read embeddings: spectrum, ranks, collapse, views, labels, and the steps over checkpoints.

    Exit status 2 if a checkpoint could not be used; the others are reported all the same.
    """

    embeddings: Annotated[Path, tyro.conf.Positional]
    """The .npy file, (n, dim); it is read in chunks and may be larger than memory."""
    labels: Path | None = None
    """A .npy file of n classes, for the probes."""
    views: Path | None = None
    """A .npy file of the embeddings of second views, row by row, for alignment and LiDAR."""
    over: tuple[Path, ...] = ()
    """Embeddings at checkpoints, in the order of the numbers in their names."""
    out: Path = Path("jssl-diagnose")
    """Folder for the report, created if needed."""
    seed: int = 0
    """Of the random sample of rows that are compared pair by pair."""
    exact: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Compare all pairs of rows, not those of 10,000."""


@dataclass(frozen=True)
class Sweep:
    """Run a study from a TOML file, or go on with it; see jssl.sweeps.study for its keys."""

    study: Annotated[Path, tyro.conf.Positional]
    """The TOML file."""
    plan: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print programs, chunks, memory and predicted time; write nothing."""
    shard: str | None = None
    """i/n, i from 0: compute every n-th chunk, beside n - 1 others on the same store."""
    devices: int | None = None
    """CPU devices; one per core by default."""
    coordinator: str | None = None
    """host:port of process 0, or auto on TPU pods and Slurm; with the two numbers below."""
    num_processes: int | None = None
    """How many processes run this study together."""
    process_id: int | None = None
    """Which of them this is, from 0."""


@dataclass(frozen=True)
class Report:
    """Draw figures and tables of a sweep: error bars over seeds, width plots with exponents."""

    folder: Annotated[Path, tyro.conf.Positional]
    """The store that a sweep wrote."""
    out: Path | None = None
    """Folder for the report; the store's name with -report by default."""


@dataclass(frozen=True)
class Doctor:
    """Print devices, versions, precision, usable kernels and data sets, and what to do."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    status = run(arguments, serve=True)
    side_by_side = getattr(sys.modules.get("jssl.parallel"), "started", False)
    if status == INTERRUPTED and not side_by_side:
        # A thread may be in the middle of XLA: end without taking the interpreter apart. Studies
        # in other processes leave no such thread here, but semaphores to give back.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def run(arguments: Sequence[str] | None = None, *, serve: bool = False) -> int:
    """Run the command line; return its exit status.

    Example:
        >>> run(["reproduce", "no-such-paper"])
        2

    Args:
        arguments: what follows `jssl`; those of this process by default.
        serve: whether processes may be forked from one that has imported everything.
    """
    with one_line("jssl"):
        command = tyro.extras.subcommand_cli_from_dict(
            {
                "reproduce": Reproduce,
                "predict": Predict,
                "diagnose": Diagnose,
                "sweep": Sweep,
                "report": Report,
                "doctor": Doctor,
            },
            prog="jssl",
            description="State an SSL problem once; ask theory and simulation the same question.",
            args=list(arguments) if arguments is not None else None,
        )
    _prepare_jax()
    if serve and isinstance(command, Reproduce) and command.jobs != 1:
        _serve(command.papers)
    usual, sys.unraisablehook = sys.unraisablehook, _insist
    try:
        _import_jax()
        if isinstance(command, Doctor):
            from jssl.doctor import examine

            return examine()
        if isinstance(command, Predict):
            from jssl.practice.predict_command import run_predict

            return run_predict(**vars(command))
        if isinstance(command, Diagnose):
            from jssl.practice.diagnose_command import run_diagnose

            return run_diagnose(**vars(command))
        if isinstance(command, Sweep | Report):
            return _sweep(command)
        from jssl.reproduce import reproduce

        return reproduce(command.papers, command.scale, command.out, command.seed, command.jobs)
    except InputError as error:
        print(f"jssl: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        kept = (
            "run the same again to go on; finished chunks are kept"
            if isinstance(command, Sweep)
            else "nothing was written"
        )
        print(f"jssl: interrupted; {kept}", file=sys.stderr)
        return INTERRUPTED
    finally:
        sys.unraisablehook = usual


def _serve(papers: Sequence[str]) -> None:
    """Import the studies in a process of its own, beside this one's imports; others fork from it.

    It runs no thread and no JAX backend, which a fork would not survive. On Linux alone: elsewhere
    system libraries do not bear a fork, or there is none.
    """
    if sys.platform == "linux":
        from multiprocessing import forkserver

        modules = ["jssl.parallel", *(f"jssl.experiments.{name}" for name in papers)]
        multiprocessing.set_start_method("forkserver", force=True)
        multiprocessing.get_context("forkserver").set_forkserver_preload(modules)
        usual = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for this process to hear
        try:
            forkserver.ensure_running()
        finally:
            signal.signal(signal.SIGINT, usual)


def _import_jax() -> None:
    """Import JAX; Ctrl-C waits until it is there, since half an extension module is a crash."""
    heard: list[int] = []
    here = threading.current_thread() is threading.main_thread()
    usual = signal.signal(signal.SIGINT, lambda *_: heard.append(1)) if here else None
    try:
        importlib.import_module("jax")
    finally:
        if here:
            signal.signal(signal.SIGINT, usual)
    if heard:
        raise KeyboardInterrupt


def _insist(ignored: "sys.UnraisableHookArgs") -> None:
    """Interrupt again, shortly, where a callback of the garbage collector swallowed Ctrl-C."""
    if issubclass(ignored.exc_type, KeyboardInterrupt):
        again = threading.Timer(0.05, _thread.interrupt_main)
        again.daemon = True
        again.start()
    else:
        sys.__unraisablehook__(ignored)


def _sweep(command: Sweep | Report) -> int:
    from jssl.sweeps import StoreError

    try:
        if isinstance(command, Report):
            from jssl.sweeps.report import report_folder

            return report_folder(command.folder, command.out)
        from jssl.sweeps.command import run_sweep

        return run_sweep(
            command.study,
            plan=command.plan,
            shard=command.shard,
            devices=command.devices,
            coordinator=command.coordinator,
            processes=command.num_processes,
            process=command.process_id,
        )
    except StoreError as error:
        print(f"jssl: {error}", file=sys.stderr)
        return 1


def _prepare_jax() -> None:
    """Keep compiled programs between runs, where the user keeps caches."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jssl" / "xla"
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")


if __name__ == "__main__":
    main()
