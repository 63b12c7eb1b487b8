"""Keep the claims table of README.md, and the report that it and the site are made from.

Renew both:  jssl reproduce --out jssl-out; python docs/claims.py jssl-out/report.json
Check them:  python docs/claims.py --check
"""

import json
import sys
from pathlib import Path

from jssl.report.markdown import claims_table

ROOT = Path(__file__).parents[1]
REPORT = ROOT / "docs" / "reports" / "quick.json"
BEGIN, END = "<!-- claims: made by docs/claims.py -->", "<!-- end of claims -->"
KEPT = ("settings", "papers", "passed", "claims")
VARYING = ("seconds", "processes")


def table(report: dict) -> str:
    """Return the claims in Markdown: a line a paper, the claims folded under it."""
    settings = report["settings"]
    held = sum(claim["passed"] for claim in report["claims"])
    out = [
        f"`{settings['command']}`: **{held} of {len(report['claims'])} claims hold.**",
        "",
    ]
    for paper in report["papers"]:
        claims = [claim for claim in report["claims"] if claim["name"].startswith(f"{paper}/")]
        passed = sum(claim["passed"] for claim in claims)
        out += [
            f"<details><summary><b>{paper}</b>: {passed} of {len(claims)} hold</summary>",
            "",
            *claims_table(claims),
            "",
            "</details>",
            "",
        ]
    return "\n".join(out).rstrip()


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
