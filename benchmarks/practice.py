"""How long do the commands for one's own data take, and how much memory?

    python -m benchmarks.practice                # 50,000 x 512 float32, 2,000 images; minutes
    python -m benchmarks.practice --size quick   # 5,000 x 64, 200 images

Each contestant runs in a process of its own, from the shell's point of view: interpreter, imports
and compiled programs read from their cache included (each but `cold` and `exact` runs once before
it is timed).

    help        jssl --help
    start       jssl diagnose on dim + 1 rows or 100: what the program costs before any data
    diagnose    jssl diagnose file: spectrum, ranks, uniformity on 10,000 rows, page with figures
    numpy       import numpy, load, np.linalg.svd of the centred embeddings, for spectrum and ranks
    exact       jssl diagnose file --exact: uniformity over all pairs of rows (once, full size only)
    predict     jssl predict on images of 28 x 28 under crops and noise, kernel mlp-relu-3
    cold        the same with nothing compiled before (once)

Memory is the peak resident size; above `start` it is what the data cost, the mapped file included.
"""

import contextlib
import math
import os
import pathlib
import re
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
    """Run a process; return its seconds and its peak resident size in megabytes (Linux)."""
    environment = dict(os.environ, XDG_CACHE_HOME=str(folder / "cache"))
    log, peak = folder / "log", math.nan
    begin = time.perf_counter()
    with log.open("w") as file:
        process = subprocess.Popen(arguments, env=environment, stdout=file, stderr=file)
        while process.poll() is None:
            peak = _peak(process.pid, peak)
            time.sleep(0.02)
    seconds = time.perf_counter() - begin
    if process.returncode:
        raise RuntimeError(log.read_text())
    return seconds, peak


def _peak(process: int, before: float) -> float:
    """Return the high-water mark so far; that of `os.wait4` would begin with our own size."""
    with contextlib.suppress(OSError):
        status = pathlib.Path(f"/proc/{process}/status").read_text(encoding="ascii")
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        return float(found[1]) / 1e3 if found else before
    return before


def main(size: Literal["quick", "full"] = "full", repeats: int = 3) -> None:
    """Run the benchmark and write results/practice.json.

    Args:
        size: `quick` takes 5,000 x 64 and 200 images, and leaves `exact` out.
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
        images = rng.random(size=(rows // 25, 28, 28, 1)).astype(np.float32)
        np.savez(folder / "images.npz", x=images)
        ours = [sys.executable, "-m", "jssl.commands.main"]
        where = ["--out", str(folder / "out")]
        pictures = ["predict", "--images", str(folder / "images.npz"), *where]
        contestants = {
            "help": [*ours, "--help"],
            "start": [*ours, "diagnose", str(folder / "few.npy"), *where],
            "diagnose": [*ours, "diagnose", str(folder / "z.npy"), *where],
            "numpy": [sys.executable, "-c", _NUMPY, str(folder / "z.npy")],
            "predict": [*ours, *pictures],
        }
        seen = {"cold": [measure(contestants["predict"], folder)]}
        for turn in range(repeats + 1):
            for contestant, arguments in contestants.items():
                result = measure(arguments, folder)
                if turn:
                    seen.setdefault(contestant, []).append(result)
        if size == "full":
            seen["exact"] = [measure([*contestants["diagnose"], "--exact"], folder)]
        table: list[dict[str, Any]] = [
            {
                "process": contestant,
                "seconds": statistics.median(s for s, _ in results),
                "peak MB": max(m for _, m in results),
                "runs": len(results),
            }
            for contestant, results in seen.items()
        ]
        megabytes = rows * dim * 4 / 1e6
    by_name = {row["process"]: row for row in table}
    extra = by_name["diagnose"]["peak MB"] - by_name["start"]["peak MB"]
    ratio = by_name["diagnose"]["seconds"] / by_name["numpy"]["seconds"]
    facts = {
        "seconds of diagnose over numpy": ratio,
        "input in megabytes": megabytes,
        "memory beyond the program's own, in inputs": extra / megabytes,
    }
    name = "practice" if size == "full" else "practice_quick"
    harness.report(name, table, facts, dtype=np.float32)


if __name__ == "__main__":
    tyro.cli(main)
