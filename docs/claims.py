"""Make the table of papers in README.md, and keep the report that it and the site are made from.

Renew both:  jssl reproduce --out jssl-out; python docs/claims.py jssl-out/report.json
Check them:  python docs/claims.py --check
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
REPORT = ROOT / "docs" / "reports" / "quick.json"
BEGIN, END = "<!-- papers: made by docs/claims.py -->", "<!-- end of papers -->"
KEPT = ("settings", "papers", "passed", "verdicts", "claims")
VARYING = ("seconds", "processes")
PUBLICATIONS = {
    "stepwise": "[Simon et al. 2023](https://arxiv.org/abs/2303.15438): stepwise learning",
    "grassmann": "[Esser et al. 2023](https://arxiv.org/abs/2309.02011): orthonormal weights",
    "learnability": "[Yang et al. 2023](https://arxiv.org/abs/2401.03214): nonlinear models",
    "landscape": "[Ziyin et al. 2023](https://arxiv.org/abs/2210.00638): the loss landscape",
    "width": "[Fleissner et al. 2024](https://arxiv.org/abs/2411.11176): infinite width",
    "deep": "Simon et al. 2023: convolutional networks and ResNets",
    "distillation": "[Littwin et al. 2024](https://arxiv.org/abs/2407.03475): JEPA and BYOL",
    "isotropy": "[Balestriero and LeCun 2025](https://arxiv.org/abs/2511.08544): LeJEPA",
    "highdim": "[Meng and Wang 2024](https://arxiv.org/abs/2406.06909): one-pass SGD",
    "samples": "New: how many pairs a forecast needs",
}


def table(report: dict) -> str:
    """Return a table in Markdown with a row for each paper and the number of claims that hold."""
    lines = ["| name | paper | claims that hold |", "|---|---|---|"]
    for paper in report["papers"]:
        claims = [claim for claim in report["claims"] if claim["name"].startswith(f"{paper}/")]
        held = sum(claim["passed"] for claim in claims)
        link = f"[`{paper}`](docs/papers/{paper}.md)"
        lines.append(f"| {link} | {PUBLICATIONS[paper]} | {held} of {len(claims)} |")
    held = sum(claim["passed"] for claim in report["claims"])
    undecided = sum(claim["verdict"] == "undecided" for claim in report["claims"])
    left = f", {undecided} are undecided" if undecided else ""
    settings = report["settings"]
    total = len(report["claims"])
    note = (
        f"**{held} of {total} claims hold**{left} at scale {settings['scale']}, seed "
        f"{settings['seed']}. Each page lists its claims, their tolerances, which follow from "
        "theory, and the rival predictions they exclude, and says what was changed after a result "
        "was seen."
    )
    return "\n".join([*lines, "", note])


def renewed(readme: str, report: dict) -> str:
    """Return README.md with the table of a report."""
    head, rest = readme.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    return f"{head}{BEGIN}\n\n{table(report)}\n\n{END}{tail}"


def main(arguments: list[str]) -> int:
    """Renew README.md, or check it."""
    readme = ROOT / "README.md"
    if arguments and arguments[0] != "--check":
        full = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
        kept = {key: full[key] for key in KEPT}
        kept["settings"] = {k: v for k, v in kept["settings"].items() if k not in VARYING}
        REPORT.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    text = readme.read_text(encoding="utf-8")
    new = renewed(text, json.loads(REPORT.read_text(encoding="utf-8")))
    if arguments == ["--check"]:
        return int(new != text)
    readme.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
