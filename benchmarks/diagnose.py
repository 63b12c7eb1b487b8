"""How long does `jssl diagnose` take, and how much memory beyond the program's own?

    python -m benchmarks.diagnose                # 50,000 x 512 float32; a minute
    python -m benchmarks.diagnose --size quick   # 5,000 x 64

Each contestant runs in a process of its own, from the shell's point of view: interpreter, imports
and compiled programs read from their cache included (each runs once before it is timed).

    jssl        jssl diagnose file: spectrum, ranks, uniformity on 10,000 rows, page with figures
    start       the same on dim + 1 rows or 100: what the program costs before any data
    exact       jssl diagnose file --exact: uniformity over all pairs of rows (full size only)
    numpy       import numpy, load, np.linalg.svd of the centred embeddings, for spectrum and ranks

Memory is the peak resident size; above `start` it is what the data cost, the mapped file included.
"""

import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any, Literal

import numpy as np
import tyro

from benchmarks import harness

_NUMPY = (
    "import sys, numpy as np; z = np.load(sys.argv[1]); "
    "s = np.linalg.svd(z - z.mean(0), compute_uv=False); p = s / s.sum(); "
    "print(np.exp(-(p * np.log(p)).sum()))"
)


def measure(arguments: list[str], folder: pathlib.Path) -> tuple[float, float]:
    """Run a process; return its seconds and its peak resident size in megabytes."""
    environment = dict(os.environ, XDG_CACHE_HOME=str(folder / "cache"))
    log = folder / "log"
    begin = time.perf_counter()
    with log.open("w") as file:
        process = subprocess.Popen(arguments, env=environment, stdout=file, stderr=file)
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    if status:
        raise RuntimeError(log.read_text())
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return seconds, _peak(usage) / unit


def _peak(usage: resource.struct_rusage) -> float:
    return float(usage.ru_maxrss)


def main(size: Literal["quick", "full"] = "full", repeats: int = 3) -> None:
    """Run the benchmark and write results/diagnose.json.

    Args:
        size: `quick` takes 5,000 x 64 and leaves `exact` out.
        repeats: timed runs of each.
    """
    rows, dim = (5_000, 64) if size == "quick" else (50_000, 512)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        rng = np.random.default_rng(0)
        z = rng.normal(size=(rows, dim)).astype(np.float32)
        z *= np.arange(1, dim + 1, dtype=np.float32) ** -0.5
        np.save(folder / "z.npy", z)
        np.save(folder / "few.npy", z[: max(100, dim + 1)])
        del z
        ours = [sys.executable, "-m", "jssl.cli", "diagnose"]
        where = ["--out", str(folder / "out")]
        contestants = {
            "jssl": [*ours, str(folder / "z.npy"), *where],
            "start": [*ours, str(folder / "few.npy"), *where],
            "numpy": [sys.executable, "-c", _NUMPY, str(folder / "z.npy")],
        }
        if size == "full":
            contestants["exact"] = [*contestants["jssl"], "--exact"]
        seen: dict[str, list[tuple[float, float]]] = {}
        for turn in range(repeats + 1):
            for contestant, arguments in contestants.items():
                result = measure(arguments, folder)
                if turn:
                    seen.setdefault(contestant, []).append(result)
        table: list[dict[str, Any]] = [
            {
                "process": contestant,
                "seconds": statistics.median(s for s, _ in results),
                "peak MB": max(m for _, m in results),
            }
            for contestant, results in seen.items()
        ]
        megabytes = rows * dim * 4 / 1e6
    by_name = {row["process"]: row for row in table}
    extra = by_name["jssl"]["peak MB"] - by_name["start"]["peak MB"]
    facts = {
        "seconds of jssl over numpy": by_name["jssl"]["seconds"] / by_name["numpy"]["seconds"],
        "input in megabytes": megabytes,
        "memory beyond the program's own, in inputs": extra / megabytes,
    }
    name = "diagnose" if size == "full" else "diagnose_quick"
    harness.report(name, table, facts, dtype=np.float32)


if __name__ == "__main__":
    tyro.cli(main)
