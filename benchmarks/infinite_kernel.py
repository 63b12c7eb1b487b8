"""What does an infinite-width kernel call cost beside neural-tangents called by hand?

    python -m benchmarks.infinite_kernel                # n = 2,000; a minute
    python -m benchmarks.infinite_kernel --size quick   # n = 400; seconds

The NTK of a three-layer MLP on n inputs of 64 features, float32. Peers are the kernel function of
neural-tangents for the same architecture, as its users call it and wrapped in `jax.jit`:

    square      k(x, None): all inputs with themselves; ours computes the upper half
    rectangle   k(x, y) for two sets of n inputs

Accuracy is the largest difference from the peer, over the largest entry.
"""

from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from benchmarks import harness
from jssl._compat import neural_tangents
from jssl.kernels import infinite
from jssl.models import mlp
from jssl.models.activations import ACTIVATIONS

FEATURES, DEPTH = 64, 3


def by_hand(activation: str) -> Any:
    """Return neural-tangents' own kernel function of the architecture."""
    stax = neural_tangents.load().stax
    gain = ACTIVATIONS[activation].weight_std
    dense, phi = stax.Dense(1, gain), {"relu": stax.Relu, "erf": stax.Erf}[activation]()
    return stax.serial(dense, *[phi, dense] * DEPTH)[2]


def main(size: Literal["full", "quick"] = "full", repeats: int = 7) -> None:
    """Time both calls, and write the ratios.

    Args:
        size: full or quick.
        repeats: timed rounds.
    """
    n = 2_000 if size == "full" else 400
    x, y = jax.random.normal(jax.random.key(0), (2, n, FEATURES), jnp.float32)
    rows, facts = [], {}
    for activation in ("relu", "erf"):
        model = mlp(FEATURES, 1, depth=DEPTH, activation=activation)
        plain = by_hand(activation)
        compiled = jax.jit(lambda a, b, plain=plain: plain(a, b, "ntk"))
        for shape, other in (("square", None), ("rectangle", y)):
            calls = {
                "jssl": lambda other=other, model=model: infinite.kernel(model, x, other),
                "by hand": lambda other=other, plain=plain: plain(x, other, "ntk"),
                "by hand, jit": lambda other=other, compiled=compiled: compiled(x, other),
            }
            timings = harness.measure(calls, repeats=repeats)
            for name, timing in timings.items():
                share = timings["jssl"].median / timing.median
                rows.append(
                    {
                        "activation": activation,
                        "call": shape,
                        "contestant": name,
                        "seconds": timing.median,
                        "spread": timing.spread,
                    }
                )
                if name != "jssl":
                    facts[f"{activation}, {shape}: jssl over {name}"] = share
            ours, theirs = (np.asarray(calls[name]()) for name in ("jssl", "by hand"))
            error = np.abs(ours - theirs).max() / np.abs(theirs).max()
            facts[f"{activation}, {shape}: largest difference"] = float(error)
    harness.report("infinite_kernel", rows, facts, dtype=np.float32)


if __name__ == "__main__":
    tyro.cli(main)
