"""The files that paths, folders and patterns name, in natural order."""

import glob
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jssl.data.readers import READERS
from jssl.errors import InputError
from jssl.paths import expanded

_SHOWN = 12


def expand_files(paths: Sequence[str | Path]) -> list[Path]:
    """Return the files that paths, folders and patterns name, those of each in natural order.

    Example:
        >>> expand_files(["z.npy"])
        [PosixPath('z.npy')]

    Raises:
        InputError: for a pattern that matches nothing, or a folder of no readable files or of
            several formats.
    """
    files: list[Path] = []
    for path in (str(expanded(Path(p))) for p in paths):
        if Path(path).is_dir():
            files += _in_folder(Path(path))
        elif glob.has_magic(path) and not Path(path).exists():
            matched = sorted(filter(Path.is_file, map(Path, glob.glob(path))), key=natural_order)
            if not matched:
                message = f"no file matches {path}; check the path"
                raise InputError(message)
            files += matched
        else:
            files.append(Path(path))
    return list(dict.fromkeys(files))


def natural_order(path: str | Path) -> list[Any]:
    """Return a key for sorting by the numbers in names, so that 10 follows 9.

    Example:
        >>> sorted(["z10", "z9"], key=natural_order)
        ['z9', 'z10']
    """
    return [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", str(path))]


def readable_files(folder: Path) -> list[Path]:
    """Return the files of a folder that have the suffix of a readable format, not hidden ones.

    Raises:
        InputError: where there is none.
    """
    found = [p for p in folder.iterdir() if p.suffix.lower() in READERS and p.is_file()]
    readable = [p for p in found if not p.name.startswith(".")]
    if not readable:
        inside = sorted(p.name for p in folder.iterdir() if p.is_dir())
        below = f"; its folders are {', '.join(inside[:_SHOWN])}" if inside else ""
        message = f"{folder} contains no readable file ({', '.join(READERS)}){below}"
        raise InputError(message)
    return readable


def _in_folder(folder: Path) -> list[Path]:
    readable = readable_files(folder)
    kinds = sorted({p.suffix.lower() for p in readable})
    if len(kinds) > 1:
        message = f"{folder} contains {' and '.join(kinds)} files; choose with a pattern such as "
        message += f"'{folder}/*{kinds[0]}'"
        raise InputError(message)
    return sorted(readable, key=natural_order)
