"""The directive `claims PAPER`: its claims as the committed report found them."""

import html
import json
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive

REPORT = Path(__file__).parents[1] / "reports" / "quick.json"
COLUMNS = ("claim", "predicted", "measured", "tolerance", "nearest rival", "verdict")
MARKS = {"holds": "✓", "undecided": "?", "fails": "✗"}
SIGNS = {"=": "", "<=": "≤ ", ">=": "≥ "}


def number(value):
    """Return four digits."""
    return "not finite" if value is None else f"{value:.4g}"


class Claims(Directive):
    """A table of a paper's claims, with the observations and caveats of its run."""

    required_arguments = 1

    def run(self):
        """Return the nodes."""
        self.state.document.settings.env.note_dependency(str(REPORT))
        report = json.loads(REPORT.read_text(encoding="utf-8"))
        paper = self.arguments[0]
        claims = [c for c in report["claims"] if c["name"].startswith(f"{paper}/")]
        if not claims:
            message = f"no claims of '{paper}' in {REPORT.name}"
            raise self.error(message)
        held = sum(c["passed"] for c in claims)
        settings = report["settings"]
        where = f"scale {settings['scale']}, seed {settings['seed']}"
        undecided = sum(c["verdict"] == "undecided" for c in claims)
        left = f", {undecided} undecided" if undecided else ""
        before = f"{held} of {len(claims)} claims hold{left} at {where}."
        head = "".join(
            f'<th scope="col"{" class=n" * (0 < k < 5)}>{text}</th>'
            for k, text in enumerate(COLUMNS)
        )
        rows = "".join(self.row(claim) for claim in claims)
        body = f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody>"
        table = f'<div class="scroll"><table class="claims">{body}</table></div>'
        run = report["papers"][paper]
        found = [nodes.paragraph(text=before), nodes.raw("", table, format="html")]
        for title, sentences in (
            ("Observations of the run that are not claims:", run["summary"]),
            ("Caveats:", run["caveats"]),
        ):
            if sentences:
                items = nodes.bullet_list()
                for sentence in sentences:
                    items += nodes.list_item("", nodes.paragraph(text=sentence))
                found += [nodes.paragraph(text=title), items]
        return found

    def row(self, claim):
        """Return a claim as a row."""
        statement = html.escape(claim["statement"])
        tolerance = (
            number(claim["tolerance"]) if claim["tolerance"] or claim["relation"] == "=" else "–"
        )
        cells = (
            SIGNS[claim["relation"]] + number(claim["predicted"]),
            number(claim["measured"]),
            tolerance,
        )
        values = {rival["name"]: rival["value"] for rival in claim["rivals"]}
        name = claim["nearest_rival"]
        nearest = "none" if name is None else number(values[name])
        verdict = f"{MARKS[claim['verdict']]} {claim['verdict']}"
        numbers = "".join(
            f'<td class=n data-label="{label}">{cell}</td>'
            for label, cell in zip(COLUMNS[1:], (*cells, nearest, verdict), strict=True)
        )
        name = html.escape(f"{claim['name']} · {claim['source']}")
        rivals = [f"{name}, {number(value)}" for name, value in values.items()]
        others = f" Rival predictions: {'; '.join(rivals)}." if rivals else ""
        if claim["power"] is not None:
            others += f" Power against the nearest of them: {number(claim['power'])}."
        details = html.escape((claim["details"] + others).strip())
        small = f"<small>{name}</small>"
        details = f"{details}<br>{small}" if details else small
        first = f"<td>{statement}<details><summary>details</summary>{details}</details></td>"
        return f"<tr>{first}{numbers}</tr>"


def setup(app):
    """Register the directive."""
    app.add_directive("claims", Claims)
    return {"parallel_read_safe": True}
