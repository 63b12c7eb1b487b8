"""A page of results on the user's data, as HTML and JSON: summary, caveats, figures, tables."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jssl.report.figure import Figure
from jssl.report.files import writable_folder, write_report_files
from jssl.report.html import environment, render


class Page(NamedTuple):
    """The content of a page.

    Attributes:
        title: of the page.
        summary: the results as sentences, the most important one first.
        caveats: limits of the results: assumptions, what was left out.
        figures: with titles and descriptions.
        tables: title -> rows; all rows of a table have the same keys.
        settings: the arguments of the command.
        data: further keys of the JSON, beside summary, caveats and settings.
    """

    title: str
    summary: Sequence[str]
    caveats: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    tables: Mapping[str, Sequence[Mapping[str, Any]]] = {}
    settings: Mapping[str, Any] = {}
    data: Mapping[str, Any] = {}


def write_page(page: Page, out: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Write `report.html` (self-contained) and `report.json` into a folder: both, or neither.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     paths = write_page(Page("example", ("No collapse.",)), folder)
        ...     print([path.name for path in paths])
        ['report.html', 'report.json']

    Args:
        page: its content.
        out: the folder, created if needed.

    Returns:
        The paths of the page and of the JSON, in which numbers that are not finite are null.

    Raises:
        InputError: if the folder cannot be written.
    """
    folder = writable_folder(out)
    text = render("page.html.jinja", page=page, versions=environment())
    return write_report_files(folder, text, page_json(page))


def page_json(page: Page) -> str:
    """Return the JSON of a page, as `write_page` writes it: numbers that are not finite are null.

    Example:
        >>> json.loads(page_json(Page("example", ("No collapse.",))))["summary"]
        ['No collapse.']
    """
    record = {
        "summary": list(page.summary),
        "caveats": list(page.caveats),
        "settings": page.settings,
        "environment": environment(),
        **page.data,
    }
    return json.dumps(plain(record), indent=2, allow_nan=False) + "\n"


def notebook_html(page: Page) -> str:
    """Return the summary, the first figure and the caveats of a page, for a cell of a notebook.

    Example:
        >>> "<strong>No collapse.</strong>" in notebook_html(Page("example", ("No collapse.",)))
        True
    """
    return render("inline.html.jinja", page=page)


def plain(value: Any) -> Any:
    """Return a value of JSON types; numbers that are not finite become None.

    Example:
        >>> import numpy as np
        >>> plain({"a": np.array([1.0, np.inf]), "b": (Path("x"), True)})
        {'a': [1.0, None], 'b': ['x', True]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)
