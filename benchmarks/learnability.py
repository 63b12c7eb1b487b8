"""How fast is a thousand-seed run of the nonlinear self-supervised model against PyTorch?

    python -m benchmarks.learnability                # 1,000 seeds x 4,000 steps; two minutes
    python -m benchmarks.learnability --size quick   # 64 seeds x 200 steps; seconds

The published setting in float32: n = 100 samples in d = 10 dimensions, two rows, fresh view noise
at every step, learning rate .1 on the mean loss, drawing included and compilation left out. jssl
runs all steps of all seeds; PyTorch runs fewer of them, and all are told in microseconds a
seed-step. Peers, where PyTorch is there:

    loop        one seed at a time: draw both views, autograd
    vmap        torch.func.vmap(grad) over all seeds, noise of all seeds drawn in one call
    batched     all seeds by hand: bmm, and the gradient written out
    reduced     the same with the draw of `reduced_gradient`: 420 normals a step instead of 2,000

The target, twice as fast, is against the best of the first three, the full step; `reduced` shows
how much of it is the draw.
"""

from collections.abc import Callable
from typing import Any, Literal

import jax
import numpy as np
import tyro

from benchmarks import harness
from jssl.papers.learnability.seeds import Design, Numbers, draw
from jssl.papers.learnability.simulate import self_supervised

RATE, NOISE, DECAY = 0.1, 10**-1.5, 1 / 800


def torch_peers(seeds: int, steps: int) -> dict[str, tuple[Callable[[], Any], int]]:
    """Return name -> (run, its seed-steps), or nothing where PyTorch is not installed."""
    try:
        import torch
    except ImportError:
        return {}
    start = draw(jax.random.split(jax.random.key(0), seeds), Design(), Numbers())
    x, weight = (torch.as_tensor(np.float32(v)) for v in (start.x, start.weight))

    def loss(w: Any, x: Any, noise: Any) -> Any:
        za, zb = torch.sigmoid((x + NOISE * noise) @ w.mT)
        return -(za * zb).sum(-1).mean() + DECAY * (w**2).sum()

    def loop(count: int = 4) -> Any:
        for k in range(count):
            w = weight[k].clone().requires_grad_()
            for _ in range(steps):
                (slope,) = torch.autograd.grad(loss(w, x[k], torch.randn(2, *x[k].shape)), w)
                w = (w - RATE * slope).detach().requires_grad_()
        return w

    def mapped() -> Any:
        gradient, w = torch.func.vmap(torch.func.grad(loss)), weight
        for _ in range(steps):
            w = w - RATE * gradient(w, x, torch.randn(seeds, 2, *x.shape[1:]))
        return w

    def slopes(first: Any, second: Any) -> tuple[Any, Any]:
        za, zb = torch.sigmoid(first), torch.sigmoid(second)
        both = za * zb
        return both * (1 - za), both * (1 - zb)

    def batched() -> Any:
        w = weight
        for _ in range(steps):
            first, second = (x + NOISE * torch.randn(x.shape) for _ in range(2))
            ca, cb = slopes(first @ w.mT, second @ w.mT)
            back = (ca.mT @ first + cb.mT @ second) / x.shape[1]
            w = w - RATE * (2 * DECAY * w - back)
        return w

    def reduced() -> Any:
        w, (rows, n) = weight, (weight.shape[1], x.shape[1])
        for _ in range(steps):
            basis, upper = torch.linalg.qr(w.mT)
            draws = torch.randn(2, seeds, n, rows)
            clean = x @ w.mT
            first, second = (clean + NOISE * (z @ upper) for z in draws)
            ca, cb = slopes(first, second)
            factor = torch.linalg.cholesky(ca.mT @ ca + cb.mT @ cb)
            outside = factor @ torch.randn(w.shape)
            along = ca.mT @ draws[0] + cb.mT @ draws[1] - outside @ basis
            back = ((ca + cb).mT @ x + NOISE * (outside + along @ basis.mT)) / n
            w = w - RATE * (2 * DECAY * w - back)
        return w

    with_all = seeds * steps
    return {
        "PyTorch loop": (loop, 4 * steps),
        "PyTorch vmap": (mapped, with_all),
        "PyTorch batched": (batched, with_all),
        "PyTorch reduced draw": (reduced, with_all),
    }


def compare(
    seeds: int, steps: int, peer_steps: int, repeats: int
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Time all in turns; return the rows of the table and the facts."""
    keys = jax.random.split(jax.random.key(0), seeds)
    contestants = {"jssl": (lambda: self_supervised(keys, [0, steps]), seeds * steps)}
    contestants |= torch_peers(seeds, peer_steps)
    timings = harness.measure(
        {name: run for name, (run, _) in contestants.items()}, repeats=repeats
    )
    cost = {name: 1e6 * timings[name].median / work for name, (_, work) in contestants.items()}
    rows = [
        {"method": name, "microseconds a seed-step": cost[name], "spread": timings[name].spread}
        for name in contestants
    ]
    facts = {
        "seconds of jssl": timings["jssl"].median,
        "seeds": float(seeds),
        "steps": float(steps),
    }
    full = [
        cost[name] for name in ("PyTorch loop", "PyTorch vmap", "PyTorch batched") if name in cost
    ]
    if full:
        facts["times faster than the best full step of PyTorch"] = min(full) / cost["jssl"]
        facts["times faster than PyTorch with the reduced draw"] = (
            cost["PyTorch reduced draw"] / cost["jssl"]
        )
    return rows, facts


def main(size: Literal["quick", "full"] = "full") -> None:
    """Run the benchmark and write results/learnability.json.

    Args:
        size: `quick` runs 64 seeds for 200 steps, once.
    """
    sizes = (64, 200, 20, 1) if size == "quick" else (1000, 4000, 100, 3)
    rows, facts = compare(*sizes)
    name = "learnability" if size == "full" else "learnability_quick"
    harness.report(name, rows, facts, dtype=np.float32)


if __name__ == "__main__":
    tyro.cli(main)
