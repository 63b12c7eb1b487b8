"""The report: one self-contained HTML page and the same claims as JSON."""

import base64
import io
import json
import math
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jinja2

from jssl.figures import thin_labels
from jssl.papers.outcome import Outcome
from jssl.report.files import writable_folder, write_report_files
from jssl.types import Claim


def environment() -> dict[str, str]:
    """Return the versions and devices that a result depends on.

    Example:
        >>> print("jax" in environment())
        True
    """
    import jax
    import jaxlib
    import numpy as np
    import optax

    import jssl

    devices = jax.devices()
    return {
        "jssl": jssl.__version__,
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
        "optax": optax.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "devices": f"{len(devices)} x {devices[0].device_kind} ({devices[0].platform})",
        "cores": str(os.cpu_count()),
    }


def claim_record(claim: Claim) -> dict[str, Any]:
    """Return a claim as plain JSON: numbers that are not finite become null.

    Example:
        >>> claim_record(Claim("a/b", "s", "eq", 1.0, float("nan"), 0.1, False))["measured"] is None
        True
    """
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in claim._asdict().items()
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


def number(value: float | None) -> str:
    """Return a number as a reader wants it: four digits, no noise.

    Example:
        >>> print(number(0.123456), number(1e-7), number(12.0), number(float("nan")))
        0.1235 1e-07 12 not finite
    """
    if value is None or not math.isfinite(value):
        return "not finite"
    return f"{value:.4g}"


def render(template: str, **values: Any) -> str:
    """Return a page made from a template of this folder."""
    engine = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    engine.filters["number"] = number
    engine.filters["draw"] = draw
    engine.filters["address"] = address
    return engine.get_template(template).render(**values).lstrip()


class Drawn(NamedTuple):
    """A figure as it is shown.

    Attributes:
        png: the picture.
        inches: its width.
    """

    png: bytes
    inches: float


def draw(figure: Any) -> Drawn:
    """Return a matplotlib figure drawn, or as it is where it has been drawn already."""
    if isinstance(figure, Drawn):
        return figure
    thin_labels(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=140)
    return Drawn(buffer.getvalue(), figure.get_figwidth())


def address(png: bytes) -> str:
    """Return a picture as a data address."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)
