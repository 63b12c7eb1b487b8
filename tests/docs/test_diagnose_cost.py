"""The table of what a diagnosis costs is that of the committed benchmark, and its aims are met."""

import json

from benchmarks.diagnose_table import LIMITS, RESULTS, SECONDS, ratios, table

CONTENT = json.loads((RESULTS / "diagnose.json").read_text(encoding="utf-8"))
COSTS = {(row["workload"], row["contestant"]): row for row in CONTENT["rows"]}


def test_the_committed_table_is_that_of_the_committed_measurements():
    written = (RESULTS / "diagnose.md").read_text(encoding="utf-8")
    assert written == table(CONTENT)
    assert CONTENT["ratios"] == ratios(CONTENT["rows"])
    assert written.count("\n") == 2 + len(CONTENT["ratios"])
    assert set(LIMITS) <= set(CONTENT["ratios"])


def test_small_wide_and_exact_diagnoses_cost_at_most_what_was_aimed_at():
    assert COSTS["small", "jssl"]["cpu"] <= SECONDS["small"]
    for fact in ("wide over plain", "exact over product"):
        assert CONTENT["ratios"][fact]["cpu"] <= LIMITS[fact]
    assert CONTENT["setting"]["repeats"] >= 5


def test_two_million_rows_fit_into_a_gigabyte():
    assert COSTS["shards", "jssl"]["peak"] <= 1000
