"""How well do forecasts of one's own network come true, from the usual starts?

    python -m benchmarks.own_networks                   # all cases; ten minutes on 2 cores
    python -m benchmarks.own_networks --only pytorch    # cases whose name contains this

Every case is one perceptron, given to `jssl.predict` as `apply` and `params` with the start of a
framework, and trained from there by gradient descent on 100 digits with views `shift=1,noise=0.1`.
Two forecasts of the step at which each dimension is half-learned are compared with training:

    flow      the gradient flow of the network, which is the forecast
    kernel    the tangent kernel of the start, with all blocks (F-5)

The error is |log2(forecast / trained)|, shown as a percentage 2^error - 1, over dimensions 2 to
dim. The starts are those of PyTorch (`pytorch`: weights and biases uniform below 1 / sqrt(inputs)),
of He (`he`: normal of variance 2 / inputs, no biases at first), of LeCun (`lecun`: 1 / inputs) and
the NTK parametrisation of jssl (`ntk`). Results are kept case by case in
results/own_networks.json, so that a part can be run again.
"""

import itertools
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro

import jssl
from benchmarks import harness
from benchmarks.forecasts import LINEARISED, VIEWS, percent
from jssl.data import images
from jssl.data.pairs import make_pairs
from jssl.data.views import named
from jssl.models import mlp
from jssl.types import Array

PAIRS, INPUTS = 100, 64
PATH = harness.RESULTS / "own_networks.json"
PHI: dict[str, Callable[[Array], Array]] = {
    "relu": jax.nn.relu, "tanh": jnp.tanh, "gelu": jax.nn.gelu,
}  # fmt: skip


class Case(NamedTuple):
    """One network and loss."""

    start: str
    activation: str
    depth: int
    width: int
    loss: str = LINEARISED
    dim: int = 4

    @property
    def name(self) -> str:
        """Name of the case in the table."""
        shape = f"{self.start} {self.activation} {self.depth} x {self.width}"
        return f"{shape} {self.loss} {self.dim}"


CASES = [
    *(Case("pytorch", phi, 2, 128) for phi in PHI),
    *(Case("pytorch", "relu", depth, 256) for depth in (1, 3)),
    *(Case("pytorch", "relu", 2, width) for width in (64, 512)),
    *(Case("pytorch", "tanh", 1, 64, loss) for loss in ("vicreg", "spectral_contrastive")),
    *(Case("pytorch", "relu", 2, 128, loss) for loss in ("vicreg", "simclr", "barlow_twins")),
    Case("pytorch", "gelu", 2, 128, "spectral_contrastive", 6),
    *(Case("he", phi, 2, 128) for phi in PHI),
    *(Case("he", "relu", 2, 128, loss) for loss in ("vicreg", "barlow_twins")),
    *(Case("lecun", phi, 2, 128) for phi in ("tanh", "gelu")),
    Case("lecun", "tanh", 3, 256, "spectral_contrastive", 8),
    *(Case("ntk", phi, 2, 128) for phi in ("relu", "tanh")),
    Case("ntk", "relu", 3, 256, "vicreg", 8),
]


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Return the two views."""
    x = images.subset(jax.random.key(2), images.load("digits"), PAIRS).x
    made = make_pairs(jax.random.key(3), jnp.asarray(x), named(VIEWS))
    first, second = (np.asarray(v, np.float32).reshape(PAIRS, -1) for v in made[:2])
    return first, second


def network(case: Case, key: Array) -> tuple[Callable[[Any, Array], Array], Any]:
    """Return `apply` and the parameters at the start."""
    phi, sizes = PHI[case.activation], [INPUTS, *[case.width] * case.depth, case.dim]
    if case.start == "ntk":
        model = mlp(
            INPUTS, case.dim, width=case.width, depth=case.depth, activation=case.activation
        )
        return model.apply, model.init(key)
    params = []
    for i, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        of_weight, of_bias = jax.random.split(jax.random.fold_in(key, i))
        if case.start == "pytorch":
            bound = inputs**-0.5
            weight = jax.random.uniform(of_weight, (inputs, outputs), minval=-bound, maxval=bound)
            bias = jax.random.uniform(of_bias, (outputs,), minval=-bound, maxval=bound)
        else:
            deviation = ((2 if case.start == "he" else 1) / inputs) ** 0.5
            weight = deviation * jax.random.normal(of_weight, (inputs, outputs))
            bias = jnp.zeros(outputs)
        params.append((weight, bias))

    def apply(params: Any, x: Array) -> Array:
        for weight, bias in params[:-1]:
            x = phi(x @ weight + bias)
        return x @ params[-1][0] + params[-1][1]

    return apply, params


def run_case(case: Case, index: int) -> dict[str, Any]:
    """Train the network of a case; return its row."""
    apply, params = network(case, jax.random.key(100 + index))
    seen = jssl.predict(
        digits(), loss=case.loss, dim=case.dim, apply=apply, params=params, simulate=1
    )
    trained = seen.simulated[0]
    known = np.isfinite(trained) & np.isfinite(seen.steps)
    later = known & (np.arange(case.dim) > 0)
    flow, kernel = (
        np.abs(np.log2(x[later] / trained[later])) for x in (seen.steps, seen.networks[0])
    )
    inside = (trained >= seen.low) & (trained <= seen.high)
    return {
        "case": case.name,
        "flow, largest %": round(percent(flow.tolist(), 1), 1),
        "kernel, largest %": round(percent(kernel.tolist(), 1), 1),
        "in the interval": int(inside[known].sum()),
        "dimensions": int(known.sum()),
        "learned by one of both only": int((np.isfinite(trained) != np.isfinite(seen.steps)).sum()),
        "gradients": seen.settings["gradients of the flow"],
        "last step": round(float(np.max(trained[known], initial=0))),
        "errors": {"flow": flow.tolist(), "kernel": np.minimum(kernel, 10).tolist()},
    }


def main(only: str = "") -> None:
    """Run the cases whose name contains `only`, and print the table of all kept results.

    Args:
        only: part of the names of the cases; all cases by default.
    """
    kept = json.loads(PATH.read_text())["cases"] if PATH.exists() else {}
    for index, case in enumerate(CASES):
        if only in case.name:
            kept[case.name] = run_case(case, index)
            print(kept[case.name], flush=True)
            PATH.write_text(json.dumps({"cases": kept}) + "\n")
    kept = {case.name: kept[case.name] for case in CASES if case.name in kept}
    rows = list(kept.values())
    errors = {who: [e for row in rows for e in row["errors"][who]] for who in ("flow", "kernel")}
    facts: dict[str, float] = {"cases": len(rows)}
    for who, every in errors.items():
        facts[f"{who}: median error %"] = percent(every, 0.5)
        facts[f"{who}: 90th percentile %"] = percent(every, 0.9)
    count = sum(row["dimensions"] for row in rows)
    facts["coverage of the 90 % interval %"] = 100 * sum(r["in the interval"] for r in rows) / count
    facts["gradients over trained steps"] = float(
        np.median([row["gradients"] / row["last step"] for row in rows if row["last step"]])
    )
    shown = [{k: v for k, v in row.items() if k != "errors"} for row in rows]
    harness.report("own_networks", shown, facts, dtype=np.float64)
    content = json.loads(PATH.read_text())
    PATH.write_text(json.dumps(content | {"cases": kept}, indent=1) + "\n")


if __name__ == "__main__":
    tyro.cli(main)
