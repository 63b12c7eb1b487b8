"""The plan of a sweep: programs, chunks and memory with the least predicted compile + run time.

    seconds = sum over programs of compile (0 if cached) + runs x steps x seconds a step / devices

A call computes `lanes` runs of one program on all devices; each device maps over groups of `micro`
of them, few enough to stay in its cache. Runs are committed in **tiles**, the chunks of the stored
arrays: a block of seeds times a block of points. A chunk of work is a few tiles of one block of
seeds. The plan is part of a result: another layout reorders sums. It is stored with the result and
used again on resume; nothing here touches a device.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from jssl.errors import InputError
from jssl.sweeps.axes import Grid, Program, split, widths

CACHE_TRAFFIC = 16e6
"""Bytes that a group of runs may write in one step and still stay mostly in a core's cache."""
CHUNK_SECONDS = 20.0
"""Aim of a chunk: what a crash may cost."""
CHECKPOINT_SECONDS = 120.0
"""A chunk predicted to take longer saves its state on the way."""


class Machine(NamedTuple):
    """Where the sweep runs.

    Attributes:
        platform: "cpu", "gpu" or "tpu".
        devices: devices of this process.
        memory: bytes a device may use.
    """

    platform: str
    devices: int
    memory: float


class Cost(NamedTuple):
    """What a run of a program costs.

    Attributes:
        step: seconds a training step of one run on one device.
        compile: seconds to compile, 0 where the program is cached.
        traffic: bytes that one step of one run writes, an upper bound of what it holds.
        state: bytes carried between steps.
        record: bytes that a run returns.
        micro: how many runs are best mapped together, if that was measured.
        devices: on how many devices the program may run; None for all.
    """

    step: float
    compile: float
    traffic: float
    state: float
    record: float
    micro: int | None = None
    devices: int | None = None


class Layout(NamedTuple):
    """How one program is run.

    Attributes:
        program: the program.
        micro: runs mapped together on a device.
        lanes: runs a call, a multiple of micro x the devices that the program uses.
        tiles: point tiles a chunk.
        cost: what was predicted.
    """

    program: Program
    micro: int
    lanes: int
    tiles: int
    cost: Cost


class Plan(NamedTuple):
    """What runs, in which pieces.

    Attributes:
        bins: width -> width of its arrays; empty where nothing is padded.
        layouts: one a program.
        seed_block: seeds a tile.
        blocks: positions a tile along each dimension, 1 along those that split programs.
        segment: record points a call; fewer than all where a chunk saves its state on the way.
        devices: devices the plan was made for.
    """

    bins: Mapping[int, int]
    layouts: tuple[Layout, ...]
    seed_block: int
    blocks: tuple[int, ...]
    segment: int
    devices: int


def make_plan(
    grid: Grid,
    machine: Machine,
    cost_of: Callable[[Program], Cost],
    *,
    steps: int,
    records: int,
    padding: Callable[[Program], bool] = lambda _: True,
    chunk_seconds: float = CHUNK_SECONDS,
    seed_block: int | None = None,
    segment: int | None = None,
    point_by_point: bool = False,
) -> Plan:
    """Return the plan with the least predicted time.

    Example:
        >>> from jssl.sweeps.axes import make_grid
        >>> def make_problem(width, rate, max_width=None): ...
        >>> grid = make_grid(make_problem, {"width": [8, 16], "rate": [0.1, 0.2], "seed": 1000})
        >>> cost = lambda program: Cost(1e-6, 2.0, 1e4, 1e3, 1e3)
        >>> plan = make_plan(grid, Machine("cpu", 2, 1e9), cost, steps=100, records=10)
        >>> print(len(plan.layouts), plan.bins)
        1 {8: 16, 16: 16}

    Args:
        grid: the runs.
        machine: where they run.
        cost_of: predicts a program's cost.
        steps: training steps of a run.
        records: record points of a run.
        padding: whether a padded program computes the same as the plain one.
        chunk_seconds: aim of a chunk.
        seed_block: seeds a tile; None for as many as a chunk allows.
        segment: record points between checkpoints; None to decide by predicted time.
        point_by_point: a chunk a point, so that each may have its own number of seeds.

    Raises:
        InputError: if one run of some program does not fit in memory.
    """
    bins = choose_bins(grid, machine, cost_of, steps)
    programs = split(grid, bins)
    costs, micros = _costs(machine, programs, cost_of)  # what fits, before `padding` runs anything
    if bins and not all(padding(p) for p in programs if "width" in p.traced):
        bins = {}
        programs = split(grid, bins)
        costs, micros = _costs(machine, programs, cost_of)
    capacity = [
        _capacity(machine, cost, micro, steps, chunk_seconds)
        for cost, micro in zip(costs, micros, strict=True)
    ]
    least = min(capacity)
    block = _balanced(grid.seeds, seed_block or least)
    room = 1 if point_by_point else max(1, least // block)
    blocks = _point_blocks(grid, programs, room)
    tile = block * math.prod(blocks)
    layouts = []
    for program, cost, micro, most in zip(programs, costs, micros, capacity, strict=True):
        count = math.prod(units(program, blocks, axis) for axis in range(len(blocks)))
        tiles = 1 if point_by_point else _balanced(count, max(1, most // tile))
        devices = devices_of(cost, machine.devices)
        per_device = math.ceil(min(tiles * tile, program.points * block) / devices)
        group = _balanced(per_device, micro)
        lanes = devices * group * math.ceil(per_device / group)
        layouts.append(Layout(program, group, lanes, tiles, cost))
    longest = steps * max(
        x.cost.step * x.lanes / devices_of(x.cost, machine.devices) for x in layouts
    )
    if segment is None:
        segment = max(1, records // max(1, math.ceil(longest / CHECKPOINT_SECONDS)))
    return Plan(bins, tuple(layouts), block, blocks, min(segment, records), machine.devices)


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
        w: [p for p in plain if any(w in _held(grid, p, axis) for axis in range(len(p.positions)))]
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


def predicted_seconds(plan: Plan, grid: Grid, steps: int) -> tuple[float, float]:
    """Return the predicted seconds of (compiling, running)."""
    compiling = sum(x.cost.compile for x in plan.layouts)
    each = (x.program.points * x.cost.step / devices_of(x.cost, plan.devices) for x in plan.layouts)
    return compiling, sum(each) * grid.seeds * steps


def devices_of(cost: Cost, devices: int) -> int:
    """Return on how many of so many devices a program runs.

    Example:
        >>> print(devices_of(Cost(1.0, 0.0, 0.0, 0.0, 0.0, devices=1), 8))
        1
    """
    return devices if cost.devices is None else min(devices, cost.devices)


def chunk_bytes(layout: Layout, machine: Machine) -> float:
    """Return the bytes a call holds on one device."""
    lanes = layout.lanes // devices_of(layout.cost, machine.devices)
    return _flight(machine, layout.cost, layout.micro if machine.platform == "cpu" else lanes) + (
        lanes * layout.cost.record
    )


def to_json(plan: Plan) -> dict[str, Any]:
    """Return what is needed to make the same plan again, as plain JSON."""
    return {
        "bins": {str(w): size for w, size in plan.bins.items()},
        "seed_block": plan.seed_block,
        "blocks": list(plan.blocks),
        "segment": plan.segment,
        "devices": plan.devices,
        "layouts": [{"micro": x.micro, "lanes": x.lanes, "tiles": x.tiles} for x in plan.layouts],
    }


def from_json(
    grid: Grid,
    data: Mapping[str, Any],
    cost_of: Callable[[Program], Cost] = lambda _: Cost(0.0, 0.0, 0.0, 0.0, 0.0),
) -> Plan:
    """Return the plan that `to_json` wrote, for the same grid; costs are predicted anew."""
    bins = {int(w): size for w, size in data["bins"].items()}
    layouts = tuple(
        Layout(program, x["micro"], x["lanes"], x["tiles"], cost_of(program))
        for program, x in zip(split(grid, bins), data["layouts"], strict=True)
    )
    blocks = tuple(data["blocks"])
    return Plan(bins, layouts, data["seed_block"], blocks, data["segment"], data["devices"])


def group_size(traffic: float) -> int:
    """Return how many runs are mapped together so that they stay mostly in a core's cache.

    Example:
        >>> print(group_size(1e3), group_size(1e6), group_size(1e9))
        256 16 2

    Args:
        traffic: bytes that one step of one run writes.
    """
    return int(2 ** int(math.log2(min(max(2.0, CACHE_TRAFFIC / max(traffic, 1.0)), 256.0))))


def _costs(
    machine: Machine, programs: Sequence[Program], cost_of: Callable[[Program], Cost]
) -> tuple[list[Cost], list[int]]:
    costs = [cost_of(program) for program in programs]
    return costs, [_micro(machine, p, cost) for p, cost in zip(programs, costs, strict=True)]


def _micro(machine: Machine, program: Program, cost: Cost) -> int:
    if _flight(machine, cost, 1) + cost.record > machine.memory:
        named = ((name.removeprefix("max_"), value) for name, value in program.static)
        what = ", ".join(f"{name}={value}" for name, value in named) or "this problem"
        needed = _flight(machine, cost, 1) + cost.record
        message = (
            f"one run of {what} needs about {needed / 1e9:.3g} GB and a device has "
            f"{machine.memory / 1e9:.3g} GB, {needed / machine.memory:.2g} times less: take a "
            "smaller width or batch, fewer record points, more memory, or parallel='batch' over "
            "more devices"
        )
        raise InputError(message)
    by_memory = int(machine.memory / (_flight(machine, cost, 1) + cost.record))
    if machine.platform != "cpu":
        return max(1, by_memory)
    return max(1, min(cost.micro or group_size(cost.traffic), by_memory))


def _flight(machine: Machine, cost: Cost, runs: int) -> float:
    copies = 1.0 if machine.platform == "cpu" else 1.5
    return copies * runs * (3 * cost.state + cost.traffic)


def _capacity(machine: Machine, cost: Cost, micro: int, steps: int, chunk_seconds: float) -> int:
    devices = devices_of(cost, machine.devices)
    by_time = int(devices * chunk_seconds / max(cost.step * steps, 1e-9))
    spare = machine.memory - _flight(machine, cost, micro if machine.platform == "cpu" else 0)
    each = cost.record + (0 if machine.platform == "cpu" else _flight(machine, cost, 1))
    by_memory = devices * int(spare / max(2 * each, 1.0))
    return max(devices * micro if machine.platform == "cpu" else 1, min(by_time, by_memory))


def _balanced(count: int, most: int) -> int:
    """Return the size of equal pieces, each at most `most`."""
    return math.ceil(count / math.ceil(count / max(1, min(most, count))))


def _point_blocks(grid: Grid, programs: Sequence[Program], room: int) -> tuple[int, ...]:
    blocks = [1] * len(grid.dimensions)
    for axis in reversed(range(len(blocks))):
        size = grid.dimensions[axis].size
        if all(len(p.positions[axis]) == size for p in programs):
            blocks[axis] = _balanced(size, room)
            room = max(1, room // blocks[axis])
    return tuple(blocks)


def units(program: Program, blocks: Sequence[int], axis: int) -> int:
    """Return how many blocks a program has along a dimension."""
    return math.ceil(len(program.positions[axis]) / blocks[axis])


def _held(grid: Grid, program: Program, axis: int) -> set[Any]:
    fields = grid.dimensions[axis].fields
    if "width" not in fields:
        return set()
    return {fields["width"][i] for i in program.positions[axis]}
