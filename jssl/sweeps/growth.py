"""A study that grew: how the runs of its store lie in the larger grid, and which of them are kept.

A study may get more seeds, more values of an axis, more points, and further axes. At one value of a
further axis the problem must be that of the store: a default of `make_problem`, or what [problem]
fixed before. That is not asked but found: the smaller study is made again from the larger one, its
programs are traced, and these must compute what the programs of the store compute. Every finished
run keeps its bits, and the rest is computed by a new plan.
"""

import functools
import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from jssl.errors import shown
from jssl.seed_statistics import NOT_RUN
from jssl.sweeps.arrays import Variable, fill_of
from jssl.sweeps.axes import SEED
from jssl.sweeps.grid import Grid, make_grid
from jssl.sweeps.plan import Chunk, Plan, chunks, from_json
from jssl.sweeps.store import Kept, in_store
from jssl.sweeps.store.growing import Read, reader
from jssl.sweeps.workload import Workload, differences, make_workload

MOST_TRIED = 64
"""Combinations of values of further axes that are tried as those of the store."""


class Growth(NamedTuple):
    """How a smaller grid lies in a larger one.

    Attributes:
        smaller: the workload of the store.
        places: for each dimension of the larger grid, position in it -> position in the smaller
            one; a further dimension has the only position 0.
        order: for each dimension of the larger grid, the index of that of the smaller one, or None.
        seeds: number of seeds of the smaller grid.
        lines: what is new, one line each.
    """

    smaller: Workload
    places: tuple[dict[int, int], ...]
    order: tuple[int | None, ...]
    seeds: int
    lines: tuple[str, ...]


def find_growth(workload: Workload, stored: Mapping[str, Any]) -> Growth | str:
    """Return how a store lies in a larger study, or why it does not.

    Args:
        workload: of the larger study.
        stored: settings of the store.
    """
    grid, study = workload.grid, workload.grid.study
    apart = ("axes", "points", "zip", "static", "make_problem", "observe", "programs", "jax")
    fixed = [{k: v for k, v in s.items() if k not in apart} for s in (stored, workload.settings)]
    axes = dict(stored.get("axes", {}))
    further = [name for name in study.axes if name not in axes and name != SEED]
    lost = _lost(grid, stored)
    if fixed[0] != fixed[1] or lost is not None:
        return lost or ""
    base = study._replace(
        axes=axes,
        points=stored.get("points"),
        zip=stored.get("zip", ()),
        static=stored.get("static", ()),
    )
    found: list[str] = []
    for values in _candidates(grid, further):
        make = functools.partial(study.make_problem, **values) if values else study.make_problem
        smaller = make_workload(make_grid(base._replace(make_problem=make)))
        found = differences(stored, smaller.settings)
        if not found:
            return _growth(workload, smaller, values)
    if further:
        count = math.prod(d.size for d in grid.dimensions if set(d.fields) & set(further))
        where = f"at none of the first {MOST_TRIED} values" if count > MOST_TRIED else "at no value"
        return f"{where} of {', '.join(further)} is the problem the one in the store"
    return "; ".join(dict.fromkeys([differences(stored, workload.settings)[0], *found[:3]]))


def kept_pieces(
    growth: Growth, plan: Plan, stored_plan: Mapping[str, Any], variables: Mapping[str, Variable]
) -> Iterator[tuple[Chunk, Kept, dict[str, list[np.ndarray]]]]:
    """Yield the chunks of a larger plan that have finished runs of the store, with their arrays.

    Args:
        growth: how the store lies in the larger grid.
        plan: of the larger grid.
        stored_plan: that of the store, as plain JSON.
        variables: the arrays of the larger result.
    """
    path = str(plan.workload.grid.study.store)
    done = _finished(growth, stored_plan, path)
    dtypes, read = reader(path)
    names = {n: n if n in dtypes else n.removesuffix("_value") for n in variables}
    for chunk in chunks(plan):
        sides = [[_side(growth, axis, s) for axis, s in enumerate(t.slices)] for t in chunk.tiles]
        if not any(all(len(old) for _, old in side) for side in sides):
            continue
        masks, blocks = [], {name: [] for name in variables}  # type: ignore[var-annotated]
        for tile, side in zip(chunk.tiles, sides, strict=True):
            shape = tuple(s.stop - s.start for s in tile.slices)
            mask = np.zeros(shape, bool)
            new = np.ix_(*(new for new, _ in side))
            if all(len(old) for _, old in side):
                mask[new] = _ordered(growth, side, lambda index: done[np.ix_(*index)])
            masks.append(mask)
            for name, variable in variables.items():
                tail = variable.shape[len(shape) :]
                block = np.full((*shape, *tail), fill_of(variable.dtype), variable.dtype)
                if mask.any():
                    _copy(block, mask, new, growth, side, read, names[name])
                blocks[name].append(block)
        runs = np.concatenate([mask.ravel() for mask in masks])
        if runs.any():
            lead = len(chunk.tiles[0].slices)
            bad = [b.reshape(-1, *b.shape[lead:]) for b in blocks["first_bad_step"]]
            yield chunk, Kept(runs, {"first_bad_step": np.concatenate(bad)}), blocks


def _lost(grid: Grid, stored: Mapping[str, Any]) -> str | None:
    """Return which value of the store the larger study lacks, or None."""
    axes, study = stored.get("axes", {}), grid.study
    seeds = axes.get(SEED, 1)
    if seeds > grid.seeds:
        return f"axes.seed: {seeds} in the store, {grid.seeds} asked; a store only grows"
    now = {name: values for d in grid.dimensions for name, values in d.fields.items()}
    for name, values in axes.items():
        if name == SEED:
            continue
        if name not in now:
            return f"the axis '{name}' of the store is missing; a store only grows"
        gone = [v for v in values if _plain(v) not in now[name]]
        if gone:
            return f"axes.{name} has no {shown(gone[0])}, which the store has; a store only grows"
    before = stored.get("points")
    if (before is None) != (study.points is None):
        return "points: a store without points gets none, and one with points keeps them"
    return None


def _candidates(grid: Grid, further: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the values that further axes may have in the store."""
    dimensions = [d for d in grid.dimensions if set(d.fields) & set(further)]
    rows = [range(d.size) for d in dimensions]
    for positions in itertools.islice(itertools.product(*rows), MOST_TRIED):
        yield {
            name: values[i]
            for d, i in zip(dimensions, positions, strict=True)
            for name, values in d.fields.items()
            if name in further
        }


def _growth(workload: Workload, smaller: Workload, values: Mapping[str, Any]) -> Growth | str:
    """Return how the grid of a store lies in a larger one, where its dimensions are there."""
    known = {frozenset(d.fields): i for i, d in enumerate(smaller.grid.dimensions)}
    places, order, lines = [], [], []
    for d in workload.grid.dimensions:
        at = known.pop(frozenset(d.fields), None)
        order.append(at)
        rows = {tuple(f[i] for f in d.fields.values()): i for i in range(d.size)}
        if at is None:
            place = tuple(values.get(name) for name in d.fields)
            if place not in rows:
                return f"the axes {', '.join(d.fields)} are grouped in another way in the store"
            places.append({rows[place]: 0})
            given = ", ".join(f"{n} = {shown(v)}" for n, v in values.items() if n in d.fields)
            lines.append(f"the axis {d.name}, at {given} in the store")
            continue
        old = smaller.grid.dimensions[at]
        before = [tuple(old.fields[name][i] for name in d.fields) for i in range(old.size)]
        if not all(row in rows for row in before):
            return f"{d.name} lacks a value that the store has; a store only grows"
        places.append({rows[row]: i for i, row in enumerate(before)})
        if d.size > old.size:
            new = [row for row in rows if row not in set(before)]
            text = ", ".join(shown(row[0] if len(row) == 1 else row) for row in new[:3])
            more = f" and {len(new) - 3} more" if len(new) > 3 else ""
            lines.append(f"{d.name} {text}{more}")
    if known:
        return "an axis of the store is missing; a store only grows"
    if workload.grid.seeds > smaller.grid.seeds:
        lines.append(f"seeds {smaller.grid.seeds} to {workload.grid.seeds - 1}")
    return Growth(smaller, tuple(places), tuple(order), smaller.grid.seeds, tuple(lines))


def _finished(growth: Growth, stored_plan: Mapping[str, Any], path: str) -> np.ndarray:
    """Return which runs of the store are finished, by chunks whose checksums hold."""
    plan, result = from_json(growth.smaller, stored_plan), in_store(path)
    bad = result.dataset().first_bad_step.values
    done, names = np.zeros(bad.shape, bool), result.finished()
    for chunk in chunks(plan):
        kept = None if chunk.name in names else result.kept(chunk)
        sizes = [math.prod(s.stop - s.start for s in tile.slices) for tile in chunk.tiles]
        first = 0
        for tile, size in zip(chunk.tiles, sizes, strict=True):
            if chunk.name in names:
                done[tile.slices] = bad[tile.slices] != NOT_RUN
            elif kept is not None:
                done[tile.slices] = kept.runs[first : first + size].reshape(done[tile.slices].shape)
            first += size
    return done


def _side(growth: Growth, axis: int, new: slice) -> tuple[np.ndarray, np.ndarray]:
    """Return (offsets in a slice, positions in the store) along a dimension, seeds last."""
    if axis == len(growth.places):
        places: Mapping[int, int] = {i: i for i in range(new.start, min(new.stop, growth.seeds))}
    else:
        places = growth.places[axis]
    found = [(i - new.start, places[i]) for i in range(new.start, new.stop) if i in places]
    return np.array([a for a, _ in found], int), np.array([b for _, b in found], int)


def _ordered(growth: Growth, side: list[tuple[np.ndarray, np.ndarray]], read: Any) -> np.ndarray:
    """Return what `read` gives of the store, with the dimensions of the larger grid in front."""
    kept = [axis for axis, at in enumerate(growth.order) if at is not None]
    index = [np.zeros(0, int)] * len(kept)
    for axis in kept:
        index[growth.order[axis]] = side[axis][1]  # type: ignore[index]
    found = read([*index, side[-1][1]])
    lead = len(kept) + 1
    axes = [growth.order[axis] for axis in kept]
    found = found.transpose(*axes, lead - 1, *range(lead, found.ndim))
    for axis, at in enumerate(growth.order):
        if at is None:
            found = np.expand_dims(found, axis)
    return found


def _copy(
    block: np.ndarray,
    mask: np.ndarray,
    new: tuple[np.ndarray, ...],
    growth: Growth,
    side: list[tuple[np.ndarray, np.ndarray]],
    read: Read,
    name: str,
) -> None:
    """Copy finished runs of the store into a tile of the larger one."""
    values = _ordered(growth, side, lambda index: read(name, index))
    tail = tuple(slice(0, size) for size in values.shape[mask.ndim :])
    part = np.full((*mask.shape, *values.shape[mask.ndim :]), fill_of(block.dtype), block.dtype)
    part[new] = values
    block[(*[slice(None)] * mask.ndim, *tail)][mask] = part[mask]


def _plain(value: Any) -> Any:
    return tuple(_plain(v) for v in value) if isinstance(value, list) else value
