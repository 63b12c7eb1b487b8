"""The tables of the report of a diagnosis, as rows of text."""

from typing import Any

import numpy as np

from jssl.diagnosis.checkpoints import CheckpointHistory
from jssl.diagnosis.classes import ClassSpectrum
from jssl.report.html import number

_COLUMNS = (
    "RankMe",
    "effective rank",
    "effective directions",
    "uniformity",
    "alignment",
    "same-sample retrieval",
    "nearest-neighbour accuracy",
    "linear probe accuracy",
)


def checkpoint_rows(history: CheckpointHistory) -> list[dict[str, Any]]:
    """Return a row for each checkpoint, the best with a star, and one for each that failed."""
    table = history.table
    shown = [column for column in _COLUMNS if column in table.values]
    rows = []
    for i, (name, t, kind) in enumerate(zip(history.names, history.t, history.kinds, strict=True)):
        star = " ★" if i == table.best else " (not distinguishable from ★)"
        mark = star if i == table.best or i in table.near else ""
        row = {"checkpoint": f"{name}{mark}", "step or index": f"{t:g}", "collapse": kind}
        row |= {
            column: with_error(table.values[column][i], table.errors[column][i]) for column in shown
        }
        similarity = with_error(history.similarity[i], history.similarity_errors[i])
        rows.append(row | {"debiased CKA with the last": similarity})
    columns = list(rows[0])
    blank = dict.fromkeys(columns, "")
    return rows + [blank | {"checkpoint": f"left out: {line}"} for line in history.failures]


def class_rows(classes: tuple[ClassSpectrum, ...]) -> list[dict[str, Any]]:
    """Return a row for each class."""
    return [
        {
            "class": each.name,
            "rows": f"{each.rows:,}",
            "variance, of the median class": number(each.relative),
            "effective directions": number(each.directions),
            "leading share": number(each.leading),
            "collapse": each.collapse,
        }
        for each in classes
    ]


def with_error(value: float, error: float) -> str:
    """Return a number with its standard error, where it has one.

    Example:
        >>> with_error(0.5, 0.01), with_error(2.0, float("nan"))
        ('0.5 ± 0.01', '2')
    """
    return number(float(value)) + ("" if np.isnan(error) else f" ± {error:.2g}")
