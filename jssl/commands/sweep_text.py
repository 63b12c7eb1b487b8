"""The lines that `jssl sweep` prints: the plan, and the chunks that a store lacks."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jssl.errors import printable
from jssl.progress import duration
from jssl.sweeps import store as stores
from jssl.sweeps.costs import devices_of
from jssl.sweeps.plan import Plan, chunk_bytes, chunks, count_chunks, count_runs, predicted_seconds
from jssl.sweeps.workload import one_device_line


def show_plan(plan: Plan, done: int) -> None:
    """Print the programs of a plan with their chunks, memory and predicted time.

    Args:
        plan: of the sweep.
        done: number of chunks that are finished.
    """
    workload = plan.workload
    grid, machine = workload.grid, workload.machine
    steps = max(int(grid.study.record_steps[-1]), 1)
    table = Table(title="plan", pad_edge=False)
    for name in ("program", "runs", "runs a call", "together", "memory", "compile", "run"):
        table.add_column(name, justify="left" if name == "program" else "right")
    for x in plan.layouts:
        what = (
            ", ".join(f"{name}={printable(str(value))}" for name, value in x.program.static)
            or "all points"
        )
        runs = x.program.points * grid.seeds
        devices = devices_of(x.cost, plan.devices)
        table.add_row(
            Text(what),
            f"{runs:,}",
            f"{x.lanes:,}",
            str(x.micro),
            f"{chunk_bytes(x, machine) * devices / 1e6:.3g} MB",
            "cached" if x.cost.compile == 0 else duration(x.cost.compile),
            duration(runs * x.cost.step * steps / devices),
        )
    console = Console()
    console.print(table)
    compiling, running = predicted_seconds(plan)
    total = count_chunks(plan)
    padded = f"; widths padded {dict(plan.bins)}" if plan.bins else ""
    console.print(
        f"{grid.runs:,} runs of {steps:,} steps in {total:,} chunks ({done:,} done) on "
        f"{plan.devices} x {machine.platform}{padded}; about {duration(compiling)} to "
        f"compile and {duration(running)} to run",
        highlight=False,
        markup=False,
    )
    line = one_device_line(workload, [x.program for x in plan.layouts])
    if line:
        console.print(line, highlight=False, soft_wrap=True)


def missing_chunks(plan: Plan, shard: tuple[int, int], study: Path) -> str:
    """Return the line of a finished shard, with the chunks of other shards that the store lacks.

    Args:
        plan: of the sweep.
        shard: (index, count) of the shard that is finished.
        study: path of the TOML file.
    """
    index, count = shard
    store = str(plan.workload.grid.study.store)
    done = stores.finished_names(store)
    left: dict[int, tuple[int, int]] = {}
    total = made = 0
    for number, chunk in enumerate(chunks(plan)):
        total, made = total + 1, made + (chunk.name in done)
        if chunk.name not in done:
            known, runs = left.get(number % count, (0, 0))
            left[number % count] = known + 1, runs + count_runs(chunk)
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
