"""The lines that `jssl sweep` prints: the plan, the progress, and what a store still lacks."""

import math
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jssl.errors import printable
from jssl.sweeps import store as stores
from jssl.sweeps.execute import Progress
from jssl.sweeps.plan import Plan, chunk_bytes, devices_of, from_json, predicted_seconds
from jssl.sweeps.prepare import Prepared, one_device_line
from jssl.sweeps.tiles import chunks, count_chunks, runs_of


def show_plan(prepared: Prepared, plan: Plan, done: int) -> None:
    """Print the programs of a plan with their chunks, memory and predicted time."""
    steps = max(int(prepared.steps[-1]), 1)
    table = Table(title="plan", pad_edge=False)
    for name in ("program", "runs", "runs a call", "together", "memory", "compile", "run"):
        table.add_column(name, justify="left" if name == "program" else "right")
    for x in plan.layouts:
        what = (
            ", ".join(f"{name}={printable(str(value))}" for name, value in x.program.static)
            or "all points"
        )
        runs = x.program.points * prepared.grid.seeds
        devices = devices_of(x.cost, plan.devices)
        table.add_row(
            Text(what),
            f"{runs:,}",
            f"{x.lanes:,}",
            str(x.micro),
            f"{chunk_bytes(x, prepared.machine) * devices / 1e6:.3g} MB",
            "cached" if x.cost.compile == 0 else duration(x.cost.compile),
            duration(runs * x.cost.step * steps / devices),
        )
    console = Console()
    console.print(table)
    compiling, running = predicted_seconds(plan, prepared.grid, steps)
    total = count_chunks(prepared.grid, plan)
    padded = f"; widths padded {dict(plan.bins)}" if plan.bins else ""
    console.print(
        f"{prepared.grid.runs:,} runs of {steps:,} steps in {total:,} chunks ({done:,} done) on "
        f"{plan.devices} x {prepared.machine.platform}{padded}; about {duration(compiling)} to "
        f"compile and {duration(running)} to run",
        highlight=False,
        markup=False,
    )
    line = one_device_line(prepared, plan)
    if line:
        console.print(line, highlight=False, soft_wrap=True)


def describe(progress: Progress) -> str:
    """Return progress as one line: runs, rate, time left, memory, diverged runs.

    Example:
        >>> describe(Progress(50, 100, 10.0, 5.0, 2_000_000_000, 1, {}))
        '50 of 100 runs, 10 runs/s, 5 s left, 2 GB, 1 diverged'
    """
    parts = [f"{progress.done:,} of {progress.total:,} runs"]
    if progress.rate:  # it is 0 until something has run in this process
        parts.append(f"{progress.rate:.3g} runs/s")
        parts.append(f"{duration(progress.seconds_left)} left")
    parts.append(f"{progress.memory / 1e9:.2g} GB")
    parts.append(f"{progress.diverged:,} diverged")
    return ", ".join(parts)


def lacking(store: str, prepared: Prepared, shard: tuple[int, int], study: Path) -> str:
    """Return the line of a finished shard, with the chunks of other shards that the store lacks.

    Args:
        store: of the sweep.
        prepared: what runs.
        shard: (index, count) of the shard that is done.
        study: path of the TOML file.
    """
    index, count = shard
    _, stored = stores.read_plan(store)
    done = stores.finished_names(store)
    left: dict[int, tuple[int, int]] = {}
    total = made = 0
    for number, chunk in enumerate(chunks(prepared.grid, from_json(prepared.grid, stored))):
        total, made = total + 1, made + (chunk.name in done)
        if chunk.name not in done:
            known, runs = left.get(number % count, (0, 0))
            left[number % count] = known + 1, runs + runs_of(chunk)
    line = f"{store}: shard {index}/{count} finished, {made:,} of {total:,} chunks are stored"
    if left:
        shown = [f"{n:,} ({r:,} runs) of shard {i}/{count}" for i, (n, r) in sorted(left.items())]
        more = f" and of {len(shown) - 8:,} more shards" if len(shown) > 8 else ""
        line += f"; missing: {', '.join(shown[:8])}{more}"
        which = next(iter(left)) if len(left) == 1 else "i"
        line += f"; run `jssl sweep {study} --shard {which}/{count}` unless it is running"
    else:
        line += f"; see `jssl report {store}`"
    return line


def duration(seconds: float) -> str:
    """Return a duration with a suitable unit.

    Example:
        >>> print(duration(0.5), duration(90), duration(7300), duration(float("inf")))
        0.5 s 1.5 min 2 h ?
    """
    if not math.isfinite(seconds):
        return "?"
    for limit, unit, name in ((60, 1, "s"), (3600, 60, "min"), (86400, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.2g} {name}"
    return f"{seconds / 86400:.3g} days"
