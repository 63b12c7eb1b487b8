"""The guide to finite widths states what the committed benchmarks measured."""

import json
from pathlib import Path

import pytest

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
