"""The committed study of trained encoders: the verdicts are right, at the thresholds in use."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from jssl.formulas.verdict import ANGLES, KINDS, Thresholds

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
STUDY = json.loads((RESULTS / "collapse.json").read_text(encoding="utf-8"))
ROWS = STUDY["rows"]
HELD_OUT = [row for row in ROWS if row["half"] == "held out" and row["truth"]]


def of(recipe, part):
    return [row for row in ROWS if (row["recipe"], row["part"]) == (recipe, part)]


def test_the_study_used_the_thresholds_of_the_package():
    pairs = [(d, np.inf if rank is None else rank) for d, rank in STUDY["used"]["dimensional"]]
    assert STUDY["used"] | {"dimensional": tuple(pairs)} == Thresholds()._asdict()


def test_at_least_forty_encoders_were_trained_and_halves_share_no_architecture():
    trained = {(r["architecture"], r["recipe"], r["seed"]) for r in ROWS}
    assert len([each for each in trained if each[1] != "untrained"]) >= 40
    names = [
        {r["architecture"] for r in ROWS if r["half"] == half}
        for half in ("calibration", "held out")
    ]
    assert not names[0] & names[1]


def test_the_page_states_the_share_of_right_verdicts_on_encoders_that_were_not_seen_before():
    right = [row["truth"] == row["verdict"] for row in HELD_OUT]
    binary = [(row["truth"] == "none") == (row["verdict"] == "none") for row in HELD_OUT]
    page = (ROOT / "docs" / "diagnosis-verdicts.md").read_text(encoding="utf-8")
    assert f"names the state of {100 * np.mean(right):.1f} % of the encoders" in page
    assert f"from the others in {100 * np.mean(binary):.0f} % of them" in page
    known = [row for row in ROWS if row["truth"]]
    every = [row["truth"] == row["verdict"] for row in known]
    seen = [row["truth"] == row["verdict"] for row in known if row["half"] == "calibration"]
    assert f"of {100 * np.mean(seen):.1f} % of\nthose it is calibrated on" in page
    assert f"and of {100 * np.mean(every):.1f} % of all" in page
    assert np.mean(every) >= 0.95
    assert {row["truth"] for row in HELD_OUT} == {"none", "dimensional", "complete"}


def test_the_page_states_what_a_forest_names_rightly_in_architectures_that_it_has_not_seen(
    monkeypatch,
):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.collapse_forest import forest

    found = forest(ROWS)  # rounding of another processor may move single encoders
    assert found["right"] == pytest.approx(STUDY["forest"]["right"], abs=0.01 * found["of"])
    assert found | {"right": 0} == STUDY["forest"] | {"right": 0}
    page = (ROOT / "docs" / "diagnosis-verdicts.md").read_text(encoding="utf-8")
    share = 100 * STUDY["forest"]["right"] / STUDY["forest"]["of"]
    assert f"names the state of {share:.1f} % of\nthe encoders of architectures" in page


def test_untrained_encoders_are_not_called_collapsed():
    rows = of("untrained", "backbone") + of("untrained", "projector")
    assert len(rows) >= 8
    assert {row["verdict"] for row in rows} == {"none"}


def test_simsiam_without_stop_gradient_is_called_collapsed():
    backbones, projectors = (of("simsiam_no_stop", part) for part in ("backbone", "projector"))
    complete = [row for row in projectors if row["verdict"] == "complete"]
    assert all(row["leading"] > 0.98 or row["spread"] < 1e-6 for row in complete)
    assert {row["verdict"] for row in projectors if row["truth"]} == {"complete"}
    offset = [row for row in projectors if row["verdict"] == "none"]
    assert all(not row["truth"] and row["spread"] < 1e-5 for row in offset)
    collapsed = [row for row in backbones if row["truth"] in KINDS[1:3]]
    missed = [row for row in collapsed if row["verdict"] == "none"]
    page = (ROOT / "docs" / "diagnosis-verdicts.md").read_text(encoding="utf-8")
    called = len(projectors) - len(offset)
    named = f"in {called} of {len(projectors)} projectors, and completely in {len(complete)} of"
    assert named in page
    named = f"{len(collapsed)} backbones that are known to be\n  collapsed, "
    assert f"{named}{len(collapsed) - len(missed)} are called collapsed" in page
    assert len(missed) <= 3
    assert all(row["leading"] < 0.82 for row in missed)


def test_biases_of_untrained_encoders_are_no_collapse_and_would_have_been_by_the_offset_alone():
    rows = [
        row
        for part in ("backbone", "projector")
        for row in of("untrained", part)
        if "torch" in row["architecture"]
    ]
    offset = [row for row in rows if row["spread"] <= Thresholds().constant]
    page = (ROOT / "docs" / "diagnosis-verdicts.md").read_text(encoding="utf-8")
    assert f"{len(offset)} of these {len(rows)} embeddings" in page
    assert {row["verdict"] for row in rows} == {"none"}


def test_verdicts_follow_from_the_committed_quantities():
    """So that a change of the thresholds without a new study is noticed."""
    limits = Thresholds()
    for row in ROWS:
        possible, rank = row["possible"], row["effective_rank"]
        within = [
            rank <= min(high * possible**0.5, possible / 2)
            if np.isfinite(high)
            else possible >= 3 * directions
            for directions, high in limits.dimensional
            if row["directions"] <= directions
        ]
        one_direction = row["directional"] <= limits.constant and row["leading"] >= limits.line
        one_direction = one_direction and row["directional"] <= ANGLES * row["spread"]
        if row["spread"] <= limits.point or one_direction:
            expected = "complete"
        elif any(within):
            expected = "dimensional"
        else:
            expected = "none"
        assert row["verdict"] == expected


def test_the_page_states_how_many_architectures_were_held_out_and_used_up():
    before = STUDY["held out before"]
    used = {name for each in before for name in each["architectures"]}
    calibrated = {row["architecture"] for row in ROWS if row["half"] == "calibration"}
    assert used < calibrated
    page = (ROOT / "docs" / "diagnosis-verdicts.md").read_text(encoding="utf-8")
    assert f"{len(calibrated)} architectures in view" in page
    for each in before:
        assert f"{100 * each['right'] / each['of']:.1f} %" in page


def test_the_committed_tables_are_those_of_the_committed_numbers(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.collapse_tables import write_tables

    write_tables(STUDY, tmp_path / "collapse.md")
    made = (tmp_path / "collapse.md").read_text(encoding="utf-8")
    assert made == (RESULTS / "collapse.md").read_text(encoding="utf-8")


def test_the_page_states_how_lidar_ranks_within_an_architecture(monkeypatch):
    """Ranked together, architectures with high accuracies would hide that the order is reversed."""
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.ranking import correlations

    healthy = {"simclr", "barlow", "vicreg", "simsiam", "align_uniform"}
    rows = [row for row in ROWS if row["part"] == "backbone" and row["recipe"] in healthy]
    found = {each["metric"]: each for each in correlations(rows)}
    lidar = found["LiDAR, 10 views, ridge 1e-4 of the variance"]
    page = (ROOT / "docs" / "diagnosis-verdicts.md").read_text(encoding="utf-8")
    accuracy = [row["accuracy"]["linear"] for row in rows]
    together = spearmanr([row[lidar["metric"]] for row in rows], accuracy, nan_policy="omit")
    assert f"had a correlation of {together.statistic:+.2f} with" in page
    stated = f"{lidar['spearman']:+.2f} ({lidar['low']:+.2f} to {lidar['high']:+.2f})"
    assert f"within an architecture it has {stated}" in page
    assert lidar["high"] < 0 < found["RankMe"]["low"]
    even = found["LiDAR, 10 views, ridge 0.1 of the variance"]
    assert even["low"] < 0 < even["high"]


def test_rank_correlations_do_not_compare_encoders_of_different_architectures(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.ranking import METRICS, correlations

    rows = [
        {"architecture": name, "accuracy": {"linear": level + 0.01 * i}}
        | {metric: sign * (100 * level - i) for metric, sign in METRICS.items()}
        for name, level in (("narrow", 0.2), ("wide", 0.8))
        for i in range(5)
    ]
    for each in correlations(rows):
        for key in ("spearman", "kendall", "least", "low", "high"):
            assert each[key] == pytest.approx(-1)
