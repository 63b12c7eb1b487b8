"""How fast are infinite-width kernels and their modes, beside neural-tangents and NumPy?

    python -m benchmarks.kernels                # 4,000 inputs of 784 features; minutes
    python -m benchmarks.kernels --size quick   # 1,000 inputs; seconds

The NTK and NNGP of mlp-relu-3. Every contestant is timed in turns in one run, `compile` included in
a first call and excluded from the median of the others:

    square      a set with itself, float64; jssl computes the upper half
    rectangle   two sets of half the size, float64, and in float32
    modes       the 16 largest modes of K_Gamma from images: `leading_modes` in float32, without a
                Gram matrix, beside `contrastive_modes` of that which neural-tangents gives

`product` is the matrix product x x^T alone in NumPy. Accuracy is the largest difference from
neural-tangents in float64, over the largest entry. With --pairs, `leading_modes` alone on so many
pairs, and the rate of its products against that of a matrix product of 2,048 rows.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from benchmarks import harness
from jssl._compat import neural_tangents
from jssl.kernels import contrastive_modes, leading_modes, tiles
from jssl.kernels.tiles import KernelProduct
from jssl.models import mlp
from jssl.precision import float64
from jssl.types import Pairs

FEATURES, DEPTH, DIM = 784, 3, 16
LARGE = 2048  # rows of the product that is the peak


def by_neural_tangents() -> Any:
    """Return neural-tangents' own kernel function of the network, under jit."""
    stax = neural_tangents.load().stax
    dense = stax.Dense(1, 2**0.5)
    function = stax.serial(dense, *[stax.Relu(), dense] * DEPTH)[2]
    return jax.jit(lambda x1, x2: tuple(function(x1, x2, ("nngp", "ntk"))))


def images(n: int, seed: int = 0) -> np.ndarray:
    """Return (2, n, FEATURES) pairs of views with a mean and a decaying spectrum, as of images."""
    generator = np.random.default_rng(seed)
    scale = np.arange(1, FEATURES + 1) ** -0.6
    mean = 0.3 * generator.standard_normal(FEATURES)
    common = generator.standard_normal((n, FEATURES))
    noise = generator.standard_normal((2, n, FEATURES))
    return (common + 0.5 * noise) * scale + mean


def kernels(n: int, dtype: str, repeats: int) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Time both kernels of n inputs with themselves, and of two sets of n / 2."""
    x = images(n // 2).reshape(-1, FEATURES).astype(dtype)
    ours: Any = mlp(FEATURES, 1, depth=DEPTH, activation="relu").kernel
    theirs = by_neural_tangents()
    rows, facts = [], {}
    for shape, x1, x2 in (("square", x, None), ("rectangle", x[: n // 2], x[n // 2 :])):
        other = x1 if x2 is None else x2
        arrays = jnp.asarray(x1), None if x2 is None else jnp.asarray(x2)
        calls: dict[str, Callable[[], Any]] = {
            "jssl": partial(ours.of_kinds, *arrays),
            "neural-tangents": partial(theirs, *arrays),
            "product": partial(np.matmul, x1, other.T),
        }
        first = {name: _seconds(call) for name, call in calls.items()}
        timings = harness.measure(calls, repeats=repeats, warmup=0)
        label = f"{shape}, {dtype}"
        for name, timing in timings.items():
            rows.append(
                {
                    "workload": label,
                    "contestant": name,
                    "seconds": timing.median,
                    "with compilation": first[name],
                }
            )
        for name, ratio in harness.ratios(timings, "jssl").items():
            facts[f"{label}: times as fast as {name}"] = ratio
        exact = x1.astype(float), None if x2 is None else x2.astype(float)
        with float64():
            known = [np.asarray(part) for part in theirs(*exact)]
        found = [np.asarray(part) for part in calls["jssl"]()]
        facts[f"{label}: largest difference"] = max(
            float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(found, known, strict=True)
        )
    return rows, facts


def modes(n: int, repeats: int) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Time the leading modes of n pairs, from images to modes."""
    first, second = images(n)
    model, theirs = mlp(FEATURES, 1, depth=DEPTH, activation="relu"), by_neural_tangents()
    low = Pairs(first.astype(np.float32), second.astype(np.float32))

    def with_gram() -> Any:
        with float64():
            gram = theirs(jnp.concatenate([first, second]), None)[1]
            return contrastive_modes(gram, DIM, method="iterative").eigenvalues

    calls = {
        "jssl, no matrix": lambda: leading_modes(model, low, DIM).eigenvalues,
        "matrix of neural-tangents": with_gram,
    }
    cold = {name: _seconds(call) for name, call in calls.items()}
    timings = harness.measure(calls, repeats=repeats, warmup=0)
    label = f"{DIM} modes, 2n = {2 * n}"
    rows = [
        {"workload": label, "contestant": k, "seconds": v.median, "with compilation": cold[k]}
        for k, v in timings.items()
    ]
    ratio = harness.ratios(timings, "jssl, no matrix")
    facts = {f"{label}: times as fast as with the matrix": next(iter(ratio.values()))}
    found, known = (np.asarray(call()) for call in calls.values())
    facts[f"{label}: largest difference over the largest"] = float(
        np.abs(found / known[0] - known / known[0]).max()
    )
    return rows, facts


def many(n: int) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Time `leading_modes` alone on n pairs, and its products against a plain matrix product."""
    low = Pairs(*images(n).astype(np.float32))
    model = mlp(FEATURES, 1, depth=DEPTH, activation="relu")
    some = np.concatenate(low[:2])[: 4 * LARGE]
    kept, tiles.KEPT = tiles.KEPT, 0
    product, vectors = KernelProduct(model, some), np.ones((len(some), 64), np.float32)
    tiles.KEPT = kept
    product(vectors)  # compiles
    seconds = min(_seconds(lambda: product(vectors)) for _ in range(5))
    large = np.ones((LARGE, FEATURES), np.float32)
    peak = min(_seconds(lambda: large @ large.T) for _ in range(5)) / LARGE**2
    share = peak * product.tiles * (len(some) / -(-len(some) // tiles.TILE["cpu"])) ** 2 / seconds
    started = time.perf_counter()
    steps = int(leading_modes(model, low, DIM, most_hours=24).steps)
    seconds = time.perf_counter() - started
    row = {"workload": f"{DIM} modes, 2n = {2 * n}", "contestant": "jssl, no matrix"}
    facts = {"products": float(steps), "share of the time that the matrix product takes": share}
    return [{**row, "seconds": seconds, "with compilation": seconds}], facts


def _seconds(call: Any) -> float:
    started = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - started


def main(
    size: Literal["full", "quick"] = "full", repeats: int = 5, pairs: int | None = None
) -> None:
    """Time everything and write results/kernels.json.

    Args:
        size: full or quick.
        repeats: timed rounds.
        pairs: time `leading_modes` alone, on so many pairs.
    """
    n = 4_000 if size == "full" else 1_000
    rows: list[dict[str, Any]] = []
    facts: dict[str, float] = {}
    if pairs is not None:
        rows, facts = many(pairs)
        harness.report("kernels_many", rows, facts, dtype=np.float32)
        return
    with float64():
        parts = [kernels(n, "float64", repeats)]
    parts.append(kernels(n, "float32", repeats))
    parts.append(modes(n, min(repeats, 3)))
    for more_rows, more_facts in parts:
        rows += more_rows
        facts |= more_facts
    harness.report("kernels" if size == "full" else "kernels_quick", rows, facts, dtype=np.float64)


if __name__ == "__main__":
    tyro.cli(main)
