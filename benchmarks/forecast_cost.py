"""What does a forecast of wide networks on many pairs cost, beside training them?

    python -m benchmarks.forecast_cost

Eight networks with three hidden relu layers of 256, on 1,797 digits with views
`shift=1,noise=0.1`, under linearised Barlow Twins with six outputs. The forecast is made in a
process that has compiled nothing, without a compilation cache. Training is gradient descent on all
pairs, as a sweep over eight seeds. Its cost a step is measured, as the difference of 20 and 60
steps that are compiled, and multiplied by the steps after which the forecast says that the last of
the six dimensions is half-learned.
"""

import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro

import jssl
from benchmarks import harness
from jssl import losses, models
from jssl.data import images
from jssl.data.pairs import fixed, make_pairs
from jssl.data.views import named
from jssl.devices import use_all_cores
from jssl.optim import gradient_descent
from jssl.types import Array, Pairs, Problem

COUNT, WIDTH, DEPTH, DIM, NETS = 1797, 256, 3, 6, 8
FEW, MORE = 20, 60


def views() -> Pairs:
    """Return two views of all digits."""
    return make_pairs(
        jax.random.key(1), jnp.asarray(images.load("digits").x[:COUNT]), named("shift=1,noise=0.1")
    )


def training(pairs: Pairs, rate: float) -> Callable[[int], Any]:
    """Return a function that trains the networks for a number of steps."""
    flat = Pairs(*(jnp.asarray(x, jnp.float32).reshape(len(x), -1) for x in pairs[:2]))
    model = models.mlp(flat.first.shape[1], DIM, width=WIDTH, depth=DEPTH, activation="relu")
    loss = losses.get("barlow_twins_linearized")

    def problem(learning_rate: Any) -> Problem:
        return Problem(fixed(flat), model, loss, gradient_descent(learning_rate))

    def observe(problem: Problem) -> Callable[..., dict[str, Array]]:
        del problem
        return lambda params, _: {"norm": sum(jnp.sum(p**2) for p in jax.tree.leaves(params))}  # type: ignore[dict-item]

    def train(steps: int) -> Any:
        axes = {"learning_rate": [rate], "seed": NETS}
        found = jssl.sweep(problem, axes, record_steps=[steps], observe=observe, chunk_seconds=1e6)
        return found.norm.values

    return train


def main(repeats: int = 3) -> None:
    """Run the benchmark and write results/forecast_cost.json.

    Args:
        repeats: how often training is measured.
    """
    use_all_cores()
    pairs = views()
    began, spent = time.perf_counter(), time.process_time()
    forecast = jssl.predict(
        pairs,
        loss="barlow_twins_linearized",
        dim=DIM,
        kernel=f"mlp-relu-{DEPTH}",
        width=WIDTH,
        nets=NETS,
    )
    costs = {"CPU": time.process_time() - spent, "wall": time.perf_counter() - began}
    last = float(forecast.steps[DIM - 1])
    train = training(pairs, forecast.learning_rate)
    runs = {str(n): functools.partial(train, n) for n in (FEW, MORE)}
    taken = harness.measure(runs, repeats=repeats)
    step = (taken[str(MORE)].median - taken[str(FEW)].median) / (MORE - FEW)
    rows = [
        {"what": "forecast", "CPU s": costs["CPU"], "wall s": costs["wall"]},
        {"what": "one step of training", "wall s": step},
        {"what": "training", "steps": last, "wall s": last * step},
    ]
    facts = {"wall time of the forecast over that of training": costs["wall"] / (last * step)}
    harness.report("forecast_cost", rows, facts, dtype=np.float32)


if __name__ == "__main__":
    tyro.cli(main)
