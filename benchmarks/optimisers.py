"""Does Adam learn the subspaces that a forecast of gradient descent names, and in that order?

    python -m benchmarks.optimisers     # a minute on 2 cores

Networks of one hidden tanh layer of 256 are trained on 60 fixed pairs of digits, from a start of a
thousandth of the network's own, under linearised Barlow Twins with 7 outputs. While k dimensions
are learned, the overlap is the mean squared cosine between the k learned directions in the space
of the leading 24 modes of the limit and the first k modes; 1 is the predicted subspace.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro

import jssl
from benchmarks import harness
from benchmarks.forecasts import pairs_of
from jssl import losses
from jssl.data.pairs import fixed
from jssl.forecast.encoders import grams, named_encoder
from jssl.forecast.modes import modes_of
from jssl.models import centred, mlp
from jssl.precision import float64

DIM, MODES, WIDTH, SEEDS = 7, 24, 256, 2
RULES = {"adam 1e-3": (1e-3, 800), "adam 3e-4": (3e-4, 2400)}
"""Name -> learning rate and steps."""


def weights_of(views: np.ndarray) -> np.ndarray:
    """Return the w_j (2n, modes) of F-5: coordinates of embeddings z are w_j . z."""
    with float64():
        gram = grams(named_encoder("mlp-tanh-1", views.shape[1:]), jnp.asarray(views))[1]
        values, vectors = modes_of(gram, MODES, False)
    scaled: np.ndarray = vectors * np.sqrt(values)
    return scaled


def trained(rate: float, steps: int, views: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return record steps and coordinates (seeds, records, modes, dim) under Adam."""
    n, weights = len(views) // 2, jnp.asarray(weights_of(views), jnp.float32)
    x = jnp.asarray(views, jnp.float32)
    size = int(np.prod(views.shape[1:]))
    model = centred(
        mlp(size, DIM, width=WIDTH, depth=1, activation="tanh", dtype=jnp.float32), 1e-3
    )
    loss = losses.get("barlow_twins_linearized")
    problem = jssl.Problem(fixed(jssl.Pairs(x[:n], x[n:])), model, loss, optax.adam(rate))
    records = np.unique(np.geomspace(1, steps, 80).astype(int))

    def observe(params: Any, _: Any) -> dict[str, Any]:
        return {"b": weights.T @ model.apply(params, x)}

    keys = jax.random.split(jax.random.key(3), SEEDS)
    run = jax.jit(jax.vmap(jssl.run(problem, records, observe)))
    return records, np.asarray(run(keys).observables["b"], np.float64)


def overlaps(records: np.ndarray, b: np.ndarray) -> tuple[list[int], list[float]]:
    """Return the half steps, and the overlap on each plateau, of coordinates (records, r, dim)."""
    values = np.linalg.eigvalsh(np.swapaxes(b, 1, 2) @ b)[:, ::-1]
    half = [int(records[i]) if values[i, j] > 0.5 else -1 for j, i in _first_half(values)]
    found = []
    for k in range(1, DIM + 1):
        if half[k - 1] < 0:
            break
        until = half[k] if k < DIM and half[k] > 0 else int(records[-1])
        at = min(int(np.searchsorted(records, (half[k - 1] * until) ** 0.5)), len(records) - 1)
        directions = np.linalg.svd(b[at], full_matrices=False)[0][:, :k]
        found.append(float(np.square(directions[:k]).sum() / k))
    return half, found


def _first_half(values: np.ndarray) -> list[tuple[int, int]]:
    return [(j, int(np.argmax(values[:, j] > 0.5))) for j in range(DIM)]


def main() -> None:
    """Run the benchmark and write results/optimisers.json."""
    views = np.concatenate(pairs_of("digits"))
    rows, facts = [], {}
    for name, (rate, steps) in RULES.items():
        records, every = trained(rate, steps, views)
        seen = [overlaps(records, b) for b in every]
        for seed, (half, found) in enumerate(seen):
            shown = " ".join(f"{x:.2f}" for x in found)
            rows.append({"rule": name, "seed": seed, "half steps": str(half), "overlaps": shown})
        facts[f"{name}: least overlap"] = min(min(found) for _, found in seen)
        facts[f"{name}: mean overlap"] = float(np.mean([x for _, found in seen for x in found]))
    harness.report("optimisers", rows, facts, dtype=np.float32)


if __name__ == "__main__":
    tyro.cli(main)
