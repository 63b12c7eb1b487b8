"""The pieces of a plan: chunks of work made of tiles, the chunks of the stored arrays."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from jssl.sweeps.axes import Grid, Program
from jssl.sweeps.plan import Plan, units


class Tile(NamedTuple):
    """A chunk of the stored arrays: slices along each dimension and along the seeds."""

    slices: tuple[slice, ...]


class Chunk(NamedTuple):
    """A piece of work, committed as a whole.

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


def chunks(grid: Grid, plan: Plan) -> Iterator[Chunk]:
    """Return the pieces of work, all points of a block of seeds before the next block."""
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
                    for position in _positions(shape, first, last)
                )
                yield Chunk(f"{number:04d}-{block:05d}-{group:06d}", number, block, tiles)


def count_chunks(grid: Grid, plan: Plan) -> int:
    """Return the number of chunks without listing them."""
    each = (
        math.ceil(
            math.prod(units(x.program, plan.blocks, a) for a in range(len(plan.blocks))) / x.tiles
        )
        for x in plan.layouts
    )
    return sum(each) * math.ceil(grid.seeds / plan.seed_block)


def runs_of(chunk: Chunk) -> int:
    """Return the number of runs in a chunk.

    Example:
        >>> runs_of(Chunk("a", 0, 0, (Tile((slice(0, 2), slice(4, 7))),)))
        6
    """
    return sum(math.prod(s.stop - s.start for s in tile.slices) for tile in chunk.tiles)


def lanes_of(chunk: Chunk, lanes: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the runs of a chunk: (lanes, dimensions) positions, (lanes,) seeds, and how many live.

    The rest of the lanes repeats the first run.
    """
    index = [
        np.stack(
            np.meshgrid(*(np.arange(s.start, s.stop) for s in tile.slices), indexing="ij"), -1
        ).reshape(-1, len(tile.slices))
        for tile in chunk.tiles
    ]
    runs = np.concatenate(index)
    live = len(runs)
    filled = np.concatenate([runs, np.repeat(runs[:1], lanes - live, axis=0)])
    return filled[:, :-1], filled[:, -1].astype(np.uint32), live


def _slices(program: Program, grid: Grid, blocks: Sequence[int], axis: int) -> list[slice]:
    size, block = grid.dimensions[axis].size, blocks[axis]
    if block == 1:
        return [slice(i, i + 1) for i in program.positions[axis]]
    return [slice(i, min(i + block, size)) for i in range(0, size, block)]


def _positions(shape: tuple[int, ...], first: int, last: int) -> Iterator[tuple[int, ...]]:
    if not shape:
        yield ()
        return
    for flat in range(first, last):
        yield tuple(int(i) for i in np.unravel_index(flat, shape))
