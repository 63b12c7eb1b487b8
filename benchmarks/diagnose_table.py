"""The table of what `jssl diagnose` costs, from its committed measurements.

python -m benchmarks.diagnose_table    # writes results/diagnose.md from results/diagnose.json
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"

FIRST = " of the first file"
"""End of the names of contestants that read one file."""

LIMITS = {
    "wide over plain": 1.0,
    "exact over product": 1.5,
    "shards over read": 2.0,
    "shards over convert": 2.0,
    "shards over convert, per row": 2.0,
}
"""The ratio that is aimed at, where there is an aim; the others are shown to judge them."""

SECONDS = {"small": 1.3}
"""Processor seconds that are aimed at."""

WORKLOADS = {
    "small": "2,000 x 128 float32",
    "wide": "50,000 x 512 float32",
    "exact": "50,000 x 512 float32, `--exact`",
    "shards": "2,000,000 x 64 float16, 20 files",
}

PEERS = {
    "start": "start Python, import NumPy and matplotlib",
    "plain": "a plain script of NumPy with the same metrics",
    "pairs once": "the script with each pair of rows computed once",
    "product": "the matrix product of all pairs alone",
    "read": "read the files",
    "convert": "read, convert to float32",
    "moments": "read, convert to float64, sum the second moments",
}


def ratios(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Return processor time and wall time of the command over those of each peer.

    Differences between 20 files and one are compared in processor time only, and not with reading
    alone: the others are smaller than their spread on a busy machine.
    """
    costs = {(row["workload"], row["contestant"]): row for row in rows}
    facts = {}
    for name, peer in costs:
        if peer != "jssl" and not peer.endswith(FIRST):
            own, other = costs[name, "jssl"], costs[name, peer]
            facts[f"{name} over {peer}"] = {k: own[k] / other[k] for k in ("cpu", "wall")}
    for peer in ("convert", "moments"):
        if ("shards", peer) in costs:
            grown = _growth(costs, "jssl") / _growth(costs, peer)
            facts[f"shards over {peer}, per row"] = {"cpu": grown}
    return facts


def _growth(costs: Mapping[tuple[str, str], Mapping[str, float]], who: str) -> float:
    """Return the processor time of all files less that of the first."""
    return costs["shards", who]["cpu"] - costs["shards", f"{who}{FIRST}"]["cpu"]


def table(content: Mapping[str, Any]) -> str:
    """Return the rows of measurements as a Markdown table."""
    costs = {(row["workload"], row["contestant"]): row for row in content["rows"]}
    lines = [
        "| embeddings | CPU s | peak MB | compared with | CPU s | ratio of CPU | of time | aim |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for fact, ratio in content["ratios"].items():
        name, peer = fact.removesuffix(", per row").split(" over ")
        own, other = costs[name, "jssl"], costs[name, peer]
        grown = fact.endswith(", per row")
        peak = f"{own['peak']:,.0f}"
        seconds = own["cpu"], other["cpu"]
        if grown:
            seconds = _growth(costs, "jssl"), _growth(costs, peer)
        aim = LIMITS.get(fact, f"{SECONDS[name]} s" if name in SECONDS else "")
        wall = "" if grown else f"{ratio['wall']:.2f}"
        lines.append(
            f"| {WORKLOADS[name]}{', without the start' if grown else ''} | {seconds[0]:.3g} | "
            f"{'' if grown else peak} | {PEERS[peer]} | {seconds[1]:.3g} | {ratio['cpu']:.2f} | "
            f"{wall} | {aim} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the table."""
    content = json.loads((RESULTS / "diagnose.json").read_text(encoding="utf-8"))
    (RESULTS / "diagnose.md").write_text(table(content), encoding="utf-8")


if __name__ == "__main__":
    main()
