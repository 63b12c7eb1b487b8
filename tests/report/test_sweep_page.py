import json

import numpy as np
import pytest
import xarray as xr

from jssl.report import write_sweep_report
from jssl.report.sweep_page import curves, final_values, width_law

EXPONENT = -0.5


@pytest.fixture
def result():
    """A made-up sweep whose loss is a power of the width, one seed of it diverged."""
    random = np.random.default_rng(0)
    widths, steps, seeds = np.array([8, 16, 32, 64]), np.array([0, 1, 10, 100]), 20
    shape = (4, 2, seeds, 4)
    loss = (widths**EXPONENT)[:, None, None, None] * np.exp(-steps / 50)
    loss = loss * (1 + 0.1 * random.standard_normal(shape))
    bad = np.full(shape[:-1], -1)
    bad[0, 0, 0], loss[0, 0, 0] = 7, np.inf
    dims = ("width", "loss", "seed", "step")
    modes = np.stack([loss, loss / 2], -1)
    return xr.Dataset(
        {
            "loss_value": (dims, loss),
            "eigenvalues": ((*dims, "mode"), modes),
            "t": (dims, np.zeros(shape)),
            "first_bad_step": (dims[:-1], bad),
        },
        coords={"width": widths, "loss": ["a", "b"], "step": steps, "mode": [1, 2]},
        attrs={"title": "jssl sweep"},
    )


def test_the_report_is_one_page_with_figures_tables_and_json(result, tmp_path):
    page, data = write_sweep_report(result, tmp_path, "demo")
    text = page.read_text()
    assert text.count("<img") == 4
    assert text.count("alt=") == 4
    assert "160 of 160 runs are finished, 1 of them diverged" in text
    record = json.loads(data.read_text())
    assert len(record["final"]) == 8
    assert record["final"][0]["diverged"] == 1


def test_the_width_law_finds_the_exponent(result):
    _, rows = width_law(result, "loss_value")
    assert [row["loss"] for row in rows] == ["a", "b"]
    for row in rows:
        exponent, half = map(float, row["exponent (95 %)"].split(" ± "))
        assert abs(exponent - EXPONENT) < 2.5 * half < 0.2


def test_exponents_stand_under_their_own_columns(result, tmp_path):
    _, data = write_sweep_report(result, tmp_path, "demo")
    fits = json.loads(data.read_text())["fits"]
    assert [list(row) for row in fits] == [["observable", "loss", "mode", "exponent (95 %)"]] * 4
    assert [(row["loss"], row["mode"]) for row in fits] == [
        ("a", ""),
        ("b", ""),
        ("a", "1"),
        ("a", "2"),
    ]


def test_final_values_leave_out_diverged_seeds(result):
    row = final_values(result, ["loss_value"])[0]
    kept = result.loss_value.values[0, 0, 1:, -1]
    mean, error = map(float, row["loss_value"].split(" ± "))
    assert mean == pytest.approx(kept.mean(), rel=1e-3)
    assert error == pytest.approx(kept.std(ddof=1) / np.sqrt(19), rel=1e-3)


def test_every_seed_up_to_thirty_is_drawn_beside_the_mean(result):
    figure = curves(result, "loss_value").figure
    lines = figure.axes[0].get_lines()
    seeds = [line for line in lines if line.get_alpha() == 0.25]
    assert len(seeds) == 20 * 4


def test_figures_say_what_they_hold_fixed(result):
    assert "at loss = a" in curves(result, "eigenvalues").description


def test_a_sweep_in_which_every_run_diverged_says_so_and_draws_no_width_law(result, tmp_path):
    lost = result.assign(
        first_bad_step=xr.full_like(result.first_bad_step, 3),
        loss_value=xr.full_like(result.loss_value, np.nan),
        eigenvalues=xr.full_like(result.eigenvalues, np.nan),
    )
    page, data = write_sweep_report(lost, tmp_path, "demo")
    text = page.read_text()
    assert "160 of 160 runs are finished, 160 of them diverged" in text
    assert text.count("<img") == 2
    assert "not finite" not in text
    assert {row["loss_value"] for row in json.loads(data.read_text())["final"]} == {"–"}


def test_the_page_fits_a_phone_and_needs_no_network(result, tmp_path):
    text = write_sweep_report(result, tmp_path, "demo")[0].read_text()
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in text
    assert "http" not in text
    assert text.count('class="scroll"') == text.count("<img") + text.count("<table")
