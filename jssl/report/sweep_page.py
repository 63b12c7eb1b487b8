"""The report of a sweep: curves, final values, and power laws in the width, with errors."""

import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from jssl.errors import printable
from jssl.figures import figure_text, mode_colours, new_figure, widen_for
from jssl.report.figure import Figure
from jssl.report.files import writable_folder, write_report_files
from jssl.report.html import number, render
from jssl.seed_statistics import FINITE, NOT_RUN, Fit, fit_exponent, over_seeds

PANELS = 4
LINES = 8
SEEDS_SHOWN = 30
_LAST = "exponent (95 %)"


def write_sweep_report(
    result: xr.Dataset, out: str | os.PathLike[str], name: str = "sweep"
) -> tuple[Path, Path]:
    """Write `report.html` (self-contained) and `report.json` of a sweep's result.

    Args:
        result: Dataset that `jssl.sweep` returned.
        out: folder, created if needed.
        name: title of the page.

    Returns:
        The paths of the page and of the JSON.

    Raises:
        InputError: where the folder cannot be written.
    """
    folder = writable_folder(out)
    observed = [str(n) for n, v in result.data_vars.items() if "step" in v.dims and n != "t"]
    figures = [curves(result, variable) for variable in observed]
    fits: list[dict[str, Any]] = []
    bad = result.first_bad_step.values
    if "width" in result.dims and result.sizes["width"] >= 3:
        for variable in observed:
            figure, rows = width_law(result, variable)
            if bool((bad == FINITE).any()):
                figures.append(figure)
            fits += rows
        keys = list(dict.fromkeys(key for row in fits for key in row))
        fits = [{key: row.get(key, "") for key in sorted(keys, key=_LAST.__eq__)} for row in fits]
    rows = final_values(result, observed)
    summary = (
        f"{int((bad != NOT_RUN).sum()):,} of {bad.size:,} runs are finished, "
        f"{int((bad >= 0).sum()):,} of them diverged. Each has {int(result.step[-1]):,} steps. "
        "Means and standard errors are over the seeds that stayed finite; where no seed did, none "
        "are drawn."
    )
    page = render(
        "sweep.html.jinja",
        name=name,
        summary=summary,
        figures=figures,
        tables={"Exponents in the width": fits, "Final values": rows},
        attributes=result.attrs,
    )
    record = {"name": name, "attributes": dict(result.attrs), "fits": fits, "final": rows}
    return write_report_files(folder, page, json.dumps(record, indent=2, default=str) + "\n")


def curves(result: xr.Dataset, variable: str) -> Figure:
    """Draw an observable against the step: single seeds as faint lines, the mean with its error."""
    values, where = _reduced(result, variable)
    line, panel = _two(values)
    positions = range(min(values.sizes[panel], PANELS)) if panel else [0]
    figure, axes = new_figure(len(positions))
    for ax, position in zip(axes, positions, strict=True):
        shown = values.isel({panel: position}) if panel else values
        lines = min(shown.sizes[line], LINES) if line else 1
        for index, colour in zip(range(lines), mode_colours(lines), strict=True):
            one = shown.isel({line: index}) if line else shown
            bad = result.first_bad_step.isel(_shared(one, result.first_bad_step))
            bad = bad.isel({d: 0 for d in bad.dims if d != "seed"})
            _band(ax, one, bad, colour, _label(one, line))
        _finish(ax, values, variable, _label(shown, panel))
        ax.set_xlabel("step")
        if values.step.size > 2 and int(values.step[1]) > 0:
            ax.set_xscale("symlog", linthresh=max(1, int(values.step[1])))
            ax.set_xlim(left=0)
    lows, highs = zip(*(ax.get_ylim() for ax in axes), strict=True)
    for ax in axes:
        ax.set_ylim(min(lows), max(highs))
    if line:
        handles = axes[0].get_legend_handles_labels()
        widen_for(figure, handles[1])
        figure.legend(*handles, loc="outside right center", frameon=False, fontsize=8)
    text = (
        f"{variable} against the step{where}. Lines are means over seeds with standard errors as "
        f"bars; faint lines are up to {SEEDS_SHOWN} single seeds."
        f"{f' There is a line for each {line}.' if line else ''}"
        f"{f' There is a panel for each {panel}.' if panel else ''}"
    )
    return Figure(f"curve-{variable}", f"{variable} during training", text, figure)


def width_law(result: xr.Dataset, variable: str) -> tuple[Figure, list[dict[str, Any]]]:
    """Draw final values against the width, with power laws; log-log where all are positive."""
    values, where = _reduced(result, variable)
    values = values.isel(step=-1)
    line, panel = _two(values, keep=("width",))
    positions = range(min(values.sizes[panel], PANELS)) if panel else [0]
    figure, axes = new_figure(len(positions), width=6)  # the legend is beside the panel
    rows = []
    for ax, position in zip(axes, positions, strict=True):
        shown = values.isel({panel: position}) if panel else values
        lines = min(shown.sizes[line], LINES) if line else 1
        for index, colour in zip(range(lines), mode_colours(lines), strict=True):
            one = shown.isel({line: index}) if line else shown
            bad = result.first_bad_step.isel(_shared(one, result.first_bad_step))
            mean, error, _ = over_seeds(one, bad)
            fit = fit_exponent(one.width, mean, error)
            _cloud(ax, one, mean, error, fit, colour, _label(one, line))
            if fit is not None:
                row = {
                    str(d): _text(one[d])
                    for d in one.coords
                    if d in result.dims and not one[d].dims
                }
                row.pop("step", None)
                interval = f"{fit.exponent:.3f} ± {fit.half_width:.3f}"
                rows.append({"observable": variable, **row, _LAST: interval})
        _finish(ax, values, variable, _label(shown, panel))
        ax.set_xlabel("width")
        ax.set_xscale("log", base=2)
        ax.set_xticks(result.width.values, [str(w) for w in result.width.values])
        if values.min() > 0:
            ax.set_yscale("log")
        widen_for(figure, ax.get_legend_handles_labels()[1], size=7)
        ax.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1.01, 0.5))
    text = (
        f"Final {variable} against the width{where}. Dots are seeds, and bars are means with "
        "standard errors. Dashed lines are power laws; their exponents have 95 % intervals."
    )
    return Figure(f"width-{variable}", f"{variable} and width", text, figure), rows


def final_values(result: xr.Dataset, observed: list[str]) -> list[dict[str, Any]]:
    """Return one row for each point: runs, diverged runs, final means with errors."""
    points = [d for d in result.first_bad_step.dims if d != "seed"]
    columns = {}
    for variable in observed:
        last = result[variable].isel(step=-1)
        own = [d for d in last.dims if d not in (*points, "seed")]
        if not own:
            columns[variable] = over_seeds(last, result.first_bad_step)
        elif own == ["mode"]:
            first = last.isel(mode=0)
            columns[f"{variable}, mode 1"] = over_seeds(first, result.first_bad_step)
    rows = []
    for index in np.ndindex(*(result.sizes[d] for d in points)):
        at = dict(zip(points, index, strict=True))
        bad = result.first_bad_step.isel(at)
        row: dict[str, Any] = {n: _text(c.isel(at)) for n, c in _axes(result)}
        row["runs"] = int((bad != NOT_RUN).sum())
        row["diverged"] = int((bad >= 0).sum())
        for name, (mean, error, _) in columns.items():
            row[name] = _with_error(float(mean.isel(at)), float(error.isel(at)))
        rows.append(row)
    return rows


def _with_error(mean: float, error: float) -> str:
    if not math.isfinite(mean):
        return "–"
    return number(mean) + (f" ± {number(error)}" if math.isfinite(error) else "")


def _axes(result: xr.Dataset) -> Iterator[tuple[str, Any]]:
    points = {d for d in result.first_bad_step.dims if d != "seed"}
    for name, coordinate in result.coords.items():
        if set(coordinate.dims) <= points:
            yield str(name), _AnyDimension(coordinate)


class _AnyDimension:
    """A coordinate whose `isel` ignores dimensions that it does not have."""

    def __init__(self, coordinate: xr.DataArray) -> None:
        self.coordinate = coordinate

    def isel(self, at: Mapping[Any, int]) -> xr.DataArray:
        return self.coordinate.isel({d: i for d, i in at.items() if d in self.coordinate.dims})


def _reduced(result: xr.Dataset, variable: str) -> tuple[xr.DataArray, str]:
    """Return an observable with at most two dimensions besides seed, step and width."""
    values = result[variable]
    free = [d for d in values.dims if d not in ("seed", "step", "width") and values.sizes[d] > 1]
    ones = {d: 0 for d in values.dims if d not in ("seed", "step", "width") and d not in free}
    kept = 1 if "width" in values.dims and values.sizes["width"] > 1 else 2
    order = sorted(free, key=lambda d: d != "mode")
    held = {d: 0 for d in order[kept:]}
    at = ", ".join(f"{d} = {_text(result[d][0]) if d in result.coords else 0}" for d in held)
    return values.isel({**ones, **held}), f" at {at}" if at else ""


def _two(values: xr.DataArray, keep: tuple[str, ...] = ()) -> tuple[str | None, str | None]:
    free = [str(d) for d in values.dims if d not in ("seed", "step", *keep) and values.sizes[d] > 1]
    free.sort(key=lambda d: (d != "mode", d != "width"))
    first, second, *_ = [*free, None, None]
    return first, second


def _shared(one: xr.DataArray, other: xr.DataArray) -> dict[Any, int]:
    """Return the position of `one` in the dimensions of `other` that were selected in it."""
    positions = {}
    for d in other.dims:
        if d in one.dims or d == "seed":
            continue
        positions[d] = 0
        if d in one.coords and d in other.coords:
            positions[d] = int(np.flatnonzero(other[d].values == one[d].values)[0])
    return positions


def _label(values: xr.DataArray, dimension: str | None) -> str:
    if dimension is None:
        return ""
    if dimension not in values.coords:
        return figure_text(dimension)
    return figure_text(f"{dimension} {_text(values[dimension])}")


def _text(value: Any) -> str:
    item = value.item() if hasattr(value, "item") else value
    return f"{item:g}" if isinstance(item, float) else printable(str(item))


def _band(ax: Any, one: xr.DataArray, bad: xr.DataArray, colour: Any, label: str) -> None:
    steps = one.step.values
    seeds = one.transpose("step", "seed").values[:, :SEEDS_SHOWN]
    ax.plot(steps, seeds, color=colour, linewidth=0.5, alpha=0.25)
    mean, error, _ = over_seeds(one, bad)
    ax.errorbar(steps, mean, error, color=colour, linewidth=1.6, capsize=2, label=label or None)


def _cloud(
    ax: Any, one: xr.DataArray, mean: Any, error: Any, fit: Fit | None, colour: Any, label: str
) -> None:
    widths = one.width.values
    seeds = one.transpose("width", "seed").values[:, :SEEDS_SHOWN]
    spread = np.exp(np.linspace(-0.06, 0.06, seeds.shape[1]))
    ax.plot(widths[:, None] * spread, seeds, ".", color=colour, markersize=3, alpha=0.35)
    ax.errorbar(widths, mean, error, fmt="o", color=colour, capsize=3, markersize=5)
    if fit is None:
        ax.plot([], [], "o", color=colour, label=label or "mean")
        return
    text = f"{label}: " if label else ""
    law = f"{text}exponent {fit.exponent:.2f} ± {fit.half_width:.2f}"
    line = fit.prefactor * widths.astype(float) ** fit.exponent
    ax.plot(widths, line, "--", color=colour, label=law)


def _finish(ax: Any, values: xr.DataArray, variable: str, title: str) -> None:
    ax.set_ylabel(figure_text(variable))
    if title:
        ax.set_title(title, fontsize=10)
    last = values.isel(step=-1) if "step" in values.dims else values
    finite = last.values[np.isfinite(last.values)]
    if finite.size and finite.min() > 0 and math.log10(finite.max() / finite.min()) > 0.5:
        ax.set_yscale("log")
    elif finite.size and "mode" in values.dims and finite.max() > 0:  # some about zero
        ax.set_yscale("symlog", linthresh=1e-3 * finite.max(), linscale=1)
