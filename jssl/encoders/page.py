"""The page of a comparison of encoders."""

from typing import Any

from jssl.encoders.drawing import comparison_figure
from jssl.encoders.values import Values
from jssl.report.html import number
from jssl.report.page import Page


def page_of(seen: Values, source: dict[str, Any]) -> Page:
    """Return the page of a comparison.

    Args:
        seen: the comparison.
        source: where the embeddings are from.
    """
    data = {
        "criterion": seen.criterion,
        "best": seen.best,
        "encoders": {
            name: {
                "eigenvalues": diagnosis.eigenvalues,
                "metrics": diagnosis.metrics(),
                "criterion": seen.ranking.values[i],
                "criterion_error": seen.ranking.errors[i],
                "probability_first": seen.ranking.first[i],
            }
            for i, (name, diagnosis) in enumerate(seen.diagnoses.items())
        },
        "pairs": [
            {
                "encoders": [a, b],
                "cka": cka.value,
                "cka_error": cka.error,
                **seen.overlaps[a, b]._asdict(),
            }
            for (a, b), cka in seen.cka.items()
        ],
    }
    return Page(
        "jssl compare",
        seen.summary,
        seen.caveats,
        [comparison_figure(seen)],
        {"Encoders": _encoder_rows(seen), "Pairs": _pair_rows(seen)},
        source | dict(seen.settings),
        data,
    )


def _encoder_rows(seen: Values) -> list[dict[str, Any]]:
    rows = []
    for i, (name, diagnosis) in enumerate(seen.diagnoses.items()):
        row = {
            "encoder": name,
            f"{seen.criterion} (compared)": _with_error(
                seen.ranking.values[i], seen.ranking.errors[i]
            ),
            "first": f"{100 * seen.ranking.first[i]:.3g} %",
        }
        for metric in diagnosis.metrics.values():
            row[metric.name] = _with_error(metric.value, metric.error)
        rows.append(row)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return [{key: row.get(key, "-") for key in columns} for row in rows]


def _pair_rows(seen: Values) -> list[dict[str, Any]]:
    return [
        {
            "encoders": f"{a}, {b}",
            "debiased CKA": _with_error(cka.value, cka.error),
            "leading directions": found.leading,
            "overlap": number(found.value),
            "overlap of unrelated encoders": _with_error(found.chance, found.chance_error),
            "principal angles below 45 degrees": int((found.angles < 45).sum()),
        }
        for (a, b), cka in seen.cka.items()
        for found in (seen.overlaps[a, b],)
    ]


def _with_error(value: float, error: float) -> str:
    return number(value) + ("" if error != error else f" ± {error:.2g}")
