"""The tables of `benchmarks/collapse.py` in Markdown, from its JSON.

python -m benchmarks.collapse_tables    # writes results/collapse.md from results/collapse.json
"""

import json
import pathlib
from typing import Any

import numpy as np

from benchmarks.ranking import correlations

RESULTS = pathlib.Path(__file__).parent / "results"
KINDS = ("none", "dimensional", "complete")
SINGLE = {
    "effective rank / sqrt(possible)": ("relative rank", 1),
    "effective directions": ("directions", 1),
    "share of the leading direction": ("leading", -1),
    "effective rank": ("effective rank", 1),
    "RankMe": ("RankMe", 1),
    "uniformity": ("uniformity", -1),
    "numerical rank": ("rank", 1),
    "variance over mean square": ("spread", 1),
}
"""Metric -> (key, sign with which it falls in a collapse)."""


def confusion(rows: list[dict[str, Any]]) -> np.ndarray:
    """Return the counts (truth, verdict) of rows whose truth is known."""
    counts = np.zeros((3, 3), int)
    for row in rows:
        if row["truth"]:
            counts[KINDS.index(row["truth"]), KINDS.index(row["verdict"])] += 1
    return counts


def write_tables(content: dict[str, Any], path: pathlib.Path) -> None:
    """Write all tables."""
    rows = [
        row | {"relative rank": row["effective_rank"] / row["possible"] ** 0.5}
        for row in content["rows"]
    ]
    held = [row for row in rows if row["half"] == "held out"]
    first = [row for row in rows if row["half"] == "calibration"]
    lines = [*_confusion_lines(held, "held out"), "", *_confusion_lines(first, "calibration")]
    lines += [
        "",
        *_together(rows, content["forest"]),
        "",
        *_before(content),
        "",
        *_calibrated(content),
        "",
        *_single(first, held),
    ]
    lines += ["", *_examples(rows), "", *_apart(rows)]
    for title, chosen in _ranked(rows):
        lines += ["", *_ranking(title, chosen)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _confusion_lines(rows: list[dict[str, Any]], half: str) -> list[str]:
    counts = confusion(rows)
    right, total = int(np.trace(counts)), int(counts.sum())
    names = ", ".join(sorted({row["architecture"] for row in rows}))
    lines = [
        f"**{half.capitalize()} encoders: {right} of {total} verdicts are right "
        f"({100 * right / max(total, 1):.1f} %).** Architectures: {names}. "
        f"{sum(not row['truth'] for row in rows)} embeddings have no known truth.",
        "",
        "| truth | verdict none | verdict dimensional | verdict complete |",
        "|---|---|---|---|",
    ]
    for kind, row in zip(KINDS, counts, strict=True):
        lines.append(f"| {kind} | {row[0]} | {row[1]} | {row[2]} |")
    return lines


def _together(rows: list[dict[str, Any]], forest: dict[str, Any]) -> list[str]:
    """Return the share of all verdicts, and that of a forest on unseen architectures."""
    counts = confusion(rows)
    right, total = int(np.trace(counts)), int(counts.sum())
    share = 100 * forest["right"] / forest["of"]
    return [
        f"**All encoders: {right} of {total} verdicts are right ({100 * right / total:.1f} %).** "
        f"A random forest on {len(forest['quantities'])} label-free quantities "
        f"({', '.join(name.replace('_', ' ') for name in forest['quantities'])}), tested on "
        f"architectures that it was not fitted on ({forest['folds']} folds), names "
        f"{forest['right']} of {forest['of']} states rightly ({share:.1f} %)."
    ]


def _before(content: dict[str, Any]) -> list[str]:
    """Return the encoders that were held out for earlier rules, with the result of that time."""
    lines = [
        "Architectures that were held out for earlier rules, with the result of that time:",
        "",
        "| rule of that time, for a dimensional collapse | architectures | right |",
        "|---|---|---|",
    ]
    for each in content["held out before"]:
        share = 100 * each["right"] / each["of"]
        lines.append(
            f"| {each['rule']} | {', '.join(each['architectures'])} | {each['right']} of "
            f"{each['of']} ({share:.1f} %) |"
        )
    return lines


def _calibrated(content: dict[str, Any]) -> list[str]:
    used = content["used"]
    lines = [
        "| threshold | in use | best cut on the calibration encoders | its gap | wrong at it |",
        "|---|---|---|---|---|",
    ]
    named = {
        "low": "effective rank / sqrt(possible)",
        "few": "effective directions",
        "constant": "1 less the mean cosine",
        "line": "share of the variance beside the leading direction",
    }
    pairs = used["dimensional"]
    values = {
        "low": ", ".join(f"{rank or 'any'} (with {d:g} directions)" for d, rank in pairs),
        "few": ", ".join(f"{d:g}" for d, _ in pairs),
        "constant": f"{used['constant']:g}",
        "line": f"{1 - used['line']:g}",
    }
    for name, what in named.items():
        cut = content["calibrated"][name]
        lines.append(
            f"| {what} | {values[name]} | {cut['cut']:.3g} | {cut['from']:.3g} to "
            f"{cut['to']:.3g} | {cut['wrong']} of {cut['of']} |"
        )
    return lines


def _single(first: list[dict[str, Any]], held: list[dict[str, Any]]) -> list[str]:
    """Return how well one metric tells collapsed from not collapsed, each at its best cut."""
    lines = [
        "Each metric alone, at its best cut on the calibration encoders, to tell collapsed "
        "(dimensional or complete) from not collapsed:",
        "",
        "| metric | cut | right, calibration | right, held out |",
        "|---|---|---|---|",
    ]
    for name, (key, sign) in SINGLE.items():
        train, test = (
            (
                sign * np.array([row[key] for row in half if row["truth"]]),
                np.array([row["truth"] != "none" for row in half if row["truth"]]),
            )
            for half in (first, held)
        )
        ends = np.sort(train[0])
        cuts = (ends[1:] + ends[:-1]) / 2
        shares = [np.mean((train[0] <= cut) == train[1]) for cut in cuts]
        cut = cuts[int(np.argmax(shares))]
        right = np.mean((test[0] <= cut) == test[1])
        lines.append(
            f"| {name} | {sign * cut:.3g} | {100 * max(shares):.0f} % | {100 * right:.0f} % |"
        )
    return lines


def _examples(rows: list[dict[str, Any]]) -> list[str]:
    """Return the medians of each recipe and part."""
    lines = [
        "| recipe | part | r | effective rank | effective directions | leading share | "
        "1 less mean cosine | "
        "verdicts (none, dimensional, complete) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for recipe in dict.fromkeys(row["recipe"] for row in rows):
        for part in ("backbone", "projector"):
            few = [row for row in rows if row["recipe"] == recipe and row["part"] == part]
            middle = [
                f"{np.nanmedian([row[key] for row in few]):.3g}"
                for key in ("share", "effective_rank", "directions", "leading", "directional")
            ]
            counts = ", ".join(str(sum(row["verdict"] == kind for row in few)) for kind in KINDS)
            name = recipe.replace("_", " ")
            lines.append(f"| {name} | {part} | {' | '.join(middle)} | {counts} |")
    return lines


def _apart(rows: list[dict[str, Any]]) -> list[str]:
    """Return the embeddings whose truth is not known, with their verdicts."""
    apart = [row for row in rows if not row["truth"]]
    lines = [
        f"{len(apart)} embeddings whose two witnesses disagree or do not decide:",
        "",
        "| recipe | part | embeddings | training | r | verdicts |",
        "|---|---|---|---|---|---|",
    ]
    for recipe, part in dict.fromkeys((row["recipe"], row["part"]) for row in apart):
        few = [row for row in apart if (row["recipe"], row["part"]) == (recipe, part)]
        shares = [row["share"] for row in few]
        verdicts = ", ".join(sorted({row["verdict"] for row in few}))
        lines.append(
            f"| {recipe.replace('_', ' ')} | {part} | {len(few)} | {few[0]['claim'] or '–'} | "
            f"{min(shares):.2f} to {max(shares):.2f} | {verdicts} |"
        )
    return lines


def _ranked(rows: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    trained = [row for row in rows if row["recipe"] != "untrained"]
    healthy = {"simclr", "barlow", "vicreg", "simsiam", "align_uniform"}
    return [
        ("All encoders, backbones", [row for row in rows if row["part"] == "backbone"]),
        ("All encoders, projectors", [row for row in rows if row["part"] == "projector"]),
        ("Trained encoders, backbones", [row for row in trained if row["part"] == "backbone"]),
        (
            "Healthy methods and untrained encoders, backbones",
            [
                row
                for row in rows
                if row["part"] == "backbone" and row["recipe"] in healthy | {"untrained"}
            ],
        ),
        (
            "Healthy methods only, backbones",
            [row for row in rows if row["part"] == "backbone" and row["recipe"] in healthy],
        ),
    ]


def _ranking(title: str, rows: list[dict[str, Any]]) -> list[str]:
    count = len({row["architecture"] for row in rows})
    lines = [
        f"**{title}** ({len(rows)} embeddings of {count} architectures)",
        "",
        "| metric | Spearman (95 %) | of the architecture with the least | Kendall |",
        "|---|---|---|---|",
    ]
    for found in correlations(rows):
        name = found["metric"].replace("|", r"\|")
        interval = f"{found['spearman']:+.2f} ({found['low']:+.2f} to {found['high']:+.2f})"
        least, kendall = found["least"], found["kendall"]
        lines.append(f"| {name} | {interval} | {least:+.2f} | {kendall:+.2f} |")
    return lines


if __name__ == "__main__":
    kept = json.loads((RESULTS / "collapse.json").read_text(encoding="utf-8"))
    write_tables(kept, RESULTS / "collapse.md")
