"""The page of a diagnosis."""

from typing import Any

import numpy as np

from jssl.diagnosis.drawing import diagnosis_figures
from jssl.diagnosis.tables import checkpoint_rows, class_rows
from jssl.diagnosis.values import TOLERANCE, Values
from jssl.formulas.verdict import KINDS, Thresholds, state_of
from jssl.report.html import number
from jssl.report.page import Page


def page_of(diagnosis: Values, settings: dict[str, Any]) -> Page:
    """Return the page of a diagnosis."""
    tables: dict[str, list[dict[str, Any]]] = {"Metrics": _metric_rows(diagnosis)}
    verdict = diagnosis.verdict
    data: dict[str, Any] = {
        "verdict": {
            "kind": KINDS[int(verdict.kind)],
            "state": state_of(verdict, Thresholds()),
            **{k: v for k, v in verdict._asdict().items() if k != "kind"},
        },
        "metrics": {name: metric._asdict() for name, metric in diagnosis.metrics.items()},
        "eigenvalues": diagnosis.eigenvalues,
    }
    if diagnosis.classes:
        tables["Classes"] = class_rows(diagnosis.classes)
        data["classes"] = [each._asdict() for each in diagnosis.classes]
    for name, history in diagnosis.runs.items():
        tables[f"Checkpoints of {name}" if name else "Checkpoints"] = checkpoint_rows(history)
        shown = set(history._fields) - {"summary", "caveats", "table"}
        content = {k: v for k, v in history._asdict().items() if k in shown}
        content["table"] = history.table._asdict()
        data[f"checkpoints of {name}" if name else "checkpoints"] = content
    return Page(
        "jssl diagnose",
        diagnosis.summary,
        diagnosis.caveats,
        diagnosis_figures(diagnosis, TOLERANCE),
        tables,
        settings,
        data,
    )


def _metric_rows(diagnosis: Values) -> list[dict[str, Any]]:
    return [
        {
            "metric": m.name,
            "value": number(m.value) + ("" if np.isnan(m.error) else f" ± {m.error:.2g}"),
            "possible range": m.range,
            "good": m.good,
            "rows": f"{m.rows:,}",
            "meaning": m.meaning,
            "source": m.source,
        }
        for m in diagnosis.metrics.values()
    ]
