"""How well do forecasts of the steps come true in trained networks of finite width?

    python -m benchmarks.forecasts                      # all cases; a quarter of an hour on 2 cores
    python -m benchmarks.forecasts --only mlp-tanh      # cases whose name contains this
    python -m benchmarks.forecasts --table-only          # print the table of the kept results

Every case trains four random networks by gradient descent, on fixed pairs, or on views that are
drawn anew in every step with the keys of `jssl.simulate`, step k from `fold_in(key, k)`. Three
forecasts of the step at which dimensions 2 ... dim are half-learned are compared with each trained
network:

    limit        the limit of infinite width
    width        eight other random networks of the same width: median and 90 % interval
    peers        the median of the other three trained networks, for comparison
    own start    the trained network itself, from its parameters at the start

The error is |log2(forecast / trained)|, shown as a percentage 2^error - 1. Dimensions that are not
half-learned within the trained steps are left out of both. Results are kept case by case in
results/forecasts.json, so that a part can be run again.
"""

import json
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro

import jssl
from benchmarks import harness
from jssl.data import images
from jssl.data.pairs import make_pairs
from jssl.data.views import named

SEEDS, NETS, DIM, PAIRS = 4, 8, 4, 60
PATH = harness.RESULTS / "forecasts.json"


class Case(NamedTuple):
    """One architecture, width, loss and data set."""

    data: str
    kernel: str
    width: int
    loss: str
    fresh: bool = False

    @property
    def name(self) -> str:
        """Name of the case in the table."""
        views = " fresh" if self.fresh else ""
        return f"{self.data} {self.kernel} {self.width} {self.loss}{views}"


LINEARISED = "barlow_twins_linearized"
VIEWS = "shift=1,noise=0.1"
CASES = [
    *(Case("digits", "mlp-relu-1", width, LINEARISED) for width in (64, 256, 1024)),
    *(Case("digits", "mlp-relu-2", width, LINEARISED) for width in (64, 256)),
    *(Case("digits", "mlp-relu-3", width, LINEARISED) for width in (128, 256)),
    *(Case("digits", "mlp-tanh-1", width, LINEARISED) for width in (64, 256)),
    *(Case("digits", "mlp-tanh-2", width, LINEARISED) for width in (128, 512)),
    Case("digits", "mlp-tanh-3", 256, LINEARISED),
    Case("digits", "mlp-erf-1", 64, LINEARISED),
    Case("digits", "mlp-erf-2", 256, LINEARISED),
    Case("digits", "mlp-erf-3", 256, LINEARISED),
    Case("digits", "conv-relu-1", 64, LINEARISED),
    Case("digits", "conv-tanh-2", 64, LINEARISED),
    Case("digits", "mlp-tanh-1", 128, "barlow_twins"),
    Case("digits", "mlp-relu-2", 128, "barlow_twins"),
    Case("digits", "mlp-tanh-1", 128, "vicreg"),
    Case("digits", "mlp-relu-2", 128, "vicreg"),
    Case("digits", "mlp-tanh-2", 128, "spectral_contrastive"),
    Case("digits", "mlp-relu-1", 256, "spectral_contrastive"),
    Case("digits", "mlp-relu-1", 128, "info_nce"),
    Case("digits", "mlp-tanh-2", 256, "info_nce"),
    *(Case("gaussian", f"mlp-{phi}-2", 128, LINEARISED) for phi in ("relu", "tanh")),
    Case("gaussian", "mlp-erf-1", 512, LINEARISED),
    Case("gaussian", "mlp-relu-1", 128, "vicreg"),
    Case("gaussian", "mlp-tanh-1", 128, "barlow_twins"),
    Case("digits", "mlp-relu-1", 256, LINEARISED, fresh=True),
    Case("digits", "mlp-relu-1", 128, "vicreg", fresh=True),
    Case("digits", "mlp-tanh-2", 128, "spectral_contrastive", fresh=True),
    Case("digits", "mlp-relu-1", 128, "info_nce", fresh=True),
    Case("digits", "mlp-tanh-1", 128, "barlow_twins", fresh=True),
    *(
        Case("fashion_mnist", f"mlp-{phi}-2", 256, LINEARISED)
        for phi in ("relu", "tanh")
        if images.find("fashion_mnist") is not None
    ),
]


def pairs_of(data: str) -> tuple[np.ndarray, np.ndarray]:
    """Return two views of the samples of a data set."""
    if data == "gaussian":
        draws = np.random.default_rng(0)
        x = draws.normal(size=(PAIRS, 16)) * np.arange(1, 17) ** -0.5
        first, second = (x + 0.1 * draws.normal(size=x.shape) for _ in range(2))
        return first, second
    made = make_pairs(jax.random.key(1), jnp.asarray(samples_of(data)), named(VIEWS))
    return np.asarray(made.first, np.float64), np.asarray(made.second, np.float64)


def samples_of(data: str) -> np.ndarray:
    """Return the images of a data set."""
    return np.asarray(images.subset(jax.random.key(0), images.load(data), PAIRS).x)


def run_case(case: Case) -> dict[str, Any]:
    """Train the networks of a case; return errors of every trained dimension."""
    pairs: Any = samples_of(case.data) if case.fresh else pairs_of(case.data)
    given: dict[str, Any] = {"loss": case.loss, "dim": DIM, "kernel": case.kernel}
    if case.fresh:
        given["fresh"] = VIEWS
    limit = jssl.predict(pairs, **given)
    # A quarter of the largest stable rate, for fewer steps; the forecasts are for the same rate.
    given |= {"width": case.width, "learning_rate": limit.stable_rate / 4}
    forecast = jssl.predict(pairs, **given, nets=NETS, seed=1)
    begin = time.process_time()
    jssl.predict(pairs, **given, nets=SEEDS, seed=0)
    middle = time.process_time()
    own = jssl.predict(pairs, **given, nets=SEEDS, simulate=SEEDS, seed=0)
    forecasting, both = middle - begin, time.process_time() - middle
    trained = own.simulated[:, 1:]
    known = np.isfinite(trained)
    with np.errstate(divide="ignore"):
        errors = {
            "limit": np.abs(np.log2(forecast.limit_steps[1:] / trained))[known],
            "width": np.abs(np.log2(forecast.steps[1:] / trained))[known],
            "own start": np.abs(np.log2(own.networks[:, 1:] / trained))[known],
        }
    inside = (trained >= forecast.low[1:]) & (trained <= forecast.high[1:])
    return {
        "errors": {name: np.minimum(value, 10).tolist() for name, value in errors.items()},
        "inside": inside[known].tolist(),
        "not learned": int((~known).sum()),
        "CPU seconds of the forecast of these networks": forecasting,
        "CPU seconds of training them": both - forecasting,
        "trained": np.where(known, trained, -1).tolist(),
        "forecast": np.minimum(forecast.steps[1:], 1e12).tolist(),
    }


def percent(errors: list[float], quantile: float) -> float:
    """Return a quantile of the errors as a percentage."""
    return 100 * (2 ** float(np.quantile(errors, quantile)) - 1) if errors else float("nan")


def peers(trained: list[list[float]]) -> list[float]:
    """Return the errors of the median of the other trained networks of a case.

    A forecast that does not know the network itself is hardly better.

    Args:
        trained: steps of each network and dimension; negative for never.
    """
    steps = np.where(np.array(trained) > 0, trained, np.nan)
    errors = []
    for index, own in enumerate(steps):
        others = np.delete(steps, index, 0)
        known = np.isfinite(own) & np.isfinite(others).any(0)
        middle = np.nanmedian(others[:, known], axis=0)
        errors += np.abs(np.log2(own[known] / middle)).tolist()
    return errors


def table(kept: dict[str, Any]) -> None:
    """Print and keep the table of all cases that are listed."""
    kept = {case.name: kept[case.name] for case in CASES if case.name in kept}
    rows = []
    for name, case in kept.items():
        row: dict[str, Any] = {"case": name}
        for forecast, errors in case["errors"].items():
            row[f"{forecast}, median %"] = round(percent(errors, 0.5), 1)
            row[f"{forecast}, 90th %"] = round(percent(errors, 0.9), 1)
        row["peers, median %"] = round(percent(peers(case["trained"]), 0.5), 1)
        row["in the interval %"] = round(100 * float(np.mean(case["inside"])), 0)
        row["dimensions"] = len(case["inside"])
        rows.append(row)
    facts: dict[str, float] = {"cases": len(kept)}
    for forecast in ("limit", "width", "own start"):
        every = [e for case in kept.values() for e in case["errors"][forecast]]
        facts[f"{forecast}: median error %"] = percent(every, 0.5)
        facts[f"{forecast}: 90th percentile %"] = percent(every, 0.9)
    every = [e for case in kept.values() for e in peers(case["trained"])]
    facts["peers: median error %"] = percent(every, 0.5)
    facts["peers: 90th percentile %"] = percent(every, 0.9)
    widest = kept.get(max(CASES, key=lambda case: case.width).name, {})
    forecasting = widest.get("CPU seconds of the forecast of these networks")
    if forecasting is not None:
        share = forecasting / widest["CPU seconds of training them"]
        facts["widest case: CPU time of the forecast over that of training"] = share
    inside = [x for case in kept.values() for x in case["inside"]]
    facts["coverage of the 90 % interval %"] = 100 * float(np.mean(inside))
    harness.report("forecasts", rows, facts, dtype=np.float32)
    content = json.loads(PATH.read_text())
    PATH.write_text(json.dumps(content | {"cases": kept}, indent=1) + "\n")


def main(only: str = "", *, table_only: bool = False) -> None:
    """Run the cases whose name contains `only`, and print the table of all kept results.

    Args:
        only: part of the names of the cases; all cases by default.
        table_only: run nothing.
    """
    kept = json.loads(PATH.read_text())["cases"] if PATH.exists() else {}
    for case in CASES:
        if not table_only and only in case.name:
            kept[case.name] = run_case(case)
            print(case.name, kept[case.name]["errors"], flush=True)
            PATH.write_text(json.dumps({"cases": kept}) + "\n")
    table(kept)


if __name__ == "__main__":
    tyro.cli(main)
