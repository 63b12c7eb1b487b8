"""The report of claims: one self-contained HTML page and the same claims as JSON."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jssl.papers.claims import count, is_in_paper, nearest_rival, power
from jssl.papers.outcome import Outcome, Part
from jssl.report.figure import Figure
from jssl.report.files import writable_folder, write_report_files
from jssl.report.html import environment, render
from jssl.types import Claim


def claim_record(claim: Claim) -> dict[str, Any]:
    """Return a claim as plain JSON: numbers that are not finite become null.

    Example:
        >>> record = claim_record(Claim("a/b", "s", "eq", 1.0, float("nan"), 0.1, "fails"))
        >>> print(record["measured"], record["verdict"], record["nearest_rival"], record["power"])
        None fails None None
    """
    nearest = nearest_rival(claim)
    record = claim._asdict() | {
        "passed": claim.passed,
        "rivals": [_finite(rival._asdict()) for rival in claim.rivals],
        "nearest_rival": None if nearest is None else nearest.name,
        "power": power(claim),
    }
    return _finite(record)


def _finite(record: dict[str, Any]) -> dict[str, Any]:
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in record.items()
    }


class Block(NamedTuple):
    """Figures of a report, and the claims that stand beside or under them.

    Attributes:
        figures: none where no figure shows the claims.
        claims: in the order of the study.
    """

    figures: tuple[Figure, ...]
    claims: tuple[Claim, ...]


def blocks(part: Part) -> list[Block]:
    """Return the figures of a study, each with its claims, and then all other claims.

    Example:
        >>> from jssl.papers.claims import close
        >>> claims = [close(f"demo/{name}", "One is one.", "arithmetic", 1, 1, 0) for name in "ab"]
        >>> figures = [Figure("f", "F", "", None, ("demo/b",)), Figure("g", "G", "", None)]
        >>> for block in blocks(Part(claims, figures)):
        ...     print([figure.name for figure in block.figures], [c.name for c in block.claims])
        ['f'] ['demo/b']
        ['g'] []
        [] ['demo/a']

    Args:
        part: results of a study. If it has one figure, and this names no claims, the figure shows
            all claims.
    """
    figures = tuple(part.figures)
    if len(figures) == 1 and not figures[0].claims:
        return [Block(figures, tuple(part.claims))]
    found = [Block((f,), tuple(c for c in part.claims if c.name in f.claims)) for f in figures]
    named = {name for figure in figures for name in figure.claims}
    rest = tuple(claim for claim in part.claims if claim.name not in named)
    return [*found, Block((), rest)] if rest else found


def write_report(
    out: str | os.PathLike[str],
    outcomes: Mapping[str, Outcome],
    settings: Mapping[str, Any],
) -> tuple[Path, Path]:
    """Write `report.html` and `report.json` into a folder: both, or neither.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     paths = write_report(folder, {}, {"scale": "quick"})
        ...     print([path.name for path in paths])
        ['report.html', 'report.json']

    Args:
        out: the folder, created if needed.
        outcomes: paper -> what its experiment found.
        settings: what was asked for (scale, seed, command).

    Returns:
        The paths of the page and of the JSON.

    Raises:
        InputError: if the folder cannot be written.
    """
    folder = writable_folder(out)
    versions = environment()
    judged = [claim for outcome in outcomes.values() for claim in outcome.claims]
    claims = [claim_record(claim) for claim in judged]
    record = {
        "settings": dict(settings),
        "environment": versions,
        "passed": all(claim.passed for claim in judged),
        "verdicts": count(judged),
        "papers": {
            name: {
                "settings": dict(o.settings),
                "summary": list(o.summary),
                "caveats": list(o.caveats),
            }
            for name, o in outcomes.items()
        },
        "claims": claims,
    }
    page = render(
        "report.html.jinja",
        outcomes=outcomes,
        settings=settings,
        versions=versions,
        blocks={
            name: {study: blocks(part) for study, part in outcome.parts.items()}
            for name, outcome in outcomes.items()
        },
        verdicts=count(judged),
        total=len(judged),
        failed=[claim for claim in judged if claim.verdict == "fails"],
        undecided=[claim for claim in judged if claim.verdict == "undecided"],
        nearest_rival=nearest_rival,
        power=power,
        new=[claim for claim in judged if not is_in_paper(claim)],
    )
    data = json.dumps(record, indent=2, default=_plain, allow_nan=False) + "\n"
    return write_report_files(folder, page, data)


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)
