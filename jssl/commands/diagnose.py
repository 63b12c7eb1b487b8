"""`jssl diagnose`: read embeddings from files, say what they show, write the page."""

import glob
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jssl.data.array_files import read_array
from jssl.diagnosis.checkpoints import by_number
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
    over: Sequence[Path],
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
    seen = diagnose(
        z,
        None if labels is None else read_array(labels),
        None if views is None else read_array(views),
        checkpoints(over) if over else None,
        seed=seed,
        exact=exact,
    )
    given = {"embeddings": str(embeddings), "labels": labels, "views": views, "exact": exact}
    settings = {k: v for k, v in given.items() if v is not None} | dict(seen.settings)
    page, data = write_page(page_of(seen, settings), folder)
    failures = seen.course.failures if seen.course else ()
    known = [remark for remark in seen.remarks if not remark.endswith(failures)]
    for sentence in (*seen.words, *known):
        print(sentence)
    print(f"{page} and {data.name}")
    for failure in failures:
        print(f"jssl: {failure}", file=sys.stderr)
    return 2 if failures else 0


def checkpoints(over: Sequence[Path]) -> dict[str, Path]:
    """Return name -> path in the order of the numbers in the names; patterns are expanded.

    Raises:
        InputError: where a pattern matches nothing.
    """
    paths: list[str] = []
    for path in map(str, map(expanded, over)):
        matched = glob.glob(path) if glob.has_magic(path) and not Path(path).exists() else [path]
        if not matched:
            message = f"no file matches {path}; check the path"
            raise InputError(message)
        paths += matched
    names = by_number(list(dict.fromkeys(paths)))
    short = [Path(name).name for name in names]
    unique = len(set(short)) == len(short)
    return dict(zip(short if unique else names, map(Path, names), strict=True))


def page_of(seen: Diagnosis, settings: dict[str, Any]) -> Page:
    """Return the page of a diagnosis."""
    table = [
        {
            "quantity": r.name,
            "value": number(r.value) + ("" if np.isnan(r.error) else f" ± {r.error:.2g}"),
            "range": r.span,
            "good": r.good,
            "rows": f"{r.points:,}",
            "source": r.source,
        }
        for r in seen.readings.values()
    ]
    tables: dict[str, list[dict[str, Any]]] = {"Readings": table}
    data: dict[str, Any] = {
        "verdict": {
            "kind": KINDS[int(seen.verdict.kind)],
            "rank": seen.verdict.rank,
            "possible": seen.verdict.possible,
            "spread": seen.verdict.spread,
        },
        "readings": {name: r._asdict() for name, r in seen.readings.items()},
        "eigenvalues": seen.eigenvalues,
    }
    course = seen.course
    if course is not None:
        columns = zip(
            course.names, course.t, course.ranks, course.kinds, course.similarity, strict=True
        )
        tables["Checkpoints"] = [
            {
                "checkpoint": name,
                "at": f"{t:g}",
                "effective rank": number(rank),
                "collapse": kind,
                "debiased CKA with the last": number(similar),
            }
            for name, t, rank, kind, similar in columns
        ]
        data["checkpoints"] = {
            k: v for k, v in course._asdict().items() if k not in ("words", "remarks")
        }
    return Page(
        "jssl diagnose",
        seen.words,
        seen.remarks,
        diagnosis_figures(seen, TOLERANCE),
        tables,
        settings,
        data,
    )
