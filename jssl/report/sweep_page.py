"""The report of a sweep: curves, final values, and power laws in the width, with errors."""

import json
import math
import os
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
MISSING = 50
"""Points with missing runs that the page lists; the JSON lists all."""
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
    left = missing_runs(result)
    lacks = missing_line(result)
    summary += f" {lacks[:1].upper()}{lacks[1:]}." if lacks else ""
    page = render(
        "sweep.html.jinja",
        name=name,
        summary=summary,
        figures=figures,
        tables={
            "Missing runs": [] if "until" in result.attrs else left[:MISSING],
            "Exponents in the width": fits,
            "Final values": rows,
        },
        attributes=result.attrs,
    )
    record = {"name": name, "attributes": dict(result.attrs), "fits": fits, "final": rows}
    record |= {"missing": left}
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
    bad = result.first_bad_step
    columns: dict[str, list[Any]] = _labels(result, points)
    columns["runs"] = _at_points((bad != NOT_RUN).sum("seed"), points)
    columns["diverged"] = _at_points((bad >= 0).sum("seed"), points)
    for variable in observed:
        last = result[variable].isel(step=-1)
        own = [d for d in last.dims if d not in (*points, "seed")]
        name = variable
        if own == ["mode"]:
            last, name = last.isel(mode=0), f"{variable}, mode 1"
        elif own:
            continue
        mean, error, _ = over_seeds(last, bad)
        both = _at_points(mean, points), _at_points(error, points)
        columns[name] = [_with_error(*pair) for pair in zip(*both, strict=True)]
    rows = zip(*columns.values(), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def missing_runs(result: xr.Dataset) -> list[dict[str, Any]]:
    """Return one row for each point with seeds that have not been run."""
    points = [d for d in result.first_bad_step.dims if d != "seed"]
    left = result.first_bad_step.transpose(*points, "seed").values == NOT_RUN
    left = left.reshape(-1, left.shape[-1])
    labels = _labels(result, points)
    names = list(labels)
    rows = []
    for place in np.flatnonzero(left.any(1)):
        row = {name: labels[name][place] for name in names}
        rows.append({**row, "missing seeds": _ranges(np.flatnonzero(left[place]))})
    return rows


def missing_line(result: xr.Dataset) -> str:
    """Return what a store lacks as a few words; nothing where it lacks nothing."""
    left = (result.first_bad_step == NOT_RUN).transpose(..., "seed").values
    if not left.any():
        return ""
    if "until" in result.attrs:
        return "seeds are added until intervals are narrow"
    points = left.reshape(-1, left.shape[-1])
    at = f" at {int(points.any(1).sum()):,} of {len(points):,} points" if len(points) > 1 else ""
    return f"{int(left.sum()):,} runs{at} are missing; rerun the sweep to compute them"


def _ranges(numbers: np.ndarray) -> str:
    """Return increasing numbers as text.

    Example:
        >>> _ranges(np.array([0, 1, 2, 5]))
        '0 to 2, 5'
    """
    pieces = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    texts = [str(p[0]) if len(p) == 1 else f"{p[0]} to {p[-1]}" for p in pieces]
    return ", ".join(texts[:5]) + (", ..." if len(texts) > 5 else "")


def _at_points(values: xr.DataArray, points: list[Any]) -> list[Any]:
    """Return a value at each point as Python numbers."""
    return values.transpose(*points).values.ravel().tolist()


def _labels(result: xr.Dataset, points: list[Any]) -> dict[str, list[str]]:
    """Return axis -> its value at each point, as text."""
    sizes = [result.sizes[d] for d in points]
    found = {}
    for name, coordinate in result.coords.items():
        if not set(coordinate.dims) <= set(points):
            continue
        texts = np.array([_text(v) for v in coordinate.values.ravel()], object)
        shape = [result.sizes[d] if d in coordinate.dims else 1 for d in points]
        found[str(name)] = np.broadcast_to(texts.reshape(shape), sizes).ravel().tolist()
    return found


def _with_error(mean: float, error: float) -> str:
    if not math.isfinite(mean):
        return "–"
    return number(mean) + (f" ± {number(error)}" if math.isfinite(error) else "")


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
