"""Keep the result of a run at scale `paper` as a table, with the command that made it.

    jssl reproduce learnability --scale paper --out out; python -m benchmarks.paper out/report.json

writes `results/paper_learnability.md`, one file a paper of the report.
"""

import json
import sys
from pathlib import Path

from jssl.report.markdown import claims_table

RESULTS = Path(__file__).parent / "results"


def page(report: dict, paper: str) -> str:
    """Return one paper's claims in Markdown, after what made them."""
    settings, versions = report["settings"], report["environment"]
    claims = [claim for claim in report["claims"] if claim["name"].startswith(f"{paper}/")]
    held = sum(claim["passed"] for claim in claims)
    known = report["papers"][paper]
    run = ", ".join(f"{name} {value}" for name, value in known["settings"].items())
    lines = [
        f"# {paper}, scale {settings['scale']}: {held} of {len(claims)} claims hold",
        "",
        f"    {settings['command']}",
        "",
        f"{settings['seconds']:.0f} s in {settings['processes']} process(es) on "
        f"{versions['devices']}, {versions['cores']} cores; jax {versions['jax']}, Python "
        f"{versions['python']}, {versions['system']}; {run}.",
        "",
        *claims_table(claims),
    ]
    sentences = [*known["summary"], *known["caveats"]]
    if sentences:
        lines += ["", *(f"- {sentence}" for sentence in sentences)]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Write the tables of the given reports."""
    if not arguments:
        print("usage: python -m benchmarks.paper report.json ...", file=sys.stderr)
        return 2
    for path in arguments:
        report = json.loads(Path(path).read_text(encoding="utf-8"))
        for paper in report["papers"]:
            target = RESULTS / f"{settings_name(report, paper)}.md"
            target.write_text(page(report, paper), encoding="utf-8")
            print(target.relative_to(RESULTS.parent.parent))
    return 0


def settings_name(report: dict, paper: str) -> str:
    """Return the name of a paper's table: its scale, its name, and its seed unless 0."""
    settings = report["settings"]
    seed = f"_seed{settings['seed']}" if settings["seed"] else ""
    return f"{settings['scale']}_{paper}{seed}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
