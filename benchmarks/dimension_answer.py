"""Is the dimension that a forecast names the one to take?

    python -m benchmarks.dimension_answer                 # a few minutes on 2 cores
    python -m benchmarks.dimension_answer --only simclr   # one of the losses
    python -m benchmarks.dimension_answer --table-only    # print the table of the kept results

`jssl.predict` names a dimension for 250 digits under fresh views, before any training. Embeddings
of 2, 4, 7, 16 and 64 outputs are then trained in practice's way: one hidden relu layer of 128,
Adam at 1e-3, batches of 128 of the first 1,000 digits, the exact losses. After a short and a long
training, the accuracy of a linear probe on the other 797 digits and the participation ratio of
the embeddings are compared with the named dimension. Results are kept loss by loss.
"""

import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro

import jssl
from benchmarks import harness
from jssl import losses
from jssl.data import images, pairs
from jssl.data.views import named
from jssl.diagnostics import participation_ratio
from jssl.forecast.summary import recommended
from jssl.models import mlp

LOSSES = ("simclr", "barlow_twins")
DIMS = (2, 4, 7, 16, 64)
STEPS = {"short": 320, "long": 3200}
"""40 and 400 epochs of 1,000 digits in batches of 128."""
VIEWS = "shift=1,noise=0.1"
TRAIN, FORECAST, WIDTH, SEEDS = 1000, 250, 128, 1
PATH = harness.RESULTS / "dimension_answer.json"


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Return all digits in a random order, and their classes."""
    loaded = images.load("digits")
    order = np.random.default_rng(0).permutation(len(loaded.x))
    return np.asarray(loaded.x, np.float32)[order], np.asarray(loaded.labels)[order]


def named_dimension(loss: str, x: np.ndarray) -> tuple[int, str]:
    """Return the dimension that the forecast names, and its first sentence."""
    forecast = jssl.predict(
        x[:FORECAST], loss=loss, dim=max(DIMS), kernel="mlp-relu-1", fresh=VIEWS, seed=1
    )
    return recommended(forecast), forecast.summary[0]


def trained(loss: str, dim: int, seed: int, x: np.ndarray) -> np.ndarray:
    """Return the embeddings of all digits after the short and after the long training."""
    sampler = pairs.fresh(jnp.asarray(x[:TRAIN]), named(VIEWS), 128)
    model = mlp(64, dim, width=WIDTH, activation="relu", depth=1, parametrisation="standard")
    problem = jssl.Problem(sampler, model, losses.get(loss), optax.adam(1e-3))
    everything = jnp.asarray(x)

    def observe(params: Any, _: Any) -> dict[str, Any]:
        return {"z": model.apply(params, everything)}

    run = jax.jit(jssl.run(problem, list(STEPS.values()), observe))
    return np.asarray(run(jax.random.key(seed)).observables["z"], np.float64)


def judged(z: np.ndarray, classes: np.ndarray) -> tuple[float, float]:
    """Return the accuracy of a linear probe on digits that were not trained on, and the ratio."""
    from sklearn.linear_model import LogisticRegression

    scaled = (z - z[:TRAIN].mean(0)) / np.maximum(z[:TRAIN].std(0), 1e-12)
    probe = LogisticRegression(C=10.0, max_iter=1000).fit(scaled[:TRAIN], classes[:TRAIN])
    ratio = float(participation_ratio(jnp.asarray(np.linalg.eigvalsh(np.cov(z.T)))))
    return float(probe.score(scaled[TRAIN:], classes[TRAIN:])), ratio


def run_loss(loss: str) -> dict[str, Any]:
    """Return the named dimension of a loss, and what its trainings have learned."""
    x, classes = digits()
    take, sentence = named_dimension(loss, x)
    found: dict[str, Any] = {"named": take, "answer": sentence, "runs": []}
    for dim in DIMS:
        both = np.array(
            [[judged(z, classes) for z in trained(loss, dim, seed, x)] for seed in range(SEEDS)]
        )
        for index, length in enumerate(STEPS):
            accuracy, ratio = both[:, index].mean(0)
            row: dict[str, Any] = {"dim": dim, "training": length}
            row["probe accuracy"] = float(accuracy)
            row["participation ratio"] = float(ratio)
            found["runs"].append(row)
            print(loss, row, flush=True)
    return found


def table(kept: dict[str, Any]) -> None:
    """Print and keep the table of all kept results."""
    rows, facts = [], {}
    for loss, found in kept.items():
        facts[f"{loss}: named dimension"] = found["named"]
        rows += [{"loss": loss, "named": found["named"], **run} for run in found["runs"]]
        for length in STEPS:
            seen = {r["dim"]: r["probe accuracy"] for r in found["runs"] if r["training"] == length}
            enough = [d for d in DIMS if seen[d] >= max(seen.values()) - 0.01]
            facts[f"{loss}, {length}: smallest dimension within 1 % of the best"] = enough[0]
    harness.report("dimension_answer", rows, facts, dtype=np.float32)
    content = json.loads(PATH.read_text())
    PATH.write_text(json.dumps(content | {"losses": kept}, indent=1) + "\n")


def main(only: str = "", *, table_only: bool = False) -> None:
    """Run the losses whose name contains `only`, and print the table of all kept results.

    Args:
        only: part of the names of the losses; all by default.
        table_only: run nothing.
    """
    kept = json.loads(PATH.read_text())["losses"] if PATH.exists() else {}
    for loss in LOSSES:
        if not table_only and only in loss:
            kept[loss] = run_loss(loss)
            PATH.write_text(json.dumps({"losses": kept}) + "\n")
    table(kept)


if __name__ == "__main__":
    tyro.cli(main)
