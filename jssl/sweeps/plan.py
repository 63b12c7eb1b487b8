"""The plan of a sweep: programs, chunks and memory with the least predicted compile + run time.

    seconds = sum over programs of compile (0 if cached) + runs x steps x seconds a step / devices

A call computes `lanes` runs of one program on all devices; each device maps over groups of `micro`
of them, few enough to stay in its cache. A **tile** is a chunk of the stored arrays: a block of
seeds times a block of points. A **chunk** is a piece of work, a few tiles of one block of seeds,
computed in one call (in several where it may need a part of its runs) and stored as a whole. The
plan is part of a result: another layout reorders sums. It is stored with the result and used again
on resume.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jssl.errors import InputError
from jssl.memory import free_disk, free_memory
from jssl.paths import is_url
from jssl.sweeps.arrays import Variable, variables_of
from jssl.sweeps.axes import WIDTH
from jssl.sweeps.bases import in_basis, with_bases, with_stored
from jssl.sweeps.costs import (
    Cost,
    can_be_padded,
    cost_of,
    devices_of,
    group_in_memory,
    measured,
    runs_in_a_call,
    working_bytes,
)
from jssl.sweeps.grid import Grid, Program, positions_between, split
from jssl.sweeps.padding import choose_bins
from jssl.sweeps.workload import Machine, Workload, traced_program

CHECKPOINT_SECONDS = 120.0
"""A chunk that is predicted to take longer saves its state from time to time."""
CHUNK_BYTES = 2_000
"""Bytes of the list entry and the journal of a chunk."""
CALLS = 16
"""Calls of a chunk that computes a part of its runs, so that few lanes are left empty."""
SHARE_OF_FREE = 0.8
"""Share of the free memory or disk that a result may take."""


class ProgramLayout(NamedTuple):
    """How one program is run.

    Attributes:
        program: the program.
        micro: runs mapped together on a device.
        lanes: runs a call, a multiple of micro x the devices that the program uses. A chunk with
            more runs to compute takes several calls.
        tiles: tiles a chunk.
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
        workload: what is computed, and where.
        bins: width -> width of its arrays; empty where nothing is padded.
        layouts: one a program.
        seed_block: seeds a tile.
        blocks: positions a tile along each dimension, 1 along those that split programs.
        segment: record points a call; fewer than all where a chunk saves its state.
        devices: number of devices that the plan was made for.
    """

    workload: Workload
    bins: Mapping[int, int]
    layouts: tuple[ProgramLayout, ...]
    seed_block: int
    blocks: tuple[int, ...]
    segment: int
    devices: int


class Tile(NamedTuple):
    """A chunk of the stored arrays: slices along each dimension and along the seeds."""

    slices: tuple[slice, ...]


class Chunk(NamedTuple):
    """A piece of work, stored as a whole.

    Attributes:
        name: of its entry in the journal.
        layout: index of its program.
        block: index of its block of seeds.
        tiles: what it fills.
    """

    name: str
    layout: int
    block: int
    tiles: tuple[Tile, ...]


def make_plan(
    workload: Workload, *, measure: bool = True, pieces: int = 0
) -> tuple[Plan, dict[str, Variable]]:
    """Return the plan of a workload and the arrays of its result, both checked.

    Args:
        workload: what is computed, and where.
        measure: whether long programs are timed before the plan is chosen.
        pieces: least number of chunks that a cluster needs.

    Raises:
        InputError: where programs differ in their observables, names collide, or the result or one
            run of some program does not fit.
    """

    def predicted(program: Program) -> Cost:
        return cost_of(workload, program)

    def exact(program: Program) -> bool:
        return can_be_padded(workload, program)

    plan = choose_plan(workload, predicted, exact)
    reduced = with_bases(workload, [x.program for x in plan.layouts])
    if reduced is not workload:
        workload = reduced  # `predicted` reads it
        plan = choose_plan(workload, predicted, exact)
    if count_chunks(plan) < pieces:
        seconds = max(predicted_seconds(plan)[1] / pieces, 1e-9)
        study = workload.grid.study._replace(chunk_seconds=seconds)
        divided = workload._replace(grid=workload.grid._replace(study=study))
        plan = choose_plan(divided, predicted, exact)._replace(workload=workload)
    check_sizes(plan)
    variables = _variables(plan)
    if measure:
        timed = [(x.program, measured(workload, x.program, x.cost, x.micro)) for x in plan.layouts]
        costs = {program: cost for program, cost in timed if cost is not None}
        if costs:
            plan = choose_plan(workload, lambda p: costs.get(p) or cost_of(workload, p), exact)
            variables = _variables(plan)
    return plan, variables


def choose_plan(
    workload: Workload,
    cost_of: Callable[[Program], Cost],
    exact: Callable[[Program], bool] = lambda _: True,
) -> Plan:
    """Return the plan with the least predicted time.

    Example:
        >>> from jssl.sweeps.grid import make_grid
        >>> from jssl.sweeps.study import make_study
        >>> def make_problem(width, rate, max_width=None): ...
        >>> axes = {"width": [8, 16], "rate": [0.1, 0.2], "seed": 1000}
        >>> grid = make_grid(make_study(make_problem, axes, range(0, 101, 10)))
        >>> work = Workload(grid, None, {}, Machine("cpu", 2, 1e9), {})
        >>> plan = choose_plan(work, lambda program: Cost(1e-6, 2.0, 1e4, 1e3, 1e3))
        >>> print(len(plan.layouts), plan.bins)
        1 {8: 16, 16: 16}

    Args:
        workload: what is computed, and where.
        cost_of: predicts a program's cost.
        exact: whether a padded program computes the same as the plain one.

    Raises:
        InputError: if one run of some program does not fit in memory.
    """
    grid, study = workload.grid, workload.grid.study
    lane_devices = workload.machine.devices if study.parallel == "seed" else 1
    machine = workload.machine._replace(devices=lane_devices)
    steps, records = max(int(study.record_steps[-1]), 1), len(study.record_steps)
    bins = choose_bins(grid, machine, cost_of, steps)
    programs = split(grid, bins)
    costs, micros = _costs(machine, programs, cost_of)  # what fits, before `exact` runs anything
    if bins and not all(exact(p) for p in programs if WIDTH in p.traced):
        bins = {}
        programs = split(grid, bins)
        costs, micros = _costs(machine, programs, cost_of)
    most = [
        runs_in_a_call(machine, cost, micro, steps, study.chunk_seconds)
        for cost, micro in zip(costs, micros, strict=True)
    ]
    some = study.until is not None  # each point has its own number of seeds
    block = _balanced(grid.seeds, study.seed_block or min(most))
    blocks = _point_blocks(grid, programs, max(1, min(most) // block))
    tile = block * math.prod(blocks)
    layouts = []
    for program, cost, micro, runs in zip(programs, costs, micros, most, strict=True):
        tiles = _balanced(_tile_count(program, blocks), max(1, runs // tile))
        devices = devices_of(cost, machine.devices)
        called = min(tiles * tile, program.points * block)
        per_device = math.ceil(called / (CALLS if some else 1) / devices)
        group = _balanced(per_device, micro)
        lanes = devices * group * math.ceil(per_device / group)
        layouts.append(ProgramLayout(program, group, lanes, tiles, cost))
    longest = steps * max(
        x.cost.step * x.lanes / devices_of(x.cost, machine.devices) for x in layouts
    )
    segment = study.segment or max(1, records // max(1, math.ceil(longest / CHECKPOINT_SECONDS)))
    devices = machine.devices
    return Plan(workload, bins, tuple(layouts), block, blocks, min(segment, records), devices)


def predicted_seconds(plan: Plan) -> tuple[float, float]:
    """Return the predicted seconds of (compiling, running)."""
    compiling = sum(x.cost.compile for x in plan.layouts)
    return compiling, sum(_seconds(plan, x) for x in plan.layouts)


def _seconds(plan: Plan, layout: ProgramLayout) -> float:
    """Return the predicted seconds of the runs of a program."""
    grid = plan.workload.grid
    steps = max(int(grid.study.record_steps[-1]), 1)
    runs = layout.program.points * grid.seeds
    return runs * steps * layout.cost.step / devices_of(layout.cost, plan.devices)


def chunk_bytes(layout: ProgramLayout, machine: Machine) -> float:
    """Return the bytes that a call needs on one device."""
    lanes = layout.lanes // devices_of(layout.cost, machine.devices)
    together = layout.micro if machine.platform == "cpu" else lanes
    return working_bytes(machine, layout.cost, together) + lanes * layout.cost.record


def to_json(plan: Plan) -> dict[str, Any]:
    """Return what is needed to make the same plan again, as plain JSON."""
    reduced = [i for i, x in enumerate(plan.layouts) if in_basis(plan.workload, x.program)]
    return ({"eigenbasis": reduced} if reduced else {}) | {
        "bins": {str(w): size for w, size in plan.bins.items()},
        "seed_block": plan.seed_block,
        "blocks": list(plan.blocks),
        "segment": plan.segment,
        "devices": plan.devices,
        "layouts": [{"micro": x.micro, "lanes": x.lanes, "tiles": x.tiles} for x in plan.layouts],
    }


def from_json(
    workload: Workload,
    data: Mapping[str, Any],
    cost_of: Callable[[Workload, Program], Cost] = lambda *_: Cost(0.0, 0.0, 0.0, 0.0, 0.0),
) -> Plan:
    """Return the plan that `to_json` wrote, for the same workload; costs are predicted again."""
    bins = {int(w): size for w, size in data["bins"].items()}
    programs = split(workload.grid, bins)
    workload = with_stored(workload, [programs[i] for i in data.get("eigenbasis", ())])
    layouts = tuple(
        ProgramLayout(program, x["micro"], x["lanes"], x["tiles"], cost_of(workload, program))
        for program, x in zip(programs, data["layouts"], strict=True)
    )
    blocks = tuple(data["blocks"])
    pieces = data["seed_block"], blocks, data["segment"], data["devices"]
    return Plan(workload, bins, layouts, *pieces)


def chunks(plan: Plan) -> Iterator[Chunk]:
    """Return the pieces of work, all points of a block of seeds before the next block."""
    grid = plan.workload.grid
    for block in range(math.ceil(grid.seeds / plan.seed_block)):
        seeds = slice(block * plan.seed_block, min((block + 1) * plan.seed_block, grid.seeds))
        for number, layout in enumerate(plan.layouts):
            sides = [
                _slices(layout.program, grid, plan.blocks, axis) for axis in range(len(plan.blocks))
            ]
            shape = tuple(len(side) for side in sides)
            for group in range(math.ceil(math.prod(shape) / layout.tiles)):
                first = group * layout.tiles
                last = min(first + layout.tiles, math.prod(shape))
                tiles = tuple(
                    Tile((*(side[i] for side, i in zip(sides, position, strict=True)), seeds))
                    for position in positions_between(shape, first, last)
                )
                yield Chunk(f"{number:04d}-{block:05d}-{group:06d}", number, block, tiles)


def count_chunks(plan: Plan) -> int:
    """Return the number of chunks without listing them."""
    each = (math.ceil(_tile_count(x.program, plan.blocks) / x.tiles) for x in plan.layouts)
    return sum(each) * math.ceil(plan.workload.grid.seeds / plan.seed_block)


def count_runs(chunk: Chunk) -> int:
    """Return the number of runs in a chunk.

    Example:
        >>> count_runs(Chunk("a", 0, 0, (Tile((slice(0, 2), slice(4, 7))),)))
        6
    """
    return sum(math.prod(s.stop - s.start for s in tile.slices) for tile in chunk.tiles)


def runs_of(chunk: Chunk) -> np.ndarray:
    """Return (runs, dimensions + 1) positions of the runs of a chunk, seeds last.

    Example:
        >>> runs_of(Chunk("a", 0, 0, (Tile((slice(0, 2), slice(4, 5))),))).tolist()
        [[0, 4], [1, 4]]
    """
    sides = ([np.arange(s.start, s.stop) for s in tile.slices] for tile in chunk.tiles)
    grids = (np.stack(np.meshgrid(*side, indexing="ij"), -1) for side in sides)
    return np.concatenate([grid.reshape(-1, grid.shape[-1]) for grid in grids])


def check_sizes(plan: Plan) -> None:
    """Raise where the result of a plan does not fit in memory or on the disk of its store.

        bytes of a result = runs x bytes that a run returns

    Raises:
        InputError: with the bytes needed and the bytes there are.
    """
    grid, store = plan.workload.grid, plan.workload.grid.study.store
    all_runs = grid.study.until is None or store is None
    needed = grid.runs * max(x.cost.record for x in plan.layouts) if all_runs else 0.0
    free = free_memory() if store is None else math.inf if is_url(store) else free_disk(store)
    if needed > SHARE_OF_FREE * free:
        place = "in memory" if store is None else f"on the disk of '{store}'"
        other = "give a store, or take" if store is None else "take"
        message = (
            f"the result of {grid.runs:,} runs does not fit {place}: it needs {needed / 1e9:.3g} "
            f"GB and {free / 1e9:.3g} GB are free; {other} fewer seeds, points, record points or "
            "observables"
        )
        raise InputError(message)
    count = count_chunks(plan)
    listed = count * CHUNK_BYTES + 8 * (grid.seeds + sum(d.size for d in grid.dimensions))
    if listed > SHARE_OF_FREE * free_memory():
        message = (
            f"the lists of {grid.seeds:,} seeds and {count:,} chunks need {listed / 1e9:.3g} GB of "
            f"memory and {free_memory() / 1e9:.3g} GB are free: take fewer seeds, or a larger "
            "chunk_seconds or seed_block"
        )
        raise InputError(message)


def _variables(plan: Plan) -> dict[str, Variable]:
    grid = plan.workload.grid
    observed = [traced_program(plan.workload, x.program).shapes for x in plan.layouts]
    return variables_of(grid.dimensions, grid.seeds, observed, grid.study.dims)


def _costs(
    machine: Machine, programs: Sequence[Program], cost_of: Callable[[Program], Cost]
) -> tuple[list[Cost], list[int]]:
    costs = [cost_of(program) for program in programs]
    return costs, [
        group_in_memory(machine, p, cost) for p, cost in zip(programs, costs, strict=True)
    ]


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


def _tile_count(program: Program, blocks: Sequence[int]) -> int:
    """Return the number of tiles of a program for one block of seeds."""
    sides = zip(program.positions, blocks, strict=True)
    return math.prod(math.ceil(len(positions) / block) for positions, block in sides)


def _slices(program: Program, grid: Grid, blocks: Sequence[int], axis: int) -> list[slice]:
    size, block = grid.dimensions[axis].size, blocks[axis]
    if block == 1:
        return [slice(i, i + 1) for i in program.positions[axis]]
    return [slice(i, min(i + block, size)) for i in range(0, size, block)]
