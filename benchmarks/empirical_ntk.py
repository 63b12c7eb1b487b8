"""How much faster is the empirical tangent kernel of a conv net than neural-tangents' own?

    python -m benchmarks.empirical_ntk                # 512 images; minutes
    python -m benchmarks.empirical_ntk --size quick   # 64 images; seconds

The trace kernel (ten outputs) of a conv net of three layers with itself on 28x28 images, float32,
within a stated bound for gradients, on one device; and with its blocks spread over one device a
core, where each is alone on its core. Peers are the implementations of
`neural_tangents.empirical_ntk_fn` that run on a current JAX, each with the options that suit it:

    jacobian   implementation 1, vmap_axes=0: products of Jacobians, all held at once
    products   implementation 2, vmap_axes=0: reverse and forward products

each compiled as one program. The peer with the smaller median is the one to beat; one that does not
fit in memory is left out and named (products over all pairs of 512 images ask for 159 GB). Images
are random: only their shape matters.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from benchmarks import harness
from jssl._compat import neural_tangents
from jssl.devices import use_all_cores
from jssl.kernels import empirical_ntk
from jssl.models import conv

OUTPUTS = 10
MEMORY = 2**28
"""Bytes for gradients: a quarter of a GiB."""


def main(size: Literal["quick", "full"] = "full") -> None:
    """Run the benchmark and write results/empirical_ntk.json.

    Args:
        size: `quick` takes 64 images and times everything once.
    """
    devices = use_all_cores()
    count, repeats = (64, 1) if size == "quick" else (512, 5)
    model = conv((28, 28, 1), OUTPUTS, channels=16, layers=3, parametrisation="standard")
    params = model.init(jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (count, 28, 28, 1))
    mesh = jax.make_mesh((devices,), ("block",), axis_types=(jax.sharding.AxisType.Auto,))
    found: dict[str, Any] = {}

    def keep(name: str, function: Callable[[], Any]) -> Callable[[], Any]:
        def run() -> Any:
            found[name] = function()
            return found[name]

        return run

    ours = partial(empirical_ntk, model.apply, params, x, memory_bytes=MEMORY)
    contestants = {"jssl": keep("jssl", ours), "mesh": keep("mesh", partial(ours, mesh=mesh))}
    tangents = neural_tangents.load()
    for name, implementation in (("jacobian", 1), ("products", 2)):
        kernel = tangents.empirical_ntk_fn(
            lambda params, x: model.apply(params, x),
            trace_axes=(-1,),
            vmap_axes=0,
            implementation=implementation,
        )
        peer = partial(jax.jit(kernel), x, None, params)
        if _fits(peer):
            contestants[name] = keep(name, peer)
        else:
            print(f"{name}: left out, its memory exceeds the machine's")
    rounds = {name: repeats if name != "products" else 1 for name in contestants}
    timings = harness.measure(contestants, repeats=rounds)
    exact = np.asarray(found["jacobian"], np.float64)
    rows = [
        {
            "method": {"jssl": f"jssl, {devices} devices", "one": "jssl, one device"}.get(
                name, name
            ),
            "seconds": timing.median,
            "spread": timing.spread,
            "largest relative difference": float(
                np.abs(np.asarray(found[name]) - exact).max() / np.abs(exact).max()
            ),
        }
        for name, timing in timings.items()
    ]
    facts = {f"times faster than {k}": v for k, v in harness.ratios(timings, "jssl").items()}
    best = min(timings[k].median for k in ("jacobian", "products") if k in timings)
    facts["times faster than neural-tangents' best"] = best / timings["jssl"].median
    facts["bound on the bytes of gradients, a device"] = float(MEMORY)
    facts["images"] = float(count)
    name = "empirical_ntk" if size == "full" else "empirical_ntk_quick"
    harness.report(name, rows, facts, dtype=jnp.float32)


def _fits(function: Callable[[], Any]) -> bool:
    try:
        jax.block_until_ready(function())
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return False
    return True


if __name__ == "__main__":
    tyro.cli(main)
