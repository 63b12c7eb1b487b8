"""What cannot fit is refused by arithmetic, before anything of that size is made.

    bytes of a result = runs x bytes of a run's records,

against the free memory, or the free disk of its store. A run by itself is held against a device's
memory in `jssl.sweeps.plan`.
"""

import math
import os
import shutil
from pathlib import Path

from jssl.errors import InputError
from jssl.memory import free_memory
from jssl.sweeps.axes import Grid
from jssl.sweeps.plan import Plan
from jssl.sweeps.tiles import count_chunks

CHUNK_BYTES = 2_000
"""Bytes of the list entry and the journal of a chunk."""
USED = 0.8
"""Share of what is free that a result may take."""


def check_sizes(
    grid: Grid, plan: Plan, store: str | os.PathLike[str] | None, *, all_runs: bool = True
) -> None:
    """Raise where the result of a plan cannot be held.

    Args:
        grid: the runs.
        plan: their layout, with the bytes that a run returns.
        store: folder of the result; None for memory.
        all_runs: whether every run is made; not where seeds are added until there are enough.

    Raises:
        InputError: with the bytes needed and the bytes there are.
    """
    each = max(x.cost.record for x in plan.layouts)
    needed = grid.runs * each if all_runs or store is None else 0.0
    free = free_memory() if store is None else free_disk(store)
    if needed > USED * free:
        place = "in memory" if store is None else f"on the disk of '{store}'"
        other = "give a store, or take" if store is None else "take"
        message = (
            f"the result of {grid.runs:,} runs does not fit {place}: it needs {needed / 1e9:.3g} "
            f"GB and {free / 1e9:.3g} GB are free; {other} fewer seeds, points, record points or "
            "observables"
        )
        raise InputError(message)
    chunks = count_chunks(grid, plan)
    held = chunks * CHUNK_BYTES + 8 * (grid.seeds + sum(d.size for d in grid.dimensions))
    if held > USED * free_memory():
        message = (
            f"the lists of {grid.seeds:,} seeds and {chunks:,} chunks need {held / 1e9:.3g} GB of "
            f"memory and {free_memory() / 1e9:.3g} GB are free: take fewer seeds, or a larger "
            "chunk_seconds or seed_block"
        )
        raise InputError(message)


def free_disk(path: str | os.PathLike[str]) -> float:
    """Return the bytes that are free where a folder is or would be made; inf if that is unknown.

    Example:
        >>> free_disk("a/folder/that/is/not/there") > 0
        True
    """
    place = Path(path).absolute()
    try:
        there = next(p for p in (place, *place.parents) if p.exists())
        return float(shutil.disk_usage(there).free)
    except (OSError, StopIteration, ValueError):
        return math.inf
