"""How much faster are thousands of minimisations as one program than scipy in a loop?

    python -m benchmarks.landscape                # 10,000 starts, d = 16, m = 8, float64
    python -m benchmarks.landscape --size quick   # 512 starts, a calculator of d = 100

The loss is the quartic landscape of InfoNCE with clean anchors and negatives, B and Sigma not
commuting. Contestants minimise it from the same starts, compilation left out:

    jssl    `minimise_all`, batched L-BFGS with automatic gradients
    scipy   L-BFGS-B with analytic gradients in a Python loop, on a share of the starts; its time is
            scaled to all of them

The relative gap is that of the end to the predicted minimum. The calculator is timed on its own:
`from_loss` at d = 1,000, dense.
"""

from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from benchmarks import harness
from jssl.precision import float64
from jssl.theory import landscape
from jssl.types import Array

PLACEMENT = "clean-augmented-clean"


def make_case(key: Array, d: int) -> tuple[Array, Array]:
    """Return covariances of data and augmentation that do not commute."""
    turned = [jax.random.orthogonal(k, d) for k in jax.random.split(key)]
    return tuple(  # type: ignore[return-value]
        (q * jnp.geomspace(top, 0.1, d)) @ q.T for q, top in zip(turned, (2.0, 3.0), strict=True)
    )


def loss(weight: Array, form: landscape.Form) -> Array:
    """Return the quartic loss of a weight."""
    return landscape.energy(form, weight)


def scipy_loop(starts: np.ndarray, signal: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Return where scipy ends from each start, (starts,) values of the loss."""
    shape = starts.shape[1:]

    def both(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weight = flat.reshape(shape)
        on_sigma, on_signal = weight @ sigma, weight @ signal
        gram = on_sigma @ weight.T
        value = 0.75 * np.sum(gram**2) - np.sum(on_signal * weight)
        return value, (3.0 * gram @ on_sigma - 2 * on_signal).ravel()

    with threadpool_limits(1):  # its matrices are small: threads only slow it down
        runs = [minimize(both, start.ravel(), jac=True, method="L-BFGS-B") for start in starts]
    return np.array([run.fun for run in runs])


def main(size: Literal["quick", "full"] = "full") -> None:
    """Run the benchmark and write results/landscape.json.

    Args:
        size: `quick` takes fewer starts and a smaller calculator.
    """
    count, share, large, repeats = (512, 16, 100, 1) if size == "quick" else (10_000, 200, 1000, 5)
    with float64():
        key = jax.random.key(0)
        data, noise = make_case(key, 16)
        seen = landscape.from_loss("info_nce_euclidean", data, noise, placement=PLACEMENT, dim=8)
        starts = 0.3 * jax.random.normal(jax.random.fold_in(key, 1), (count, 8, 16))
        ours = partial(landscape.minimise_all, loss, starts, seen.form)
        peer = partial(
            scipy_loop, *(np.asarray(x) for x in (starts[:share], seen.form.signal, data))
        )
        big = make_case(jax.random.fold_in(key, 2), large)

        def calculate() -> Any:
            answer = landscape.from_loss("info_nce_euclidean", *big, placement=PLACEMENT, dim=64)
            return answer.minima.gram

        timings = harness.measure(
            {"jssl": ours, "scipy": peer, "calculator": calculate}, repeats=repeats
        )
        ends = ours()
        best = float(seen.minima.loss)
        gaps = {
            "jssl": float(jnp.max(ends.value - best) / -best),
            "scipy": float(np.max(peer() - best) / -best),
        }
    scale = {"jssl": 1.0, "scipy": count / share}
    rows = [
        {
            "method": name,
            "minimisations": count,
            "seconds": timings[name].median * scale[name],
            "spread": timings[name].spread,
            "largest relative gap": gaps[name],
        }
        for name in ("jssl", "scipy")
    ]
    facts = {
        "times faster than scipy in a loop": rows[1]["seconds"] / rows[0]["seconds"],  # type: ignore[operator]
        "starts that diverged": float(ends.diverged.sum()),
        f"seconds of the calculator at d = {large}": timings["calculator"].median,
    }
    name = "landscape" if size == "full" else "landscape_quick"
    harness.report(name, rows, facts, dtype=np.float64)


if __name__ == "__main__":
    tyro.cli(main)
