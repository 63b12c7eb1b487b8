"""How do the 16 largest modes at 2n = 8,000 cost, beside another version of jssl?

    git worktree add --detach ../before COMMIT && (cd ../before && uv sync)
    python -m benchmarks.modes_against --against ../before

mlp-relu-3 on pairs of images as in `benchmarks.kernels`, in float64 and float32. This one calls
`leading_modes`. The other calls it too where it has it, and otherwise
`contrastive_modes(gram(model, pairs), 16, method="iterative")`. Both run in turns, each in a new
process, which calls twice: the first call is counted with its compilation, the second without.

Memory is the peak during the first call beyond that before it: after the imports, and with the
pairs in memory.
"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from benchmarks import harness

CHILD = """
import json, sys, threading, time
import jax, numpy as np
dtype, n = sys.argv[1], int(sys.argv[2])
jax.config.update("jax_enable_x64", dtype == "float64")
from jssl.kernels import contrastive_modes, infinite
from jssl.models import mlp
from jssl.types import Pairs
try:
    from jssl.kernels import leading_modes
except ImportError:
    leading_modes = None
generator = np.random.default_rng(0)
scale = np.arange(1, 785) ** -0.6
mean = 0.3 * generator.standard_normal(784)
views = generator.standard_normal((n, 784)) + 0.5 * generator.standard_normal((2, n, 784))
pairs = Pairs(*(views * scale + mean).astype(dtype))
del views
model = mlp(784, 1, depth=3, activation="relu")

def modes():
    if leading_modes is not None:
        return leading_modes(model, pairs, 16)
    return contrastive_modes(infinite.gram(model, pairs), 16, method="iterative")

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20

peak, ended, before = [0.0], threading.Event(), resident()
def watch():
    while not ended.wait(0.002):
        peak[0] = max(peak[0], resident())
watcher = threading.Thread(target=watch)
watcher.start()
seconds = []
for call in range(2):
    started = time.perf_counter()
    found = jax.block_until_ready(modes())
    seconds.append(time.perf_counter() - started)
    if not call:
        ended.set()
        watcher.join()
values = np.asarray(found.eigenvalues, float).tolist()
print(json.dumps([*seconds, peak[0] - before, values]))
"""


def _child(checkout: Path, dtype: str, n: int) -> list[Any]:
    """Return seconds with and without compilation, MiB and eigenvalues, in a new process."""
    python = checkout.absolute() / ".venv" / "bin" / "python"
    done = subprocess.run(
        [python, "-c", CHILD, dtype, str(n)],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(checkout.absolute())},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr)
    found: list[Any] = json.loads(done.stdout)
    return found


def main(against: Path, repeats: int = 5, pairs: int = 4000) -> None:
    """Run the benchmark and write results/modes_against.json.

    Args:
        against: another checkout, with a .venv of its own.
        repeats: processes of each.
        pairs: n.
    """
    here = Path(__file__).resolve().parents[1]
    rows: list[dict[str, Any]] = []
    facts: dict[str, float] = {}
    for dtype in ("float64", "float32"):
        runs: dict[str, list[Any]] = {"here": [], "there": []}
        for _ in range(repeats):
            for name, checkout in (("here", here), ("there", against)):
                runs[name].append(_child(checkout, dtype, pairs))
        middle = {
            name: [statistics.median(run[k] for run in found) for k in range(3)]
            for name, found in runs.items()
        }
        for name, (first, second, memory) in middle.items():
            row = {"dtype": dtype, "checkout": name, "seconds": second}
            rows.append({**row, "with compilation": first, "MiB": memory})
        one, other = middle.values()
        facts[f"{dtype}: times as fast"] = other[1] / one[1]
        facts[f"{dtype}: times as fast, with compilation"] = other[0] / one[0]
        facts[f"{dtype}: share of the memory"] = one[2] / other[2]
        values = [np.asarray(found[0][3]) for found in runs.values()]
        gap = np.abs(values[0] - values[1]).max() / values[1][0]
        facts[f"{dtype}: largest difference over the largest"] = float(gap)
    harness.report("modes_against", rows, facts, dtype=np.float64)


if __name__ == "__main__":
    tyro.cli(main)
