"""`jssl diagnose`: read embeddings from files, print the summary, write the report."""

import glob
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jssl.data.array_files import read_array
from jssl.diagnosis.checkpoints import CheckpointHistory, by_number
from jssl.diagnosis.diagnosis import TOLERANCE, Diagnosis, diagnose
from jssl.diagnosis.drawing import diagnosis_figures
from jssl.errors import InputError
from jssl.formulas.verdict import KINDS
from jssl.paths import expanded
from jssl.report.files import new_report_folder
from jssl.report.html import number
from jssl.report.page import Page, write_page


def run_diagnose(
    embeddings: Path,
    labels: Path | None,
    views: Path | None,
    checkpoints: Sequence[Path],
    out: Path,
    seed: int,
    exact: bool,
    overwrite: bool = False,
) -> int:
    """Diagnose the embeddings of a file; return 0, or 2 where a checkpoint could not be used.

    Raises:
        InputError: for files that cannot be used; before anything is written.
    """
    folder = new_report_folder(out, overwrite=overwrite)
    z = read_array(embeddings)
    diagnosis = diagnose(
        z,
        None if labels is None else read_array(labels),
        None if views is None else read_array(views),
        named_checkpoints(checkpoints) if checkpoints else None,
        seed=seed,
        exact=exact,
    )
    given = {"embeddings": str(embeddings), "labels": labels, "views": views, "exact": exact}
    settings = {k: v for k, v in given.items() if v is not None} | dict(diagnosis.settings)
    page, data = write_page(page_of(diagnosis, settings), folder)
    failures = diagnosis.history.failures if diagnosis.history else ()
    caveats = [caveat for caveat in diagnosis.caveats if not caveat.endswith(failures)]
    for sentence in (*diagnosis.summary, *caveats):
        print(sentence)
    print(f"{page} and {data.name}")
    for failure in failures:
        print(f"jssl: {failure}", file=sys.stderr)
    return 2 if failures else 0


def named_checkpoints(patterns: Sequence[Path]) -> dict[str, Path]:
    """Return name -> path in the order of the numbers in the names, after expanding patterns.

    Raises:
        InputError: where a pattern matches nothing.
    """
    paths: list[str] = []
    for path in map(str, map(expanded, patterns)):
        matched = glob.glob(path) if glob.has_magic(path) and not Path(path).exists() else [path]
        if not matched:
            message = f"no file matches {path}; check the path"
            raise InputError(message)
        paths += matched
    names = by_number(list(dict.fromkeys(paths)))
    short = [Path(name).name for name in names]
    unique = len(set(short)) == len(short)
    return dict(zip(short if unique else names, map(Path, names), strict=True))


def page_of(diagnosis: Diagnosis, settings: dict[str, Any]) -> Page:
    """Return the page of a diagnosis."""
    tables: dict[str, list[dict[str, Any]]] = {"Metrics": _metric_rows(diagnosis)}
    verdict = diagnosis.verdict
    data: dict[str, Any] = {
        "verdict": {
            "kind": KINDS[int(verdict.kind)],
            "rank": verdict.rank,
            "possible": verdict.possible,
            "spread": verdict.spread,
        },
        "metrics": {name: metric._asdict() for name, metric in diagnosis.metrics.items()},
        "eigenvalues": diagnosis.eigenvalues,
    }
    history = diagnosis.history
    if history is not None:
        tables["Checkpoints"] = _checkpoint_rows(history)
        shown = set(history._fields) - {"summary", "caveats"}
        data["checkpoints"] = {k: v for k, v in history._asdict().items() if k in shown}
    return Page(
        "jssl diagnose",
        diagnosis.summary,
        diagnosis.caveats,
        diagnosis_figures(diagnosis, TOLERANCE),
        tables,
        settings,
        data,
    )


def _metric_rows(diagnosis: Diagnosis) -> list[dict[str, Any]]:
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


def _checkpoint_rows(history: CheckpointHistory) -> list[dict[str, Any]]:
    columns = zip(
        history.names, history.t, history.ranks, history.kinds, history.similarity, strict=True
    )
    return [
        {
            "checkpoint": name,
            "step or index": f"{t:g}",
            "effective rank": number(rank),
            "collapse": kind,
            "debiased CKA with the last": number(similarity),
        }
        for name, t, rank, kind, similarity in columns
    ]
