"""How much faster is the exact chain of one-pass SGD than SGD on vectors in PyTorch?

    python -m benchmarks.one_pass                # d = 10,000, 1,000 runs; two minutes
    python -m benchmarks.one_pass --size quick   # d = 500, 100 runs; seconds

1,000 runs of 10,000 steps in 10,000 dimensions, float32. jssl follows overlap and norm, which has
exactly the law of SGD on vectors and costs the same in every dimension; it runs all steps. The peer
is SGD on all runs at once, with the gradient written out by hand (faster than autograd), noise
drawn in place, and one matrix of weights. It runs a few steps; the time of all steps is
extrapolated in proportion, which the result states. Both laws are compared at a small size in the
same run: means and standard deviations of the overlap.
"""

import json
import subprocess
import sys
import time
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
import tyro

from benchmarks import harness
from jssl.theory.highdim import OnePass, chain, rademacher

SETTING = OnePass(rademacher(2.0), 1.0, 0.0, 1.0, 0.5, 0.2)


class Size(NamedTuple):
    """Dimension, runs, steps, and steps that the peer runs."""

    dim: int
    runs: int
    steps: int
    peer_steps: int


SIZES = {"quick": Size(500, 100, 500, 50), "full": Size(10_000, 1000, 10_000, 4)}
CHECK = Size(60, 2000, 240, 240)
"""Size at which the laws are compared."""

PEER = """
import json, math, sys, time
import torch
d, runs, steps = map(int, sys.argv[1:4])
eta, decay, spread, start, square = 0.5, 0.2, math.sqrt(2), 0.3, 1.0
torch.manual_seed(1)
w = torch.zeros(runs, d)
w[:, 0] = start
w[:, 1] = math.sqrt(square - start**2)
x = [torch.empty(runs, d) for _ in range(3)]
root, half = math.sqrt(2 / math.pi), math.sqrt(0.5)

def step(w):
    signs = [torch.randint(0, 2, (runs,)).mul_(2).sub_(1).float() * spread for _ in range(2)]
    for z, s in zip(x, (signs[0], signs[0], signs[1])):
        z.normal_()
        z[:, 0] += s
    u = [torch.einsum("rd,rd->r", w, z) for z in x]
    f = [torch.erf(v * half) for v in u]
    g = [root * torch.exp(-v * v / 2) for v in u]
    a = (g[0] * (f[1] - f[2]), f[0] * g[1], -f[0] * g[2])
    w.mul_(1 - eta / d * decay)
    for c, z in zip(a, x):
        w.addcmul_(c[:, None], z, value=eta / d)

with torch.inference_mode():
    if sys.argv[4] == "time":
        step(w)
    begin = time.perf_counter()
    for _ in range(steps):
        step(w)
    seconds = time.perf_counter() - begin
q = w[:, 0]
print(json.dumps({"seconds": seconds, "mean": q.mean().item(), "sd": q.std().item(),
                  "square": (w * w).sum(1).mean().item(), "torch": torch.__version__}))
"""


def peer(interpreter: str, size: Size, what: str) -> dict[str, Any] | None:
    """Return seconds and moments of PyTorch, or None where it is not installed."""
    arguments = [str(size.dim), str(size.runs), str(size.peer_steps), what]
    done = subprocess.run(
        [interpreter, "-c", PEER, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(f"PyTorch did not run: {done.stderr.strip().splitlines()[-1:]}")
        return None
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def ours(size: Size, key: int) -> tuple[float, np.ndarray, np.ndarray]:
    """Return seconds, overlaps and squared norms after all steps."""

    def go(seed: int) -> Any:
        return jax.block_until_ready(
            chain(
                jax.random.key(seed), SETTING, size.dim, [size.steps],
                overlap=0.3, square=1.0, seeds=size.runs,
            )
        )  # fmt: skip

    chain(
        jax.random.key(0), SETTING, size.dim, [1], overlap=0.3, square=1.0, seeds=size.runs
    ).overlap.block_until_ready()
    begin = time.perf_counter()
    found = go(key)
    seconds = time.perf_counter() - begin
    return seconds, np.asarray(found.overlap[0]), np.asarray(found.square[0])


def main(size: Literal["quick", "full"] = "full", peer_python: str = sys.executable) -> None:
    """Run the benchmark and write results/one_pass.json.

    Args:
        size: dimension, runs and steps.
        peer_python: the interpreter of an environment with PyTorch.
    """
    chosen = SIZES[size]
    seconds, _, _ = ours(chosen, 1)
    rows = [{"method": "jssl", "steps run": chosen.steps, "seconds for all steps": seconds}]
    facts: dict[str, float] = {}
    timed = peer(peer_python, chosen, "time")
    checked = peer(peer_python, CHECK, "check")
    if timed is not None and checked is not None:
        whole = timed["seconds"] * chosen.steps / chosen.peer_steps
        rows.append(
            {
                "method": f"SGD on vectors, torch {timed['torch']}",
                "steps run": chosen.peer_steps,
                "seconds for all steps": whole,
            }
        )
        _, overlap, square = ours(CHECK, 2)
        error = (overlap.var() / len(overlap) * 2) ** 0.5
        facts = {
            "times faster than SGD on vectors (extrapolated)": whole / seconds,
            "difference of mean overlaps, standard errors": (overlap.mean() - checked["mean"])
            / error,
            "ratio of standard deviations": float(overlap.std(ddof=1) / checked["sd"]),
            "difference of mean squared norms": float(square.mean() - checked["square"]),
        }
    name = "one_pass" if size == "full" else "one_pass_quick"
    harness.report(name, rows, {k: float(v) for k, v in facts.items()}, dtype=np.float32)


if __name__ == "__main__":
    tyro.cli(main)
