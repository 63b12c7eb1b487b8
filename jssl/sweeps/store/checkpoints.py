"""The saved state of a long chunk, from which an interrupted sweep resumes.

    checkpoints/CHUNK/POINTS.npz    state and records after that many record points
    checkpoints/CHUNK/POINTS.json   sealed: the checksum of that file

Each is written to a temporary file and renamed, or put as an object. A checkpoint that differs from
what was written is ignored. A run that resumes from one is bit-equal to a run that was not
interrupted, on the same devices. Lanes that only fill up the devices are not saved: a checkpoint is
resumed on any number of devices.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.paths import is_url
from jssl.sweeps.store.integrity import INNER, sealed, sealed_facts, write_entry
from jssl.sweeps.store.places import checksum, failures, lost

Parts = list[dict[str, np.ndarray]]


class Checkpoint(NamedTuple):
    """The saved state of one chunk, as functions.

    Attributes:
        save: `save(points, state, parts)` after that many record points.
        restore: `restore(start) -> (points, state, parts)`, the start where nothing is saved.
    """

    save: Callable[[int, Any, Parts], None]
    restore: Callable[[Any], tuple[int, Any, Parts]]


def checkpoint_of(folder: Path | None, name: str, seconds: float, runs: int) -> Checkpoint:
    """Return the checkpoint of a chunk; without a folder nothing is saved.

    Args:
        folder: of the store.
        name: of the chunk.
        seconds: least time between two saves.
        runs: how many of the lanes are runs; further lanes repeat the first one.
    """
    if folder is None:
        return Checkpoint(lambda *_: None, lambda start: (0, start, []))
    store = folder if is_url(folder) else folder.resolve()
    place = store / INNER / "checkpoints" / name
    last = time.perf_counter()

    def save(points: int, state: Any, parts: Parts) -> None:
        nonlocal last
        if time.perf_counter() - last < seconds:
            return
        leaves = [np.asarray(_raw(leaf))[:runs] for leaf in jax.tree.leaves(state)]
        kept = [{name: value[:runs] for name, value in part.items()} for part in parts]
        try:
            _write(store, place / f"{points:09d}.json", leaves, kept)
            for other, path in _saved(place):
                if other != points:
                    path.unlink()
                    path.with_suffix(".npz").unlink(missing_ok=True)
        except failures(folder) as error:
            raise lost(folder, error) from error
        last = time.perf_counter()

    def restore(start: Any) -> tuple[int, Any, Parts]:
        leaves, treedef = jax.tree.flatten(start)
        for points, path in sorted(_saved(place), reverse=True):
            found = _read(store, path)
            if found is not None and _fits(found[0], leaves, runs):
                saved, parts = found
                state = [_typed(value, like) for value, like in zip(saved, leaves, strict=True)]
                return points, jax.tree.unflatten(treedef, state), parts
        return 0, start, []

    return Checkpoint(save, restore)


def _write(store: Path, entry: Path, leaves: list[np.ndarray], parts: Parts) -> None:
    """Save a checkpoint and seal it."""
    arrays = {f"state.{i:06d}": leaf for i, leaf in enumerate(leaves)}
    for i, part in enumerate(parts):
        arrays |= {f"parts.{i:06d}.{name}": value for name, value in part.items()}
    place = entry.with_suffix(".npz")
    if is_url(place):
        with place.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
    else:
        temporary = place.with_name(f".{place.name}.{os.getpid()}")
        place.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, place)
    facts = {
        "name": entry.stem,
        "files": {place.relative_to(store).as_posix(): checksum(place)},
        "dtypes": {name: value.dtype.name for name, value in arrays.items()},
    }
    write_entry(entry, sealed(facts))


def _read(store: Path, entry: Path) -> tuple[list[np.ndarray], Parts] | None:
    """Return state and records of a checkpoint; None where it differs from what was written."""
    facts = sealed_facts(store, entry)
    if facts is None:
        return None
    leaves: list[np.ndarray] = []
    parts: Parts = []
    with entry.with_suffix(".npz").open("rb") as file, np.load(file) as arrays:
        for key in arrays.files:
            dtype = np.dtype(facts["dtypes"][key])
            value = arrays[key].view(dtype)  # NumPy loads bfloat16 and the like as bytes
            kind, _, rest = key.partition(".")
            if kind == "state":
                leaves.append(value)
                continue
            number, _, name = rest.partition(".")
            if int(number) == len(parts):
                parts.append({})
            parts[int(number)][name] = value
    return leaves, parts


def _fits(saved: list[np.ndarray], leaves: list[Any], runs: int) -> bool:
    """Return whether a saved state has the shapes and dtypes of a start."""
    shapes = [(value.shape, value.dtype) for value in saved]
    plain = [jax.eval_shape(_raw, leaf) for leaf in leaves]
    return shapes == [((runs, *leaf.shape[1:]), leaf.dtype) for leaf in plain]


def _saved(place: Path) -> list[tuple[int, Path]]:
    return [(int(p.stem), p) for p in place.glob("*.json") if p.stem.isdecimal()]


def _raw(leaf: Any) -> Any:
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.key_data(leaf)
    return leaf


def _typed(value: np.ndarray, like: Any) -> Any:
    """Return saved rows as lanes like those of the start, further ones repeating the first."""
    rows: Any = np.concatenate([value, np.repeat(value[:1], like.shape[0] - len(value), axis=0)])
    if jax.dtypes.issubdtype(like.dtype, jax.dtypes.prng_key):
        rows = jax.random.wrap_key_data(jnp.asarray(rows), impl=jax.random.key_impl(like))
    return jax.device_put(rows, like.sharding)
