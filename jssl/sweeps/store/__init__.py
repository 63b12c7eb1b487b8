"""Where results go: memory, or a zarr store that plain xarray opens, written chunk by chunk.

    STORE/                 a zarr group: one array an observable, coordinates, attributes
    STORE/jssl/            a group of its own: the plan as attributes, and beside it
        checksums.json       of every file above and the plan, written when the store is made
        journal/CHUNK.json   written after a chunk's arrays: the checksum of every file it filled
        claims/CHUNK         locked while a process computes the chunk; the lock ends with it
        checkpoints/CHUNK    the state of a long chunk that is not finished

A chunk is finished when its journal entry is there and all checksums hold. Every file is written
beside its place and renamed in one step. The store itself is made in a temporary folder and
renamed, so that a store always has its plan. `first_bad_step` is written last: where it says that a
run was computed, the run's other values are in the store.
"""

import contextlib
import functools
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
from zarr.codecs import Crc32cCodec, ZstdCodec

from jssl.errors import InputError
from jssl.paths import expanded
from jssl.sweeps.arrays import Variable
from jssl.sweeps.plan import Chunk, Tile
from jssl.sweeps.store.checkpoints import Checkpoint, checkpoint_of
from jssl.sweeps.store.integrity import INNER as INNER
from jssl.sweeps.store.integrity import (
    SEALS,
    cannot_read,
    check_made,
    checksum,
    finished_chunks,
    lost,
    seal_made,
    sealed,
    sealed_facts,
    write_entry,
)
from jssl.sweeps.store.integrity import StoreError as StoreError
from jssl.sweeps.store.integrity import cannot_write as cannot_write
from jssl.sweeps.store.integrity import check_whole as check_whole
from jssl.sweeps.store.integrity import finished_names as finished_names
from jssl.sweeps.store.integrity import lock as lock

_LAST = "first_bad_step"
_CODECS = (ZstdCodec(level=0), Crc32cCodec())


class Result(NamedTuple):
    """Where results go, as functions.

    Attributes:
        write: `write(chunk, values, facts)` commits a chunk; values[name] holds one array a tile.
        finished: `finished() -> {chunk name: facts}` of all chunks whose checksums hold.
        claim: `claim(name)` is a context that gives False where another process has the chunk.
        checkpoint: `checkpoint(name, seconds, runs)` saves and restores the state of a chunk.
        dataset: `dataset()` gives everything written so far.
    """

    write: Callable[[Chunk, Mapping[str, list[np.ndarray]], dict[str, Any]], None]
    finished: Callable[[], dict[str, dict[str, Any]]]
    claim: Callable[[str], contextlib.AbstractContextManager[bool]]
    checkpoint: Callable[[str, float, int], Checkpoint]
    dataset: Callable[[], xr.Dataset]


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

    @contextlib.contextmanager
    def claim(name: str) -> Iterator[bool]:
        del name
        yield True

    def dataset() -> xr.Dataset:
        made = {name: (v.dims, arrays[name], dict(v.attributes)) for name, v in variables.items()}
        return xr.Dataset(made, coords=dict(coordinates), attrs=dict(attributes))

    checkpoint = functools.partial(checkpoint_of, None)
    return Result(write, lambda: dict(done), claim, checkpoint, dataset)


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
        path: where; it must not exist, or be an empty folder.
        variables: the arrays.
        coordinates: name -> (dims, values, attributes).
        attributes: of the whole store.
        plan: as plain JSON, stored beside the journal.
        tile: sizes of a chunk along the leading dimensions.

    Raises:
        InputError: where the folder cannot be written.
    """
    folder = Path(path)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    except OSError as error:
        raise cannot_write(path, error) from error
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
        raise cannot_write(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return True


def is_store(path: str | os.PathLike[str]) -> bool:
    """Return whether a folder is a sweep's store, whole or damaged.

    Raises:
        InputError: where it cannot be read.
    """
    for name in ("zarr.json", f"{SEALS}.json"):
        try:
            (Path(path) / INNER / name).stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise cannot_read(path, error) from error
        return True
    return False


def is_free(path: str | os.PathLike[str]) -> bool:
    """Return whether a path does not exist, or is an empty folder.

    Raises:
        InputError: where it cannot be read.
    """
    try:
        return not os.listdir(path)
    except FileNotFoundError:
        return True
    except NotADirectoryError:  # a file, there or on the way there
        return not os.path.lexists(path)
    except OSError as error:
        raise cannot_read(path, error) from error


def read_plan(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the attributes and the plan of a store.

    Raises:
        InputError: where there is none, or its metadata differ from what was written.
    """
    if not is_store(path):
        message = f"'{path}' is not the store of a sweep; give the folder that a sweep wrote"
        raise InputError(message)
    check_made(path)
    group = zarr.open_group(str(path), mode="r", use_consolidated=False)
    inner = zarr.open_group(str(Path(path) / INNER), mode="r", use_consolidated=False)
    return dict(group.attrs), dict(inner.attrs)


def open_dataset(path: str | os.PathLike[str]) -> xr.Dataset:
    """Return a store's result; arrays are read when they are used.

    Labels and metadata are checked here, and each chunk's CRC-32C when it is read.

    Raises:
        InputError: where there is none, or its metadata differ from what was written.
    """
    path = expanded(path)
    read_plan(path)
    return xr.open_zarr(str(path), chunks=None, consolidated=False)


def in_folder(path: str | os.PathLike[str]) -> Result:
    """Return the result in a store on the disk."""
    folder = Path(path)
    with _every_chunk():
        group = zarr.open_group(str(folder), mode="r+", use_consolidated=False)
        arrays: dict[str, Any] = dict(group.arrays())
    partial: dict[str, list[Path]] = {}  # left behind by writes that were killed
    for path in folder.rglob("*.partial"):
        whole = path.parent / path.name.partition(".")[0]
        partial.setdefault(whole.relative_to(folder).as_posix(), []).append(path)

    def write(chunk: Chunk, values: Mapping[str, list[np.ndarray]], facts: dict[str, Any]) -> None:
        files = {}
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
            entry = sealed({"files": files, "name": chunk.name, **facts})
            write_entry(folder / INNER / "journal" / f"{chunk.name}.json", entry)
            shutil.rmtree(folder / INNER / "checkpoints" / chunk.name, ignore_errors=True)
        except OSError as error:
            raise lost(folder, error) from error

    @contextlib.contextmanager
    def claim(name: str) -> Iterator[bool]:
        with contextlib.ExitStack() as stack:
            try:
                ours = stack.enter_context(lock(folder / INNER / "claims" / name))
            except OSError as error:
                raise lost(folder, error) from error
            yield ours and sealed_facts(folder, folder / INNER / "journal" / f"{name}.json") is None

    finished = functools.partial(finished_chunks, folder)
    checkpoint = functools.partial(checkpoint_of, folder)
    return Result(write, finished, claim, checkpoint, lambda: open_dataset(folder))


def _fill(
    folder: Path,
    variables: Mapping[str, Variable],
    coordinates: Mapping[str, Any],
    attributes: Mapping[str, Any],
    plan: Mapping[str, Any],
    tile: tuple[int, ...],
) -> None:
    empty = xr.Dataset(coords=dict(coordinates), attrs=dict(attributes))
    codecs = {str(name): {"compressors": _CODECS} for name in empty.coords}
    with warnings.catch_warnings(), _every_chunk():
        warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
        empty.to_zarr(str(folder), mode="w", consolidated=False, zarr_format=3, encoding=codecs)
        group = zarr.open_group(str(folder), mode="r+", use_consolidated=False)
        for name, v in variables.items():
            sizes = (*tile, *v.shape[len(tile) :])
            group.create_array(
                name,
                shape=v.shape,
                chunks=tuple(max(1, size) for size in sizes),
                dtype=v.dtype,
                fill_value=v.fill,
                compressors=_CODECS,
                dimension_names=v.dims,
                attributes=dict(v.attributes),
            )
        group.create_group(INNER, attributes=dict(plan))
        zarr.consolidate_metadata(str(folder))
    seal_made(folder)
    for name in ("journal", "claims"):
        (folder / INNER / name).mkdir()


def _every_chunk() -> contextlib.AbstractContextManager[Any]:
    """Make arrays that are opened inside write chunks that contain only their fill value."""
    return zarr.config.set({"array.write_empty_chunks": True})


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
