"""Which widths share padded arrays: the grouping with the least predicted compile + run time."""

import itertools
from collections.abc import Callable

from jssl.errors import InputError
from jssl.sweeps.costs import Cost, devices_of
from jssl.sweeps.grid import Grid, Program, split, widths, widths_of
from jssl.sweeps.workload import Machine


def choose_bins(
    grid: Grid, machine: Machine, cost_of: Callable[[Program], Cost], steps: int
) -> dict[int, int]:
    """Return which widths share padded arrays, by the least predicted compile + run time.

    Neighbouring widths are grouped; the best grouping is found exactly, from the smallest width
    up. Every combination of the other static fields is grouped alike.
    """
    sizes = widths(grid)
    if not grid.can_pad or len(sizes) < 2:
        return {}
    plain = split(grid)
    of_width = {
        w: [p for p in plain if any(w in widths_of(grid, p, a) for a in range(len(p.positions)))]
        for w in sizes
    }
    costs = {w: cost_of(of_width[w][0]) for w in sizes}
    together = split(grid, dict.fromkeys(sizes, sizes[-1]))
    padded_compile = {w: costs[w].compile for w in sizes}
    try:
        padded_compile[sizes[-1]] = max(cost_of(p).compile for p in together)
    except InputError:  # the model says that it cannot be padded
        return {}
    work = {w: sum(p.points for p in of_width[w]) * grid.seeds * steps for w in sizes}
    best: list[tuple[float, list[int]]] = [(0.0, [])]
    for end in range(1, len(sizes) + 1):
        largest = sizes[end - 1]
        options = []
        for start in range(end):
            members = sizes[start:end]
            if len(members) == 1:
                compiling = sum(cost_of(p).compile for p in of_width[largest])
            else:
                compiling = padded_compile[largest] * len(of_width[largest])
            used = devices_of(costs[largest], machine.devices)
            running = sum(work[w] for w in members) * costs[largest].step / used
            options.append((best[start][0] + compiling + running, [*best[start][1], start]))
        best.append(min(options, key=lambda option: option[0]))
    starts = [*best[-1][1], len(sizes)]
    groups = [sizes[a:b] for a, b in itertools.pairwise(starts)]
    if all(len(group) == 1 for group in groups):
        return {}
    return {w: group[-1] for group in groups for w in group}
