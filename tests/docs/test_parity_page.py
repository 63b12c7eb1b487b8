"""The committed table of peers: its definitions are theirs, and jssl still has its values."""

import json
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
TABLE = json.loads((RESULTS / "parity.json").read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def _benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


def test_every_value_of_a_peer_is_that_of_the_definition_that_the_table_states():
    for row in TABLE["rows"]:
        assert row["theirs"] == pytest.approx(row["their definition"], rel=1e-6), row["peer"]


def test_the_committed_values_of_jssl_are_those_of_today():
    from benchmarks.parity import PEERS, Definitions, embedding

    assert TABLE["versions"] == PEERS
    today = Definitions(*embedding()).rows()
    assert [row["peer"] for row in TABLE["rows"]] == [row[0] for row in today]
    found, definition = np.array([row[2:4] for row in today], float).T
    np.testing.assert_allclose([row["jssl"] for row in TABLE["rows"]], found, rtol=1e-9)
    np.testing.assert_allclose(
        [row["their definition"] for row in TABLE["rows"]], definition, rtol=1e-9
    )


def test_the_committed_table_is_that_of_the_committed_numbers(tmp_path):
    from benchmarks.parity import write_table

    write_table(TABLE, tmp_path / "parity.md")
    made = (tmp_path / "parity.md").read_text(encoding="utf-8")
    assert made == (RESULTS / "parity.md").read_text(encoding="utf-8")
