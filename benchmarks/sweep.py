"""How fast is a sweep, against the same steps in PyTorch, and against the machine?

    python -m benchmarks.sweep                  # minutes
    python -m benchmarks.sweep --size quick     # the same in seconds, for a look

Every contestant makes the same float32 steps; loops over seeds make fewer of them and are scaled.

    linear   L = ||W G W^T - I||^2, m = 64, d = 10, 1,024 seeds; jssl is given pairs and computes in
             the eigenbasis of G, which it finds by itself, the peers are given G
    mlp      64-256-256-32 in tanh, 128 pairs, linearised Barlow Twins, 64 seeds; the share of the
             rate that a 2048^3 float32 product reaches in the same run
    noise    two sigmoid rows on 100 samples in 10 dimensions, fresh noise every step, 64 seeds:
             jssl draws only what a step can see (420 normals, exact in law), peers draw all 4,000
    widths   16 ... 256 x 8 seeds, in processes of their own with a cold and a warm compilation
             cache: as planned, a program per width, and a PyTorch loop; for short runs, most of
             whose time is compilation, and for longer ones

PyTorch forms (skipped where it is missing): a loop over seeds with autograd, a loop with the
gradient by hand, `torch.func.vmap`, and batched by hand.
"""

import importlib.util
import itertools
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import tyro

import jssl
from benchmarks import harness
from benchmarks import sweep_peers as peers
from jssl import losses, models
from jssl.data import normals, pairs
from jssl.devices import use_all_cores
from jssl.optim import gradient_descent
from jssl.types import Array, Pairs, Problem

WIDTHS = [16, 32, 64, 128, 256]
MLP = (64, 256, 256, 32)


def linear_problem(learning_rate: Any) -> Problem:
    """Linear Barlow Twins on pairs with the cross moment of the peers."""
    values, vectors = np.linalg.eigh(peers.gamma().astype(float))
    x = jnp.asarray(np.sqrt(64 * values)[:, None] * vectors.T, jnp.float32)
    model = models.linear(64, 10, scale=0.1)
    loss = losses.get("barlow_twins_linearized")
    return Problem(pairs.fixed(Pairs(x, x)), model, loss, gradient_descent(learning_rate))


def observe_norm(problem: Problem) -> Callable[..., dict[str, Array]]:
    """Observe next to nothing, so that steps are timed and no records."""
    del problem

    def see(params: Any, data: Pairs) -> dict[str, Array]:
        del data
        return {"norm": sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params))}  # type: ignore[dict-item]

    return see


def mlp_problem(width: int, learning_rate: Any, max_width: int | None = None) -> Problem:
    """The MLP of the table, or a narrower one of the width study."""
    first, second = peers.views()
    model = models.mlp(64, 32, width=width, depth=2, max_width=max_width)
    return Problem(
        pairs.fixed(Pairs(jnp.asarray(first), jnp.asarray(second))),
        model,
        losses.get("barlow_twins_linearized"),
        gradient_descent(learning_rate),
    )


def noise_problem(learning_rate: Any) -> Problem:
    """Two sigmoid rows under fresh noise; the gradient is drawn, exact in law.

    A step sees the noise e of a view only as a = W e and as sum_i c_i e_i, with c_i the slope at
    sample i. Given a, the second is sum_i c_i a_i^T (W W^T)^-1 W plus a Gaussian of covariance
    sum_i c_i c_i^T times the projector off the rows of W. Roots and inverses of 2 x 2 matrices are
    written out: a program that calls LAPACK would use one CPU device.
    """
    x, rho = jnp.asarray(peers.cells()), 10**-1.5
    cuts = [len(x), 2 * len(x)]

    def objective(params: dict[str, Array], data: Pairs, key: Array) -> Array:
        del data
        w = jax.lax.stop_gradient(params["weight"])
        gram = w @ w.T
        inverse, root = inverse_of_two(gram), root_of_two(gram)
        draws = normals(key, (2 * len(x) + w.shape[1], 2))
        one, two, rest = jnp.split(draws, cuts)
        seen = [part[:, :1] * root[:, 0] + part[:, 1:] * root[:, 1] for part in (one, two)]
        clean = x @ w.T
        z = [jax.nn.sigmoid(clean + rho * a) for a in seen]
        loss = -jnp.mean(jnp.sum(z[0] * z[1], 1))
        slopes = [-(z[1 - i] * z[i] * (1 - z[i])) / len(x) for i in range(2)]
        both = jnp.concatenate(slopes)
        along = both.T @ jnp.concatenate(seen) @ inverse @ w
        spread = root_of_two(both.T @ both + 1e-20 * jnp.eye(2))
        off = spread @ (rest.T - rest.T @ w.T @ inverse @ w)
        gradient = (slopes[0] + slopes[1]).T @ x + rho * (along + off)
        decay = jnp.sum(params["weight"] ** 2) / 800
        return decay + loss + jnp.sum(gradient * (params["weight"] - w))

    none = Pairs(jnp.zeros((1, 10)), jnp.zeros((1, 10)))
    model = models.linear(10, 2, scale=3.0)
    rule = gradient_descent(learning_rate)
    return Problem(pairs.fixed(none), model, losses.get("vicreg"), rule, objective)


def root_of_two(matrix: Array) -> Array:
    """Return the lower triangular R with R R^T = M, for a positive definite M of two rows."""
    first = jnp.sqrt(matrix[0, 0])
    below = matrix[1, 0] / first
    last = jnp.sqrt(jnp.maximum(matrix[1, 1] - below**2, 0))
    return jnp.array([[first, 0], [below, last]])


def inverse_of_two(matrix: Array) -> Array:
    """Return the inverse of a matrix of two rows."""
    (a, b), (c, d) = matrix
    return jnp.array([[d, -b], [-c, a]]) / (a * d - b * c)


def study(problem: Callable[..., Problem], seeds: int, steps: int, **axes: Any) -> Any:
    """Return a function that runs one sweep in memory."""
    given = {"learning_rate": [1e-3], **axes, "seed": seeds}

    def run() -> Any:
        return jssl.sweep(
            problem, given, record_steps=[steps], observe=observe_norm, chunk_seconds=1e6
        ).norm.values

    return run


def table(size: str) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Time the three kinds of steps; return rows and facts."""
    long = {"linear": 4000, "mlp": 20, "noise": 2000}
    steps = {name: n if size == "full" else max(2, n // 20) for name, n in long.items()}
    seeds = {"linear": 1024, "mlp": 64, "noise": 64}
    problems: dict[str, Callable[..., Problem]] = {
        "linear": linear_problem,
        "mlp": mlp_problem,
        "noise": noise_problem,
    }
    rows: list[dict[str, Any]] = []
    facts: dict[str, float] = {}
    for name, problem in problems.items():
        extra = {"width": [256]} if name == "mlp" else {}
        work = {"jssl": (study(problem, seeds[name], steps[name], **extra), seeds[name])}
        if importlib.util.find_spec("torch") is not None:
            work |= peers.forms(name, seeds[name], steps[name])
        timings = harness.measure(
            {form: run for form, (run, _) in work.items()}, repeats=1 if size == "quick" else 5
        )
        each = {f: 1e6 * t.median / work[f][1] / steps[name] for f, t in timings.items()}
        for form, microseconds in each.items():
            row = {"workload": name, "form": form, "us a seed-step": microseconds}
            rows.append({**row, "spread": timings[form].spread})
            if form != "jssl":
                facts[f"{name}: times faster than {form}"] = microseconds / each["jssl"]
        if name == "mlp":
            peak = product_rate()
            rate = mlp_operations() / each["jssl"] / 1e3
            facts |= {"mlp: GFLOP/s": rate, "2048^3 product: GFLOP/s": peak}
            facts["mlp: share of the product's rate"] = rate / peak
        if name == "linear":  # linear in the seeds once the machine is full
            counts = (4096, 8192, 16384)
            runs = {str(n): study(problem, n, steps[name] // 2) for n in counts}
            times = harness.measure(runs, repeats=1 if size == "quick" else 5)
            logs = [math.log(t.median) for t in times.values()]
            slope = np.polyfit(np.log(counts), logs, 1)[0]
            facts["linear: cost grows as seeds to the power, 4,096 to 16,384"] = float(slope)
    return rows, facts


def mlp_operations() -> float:
    """Return the floating-point operations of one step of the MLP: two passes back, one on."""
    layers = [a * b for a, b in itertools.pairwise(MLP)]
    return 2 * 256 * (3 * sum(layers) - layers[0])


def product_rate() -> float:
    """Return the GFLOP/s of a 2048^3 float32 product, the better of JAX's and NumPy's."""
    host = np.ones((2048, 2048), np.float32)
    device = jnp.asarray(host)
    product = jax.jit(lambda a: jnp.matmul(a, a, precision="highest"))
    found = harness.measure({"jax": lambda: product(device), "numpy": lambda: host @ host})
    return 2 * 2048**3 / min(t.median for t in found.values()) / 1e9


def width_study(form: str, steps: int) -> dict[str, float]:
    """Run the width study once in this process; return seconds and where they went."""
    started = time.perf_counter()
    if form == "torch":
        peers.width_loop(WIDTHS, 8, steps)
    elif form == "planned":
        study(mlp_problem, 8, steps, width=WIDTHS)()
    else:
        for width in WIDTHS:
            study(mlp_problem, 8, steps, width=[width])()
    return {"seconds": time.perf_counter() - started}


def widths(size: str) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Time the width study in processes of their own, cold and warm."""
    forms = ["planned", "per width"]
    forms += ["torch"] if importlib.util.find_spec("torch") is not None else []
    rows: list[dict[str, Any]] = []
    seconds = {}
    for steps in (100, 500) if size == "full" else (20,):
        for form in forms:
            with tempfile.TemporaryDirectory() as cache:
                for state in ("cold", "warm"):
                    seconds[steps, form, state] = taken = _in_process(form, steps, cache)
                    row = {"workload": f"widths, {steps} steps", "form": f"{form}, {state}"}
                    rows.append({**row, "seconds": taken})
    facts = {
        f"widths, {steps} steps, {state}: times faster than {form}": taken
        / seconds[steps, "planned", state]
        for (steps, form, state), taken in seconds.items()
        if form != "planned"
    }
    return rows, facts


def _in_process(form: str, steps: int, cache: str) -> float:
    code = (
        "import sys, json; sys.path.extend(json.loads(sys.argv[3]));"
        "from benchmarks import sweep; sweep.use_all_cores();"
        "print(json.dumps(sweep.width_study(sys.argv[1], int(sys.argv[2]))))"
    )
    settings = {
        "JAX_COMPILATION_CACHE_DIR": cache,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    done = subprocess.run(
        [sys.executable, "-c", code, form, str(steps), json.dumps(sys.path)],
        env=os.environ | settings,
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(json.loads(done.stdout.splitlines()[-1])["seconds"])


def main(size: Literal["quick", "full"] = "full") -> None:
    """Run the benchmark and write results/sweep.json and results/sweep_widths.json.

    Args:
        size: `quick` makes a twentieth of the steps, once.
    """
    use_all_cores()
    suffix = "" if size == "full" else "_quick"
    harness.report(f"sweep{suffix}", *table(size), dtype=np.float32)
    harness.report(f"sweep_widths{suffix}", *widths(size), dtype=np.float32)


if __name__ == "__main__":
    tyro.cli(main)
