"""Going on: the saved state of a long chunk, and the refusal of a store of another configuration.

State and records are saved with orbax-checkpoint, which moves a checkpoint to its place whole; a
run that goes on from it is bit-equal to one that was not interrupted.
"""

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.errors import InputError
from jssl.sweeps.settings import differences
from jssl.sweeps.store import INNER

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


def checkpoints(folder: Path | None, name: str, seconds: float) -> Checkpoint:
    """Return the checkpoint of a chunk; in memory nothing is saved.

    Args:
        folder: of the store.
        name: of the chunk.
        seconds: least time between two saves.
    """
    if folder is None:
        return Checkpoint(lambda *_: None, lambda start: (0, start, []))
    place = folder.resolve() / INNER / "checkpoints" / name
    last = time.perf_counter()

    def save(points: int, state: Any, parts: Parts) -> None:
        nonlocal last
        if time.perf_counter() - last < seconds:
            return
        leaves = [_plain(leaf) for leaf in jax.tree.leaves(state)]
        tree = {"state": dict(_numbered(leaves)), "parts": dict(_numbered(parts))}
        older = _saved(place)
        _checkpointer().save(place / f"{points:09d}", tree, force=True)
        for _, path in older:
            shutil.rmtree(path, ignore_errors=True)
        last = time.perf_counter()

    def restore(start: Any) -> tuple[int, Any, Parts]:
        for points, path in sorted(_saved(place), reverse=True):
            try:
                tree = _checkpointer().restore(path)
            except (OSError, ValueError, KeyError):
                continue  # damaged: an earlier one, or the start
            leaves, treedef = jax.tree.flatten(start)
            saved = [tree["state"][name] for name, _ in _numbered(leaves)]
            state = [_typed(value, like) for value, like in zip(saved, leaves, strict=True)]
            parts = [tree["parts"][name] for name in sorted(tree["parts"])]
            return points, jax.tree.unflatten(treedef, state), parts
        return 0, start, []

    return Checkpoint(save, restore)


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


def _numbered(items: Any) -> list[tuple[str, Any]]:
    return [(f"{i:06d}", item) for i, item in enumerate(items)]


def _plain(leaf: Any) -> np.ndarray:
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return np.asarray(leaf)


def _typed(value: Any, like: Any) -> Any:
    if jax.dtypes.issubdtype(like.dtype, jax.dtypes.prng_key):
        value = jax.random.wrap_key_data(jnp.asarray(value), impl=jax.random.key_impl(like))
    return jax.device_put(value, like.sharding)
