"""How does a sweep grow: many points, many runs, several workers, next to an earlier build?

    python -m benchmarks.sweep_scale                    # minutes
    python -m benchmarks.sweep_scale --before ""        # without the earlier build

    points   3,000 learning rates x 8 seeds, seeds added in blocks of 4 until intervals are narrow:
             seconds, and files of the store
    report   `jssl report` of that store: CPU seconds
    plan     `jssl sweep --plan` of 1,000,000 runs: CPU seconds, and those of it after imports
    engine   200 chunks by 4 workers of dask, and by 4 processes with --shard: seconds

Every figure is of a process of its own. The earlier build is a work tree of its revision, and runs
the same scripts.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from benchmarks import harness

ROOT = Path(__file__).parents[1]
BEFORE = "938deca"
"""The revision before sweeps had an engine."""

POINTS = """
import sys, time, numpy as np, jssl
from jssl import losses, models
from jssl.data import pairs, toy
from jssl.optim import gradient_descent
import jax.numpy as jnp
from jssl.sweeps import Target, sweep_until

def make_problem(learning_rate):
    data = toy.pairs_with_cross_moment(jnp.array([1.0, 0.5, 0.1]), 4)
    rule = gradient_descent(learning_rate)
    loss = losses.get("barlow_twins_linearized")
    return jssl.Problem(pairs.fixed(data), models.linear(3, 2, scale=0.3), loss, rule)

count = int(sys.argv[2])
axes = {"learning_rate": np.geomspace(1e-3, 1e-1, count).tolist(), "seed": 8}
target = Target("loss", half_width=1e-30, least=4)
result = sweep_until(make_problem, axes, target, record_steps=[0, 10, 100], store=sys.argv[1],
                     progress=False)
print(int((result.first_bad_step == -1).sum()))
"""

STUDY = """
store = "{store}"
steps = 1000
[problem]
data = "digits"
samples = 100
model = "linear"
dim = 4
loss = "vicreg"
[axes]
learning_rate = [{rates}]
seed = {seeds}
"""

PLANNING = """
import sys, time
import jssl.commands.sweep
before = time.process_time()
jssl.commands.sweep.run_sweep(__import__("pathlib").Path(sys.argv[1]), plan=True)
print(time.process_time() - before)
"""

CHUNKS = """
store = "{store}"
record = [0, 2000]
[problem]
data = "digits"
samples = 200
model = "mlp"
width = 64
dim = 8
loss = "vicreg"
[axes]
learning_rate = [0.001]
seed = {seeds}
[layout]
seed_block = 1
chunk_seconds = 1e-9
"""


def timed(command: list[str], build: Path) -> tuple[float, float, str]:
    """Run a command with the jssl of a build; return seconds, CPU seconds and its output."""
    environment = os.environ | {"PYTHONPATH": str(build)}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        command, env=environment, cwd=build, capture_output=True, text=True, check=False
    )
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(done.stderr)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, cpu, done.stdout


def scale(build: Path, points: int, runs: int) -> dict[str, float]:
    """Return the figures of one build."""
    python, jssl = [sys.executable, "-c"], [sys.executable, "-m", "jssl"]
    with tempfile.TemporaryDirectory() as place:
        folder, study = Path(place) / "store", Path(place) / "study.toml"
        wall, cpu, _ = timed([*python, POINTS, str(folder), str(points)], build)
        files = sum(path.is_file() for path in folder.rglob("*"))
        _, report, _ = timed([*jssl, "report", str(folder)], build)
        rates = ", ".join(f"{rate:.9f}" for rate in np.geomspace(1e-4, 1e-3, runs // 1000))
        study.write_text(STUDY.format(store=Path(place) / "plan", rates=rates, seeds=1000))
        _, whole, _ = timed([*jssl, "sweep", str(study), "--plan"], build)
        own = float(timed([*python, PLANNING, str(study)], build)[2].split()[-1])
    return {
        "points: seconds": wall,
        "points: CPU seconds": cpu,
        "points: files": files,
        "report: CPU seconds": report,
        "plan: CPU seconds": whole,
        "plan: CPU seconds after imports": own,
    }


def engine(chunks: int, workers: int = 4) -> dict[str, float]:
    """Return the seconds of some chunks on a cluster, and in as many shards."""
    import distributed

    with tempfile.TemporaryDirectory() as place:
        study = Path(place) / "study.toml"
        jssl = [sys.executable, "-m", "jssl", "sweep", str(study)]
        warm = CHUNKS.format(store=f"{place}/warm", seeds=1)
        study.write_text(warm)
        timed([*jssl, "--devices", "1"], ROOT)  # compiles
        study.write_text(CHUNKS.format(store=f"{place}/shards", seeds=chunks))
        started = time.perf_counter()
        shards = [
            subprocess.Popen([*jssl, "--devices", "1", "--shard", f"{i}/{workers}"], cwd=ROOT)
            for i in range(workers)
        ]
        assert [process.wait() for process in shards] == [0] * workers
        by_shards = time.perf_counter() - started
        with distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address=":0"
        ) as cluster:
            study.write_text(warm.replace("/warm", "/first").replace("seed = 1", "seed = 8"))
            timed([*jssl, "--scheduler", cluster.scheduler_address], ROOT)  # imports on workers
            study.write_text(CHUNKS.format(store=f"{place}/cluster", seeds=chunks))
            by_cluster, _, _ = timed([*jssl, "--scheduler", cluster.scheduler_address], ROOT)
    return {
        "engine: seconds of 4 shards": by_shards,
        "engine: seconds of 4 workers": by_cluster,
        "engine: workers over shards": by_cluster / by_shards,
    }


def main(
    before: str = BEFORE, points: int = 3000, runs: int = 1_000_000, chunks: int = 200
) -> None:
    """Run the benchmark and write results/sweep_scale.json.

    Args:
        before: the revision to compare with; empty for none.
        points: of the study whose seeds are added.
        runs: that are planned.
        chunks: that workers and shards compute; 0 leaves them out.
    """
    found = {"this build": scale(ROOT, points, runs)}
    if before:
        with tempfile.TemporaryDirectory() as place:
            tree = Path(place) / "tree"
            git = ["git", "-C", str(ROOT), "worktree"]
            subprocess.run([*git, "add", "--detach", str(tree), before], check=True)
            try:
                found[before] = scale(tree, points, runs)
            finally:
                subprocess.run([*git, "remove", "--force", str(tree)], check=True)
    rows: list[dict[str, Any]] = [
        {"figure": name, **{build: figures[name] for build, figures in found.items()}}
        for name in next(iter(found.values()))
    ]
    facts = engine(chunks) if chunks else {}
    harness.report("sweep_scale", rows, facts, dtype=np.float32)


if __name__ == "__main__":
    tyro.cli(main)
