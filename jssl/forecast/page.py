"""The page of a forecast."""

from typing import Any

import numpy as np

from jssl.forecast.drawing import forecast_figures
from jssl.forecast.summary import count_of
from jssl.forecast.values import Values
from jssl.report.html import number
from jssl.report.page import Page


def page_of(forecast: Values, source: dict[str, Any], notes: list[str]) -> Page:
    """Return the page of a forecast.

    Args:
        forecast: the forecast.
        source: where the pairs are from.
        notes: what was changed when they were read.
    """
    data = {
        name: value
        for name, value in forecast._asdict().items()
        if name not in ("summary", "caveats", "settings")
    }
    title = "Dimensions, in the order in which they are learned"
    if forecast.columns:
        title = "Dimensions, in the order of the modes"
    settings = source | forecast.settings
    settings |= {"learning rate": f"{forecast.learning_rate:.4g}", "scale": f"{forecast.scale:.4g}"}
    return Page(
        "jssl predict",
        forecast.summary,
        (*notes, *forecast.caveats),
        forecast_figures(forecast),
        ({"Modes of the pairs": _modes(forecast)} if len(forecast.eigenvalues) else {})
        | {title: _dimensions(forecast)},
        settings,
        data,
    )


def _modes(forecast: Values) -> list[dict[str, str]]:
    def further(j: int) -> dict[str, str]:
        columns = forecast.columns.items()
        return {name: number(float(x[j])) if j < len(x) else "-" for name, x in columns}

    return [
        {
            "mode": str(j + 1),
            "eigenvalue": number(float(value)),
            "on held-out pairs": f"{number(float(held))} ± {error:.1g}",
            **further(j),
        }
        for j, (value, held, error) in enumerate(
            zip(forecast.eigenvalues, forecast.held_out, forecast.errors, strict=True)
        )
    ]


def _dimensions(forecast: Values) -> list[dict[str, str]]:
    rows = []
    for j, step in enumerate(forecast.steps):
        interval = f"{count_of(float(forecast.low[j]))} to {count_of(float(forecast.high[j]))}"
        row = {
            "dimension": str(j + 1),
            "half-learned at step": count_of(float(step)),
            "90 % interval on these pairs": interval if np.isfinite(step) else "-",
            "± random start": _error(forecast.start_errors[j]),
            "± on new data": _error(forecast.new_data_errors[j]),
        }
        if not forecast.columns:
            row["± finite width"] = _error(forecast.width_errors[j])
            row["limit of infinite width"] = count_of(float(forecast.limit_steps[j]))
        if len(forecast.simulated):
            seen = forecast.simulated[:, j]
            row["trained"] = "; ".join(count_of(float(x)) for x in seen)
        rows.append(row)
    return rows


def _error(value: float) -> str:
    if np.isfinite(value) and value >= 1e15:
        return f"{value:.2g}"
    return f"{float(f'{value:.2g}'):,.0f}" if np.isfinite(value) else "-"
