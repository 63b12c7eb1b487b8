"""How fast is a step that stays on the Stiefel manifold, and how well does it stay?

    python -m benchmarks.riemannian                # minutes
    python -m benchmarks.riemannian --size quick   # fewer steps, no drift

St(256, 16) in float32, one seed and 64 seeds, gradients in closed form for every contestant:

    eigen      L = -Tr(X^T A X)        the leading eigenvectors of A
    brockett   L = -Tr(X^T A X N)      each of them, N = diag(16, ..., 1) / 16

A is symmetric with eigenvalues from -1 to 1, the leading 16 apart from the rest. Peers, in an
environment with `geoopt` and `pymanopt` (skipped where they are missing):

    descent    optax.sgd, no constraint: what the manifold costs (it diverges)
    geoopt     RiemannianSGD, Euclidean and canonical; seeds in a loop, or as a batch
    pymanopt   SteepestDescent with its line search, per iteration

Peers run with one thread or all cores, whichever a first call finds faster for them.

The end error is ||X X^T - P||_F to the leading eigenspace after the timed steps from one start.
Drift is ||X^T X - I||_F after 10,000 noisy float32 steps; geometry is compared in float64.
"""

import importlib
import importlib.util
import os
import time
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from jax.sharding import AxisType, PartitionSpec
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from benchmarks import harness
from jssl.manifolds import Grassmann, Stiefel
from jssl.optim import stiefel_adam, stiefel_sgd
from jssl.precision import float64

N, P, SEEDS, RATE = 256, 16, 64, 0.2
METHODS = ("polar", "cholesky_qr2", "exp", "qr")

Gradient = Callable[[Any], Any]


def make_problem(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return A (256, 256), the column weights (16,) and the leading projector."""
    rng = np.random.default_rng(0)
    vectors = np.linalg.qr(rng.normal(size=(N, N)))[0]
    values = np.concatenate([np.linspace(1.0, 0.7, P), np.linspace(0.5, -1.0, N - P)])
    a = (vectors * values) @ vectors.T
    weights = np.arange(P, 0, -1) / P if name == "brockett" else np.ones(P)
    leading = vectors[:, :P] @ vectors[:, :P].T
    return a.astype(np.float32), weights.astype(np.float32), leading


def starts() -> np.ndarray:
    """Return 64 points of the manifold, float32."""
    normal = np.random.default_rng(1).normal(size=(SEEDS, N, P))
    return np.linalg.qr(normal)[0].astype(np.float32)


def descend(
    tx: Any, a: np.ndarray, weights: np.ndarray, steps: int, sharded: bool = True
) -> Callable[[Any], Any]:
    """Return the compiled run of an optax transformation from one start or many.

    Many run as sweeps do: shared out over one device a core, eight at a time so that they stay in
    the cache; `qr` and `exp` as one batch.
    """
    mesh = jax.make_mesh((jax.device_count(),), ("seed",), axis_types=(AxisType.Auto,))

    def one(x: Any) -> Any:
        def step(carry: Any, _: None) -> tuple[Any, None]:
            x, state = carry
            gradient = -2 * jnp.matmul(a, x, precision="highest") * weights
            updates, state = tx.update(gradient, state, x)
            return (optax.apply_updates(x, updates), state), None

        return jax.lax.scan(step, (x, tx.init(x)), None, length=steps)[0][0]

    many = jax.shard_map(
        lambda x: jax.lax.map(one, x, batch_size=8),
        mesh=mesh,
        in_specs=PartitionSpec("seed"),
        out_specs=PartitionSpec("seed"),
        check_vma=False,
    )
    several = many if sharded else jax.vmap(one)
    return jax.jit(lambda x: one(x) if x.ndim == 2 else several(x))


def geoopt_run(a: np.ndarray, weights: np.ndarray, steps: int, canonical: bool) -> Any:
    """Return a function that runs geoopt from one start, or from a batch of them."""
    geoopt, torch = map(importlib.import_module, ("geoopt", "torch"))
    matrix, scale = torch.tensor(a), torch.tensor(weights)

    def run(x: np.ndarray) -> Any:
        manifold = geoopt.Stiefel(canonical=canonical)
        point = geoopt.ManifoldParameter(torch.tensor(x), manifold=manifold)
        optimiser = geoopt.optim.RiemannianSGD([point], lr=RATE)
        for _ in range(steps):
            with torch.no_grad():
                point.grad = -2 * (matrix @ point) * scale
            optimiser.step()
        return point.detach().numpy()

    return run


def pymanopt_run(a: np.ndarray, weights: np.ndarray, steps: int) -> Any:
    """Return a function that runs pymanopt's steepest descent, and keeps its iterations."""
    pymanopt = _pymanopt()
    manifold = pymanopt.manifolds.Stiefel(N, P)

    @pymanopt.function.numpy(manifold)
    def cost(x: np.ndarray) -> float:
        return -float(np.sum((a @ x) * x * weights))

    @pymanopt.function.numpy(manifold)
    def gradient(x: np.ndarray) -> np.ndarray:
        return -2 * (a @ x) * weights

    problem = pymanopt.Problem(manifold, cost, euclidean_gradient=gradient)
    optimiser = pymanopt.optimizers.SteepestDescent(
        max_iterations=steps, min_gradient_norm=0, min_step_size=0, max_time=1e6, verbosity=0
    )
    return lambda x: optimiser.run(problem, initial_point=x.astype(np.float64)).point


def _pymanopt() -> Any:
    """Import pymanopt, and take back its switching JAX to float64 for the whole process."""
    before = jax.config.jax_enable_x64  # type: ignore[attr-defined]
    module = importlib.import_module("pymanopt")
    jax.config.update("jax_enable_x64", before)
    return module


def compare(
    problem: str, steps: int, repeats: int
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Time every contestant on one problem; return the table's rows and the ratios."""
    a, weights, leading = make_problem(problem)
    x = starts()
    peers = all(importlib.util.find_spec(name) for name in ("geoopt", "pymanopt", "torch"))
    batched_steps = max(steps // 20, 10)
    plain = {"descent": optax.sgd(RATE)}
    ours = {f"jssl {m}": stiefel_sgd(RATE, method=m) for m in METHODS}
    ours |= {"jssl adam": stiefel_adam(RATE)}
    rows: list[dict[str, Any]] = []
    facts: dict[str, float] = {}
    for seeds, count in ((1, steps), (SEEDS, batched_steps)):
        start = x[0] if seeds == 1 else x
        # LAPACK's QR hangs now and then when two devices of one process run it at once
        runs = {
            k: descend(tx, a, weights, count, sharded=not k.endswith((" qr", " exp")))
            for k, tx in (plain | ours).items()
        }
        if peers:
            for metric in ("euclidean", "canonical"):
                run = _fastest(geoopt_run(a, weights, count, metric == "canonical"), start)
                runs[f"geoopt {metric}" + (" batch" if seeds > 1 else "")] = run
                if seeds > 1 and metric == "euclidean":
                    runs["geoopt euclidean loop"] = _loop(run)
            if seeds == 1:
                runs["pymanopt"] = _fastest(pymanopt_run(a, weights, count), start)
        ends: dict[str, Any] = {}
        timings = harness.measure(
            {k: _keep(ends, k, run, start) for k, run in runs.items()},
            repeats={k: repeats if k.startswith(("jssl", "descent")) else 3 for k in runs},
        )
        for name, timing in timings.items():
            end = np.asarray(ends[name], np.float64).reshape(-1, N, P)[0]
            rows.append(
                {
                    "problem": problem,
                    "seeds": seeds,
                    "contestant": name,
                    "ms a step": 1e3 * timing.median / count,
                    "spread": timing.spread,
                    "steps": count,
                    "end error": float(np.linalg.norm(end @ end.T - leading)),
                }
            )
        for name, ratio in harness.ratios(timings, "jssl polar").items():
            facts[f"{problem}, {seeds} seed(s): times faster than {name}"] = ratio
    return rows, facts


def drift(steps: int) -> dict[str, float]:
    """Return ||X^T X - I||_F after noisy float32 steps by every retraction."""
    noise = jax.random.normal(jax.random.key(0), (64, N, P), np.float32) / N**0.5

    def run(tx: Any) -> Any:
        def step(carry: Any, k: Any) -> tuple[Any, None]:
            x, state = carry
            updates, state = tx.update(noise[k % 64] * (1 + k % 7), state, x)
            return (optax.apply_updates(x, updates), state), None

        x = jnp.asarray(starts()[0])
        return jax.jit(lambda x: jax.lax.scan(step, (x, tx.init(x)), jnp.arange(steps))[0][0])(x)

    chains = {m: stiefel_sgd(0.1, method=m) for m in METHODS} | {"adam": stiefel_adam(0.1)}
    ends = {name: np.asarray(run(tx), np.float64) for name, tx in chains.items()}
    return {
        f"drift after {steps} steps, {name}": float(np.linalg.norm(x.T @ x - np.eye(P)))
        for name, x in ends.items()
    }


def geometry() -> dict[str, float]:
    """Return the largest float64 differences from geoopt's and pymanopt's geometry."""
    if not all(importlib.util.find_spec(name) for name in ("geoopt", "pymanopt", "torch")):
        return {}
    geoopt, torch = map(importlib.import_module, ("geoopt", "torch"))
    pymanopt = _pymanopt()
    rng = np.random.default_rng(2)
    x, y = np.linalg.qr(rng.normal(size=(2, 12, 4)))[0]
    g = rng.normal(size=(12, 4))
    theirs, other = pymanopt.manifolds.Stiefel(12, 4), pymanopt.manifolds.Grassmann(12, 4)
    euclidean, canonical = geoopt.EuclideanStiefelExact(), geoopt.CanonicalStiefel()
    tx, tg = torch.tensor(x), torch.tensor(g)
    with float64():
        stiefel, skewed, grassmann = Stiefel(), Stiefel(metric="canonical"), Grassmann()
        xi, eta = stiefel.project(x, g), grassmann.project(x, g)
        txi = torch.tensor(np.asarray(xi))
        pairs = {
            "Stiefel projection, geoopt": (xi, euclidean.proju(tx, tg)),
            "Stiefel projection, pymanopt": (xi, theirs.projection(x, g)),
            "Stiefel exponential, geoopt": (stiefel.exp(x, xi), euclidean.expmap(tx, txi)),
            "Stiefel exponential, pymanopt": (stiefel.exp(x, xi), theirs.exp(x, np.asarray(xi))),
            "canonical gradient, geoopt": (skewed.gradient(x, g), canonical.egrad2rgrad(tx, tg)),
            "canonical inner product, geoopt": (
                skewed.inner(x, xi, xi),
                canonical.inner(tx, txi, txi).ravel()[0],
            ),
            "qr, pymanopt": (stiefel.retract(x, xi, "qr"), theirs.retraction(x, np.asarray(xi))),
            "polar, pymanopt": (grassmann.retract(x, eta), other.retraction(x, np.asarray(eta))),
            "Grassmann exponential, pymanopt": (
                _span(grassmann.exp(x, eta)),
                _span(other.exp(x, np.asarray(eta))),
            ),
            "Grassmann logarithm, pymanopt": (grassmann.log(x, y), other.log(x, y)),
            "Grassmann distance, pymanopt": (grassmann.distance(x, y), other.dist(x, y)),
        }
        facts = {
            f"difference, {k}": float(np.abs(np.asarray(a) - np.asarray(b)).max())
            for k, (a, b) in pairs.items()
        }
        once = np.asarray(skewed.project(x, g))
        facts["idempotence error, canonical projection"] = float(
            np.abs(np.asarray(skewed.project(x, once)) - once).max()
        )
    again = canonical.proju(tx, canonical.proju(tx, tg)) - canonical.proju(tx, tg)
    facts["idempotence error, canonical projection of geoopt"] = float(again.abs().max())
    return facts


def main(size: Literal["quick", "full"] = "full") -> None:
    """Run the benchmark and write results/riemannian.json.

    Args:
        size: `quick` takes fewer steps and leaves the drift out.
    """
    jax.config.update("jax_num_cpu_devices", os.cpu_count())
    steps, repeats = (1_000, 9) if size == "full" else (100, 3)
    begin = time.perf_counter()
    rows: list[dict[str, Any]] = []
    facts: dict[str, float] = {}
    for problem in ("eigen", "brockett"):
        more_rows, more_facts = compare(problem, steps, repeats)
        rows, facts = rows + more_rows, facts | more_facts
    if size == "full":
        facts |= drift(10_000)
    facts |= geometry()
    facts["seconds in all"] = time.perf_counter() - begin
    name = "riemannian" if size == "full" else "riemannian_quick"
    harness.report(name, rows, facts, dtype=np.float32)


def _fastest(run: Callable[[Any], Any], x: Any) -> Callable[[Any], Any]:
    """Return the function with the number of threads that serves it best."""
    seconds = {}
    for threads in (1, None):
        with threadpool_limits(threads):
            begin = time.perf_counter()
            run(x)
            seconds[threads] = time.perf_counter() - begin
    best = min(seconds, key=seconds.__getitem__)

    def limited(x: Any) -> Any:
        with threadpool_limits(best):
            return run(x)

    return limited


def _loop(run: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: np.stack([run(one) for one in x])


def _keep(ends: dict[str, Any], name: str, run: Callable[[Any], Any], x: Any) -> Callable[[], Any]:
    def call() -> Any:
        ends[name] = run(x)
        return ends[name]

    return call


def _span(x: Any) -> np.ndarray:
    return np.asarray(x) @ np.asarray(x).T


if __name__ == "__main__":
    tyro.cli(main)
