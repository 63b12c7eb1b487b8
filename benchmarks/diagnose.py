"""What does `jssl diagnose` cost, beside the least work that gives the same numbers?

    python -m benchmarks.diagnose --repeats 5

Each workload is a whole command in a new process, in turns with its peers, which are new processes
as well, all with one thread of BLAS and with files that are in the memory of the system. Processor
time is user and system time.

    small    2,000 x 128 float32, against starting Python with NumPy and matplotlib
    wide     50,000 x 512 float32, against a plain script of NumPy with the same metrics, and
             against one that computes each pair of rows once, in memory that is used again
    exact    the same with all pairs of rows, against the symmetric half of the matrix product
             z z^T, 50,000^2 x 512, in tiles
    shards   2,000,000 x 64 float16 in 20 files, against reading them (`read`), reading and
             converting them to float32 (`convert`), and reading, converting to float64 and summing
             their second moments (`moments`), which is the least work for an exact spectrum

For shards, the part that grows with the rows is measured as well, as the difference between the
commands for 20 files and for the first of them; and likewise of `convert` and `moments`.
"""

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import tyro

from benchmarks import diagnose_table
from benchmarks.diagnose_table import FIRST, LIMITS, RESULTS

FILES = 20
SPECTRA = """
import numpy as np
z = np.load("wide.npy").astype(np.float64)
n, dim = z.shape
mean = z.mean(0)
c = z - mean
cov = c.T @ c / n
second = cov + np.outer(mean, mean)
for matrix in (cov, second):
    values = np.sqrt(np.maximum(np.linalg.eigvalsh(matrix), 0))
    p = values / values.sum()
    rank = np.exp(-np.sum(p * np.log(np.maximum(p, 1e-300))))
    ratio = np.sum(values**2) ** 2 / np.sum(values**4)
    slope = np.polyfit(np.log(np.arange(1, dim + 1)), 2 * np.log(values[::-1]), 1)
chosen = np.sort(np.random.default_rng(0).choice(n, 10_000, replace=False))
u = z[chosen]
u = (u / np.linalg.norm(u, axis=1, keepdims=True)).astype(np.float32)
x = z[chosen[::3][:4000]]
x = x - x.mean(0)
x /= np.sqrt(np.mean(x**2))
squares, b = np.sum(x**2, 1), 2 / dim
"""
PLAIN = """
means, pairs = np.empty(len(u)), np.empty(len(x))
for low in range(0, len(u), 512):
    near = np.exp(-2 * (2 - 2 * (u[low : low + 512] @ u.T)))
    means[low : low + 512] = (near.sum(1) - 1) / (len(u) - 1)
for low in range(0, len(x), 512):
    apart = squares[low : low + 512, None] + squares - 2 * (x[low : low + 512] @ x.T)
    pairs[low : low + 512] = (np.exp(-b / 2 * apart).sum(1) - 1) / (len(x) - 1)
"""
ONCE = """
def pair_means(z, scale):
    squares, sums = scale * np.einsum("ij,ij->i", z, z), np.zeros(len(z))
    for low in range(0, len(z), 512):
        for start in range(low, len(z), 512):
            near = z[low : low + 512] @ z[start : start + 512].T
            near *= 2 * scale
            near -= squares[low : low + 512, None]
            near -= squares[start : start + 512]
            np.exp(near, out=near)
            sums[low : low + 512] += near.sum(1)
            if start > low:
                sums[start : start + 512] += near.sum(0)
    return (sums - 1) / (len(z) - 1)
means, pairs = pair_means(u, np.float32(2)), pair_means(x, b / 2)
"""
END = """
uniformity = np.log(means.mean()), 2 * np.std(means / means.mean()) / 100
pull = (1 + b) ** (-dim / 2) * np.exp(-b / (2 * (1 + b)) * squares)
distance = np.mean(pairs - 2 * pull) + (1 + 2 * b) ** (-dim / 2)
print(rank, ratio, slope, uniformity, distance)
"""
PRODUCT = """
import numpy as np
z = np.load("wide.npy")
tile = np.empty((512, 1024), np.float32)
for low in range(0, len(z), 512):
    for start in range(low, len(z), 1024):
        rows, columns = z[low : low + 512], z[start : start + 1024]
        np.matmul(rows, columns.T, out=tile[: len(rows), : len(columns)])
"""
READ = """
import numpy as np
for i in range({files}):
    np.load(f"shards/img_emb_{{i}}.npy")
"""
CONVERT = """
import numpy as np
for i in range({files}):
    np.load(f"shards/img_emb_{{i}}.npy").astype(np.float32)
"""
MOMENTS = """
import numpy as np
second = np.zeros((64, 64))
for i in range({files}):
    z = np.load(f"shards/img_emb_{{i}}.npy")
    for low in range(0, len(z), 8192):
        x = z[low : low + 8192].astype(np.float64)
        second += x.T @ x
"""
SHARDS = {"read": READ, "convert": CONVERT, "moments": MOMENTS}
STARTED = "import numpy, matplotlib.figure, matplotlib.backends.backend_agg"

WORKLOADS: dict[str, dict[str, str | tuple[str, ...]]] = {
    "small": {"jssl": ("small.npy",), "start": STARTED},
    "wide": {
        "jssl": ("wide.npy",),
        "plain": SPECTRA + PLAIN + END,
        "pairs once": SPECTRA + ONCE + END,
    },
    "exact": {"jssl": ("wide.npy", "--exact"), "product": PRODUCT},
    "shards": {
        "jssl": ("shards",),
        **{name: script.format(files=FILES) for name, script in SHARDS.items()},
        f"jssl{FIRST}": ("shards/img_emb_0.npy",),
        **{f"{name}{FIRST}": script.format(files=1) for name, script in SHARDS.items()},
    },
}
"""Workload -> contestant -> the arguments of the command, or a script."""


class Cost(NamedTuple):
    """Medians over the turns of one contestant.

    Attributes:
        cpu: user and system seconds.
        wall: seconds.
        spread: half the range of the processor time, over its median.
        peak: largest resident memory in MB.
    """

    cpu: float
    wall: float
    spread: float
    peak: float


def run(command: list[str], folder: str) -> tuple[float, float, float]:
    """Return the processor time and the wall time of a command in seconds, and its peak in MB."""
    surroundings = os.environ | {"OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": ""}
    begin = time.perf_counter()
    child = subprocess.Popen(command, cwd=folder, env=surroundings, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - begin
    if status:
        message = f"{' '.join(command)[:80]} ended with status {status}"
        raise RuntimeError(message)
    return usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1000


def write_files(folder: str) -> None:
    """Write the embeddings of the workloads."""
    draws = np.random.default_rng(0)
    np.save(f"{folder}/small.npy", draws.normal(size=(2000, 128)).astype(np.float32))
    np.save(f"{folder}/wide.npy", draws.normal(size=(50_000, 512)).astype(np.float32))
    Path(folder, "shards").mkdir()
    for i in range(FILES):
        z = draws.normal(size=(100_000, 64)).astype(np.float16)
        np.save(f"{folder}/shards/img_emb_{i}.npy", z)


def contest(name: str, folder: str, repeats: int) -> dict[str, Cost]:
    """Run the contestants of a workload in turns; the first turn does not count."""
    program = [str(Path(sys.executable).parent / "jssl"), "diagnose", "--out", "out", "--overwrite"]
    commands = {
        who: [sys.executable, "-c", what] if isinstance(what, str) else [*program, *what]
        for who, what in WORKLOADS[name].items()
    }
    turns = [
        {who: run(command, folder) for who, command in commands.items()} for _ in range(repeats + 1)
    ][1:]
    costs = {}
    for who in commands:
        cpu, wall, peak = (np.array(each) for each in zip(*(t[who] for t in turns), strict=True))
        spread = (cpu.max() - cpu.min()) / 2 / np.median(cpu)
        costs[who] = Cost(float(np.median(cpu)), float(np.median(wall)), spread, peak.max())
    return costs


def main(
    names: tuple[Literal["small", "wide", "exact", "shards"], ...] = (
        "small",
        "wide",
        "shards",
        "exact",
    ),
    repeats: int = 5,
) -> None:
    """Measure the workloads, print a table, and write results/diagnose.json and .md.

    Args:
        names: workloads; the results are written where all are measured.
        repeats: turns that are counted, after one that is not.
    """
    with tempfile.TemporaryDirectory() as folder:
        # In another process: a child counts the largest memory of its parent as its own.
        writer = multiprocessing.get_context("spawn").Process(target=write_files, args=(folder,))
        writer.start()
        writer.join()
        found: dict[str, dict[str, Cost]] = {}
        for name in names:
            found[name] = contest(name, folder, repeats)
            for who, cost in found[name].items():
                print(
                    f"{name:7s} {who:26s} {cost.cpu:7.3f} CPU s ± {100 * cost.spread:2.0f} %, "
                    f"{cost.wall:7.3f} s, peak {cost.peak:5,.0f} MB",
                    flush=True,
                )
    rows: list[dict[str, Any]] = [
        {"workload": name, "contestant": who, **cost._asdict()}
        for name, costs in found.items()
        for who, cost in costs.items()
    ]
    facts = diagnose_table.ratios(rows)
    for fact, each in facts.items():
        words = ", ".join(f"{value:.2f} in {kind} time" for kind, value in each.items())
        print(f"{fact}: {words}" + (f", aim {LIMITS[fact]}" if fact in LIMITS else ""))
    if len(found) == len(WORKLOADS):
        setting = {"numpy": np.__version__, "cores": os.cpu_count(), "repeats": repeats}
        content: dict[str, Any] = {"setting": setting, "rows": rows, "ratios": facts}
        (RESULTS / "diagnose.json").write_text(json.dumps(content, indent=2) + "\n")
        diagnose_table.main()


if __name__ == "__main__":
    tyro.cli(main)
