"""Where results go: a zarr store that plain xarray opens, committed chunk by chunk.

    STORE/                 a zarr group: one array an observable, coordinates, attributes
    STORE/jssl/            a group of its own: the plan as attributes, and beside it
        journal/CHUNK.json   written after a chunk's arrays: the checksum of every file it filled
        claims/CHUNK         locked while a process computes the chunk; the lock dies with it
        checkpoints/CHUNK    the state of a long chunk on its way

A chunk is finished when its journal entry is there and all checksums hold. Every file is written
beside its place and moved there in one step; the store itself is made beside its place and moved
there whole, so that it is there with its plan or not at all.
"""

import contextlib
import json
import math
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
import zarr

from jssl.errors import InputError
from jssl.paths import expanded
from jssl.sweeps.journal import checksum, holds, lock, write_entry
from jssl.sweeps.tiles import Chunk, Tile

INNER = "jssl"
NOT_RUN = -2
"""`first_bad_step` of a run that has not been made; -1 says that it stayed finite."""


class StoreError(RuntimeError):
    """The store cannot take a result (full disk, lost folder); the message says what to do."""


class Variable(NamedTuple):
    """An array of the result.

    Attributes:
        dims: names of its dimensions.
        shape: their sizes.
        dtype: NumPy dtype.
        attributes: units and long name.
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: Any
    attributes: Mapping[str, str]

    @property
    def bytes(self) -> int:
        """Return the size of the whole array."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def fill(self) -> Any:
        """Return what stands where no run has been made."""
        kind = np.dtype(self.dtype).kind
        return {"f": np.nan, "c": np.nan, "b": False}.get(kind, NOT_RUN if kind == "i" else 0)


class Result(NamedTuple):
    """Where results go, as functions.

    Attributes:
        write: `write(chunk, values, facts)` commits a chunk; values[name] holds one array a tile.
        finished: `finished() -> {chunk name: facts}` of all chunks that hold.
        claim: `claim(name)` is a context that gives False where another process has the chunk.
        dataset: `dataset()` gives everything written so far.
        folder: of the store, None in memory.
    """

    write: Callable[[Chunk, Mapping[str, list[np.ndarray]], dict[str, Any]], None]
    finished: Callable[[], dict[str, dict[str, Any]]]
    claim: Callable[[str], contextlib.AbstractContextManager[bool]]
    dataset: Callable[[], xr.Dataset]
    folder: Path | None


def in_memory(
    variables: Mapping[str, Variable], coordinates: Mapping[str, Any], attributes: Mapping[str, Any]
) -> Result:
    """Return a result that lives in memory and is gone with the process."""
    arrays = {name: np.full(v.shape, v.fill, v.dtype) for name, v in variables.items()}
    done: dict[str, dict[str, Any]] = {}

    def write(chunk: Chunk, values: Mapping[str, list[np.ndarray]], facts: dict[str, Any]) -> None:
        for name, blocks in values.items():
            for tile, block in zip(chunk.tiles, blocks, strict=True):
                arrays[name][_where(tile, block)] = block
        done[chunk.name] = facts

    @contextlib.contextmanager
    def claim(name: str) -> Iterator[bool]:
        del name
        yield True

    def dataset() -> xr.Dataset:
        held = {name: (v.dims, arrays[name], dict(v.attributes)) for name, v in variables.items()}
        return xr.Dataset(held, coords=dict(coordinates), attrs=dict(attributes))

    return Result(write, lambda: dict(done), claim, dataset, None)


def create(
    path: str | os.PathLike[str],
    variables: Mapping[str, Variable],
    coordinates: Mapping[str, Any],
    attributes: Mapping[str, Any],
    plan: Mapping[str, Any],
    tile: tuple[int, ...],
) -> bool:
    """Make a store; return False where another process made one in the meantime.

    Args:
        path: where; nothing or an empty folder may be there.
        variables: the arrays.
        coordinates: name -> (dims, values, attributes).
        attributes: of the whole store.
        plan: kept beside the journal.
        tile: sizes of a chunk along the leading dimensions.

    Raises:
        InputError: where the folder cannot be written.
    """
    folder = Path(path)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        temporary.chmod(0o755)
        _fill(temporary, variables, coordinates, attributes, plan, tile)
        try:
            temporary.rename(folder)
        except OSError:
            if is_store(folder):
                return False
            raise
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return True


def is_store(path: str | os.PathLike[str]) -> bool:
    """Return whether a sweep's store is there."""
    return (Path(path) / INNER / "zarr.json").is_file()


def finished_names(path: str | os.PathLike[str]) -> set[str]:
    """Return the names of the chunks in the journal; their checksums are not looked at."""
    return {entry.stem for entry in (Path(path) / INNER / "journal").glob("[!.]*.json")}


def read_plan(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the attributes and the plan of a store.

    Raises:
        InputError: where there is none.
    """
    if not is_store(path):
        message = f"'{path}' holds no sweep; give the folder that a sweep wrote"
        raise InputError(message)
    group = zarr.open_group(str(path), mode="r", use_consolidated=False)
    inner = zarr.open_group(str(Path(path) / INNER), mode="r", use_consolidated=False)
    return dict(group.attrs), dict(inner.attrs)


def open_dataset(path: str | os.PathLike[str]) -> xr.Dataset:
    """Return a store's result; arrays are read when they are used.

    Raises:
        InputError: where there is none.
    """
    path = expanded(path)
    read_plan(path)
    return xr.open_zarr(str(path), chunks=None, consolidated=False)


def check_whole(path: str | os.PathLike[str]) -> None:
    """Raise where a finished chunk of a store is not as it was written.

    Raises:
        InputError: with the number of damaged chunks.
    """
    entries = sorted((Path(path) / INNER / "journal").glob("[!.]*.json"))
    damaged = sum(holds(Path(path), entry) is None for entry in entries)
    if damaged:
        message = (
            f"{damaged} of {len(entries)} chunks in '{path}' are damaged; run the same sweep again "
            "to compute them anew"
        )
        raise InputError(message)


def in_folder(path: str | os.PathLike[str]) -> Result:
    """Return the result that a store on disk holds."""
    folder = Path(path)
    group = zarr.open_group(str(folder), mode="r+", use_consolidated=False)
    arrays: dict[str, Any] = dict(group.arrays())
    partial: dict[str, list[Path]] = {}  # what writes that died on their way left behind
    for path in folder.rglob("*.partial"):
        whole = path.parent / path.name.partition(".")[0]
        partial.setdefault(str(whole.relative_to(folder)), []).append(path)

    def write(chunk: Chunk, values: Mapping[str, list[np.ndarray]], facts: dict[str, Any]) -> None:
        files = {}
        try:
            with zarr.config.set({"array.write_empty_chunks": True}):
                for name, blocks in values.items():
                    for tile, block in zip(chunk.tiles, blocks, strict=True):
                        file = _file(name, arrays[name].chunks, tile)
                        for path in partial.pop(file, ()):
                            path.unlink(missing_ok=True)
                        arrays[name][_where(tile, block)] = block
                        files[file] = checksum(folder / file, flush=True)
            entry = json.dumps({"files": files, **facts}, sort_keys=True)
            write_entry(folder / INNER / "journal" / f"{chunk.name}.json", entry)
            shutil.rmtree(folder / INNER / "checkpoints" / chunk.name, ignore_errors=True)
        except OSError as error:
            raise _lost(folder, error) from error

    def finished() -> dict[str, dict[str, Any]]:
        found = {}
        for entry in sorted((folder / INNER / "journal").glob("[!.]*.json")):
            facts = holds(folder, entry)
            if facts is not None:
                found[entry.stem] = facts
        return found

    @contextlib.contextmanager
    def claim(name: str) -> Iterator[bool]:
        with contextlib.ExitStack() as stack:
            try:
                ours = stack.enter_context(lock(folder / INNER / "claims" / name))
            except OSError as error:
                raise _lost(folder, error) from error
            yield ours and holds(folder, folder / INNER / "journal" / f"{name}.json") is None

    return Result(write, finished, claim, lambda: open_dataset(folder), folder)


def _fill(
    folder: Path,
    variables: Mapping[str, Variable],
    coordinates: Mapping[str, Any],
    attributes: Mapping[str, Any],
    plan: Mapping[str, Any],
    tile: tuple[int, ...],
) -> None:
    empty = xr.Dataset(coords=dict(coordinates), attrs=dict(attributes))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
        empty.to_zarr(str(folder), mode="w", consolidated=False, zarr_format=3)
        group = zarr.open_group(str(folder), mode="r+", use_consolidated=False)
        for name, v in variables.items():
            sizes = (*tile, *v.shape[len(tile) :])
            group.create_array(
                name,
                shape=v.shape,
                chunks=tuple(max(1, size) for size in sizes),
                dtype=v.dtype,
                fill_value=v.fill,
                dimension_names=v.dims,
                attributes=dict(v.attributes),
            )
        group.create_group(INNER, attributes=dict(plan))
        zarr.consolidate_metadata(str(folder))
    for name in ("journal", "claims"):
        (folder / INNER / name).mkdir()


def _cannot_write(path: str | os.PathLike[str], error: OSError) -> InputError:
    reason = (error.strerror or "not writable").lower()
    return InputError(f"cannot write the store '{path}' ({reason}); choose another folder")


def _lost(folder: Path, error: OSError) -> StoreError:
    reason = (error.strerror or str(error)).lower()
    return StoreError(
        f"cannot write into '{folder}' ({reason}); finished chunks are kept: make it writable or "
        "make room, and run the same again to go on"
    )


def _where(tile: Tile, block: np.ndarray) -> tuple[slice, ...]:
    lead = len(tile.slices)
    return (*tile.slices, *(slice(0, size) for size in block.shape[lead:]))


def _file(name: str, sizes: tuple[int, ...], tile: Tile) -> str:
    index = [s.start // size for s, size in zip(tile.slices, sizes, strict=False)]
    index += [0] * (len(sizes) - len(index))
    return "/".join([name, "c", *map(str, index)])
