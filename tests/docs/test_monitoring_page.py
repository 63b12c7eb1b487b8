"""The cost on the page on monitoring is that of the committed benchmark."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def _rows():
    results = ROOT / "benchmarks" / "results" / "monitor.json"
    content = json.loads(results.read_text(encoding="utf-8"))
    for row in content["rows"]:
        seconds = f"{row['processor seconds']:.3g} | {row['wall seconds']:.3g}"
        yield f"| {row['contestant']} | {seconds} |"


def test_the_table_is_that_of_the_benchmark():
    page = (ROOT / "docs" / "guides" / "monitoring.md").read_text(encoding="utf-8")
    rows = list(_rows())
    assert len(rows) == 4
    assert not [row for row in rows if row not in page]


def test_the_overhead_of_the_page_is_that_of_the_benchmark_and_below_two_per_cent():
    page = (ROOT / "docs" / "guides" / "monitoring.md").read_text(encoding="utf-8")
    results = ROOT / "benchmarks" / "results" / "monitor.json"
    facts = json.loads(results.read_text(encoding="utf-8"))["facts"]
    (overhead,) = (value for name, value in facts.items() if "every 100" in name)
    assert float(re.search(r"overhead is ([\d.]+) per cent", page)[1]) == float(f"{overhead:.2g}")
    assert overhead < 2
