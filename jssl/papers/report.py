"""The report of claims: one self-contained HTML page and the same claims as JSON."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jssl.papers.outcome import Outcome
from jssl.report.files import writable_folder, write_report_files
from jssl.report.html import environment, render
from jssl.types import Claim


def claim_record(claim: Claim) -> dict[str, Any]:
    """Return a claim as plain JSON: numbers that are not finite become null.

    Example:
        >>> claim_record(Claim("a/b", "s", "eq", 1.0, float("nan"), 0.1, False))["measured"] is None
        True
    """
    record = claim._asdict() | {"rivals": [_finite(r._asdict()) for r in claim.rivals]}
    return _finite(record)


def _finite(record: dict[str, Any]) -> dict[str, Any]:
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in record.items()
    }


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
        "passed": all(c["passed"] for c in claims),
        "papers": {
            name: {"settings": dict(o.settings), "remarks": list(o.remarks)}
            for name, o in outcomes.items()
        },
        "claims": claims,
    }
    page = render(
        "report.html.jinja",
        outcomes=outcomes,
        settings=settings,
        versions=versions,
        total=len(judged),
        failed=[claim for claim in judged if not claim.passed],
    )
    data = json.dumps(record, indent=2, default=_plain, allow_nan=False) + "\n"
    return write_report_files(folder, page, data)


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)
