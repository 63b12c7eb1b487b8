"""Results of a sweep: in memory, or in a store, written chunk by chunk."""

import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jssl.paths import is_url
from jssl.seed_statistics import NOT_RUN
from jssl.sweeps.arrays import Variable
from jssl.sweeps.plan import Chunk, Tile, count_runs
from jssl.sweeps.store.checkpoints import Checkpoint, checkpoint_of
from jssl.sweeps.store.integrity import (
    INNER,
    finished_chunks,
    sealed,
    sealed_facts,
    unsealed,
    write_entry,
)
from jssl.sweeps.store.making import every_chunk, open_dataset
from jssl.sweeps.store.places import (
    checksum,
    failures,
    lost,
    names_in,
    place_of,
    remove_tree,
    zarr_options,
)

RUNS = "kept_runs"
"""The fact of a chunk of which some runs are there: [first, last + 1] of each row of them."""
if TYPE_CHECKING:
    import xarray as xr

_LAST = "first_bad_step"
KEPT = "kept"
"""The folder for entries of chunks of which some runs are there, since the store grew."""


class Kept(NamedTuple):
    """Runs of a chunk that are there before it is computed, since the store grew.

    Attributes:
        runs: (runs,) which of them.
        arrays: observable -> (runs, ...) their values, and fill values of the others.
    """

    runs: np.ndarray
    arrays: dict[str, np.ndarray]


class Result(NamedTuple):
    """Where results go, as functions.

    Attributes:
        write: `write(chunk, values, facts)` commits a chunk; values[name] holds one array a tile.
        finished: `finished() -> {chunk name: facts}` of all chunks whose checksums hold.
        entry: `entry(name)` gives the facts of one chunk, or None.
        kept: `kept(chunk)` gives the runs of an unfinished chunk that are there, or None.
        checkpoint: `checkpoint(name, seconds, runs)` saves and restores the state of a chunk.
        dataset: `dataset()` gives everything written so far.
    """

    write: Callable[[Chunk, Mapping[str, list[np.ndarray]], dict[str, Any]], None]
    finished: Callable[[], dict[str, dict[str, Any]]]
    entry: Callable[[str], dict[str, Any] | None]
    kept: Callable[[Chunk], Kept | None]
    checkpoint: Callable[[str, float, int], Checkpoint]
    dataset: "Callable[[], xr.Dataset]"


def in_memory(
    variables: Mapping[str, Variable], coordinates: Mapping[str, Any], attributes: Mapping[str, Any]
) -> Result:
    """Return a result in memory."""
    arrays = {name: np.full(v.shape, v.fill, v.dtype) for name, v in variables.items()}
    done: dict[str, dict[str, Any]] = {}

    def write(chunk: Chunk, values: Mapping[str, list[np.ndarray]], facts: dict[str, Any]) -> None:
        for name, blocks in values.items():
            for tile, block in zip(chunk.tiles, blocks, strict=True):
                arrays[name][_where(tile, block)] = block
        done[chunk.name] = facts

    def dataset() -> "xr.Dataset":
        import xarray as xr

        made = {name: (v.dims, arrays[name], dict(v.attributes)) for name, v in variables.items()}
        return xr.Dataset(made, coords=dict(coordinates), attrs=dict(attributes))

    checkpoint = functools.partial(checkpoint_of, None)
    return Result(write, lambda: dict(done), done.get, lambda _: None, checkpoint, dataset)


def import_xarray() -> None:
    """Import xarray and what it imports with its first array, which a result needs at its end."""
    import xarray as xr

    xr.Variable((), 0.0)


def in_store(path: str | os.PathLike[str]) -> Result:
    """Return the result in a store, in a folder or at a URL."""
    import zarr

    folder = place_of(path)
    with every_chunk():
        options = zarr_options(folder)
        group = zarr.open_group(str(path), mode="r+", use_consolidated=False, **options)
        arrays: dict[str, Any] = dict(group.arrays())
    partial = _left_behind(folder)

    place = folder / INNER / KEPT
    some = {name.removesuffix(".json") for name in (names_in(place) if place.exists() else ())}

    def write(chunk: Chunk, values: Mapping[str, list[np.ndarray]], facts: dict[str, Any]) -> None:
        files = {}
        inner = KEPT if RUNS in facts else "journal"
        try:
            for name in sorted(values, key=_LAST.__eq__):
                for tile, block in zip(chunk.tiles, values[name], strict=True):
                    file = _file(name, arrays[name].chunks, tile)
                    for path in partial.pop(file, ()):
                        path.unlink(missing_ok=True)
                    whole = _padded(block, arrays[name], len(tile.slices))
                    if whole.size == 0:  # no file
                        continue
                    arrays[name][_where(tile, whole)] = whole
                    files[file] = checksum(folder / file, flush=True)
            seal = folder / INNER / inner / f"{chunk.name}.json"
            for path in partial.pop(seal.relative_to(folder).as_posix(), ()):
                path.unlink(missing_ok=True)
            write_entry(seal, sealed({"files": files, "name": chunk.name, **facts}))
            remove_tree(folder / INNER / "checkpoints" / chunk.name)
            if inner != KEPT and chunk.name in some:
                (folder / INNER / KEPT / seal.name).unlink(missing_ok=True)
        except failures(folder) as error:
            raise lost(folder, error) from error

    finished = functools.partial(finished_chunks, path)
    checkpoint = functools.partial(checkpoint_of, folder)

    def entry(name: str) -> dict[str, Any] | None:
        return sealed_facts(folder, folder / INNER / "journal" / f"{name}.json")

    def kept(chunk: Chunk) -> Kept | None:
        return _kept(folder, arrays, chunk) if chunk.name in some else None

    return Result(write, finished, entry, kept, checkpoint, lambda: open_dataset(path))


def _kept(folder: Path, arrays: Mapping[str, Any], chunk: Chunk) -> Kept | None:
    """Return the runs of an unfinished chunk that were there when the store grew.

    The chunk may have been written since, as a whole or in part: these runs have the same values in
    both. Where a file cannot be read, all runs are computed again.
    """
    runs = np.zeros(count_runs(chunk), bool)
    found = {}
    try:
        facts = unsealed((folder / INNER / KEPT / f"{chunk.name}.json").read_bytes())
        for first, last in facts[RUNS]:
            runs[first:last] = True
        if not all((folder / file).exists() for file in facts["files"]):
            return None
        lead = len(chunk.tiles[0].slices)
        for name, array in arrays.items():
            if name != "seed" and array.metadata.dimension_names[lead - 1 : lead] == ("seed",):
                blocks = [array[tile.slices] for tile in chunk.tiles]
                found[name] = np.concatenate([b.reshape(-1, *b.shape[lead:]) for b in blocks])
    except Exception:  # a codec may raise anything on altered bytes
        return None
    return Kept(runs & (found[_LAST] != NOT_RUN), found)


def _left_behind(folder: Path) -> dict[str, list[Path]]:
    """Return file -> what writes of it that were killed left beside it."""
    found: dict[str, list[Path]] = {}
    if is_url(folder):
        return found
    for path in folder.rglob("*.partial"):  # of zarr
        whole = path.parent / path.name.partition(".")[0]
        found.setdefault(whole.relative_to(folder).as_posix(), []).append(path)
    for path in (folder / INNER / "journal").glob(".*"):
        whole = path.with_name(path.name[1:].partition(".json")[0] + ".json")
        found.setdefault(whole.relative_to(folder).as_posix(), []).append(path)
    return found


def _padded(block: np.ndarray, array: Any, lead: int) -> np.ndarray:
    """Return a block filled up to a whole chunk, so that zarr does not read the chunk first."""
    whole = np.full((*block.shape[:lead], *array.shape[lead:]), array.fill_value, array.dtype)
    whole[tuple(slice(0, size) for size in block.shape)] = block
    return whole


def _where(tile: Tile, block: np.ndarray) -> tuple[slice, ...]:
    lead = len(tile.slices)
    return (*tile.slices, *(slice(0, size) for size in block.shape[lead:]))


def _file(name: str, sizes: tuple[int, ...], tile: Tile) -> str:
    index = [s.start // size for s, size in zip(tile.slices, sizes, strict=False)]
    index += [0] * (len(sizes) - len(index))
    return "/".join([name, "c", *map(str, index)])
