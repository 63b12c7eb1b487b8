"""Resuming: the saved state of a long chunk, and the refusal of a store of another configuration.

    checkpoints/CHUNK/POINTS        state and records after that many record points
    checkpoints/CHUNK/POINTS.json   sealed: the checksum of every file in it

State and records are saved with orbax-checkpoint, which moves a checkpoint to its place whole. One
that is not as it was written is left aside. A run that resumes from one is bit-equal to a run that
was not interrupted, on the same devices. Only runs are saved, not the lanes that fill up the
devices: a checkpoint is resumed on any number of them.
"""

import contextlib
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.errors import InputError
from jssl.sweeps.journal import INNER, checksums, holds, sealed, write_entry
from jssl.sweeps.prepare import differences
from jssl.sweeps.store import lost

Parts = list[dict[str, np.ndarray]]


class Checkpoint(NamedTuple):
    """The saved state of one chunk, as functions.

    Attributes:
        save: `save(points, state, parts)` after that many record points.
        restore: `restore(start) -> (points, state, parts)`, the start where nothing is saved.
    """

    save: Callable[[int, Any, Parts], None]
    restore: Callable[[Any], tuple[int, Any, Parts]]


def refuse_other(path: Any, stored: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Raise where a store was written by another configuration, and show the difference.

    Raises:
        InputError: on the first differences.
    """
    found = differences(dict(stored), dict(asked))
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        message = (
            f"the store '{path}' was written by another configuration ({'; '.join(found[:3])}"
            f"{more}); name another store"
        )
        raise InputError(message)


def checkpoints(folder: Path | None, name: str, seconds: float, runs: int) -> Checkpoint:
    """Return the checkpoint of a chunk; in memory nothing is saved.

    Args:
        folder: of the store.
        name: of the chunk.
        seconds: least time between two saves.
        runs: how many of the lanes are runs; further lanes repeat the first one.
    """
    if folder is None:
        return Checkpoint(lambda *_: None, lambda start: (0, start, []))
    store = folder.resolve()
    place = store / INNER / "checkpoints" / name
    last = time.perf_counter()

    def save(points: int, state: Any, parts: Parts) -> None:
        nonlocal last
        if time.perf_counter() - last < seconds:
            return
        leaves = [_plain(leaf)[:runs] for leaf in jax.tree.leaves(state)]
        older = _saved(place)
        try:
            _write(store, place / f"{points:09d}", leaves, [_cut(part, runs) for part in parts])
        except Exception as error:  # orbax raises ValueError for a full disk
            raise lost(folder, error) from error
        for _, path in older:
            path.with_suffix(".json").unlink(missing_ok=True)
            shutil.rmtree(path, ignore_errors=True)
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


def _write(store: Path, path: Path, leaves: list[np.ndarray], parts: Parts) -> None:
    """Save a checkpoint, then seal it; arrays without elements, refused by orbax, in the seal."""
    arrays = {f"state.{i:06d}": leaf for i, leaf in enumerate(leaves)}
    for i, part in enumerate(parts):
        arrays |= {f"parts.{i:06d}.{name}": value for name, value in part.items()}
    with _quiet():
        _checkpointer().save(path, {n: v for n, v in arrays.items() if v.size}, force=True)
    empty = {n: [v.shape, v.dtype.name] for n, v in arrays.items() if not v.size}
    facts = {"files": checksums(store, path), "name": path.name, "empty": empty}
    write_entry(path.with_suffix(".json"), sealed(facts))


def _read(store: Path, path: Path) -> tuple[list[np.ndarray], Parts] | None:
    """Return state and records of a checkpoint; None unless it is as it was written."""
    facts = holds(store, path.with_suffix(".json"))
    if facts is None:
        return None
    try:
        with _quiet():
            arrays = dict(_checkpointer().restore(path))
    except Exception:  # another version of orbax; the chunk is computed from its start
        return None
    arrays |= {n: np.empty(shape, np.dtype(dtype)) for n, (shape, dtype) in facts["empty"].items()}
    leaves, parts = [], []
    for key in sorted(arrays):
        kind, _, rest = key.partition(".")
        if kind == "state":
            leaves.append(np.asarray(arrays[key]))
            continue
        number, _, name = rest.partition(".")
        if int(number) == len(parts):
            parts.append({})
        parts[int(number)][name] = np.asarray(arrays[key])
    return leaves, parts


def _fits(saved: list[np.ndarray], leaves: list[Any], runs: int) -> bool:
    """Return whether a saved state is one of the program that starts with `leaves`."""
    shapes = [(value.shape, value.dtype) for value in saved]
    plain = [jax.eval_shape(_raw, leaf) for leaf in leaves]
    return shapes == [((runs, *leaf.shape[1:]), leaf.dtype) for leaf in plain]


def _saved(place: Path) -> list[tuple[int, Path]]:
    if not place.is_dir():
        return []
    return [(int(p.name), p) for p in place.iterdir() if p.name.isdecimal()]


def _checkpointer() -> Any:
    import orbax.checkpoint as ocp

    own = jax.process_index()
    options = ocp.options.MultiprocessingOptions(primary_host=own, active_processes={own})
    handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=options)
    return ocp.Checkpointer(handler, multiprocessing_options=options)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the tracebacks that orbax logs from its threads out of the output."""
    logger = logging.getLogger("absl")
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before


def _cut(part: dict[str, np.ndarray], runs: int) -> dict[str, np.ndarray]:
    return {name: value[:runs] for name, value in part.items()}


def _raw(leaf: Any) -> Any:
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.key_data(leaf)
    return leaf


def _plain(leaf: Any) -> np.ndarray:
    return np.asarray(_raw(leaf))


def _typed(value: np.ndarray, like: Any) -> Any:
    """Return saved rows as lanes like those of the start, further ones repeating the first."""
    rows: Any = np.concatenate([value, np.repeat(value[:1], like.shape[0] - len(value), axis=0)])
    if jax.dtypes.issubdtype(like.dtype, jax.dtypes.prng_key):
        rows = jax.random.wrap_key_data(jnp.asarray(rows), impl=jax.random.key_impl(like))
    return jax.device_put(rows, like.sharding)
