"""The lines that `jssl sweep` prints: the plan, and the chunks that a store lacks."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jssl.progress import duration
from jssl.sweeps import store as stores
from jssl.sweeps.plan import Plan, chunks, count_runs
from jssl.sweeps.preview import Preview, summary


def show_plan(preview: Preview) -> None:
    """Print the programs of a plan with their runs, memory and predicted time."""
    table = Table(title="plan", pad_edge=False)
    for name in ("program", "runs", "runs a call", "together", "memory", "compile", "run"):
        table.add_column(name, justify="left" if name == "program" else "right")
    for p in preview.programs:
        table.add_row(
            Text(p.at),
            f"{p.runs:,}",
            f"{p.lanes:,}",
            str(p.together),
            f"{p.memory / 1e6:.3g} MB",
            "cached" if p.compile_seconds == 0 else duration(p.compile_seconds),
            duration(p.run_seconds),
        )
    console = Console()
    console.print(table)
    console.print(summary(preview), highlight=False, markup=False)
    if preview.caveat:
        console.print(preview.caveat, highlight=False, soft_wrap=True)


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
