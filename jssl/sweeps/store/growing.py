"""A store grows in place: the larger store is made inside it, then every file is moved.

    STORE/jssl/grown/      a whole store of the larger study, with all runs that are kept
    STORE/jssl/grown.json  sealed once that is complete: its files and their checksums

From then on the files are moved to their places, by whichever process comes next if this one is
killed. Before, the store is as it was.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jssl.paths import is_url
from jssl.sweeps.plan import Chunk
from jssl.sweeps.store.integrity import GROWN, INNER, checksums, each, sealed, unsealed, write_entry
from jssl.sweeps.store.making import fill, is_growing
from jssl.sweeps.store.places import (
    checksum,
    failures,
    files_below,
    lost,
    place_of,
    remove_tree,
    zarr_options,
)
from jssl.sweeps.store.results import RUNS, Kept, in_store

Read = Callable[[str, Sequence[np.ndarray]], np.ndarray]
"""`read(name, indices)` gives an array at the product of indices along its leading dimensions."""


def reader(path: str | os.PathLike[str]) -> tuple[dict[str, np.dtype], Read]:
    """Return the dtypes of a store's arrays, and what reads them."""
    import zarr

    options = zarr_options(place_of(path))
    group = zarr.open_group(str(path), mode="r", use_consolidated=False, **options)
    arrays: dict[str, Any] = dict(group.arrays())

    def read(name: str, indices: Sequence[np.ndarray]) -> np.ndarray:
        return arrays[name].oindex[(*indices, *[slice(None)] * (arrays[name].ndim - len(indices)))]

    return {name: array.dtype for name, array in arrays.items()}, read


def grow(
    path: str | os.PathLike[str],
    made: tuple[Any, ...],
    pieces: Iterable[tuple[Chunk, Kept, Mapping[str, list[np.ndarray]]]],
) -> None:
    """Make a store larger; a process that is killed leaves the old one or the new one.

    Args:
        path: of the store.
        made: variables, coordinates, attributes, plan and tile of the larger store, as for
            `jssl.sweeps.store.create`.
        pieces: chunks of the larger store with the runs that are kept, and with the arrays of their
            tiles.

    Raises:
        StoreError: where the store cannot be written.
    """
    folder = place_of(path)
    grown = folder / INNER / GROWN
    try:
        remove_tree(grown)  # of a process that was killed
        if not is_url(path):
            grown.mkdir()
        fill(grown, *made)
        result = in_store(str(grown))
        for chunk, kept, values in pieces:
            bad = kept.arrays["first_bad_step"][kept.runs]
            facts: dict[str, Any] = {"runs": int(kept.runs.sum())}
            facts |= {"diverged": int((bad >= 0).sum())}
            if not kept.runs.all():
                facts |= {RUNS: _rows(kept.runs)}
                if not is_url(path):
                    (grown / INNER / "kept").mkdir(exist_ok=True)
            result.write(chunk, values, facts)
        files = checksums(grown, grown)
        seal = folder / INNER / f"{GROWN}.json"
        write_entry(seal, sealed({"files": files, "name": GROWN}))
        finish_growing(path)
    except failures(path) as error:
        raise lost(folder, error) from error


def finish_growing(path: str | os.PathLike[str]) -> None:
    """Move the files of a store that has grown to their places, if it has."""
    if not is_growing(path):
        return
    folder = place_of(path)
    grown, seal = folder / INNER / GROWN, folder / INNER / f"{GROWN}.json"
    files = unsealed(seal.read_bytes())["files"]
    for file in list(files_below(folder)):
        name = file.relative_to(folder).as_posix()
        if name not in files and not name.startswith(f"{INNER}/{GROWN}"):
            file.unlink()
    if not is_url(path):  # an array of one name may have fewer dimensions than before
        for place in sorted((p for p in folder.rglob("*") if p.is_dir()), reverse=True):
            with contextlib.suppress(OSError):
                place.rmdir()

    def move(name: str) -> None:
        if (grown / name).exists():
            _move(grown / name, folder / name)
        elif checksum(folder / name) != files[name]:
            message = f"{name} is not as it was written"
            raise OSError(message)

    each(folder, move, files)
    if not is_url(path):
        (folder / INNER / "journal").mkdir(exist_ok=True)
    seal.unlink()
    remove_tree(grown)


def _move(source: Path, target: Path) -> None:
    if is_url(target):
        target.write_bytes(source.read_bytes())
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(source, target)


def _rows(runs: np.ndarray) -> list[list[int]]:
    """Return [first, last + 1] of each row of runs.

    Example:
        >>> _rows(np.array([True, True, False, True]))
        [[0, 2], [3, 4]]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], runs.astype(np.int8), [0]])))
    return edges.reshape(-1, 2).tolist()
