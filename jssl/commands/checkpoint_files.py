"""The files of checkpoints: those of one run, or a folder for each of several runs."""

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jssl.data.embedding_files import StoredEmbeddings
from jssl.data.file_sets import readable_files
from jssl.diagnosis.checkpoints import by_number
from jssl.errors import InputError
from jssl.paths import expanded


def checkpoint_runs(given: Sequence[Path]) -> dict[str, Any]:
    """Return name -> path of one run, or name of a folder -> the same for several folders.

    Folders inside a folder, hidden files and files of other formats take no part.

    Args:
        given: files and patterns, or folders.

    Raises:
        InputError: where a pattern matches nothing, a folder holds no file that can be read, or
            files and folders are mixed.
    """
    paths = [expanded(path) for path in given]
    folders = [path.is_dir() for path in paths]
    if not any(folders):
        return dict(named_checkpoints(given))
    if not all(folders):
        message = "--checkpoints takes files, or folders of one run each; got both"
        raise InputError(message)
    runs = {}
    names = [path.resolve().name for path in paths]
    for path, name in zip(paths, names, strict=True):
        runs[name if names.count(name) == 1 else str(path)] = named_checkpoints(
            readable_files(path)
        )
    return next(iter(runs.values())) if len(runs) == 1 else runs


def stored_runs(given: Sequence[Path], **options: Any) -> dict[str, Any]:
    """Return the same with embeddings that are read when they are used.

    Args:
        given: files and patterns, or folders.
        **options: of `jssl.data.embedding_files.StoredEmbeddings`.

    Raises:
        InputError: as `checkpoint_runs`.
    """

    def stored(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: stored(each) for name, each in value.items()}
        return StoredEmbeddings(value, **options)

    return dict(stored(checkpoint_runs(given)))


def named_checkpoints(patterns: Sequence[Path]) -> dict[str, Path]:
    """Return name -> path in the order of the numbers in the names, after expanding patterns.

    Raises:
        InputError: where a pattern matches nothing.
    """
    paths: list[str] = []
    for path in map(str, map(expanded, patterns)):
        matched = glob.glob(path) if glob.has_magic(path) and not Path(path).exists() else [path]
        if not matched:
            message = f"no file matches {path}; check the path"
            raise InputError(message)
        paths += matched
    names = by_number(list(dict.fromkeys(paths)))
    short = [Path(name).name for name in names]
    unique = len(set(short)) == len(short)
    return dict(zip(short if unique else names, map(Path, names), strict=True))
