"""A store is made: arrays, coordinates, attributes and the plan, before the first chunk."""

import contextlib
import os
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jssl.errors import InputError
from jssl.paths import is_url, store_name
from jssl.sweeps.store.integrity import GROWN, INNER, SEALS, check_made, seal_made
from jssl.sweeps.store.places import (
    cannot_read,
    cannot_write,
    failures,
    names_in,
    place_of,
    remove_tree,
    zarr_options,
)

if TYPE_CHECKING:
    import xarray as xr

    from jssl.sweeps.arrays import Variable

_MAKING = "making"


def create(
    path: str | os.PathLike[str],
    variables: "Mapping[str, Variable]",
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
    if is_url(path):
        return _put(path, variables, coordinates, attributes, plan, tile)
    folder = Path(path)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        temporary.chmod(0o755)
        fill(temporary, variables, coordinates, attributes, plan, tile)
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
    """Return whether there is a sweep's store, whole or damaged.

    Raises:
        InputError: where it cannot be read.
    """
    inner, found = place_of(path) / INNER, []
    for name in ("zarr.json", f"{SEALS}.json"):
        try:
            (inner / name).stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except failures(path) as error:
            raise cannot_read(path, error) from error
        found.append(name)
    if is_url(path) and found == ["zarr.json"]:
        return not (inner / _MAKING).exists()
    return bool(found)


def is_growing(path: str | os.PathLike[str]) -> bool:
    """Return whether a store has grown, and not all of it is in its place yet."""
    try:
        return (place_of(path) / INNER / f"{GROWN}.json").exists()
    except failures(path) as error:
        raise cannot_read(path, error) from error


def is_free(path: str | os.PathLike[str]) -> bool:
    """Return whether nothing is at a path but an empty folder, or a store that is being made.

    Raises:
        InputError: where it cannot be read.
    """
    try:
        place = place_of(path)
        made = is_url(path) and (place / INNER / _MAKING).exists()
        return made or not names_in(place)
    except FileNotFoundError:
        return True
    except NotADirectoryError:  # a file, there or on the way there
        return not os.path.lexists(path)
    except failures(path) as error:
        raise cannot_read(path, error) from error


def read_plan(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the attributes and the plan of a store.

    Raises:
        InputError: where there is none, or its metadata differ from what was written.
    """
    if not is_store(path):
        message = f"'{path}' is not the store of a sweep; give the folder that a sweep wrote"
        raise InputError(message)
    if is_growing(path):
        message = f"the store '{path}' is growing; rerun `jssl sweep` to finish that"
        raise InputError(message)
    check_made(path)
    import zarr

    options = {"mode": "r", "use_consolidated": False, **zarr_options(place_of(path))}
    group = zarr.open_group(str(path), **options)
    inner = zarr.open_group(str(place_of(path) / INNER), **options)
    return dict(group.attrs), dict(inner.attrs)


def open_dataset(path: str | os.PathLike[str]) -> "xr.Dataset":
    """Return a store's result; arrays are read when they are used.

    Labels and metadata are checked here, and each chunk's CRC-32C when it is read.

    Raises:
        InputError: where there is none, or its metadata differ from what was written.
    """
    import xarray as xr

    path = store_name(path)
    read_plan(path)
    return xr.open_zarr(path, chunks=None, consolidated=False, **zarr_options(place_of(path)))


def _put(path: str | os.PathLike[str], *parts: Any) -> bool:
    """Make a store in object storage; return True."""
    place = place_of(path)
    making = place / INNER / _MAKING
    try:
        if making.exists():  # left behind by a process that was killed
            remove_tree(place)
        making.write_bytes(b"")
        fill(place, *parts)
        making.unlink()
    except failures(path) as error:
        raise cannot_write(path, error) from error
    return True


def fill(
    folder: Path,
    variables: "Mapping[str, Variable]",
    coordinates: Mapping[str, Any],
    attributes: Mapping[str, Any],
    plan: Mapping[str, Any],
    tile: tuple[int, ...],
) -> None:
    """Write a store without chunks into an empty folder, and seal it; see `create`."""
    import xarray as xr
    import zarr
    from zarr.codecs import Crc32cCodec, ZstdCodec

    compressors = (ZstdCodec(level=0), Crc32cCodec())
    empty = xr.Dataset(coords=dict(coordinates), attrs=dict(attributes))
    codecs = {str(name): {"compressors": compressors} for name in empty.coords}
    with warnings.catch_warnings(), every_chunk():
        warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
        warnings.filterwarnings("ignore", message="Object at (jssl|making) is not")
        options = zarr_options(folder)
        made = {"mode": "a", "consolidated": False, "zarr_format": 3, **options}
        empty.to_zarr(str(folder), encoding=codecs, **made)
        group = zarr.open_group(str(folder), mode="r+", use_consolidated=False, **options)
        for name, v in variables.items():
            sizes = (*tile, *v.shape[len(tile) :])
            group.create_array(
                name,
                shape=v.shape,
                chunks=tuple(max(1, size) for size in sizes),
                dtype=v.dtype,
                fill_value=v.fill,
                compressors=compressors,
                dimension_names=v.dims,
                attributes=dict(v.attributes),
            )
        group.create_group(INNER, attributes=dict(plan))
        zarr.consolidate_metadata(group.store)
    seal_made(folder)
    if not is_url(folder):
        (folder / INNER / "journal").mkdir()


def every_chunk() -> contextlib.AbstractContextManager[Any]:
    """Make arrays that are opened inside write chunks that contain only their fill value."""
    import zarr

    return zarr.config.set({"array.write_empty_chunks": True})
