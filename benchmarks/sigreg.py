"""How long do SIGReg and its gradient take beside lightly's own implementation?

    python -m benchmarks.sigreg                # 4,096 x 512 embeddings, 1,024 slices; a minute
    python -m benchmarks.sigreg --size quick   # 512 x 64, 128 slices; seconds

Both evaluate the same definition (17 knots on [0, 3]) with the same slices, float32, value and
gradient with respect to the embeddings, on all cores. lightly is the peer where it and PyTorch are
installed, in this environment or in that of the interpreter `--peer`. It stores samples x slices x
knots numbers several times; jssl sums over blocks of slices and stores one block.
"""

import json
import subprocess
import sys
import time
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from benchmarks import harness
from jssl.losses import view_sigreg

SIZES = {"quick": (512, 64, 128), "full": (4096, 512, 1024)}

PEER = """
import importlib.util, json, os, sys, time, resource
import lightly, torch
path = os.path.join(os.path.dirname(lightly.__file__), "loss", "lejepa_loss.py")
spec = importlib.util.spec_from_file_location("lejepa_loss", path)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
n, dim, slices, repeats = map(int, sys.argv[1:5])
torch.manual_seed(0)
z = torch.randn(n, dim, requires_grad=True)
loss = module.SIGReg(num_vectors=slices)
seconds = []
for turn in range(-1, repeats):
    z.grad = None
    begin = time.perf_counter()
    value = loss(z)
    value.backward()
    seconds.append(time.perf_counter() - begin)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
print(json.dumps({"seconds": seconds[1:], "value": value.item(), "peak": peak,
                  "torch": torch.__version__, "threads": torch.get_num_threads()}))
"""


def peer(interpreter: str, size: tuple[int, int, int], repeats: int) -> dict[str, Any] | None:
    """Return the seconds of lightly, or None where it is not installed."""
    arguments = [str(number) for number in (*size, repeats)]
    done = subprocess.run(
        [interpreter, "-c", PEER, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(f"lightly did not run: {done.stderr.strip().splitlines()[-1:]}")
        return None
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def main(size: Literal["quick", "full"] = "full", peer_python: str = sys.executable) -> None:
    """Run the benchmark and write results/sigreg.json.

    Args:
        size: of the embeddings and number of slices.
        peer_python: the interpreter of an environment with lightly and PyTorch.
    """
    n, dim, slices = SIZES[size]
    z = jnp.asarray(np.random.default_rng(0).normal(size=(n, dim)), "float32")
    one = jax.jit(jax.value_and_grad(lambda z, key: view_sigreg(z, key=key, slices=slices)))
    compiled = one.lower(z, jax.random.key(0)).compile()
    memory = compiled.memory_analysis()
    temporary = float(memory.temp_size_in_bytes) if memory is not None else float("nan")
    rounds = 3
    ours: list[float] = []
    theirs: list[float] = []
    version = ""
    peak = float("nan")
    jax.block_until_ready(one(z, jax.random.key(0)))
    for turn in range(rounds):  # in turns, so that both meet the same load
        begin = time.perf_counter()
        jax.block_until_ready(one(z, jax.random.key(turn)))
        ours.append(time.perf_counter() - begin)
        found = peer(peer_python, (n, dim, slices), 2)
        if found is not None:
            theirs += found["seconds"]
            version, peak = found["torch"], found["peak"]
    rows = [{"method": "jssl", "seconds": float(np.median(ours)), "fastest": min(ours)}]
    facts = {"temporary memory of jssl in MB": temporary / 1e6}
    if theirs:
        rows.append(
            {
                "method": f"lightly, torch {version}",
                "seconds": float(np.median(theirs)),
                "fastest": min(theirs),
            }
        )
        facts["times faster than lightly"] = float(np.median(theirs) / np.median(ours))
        facts["times faster than lightly, fastest of each"] = min(theirs) / min(ours)
        facts["peak memory of the process of lightly in GB"] = peak
    harness.report("sigreg" if size == "full" else "sigreg_quick", rows, facts, dtype=np.float32)


if __name__ == "__main__":
    tyro.cli(main)
