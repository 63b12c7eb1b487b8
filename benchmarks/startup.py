"""How much processor time do short commands take, beside another version of jssl?

    git worktree add --detach ../before COMMIT && (cd ../before && uv sync)
    python -m benchmarks.startup --against ../before
    python -m benchmarks.startup --against ../before --reproduce --repeats 3    # an hour
    python -m benchmarks.startup --against ../before --width                    # ten minutes

Whole commands, each in a new process and an empty folder, this checkout and the other in turns:

    diagnose       jssl diagnose of a .npy of 2,000 x 128
    doctor         jssl doctor
    predict        jssl predict --images digits --count 200, with an empty compilation cache
    predict all    jssl predict --images digits --count 1797, with an empty compilation cache
    predict warm   the same once more, with the programs that the run before has kept
    predict width  with --width: predict all, and the same with --width 256: eight random networks
    reproduce      with --reproduce: jssl reproduce of six papers in one process, whose time counts
                   (that of the processes of studies does not), with an empty compilation cache

Every command runs once before it is measured, so that Python's bytecode is there, as in a package
that was installed by pip. Processor time is user and system time of the command. It depends less
on what else the machine does than wall time. Threads of BLAS that wait for a busy core count too:
set OPENBLAS_NUM_THREADS=1 where other programs run.
"""

import os
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tyro

from benchmarks import harness

COMMANDS: dict[str, tuple[str, ...]] = {
    "diagnose": ("diagnose", "embeddings.npy", "--out", "out"),
    "doctor": ("doctor",),
    "predict": ("predict", "--images", "digits", "--count", "200", "--out", "out"),
    "predict all": ("predict", "--images", "digits", "--count", "1797", "--out", "out"),
    "predict warm": ("predict", "--images", "digits", "--count", "1797", "--out", "out"),
}
WIDTH = {
    "predict all": COMMANDS["predict all"],
    "predict width": (*COMMANDS["predict all"], "--width", "256"),
}
PAPERS = ("stepwise", "grassmann", "learnability", "landscape", "width", "deep")
REPRODUCE = ("reproduce", *PAPERS, "--jobs", "1", "--out", "out")


class Cost(NamedTuple):
    """Seconds of one command.

    Attributes:
        cpu: user and system time.
        wall: elapsed time.
    """

    cpu: float
    wall: float


def cost_of(checkout: Path, arguments: Sequence[str], *, warm: bool = False) -> Cost:
    """Return what a command of a checkout costs, started in an empty folder.

    Args:
        checkout: with a .venv of its own.
        arguments: of `jssl`.
        warm: whether it runs once before, so that its compiled programs are kept.
    """
    program = checkout.absolute() / ".venv" / "bin" / "jssl"
    with tempfile.TemporaryDirectory() as folder:
        z = np.random.default_rng(0).normal(size=(2000, 128))
        np.save(Path(folder) / "embeddings.npy", z)
        surroundings = os.environ | {
            "JAX_COMPILATION_CACHE_DIR": str(Path(folder) / "cache"),
            "PYTHONDONTWRITEBYTECODE": "",
        }
        given: dict[str, Any] = {"env": surroundings, "check": True, "capture_output": True}
        if warm:
            (Path(folder) / "earlier").mkdir()
            subprocess.run([program, *arguments], cwd=Path(folder) / "earlier", **given)
        before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([program, *arguments], cwd=folder, **given)
        wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(
        after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        wall,
    )


def main(against: Path, repeats: int = 5, reproduce: bool = False, width: bool = False) -> None:
    """Run the benchmark and write results/startup.json, or startup_ and the option's name.

    Args:
        against: another checkout, with a .venv of its own.
        repeats: how often each command is run.
        reproduce: whether `jssl reproduce` of six papers is measured, and nothing else.
        width: whether forecasts of a finite width are measured, and nothing else.
    """
    here = Path(__file__).resolve().parents[1]
    rows: list[dict[str, Any]] = []
    facts: dict[str, float] = {}
    commands = WIDTH if width else COMMANDS
    commands = {"reproduce": REPRODUCE} if reproduce else commands
    for name, arguments in commands.items():
        costs: dict[Path, list[Cost]] = {here: [], against: []}
        for checkout in () if reproduce else costs:
            cost_of(checkout, arguments)  # writes Python's bytecode
        for _ in range(repeats):
            for checkout, found in costs.items():
                found.append(cost_of(checkout, arguments, warm=name.endswith("warm")))
        cpu, wall = (
            [statistics.median(getattr(cost, what) for cost in costs[of]) for of in (here, against)]
            for what in Cost._fields
        )
        rows.append(
            {
                "command": name,
                "CPU s here": cpu[0],
                "CPU s there": cpu[1],
                "CPU ratio": cpu[0] / cpu[1],
                "wall s here": wall[0],
                "wall s there": wall[1],
                "wall ratio": wall[0] / wall[1],
            }
        )
        facts[f"{name}: CPU time over that of the other checkout"] = cpu[0] / cpu[1]
    if width:
        limit, finite = rows
        facts["width 256 here over the limit here"] = finite["CPU s here"] / limit["CPU s here"]
        facts["width 256 here over the limit there"] = finite["CPU s here"] / limit["CPU s there"]
    name = "startup_width" if width else "startup_reproduce" if reproduce else "startup"
    harness.report(name, rows, facts, dtype=np.float64)


if __name__ == "__main__":
    tyro.cli(main)
