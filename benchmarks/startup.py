"""How much processor time do short commands take, beside another version of jssl?

    git worktree add --detach ../before COMMIT && (cd ../before && uv sync)
    python -m benchmarks.startup --against ../before

Whole commands, each in a new process and an empty folder, this checkout and the other in turns:

    diagnose   jssl diagnose of a .npy of 2,000 x 128
    doctor     jssl doctor
    predict    jssl predict --images digits --count 200, with an empty compilation cache

Processor time is user and system time of the command. It depends less on what else the machine
does than wall time.
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
}


class Cost(NamedTuple):
    """Seconds of one command.

    Attributes:
        cpu: user and system time.
        wall: elapsed time.
    """

    cpu: float
    wall: float


def cost_of(checkout: Path, arguments: Sequence[str]) -> Cost:
    """Return what a command of a checkout costs, started in an empty folder."""
    program = checkout.absolute() / ".venv" / "bin" / "jssl"
    with tempfile.TemporaryDirectory() as folder:
        z = np.random.default_rng(0).normal(size=(2000, 128))
        np.save(Path(folder) / "embeddings.npy", z)
        surroundings = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(Path(folder) / "cache")}
        before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(
            [program, *arguments], cwd=folder, env=surroundings, check=True, capture_output=True
        )
        wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(
        after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        wall,
    )


def main(against: Path, repeats: int = 5) -> None:
    """Run the benchmark and write results/startup.json.

    Args:
        against: another checkout, with a .venv of its own.
        repeats: how often each command is run.
    """
    here = Path(__file__).resolve().parents[1]
    rows: list[dict[str, Any]] = []
    facts: dict[str, float] = {}
    for name, arguments in COMMANDS.items():
        costs: dict[Path, list[Cost]] = {here: [], against: []}
        for _ in range(repeats):
            for checkout, found in costs.items():
                found.append(cost_of(checkout, arguments))
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
    harness.report("startup", rows, facts, dtype=np.float64)


if __name__ == "__main__":
    tyro.cli(main)
