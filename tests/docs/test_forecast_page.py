"""The guide to finite widths states what the committed benchmarks measured."""

import json
from pathlib import Path

import numpy as np
import pytest

from jssl.forecast import own_flow

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = (ROOT / "docs" / "guides" / "finite-width.md").read_text(encoding="utf-8")


def facts(name):
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))["facts"]


def test_the_cost_of_a_forecast_beside_training_is_that_of_the_benchmarks():
    share = facts("forecast_cost")["wall time of the forecast over that of training"]
    assert 0.001 < share < 0.01
    assert "takes less than a hundredth of the time" in PAGE
    of_few = facts("forecasts")["widest case: CPU time of the forecast over that of training"]
    assert 1 / of_few == pytest.approx(13, abs=0.5)
    assert "it takes a thirteenth at width 1,024" in PAGE


def test_the_last_row_of_the_table_is_that_of_the_benchmark():
    every = facts("forecasts")
    cells = [
        f"{every[f'{who}: median error %']:.0f} / {every[f'{who}: 90th percentile %']:.0f}"
        for who in ("limit", "width", "peers", "own start")
    ]
    inside = every["coverage of the 90 % interval %"]
    row = " | ".join(f"**{cell}**" for cell in (*cells, f"{inside:.0f}"))
    assert f"| **all** | | | | {row} |" in PAGE


def test_the_table_of_ones_own_networks_is_that_of_the_benchmark():
    cases = json.loads((RESULTS / "own_networks.json").read_text(encoding="utf-8"))["cases"]
    for start, name in (("pytorch", "PyTorch"), ("he", "He"), ("lecun", "LeCun"), ("ntk", "NTK")):
        rows = [row for row in cases.values() if row["case"].startswith(start)]
        assert f"| {len(rows)} | {_errors(rows)} |" in _row_of(name)
        assert _row_of(name).endswith(f"| {_inside(rows)} |")
    every = list(cases.values())
    cells = (len(every), *_errors(every).split(" | "), _inside(every))
    assert "| **all** | " + " | ".join(f"**{cell}**" for cell in cells) + " |" in PAGE
    share = facts("own_networks")["gradients over trained steps"]
    assert f"it takes {share:.2f} gradients of all pairs for each step of training" in PAGE
    assert own_flow.MOST == 20_000
    assert "The forecast ends after 20,000 gradients" in PAGE


def _row_of(start):
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| {start}")]
    return row


def _errors(rows):
    def percent(who, quantile):
        errors = [error for row in rows for error in row["errors"][who]]
        return 100 * (2 ** float(np.quantile(errors, quantile)) - 1)

    flow = f"{percent('flow', 0.5):.1f} / {percent('flow', 1):.1f}"
    return f"{flow} | {percent('kernel', 0.5):.0f} / {percent('kernel', 1):.0f}"


def _inside(rows):
    return " of ".join(
        str(sum(row[name] for row in rows)) for name in ("in the interval", "dimensions")
    )
