"""The files that paths, folders and patterns name, in natural order."""

import glob
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jssl.data.readers import READERS
from jssl.errors import InputError
from jssl.paths import expanded

_SHOWN = 12


def expand_files(paths: Sequence[str | Path]) -> list[Path]:
    """Return the files that paths, folders and patterns name, those of each in natural order.

    Files that are given one by one keep their order, unless it is alphabetical, as a shell expands
    a pattern: they are then in natural order too.

    Example:
        >>> [file.name for file in expand_files(["z0.npy", "z10.npy", "z9.npy"])]
        ['z0.npy', 'z9.npy', 'z10.npy']

    Raises:
        InputError: for a pattern that matches nothing, or a folder of no readable files or of
            several formats.
    """
    files: list[Path] = []
    if len(paths) > 2 and list(map(str, paths)) == sorted(map(str, paths)):
        paths = sorted(paths, key=natural_order)
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


class NamedColumns(NamedTuple):
    """The names of the columns of a file.

    Attributes:
        file: its path.
        names: of the columns, in order; empty where the file gives none.
    """

    file: Path
    names: tuple[str, ...]


def note_on_columns(first: NamedColumns, other: NamedColumns) -> list[str]:
    """Return a caveat where two files call their columns differently.

    Example:
        >>> a, b = (NamedColumns(Path(f"{x}.csv"), (f"{x}0", f"{x}1")) for x in "ab")
        >>> note_on_columns(a, b)[0][:67]
        "b.csv calls column 1 'b0' and a.csv 'a0'; the columns are matched b"

    Files without names are matched by position; so are names that count, such as 0, 1, 2.

    Raises:
        InputError: where a name stands at different positions: the coordinates would be mixed.
    """
    pairs = list(enumerate(zip(first.names, other.names, strict=False), 1))
    differing = [(i, old, new) for i, (old, new) in pairs if old != new and old and new]
    if not differing:
        return []
    i, old, new = differing[0]
    what = f"{other.file} calls column {i:,} '{new}' and {first.file} '{old}'"
    shared = set(first.names).intersection(other.names)
    if any(name in shared for _, *both in differing for name in both) and not (
        _is_count(first.names) and _is_count(other.names)
    ):
        message = f"{what}; write the columns of all files in one order"
        raise InputError(message)
    return [f"{what}; the columns are matched by position. If they differ, leave a file out."]


def _is_count(names: Sequence[str]) -> bool:
    """Return whether names are whole numbers that count by one."""
    if not all(name.isdecimal() for name in names):
        return False
    return all(int(name) == int(names[0]) + i for i, name in enumerate(names))


def _in_folder(folder: Path) -> list[Path]:
    readable = readable_files(folder)
    kinds = sorted({p.suffix.lower() for p in readable})
    if len(kinds) > 1:
        message = f"{folder} contains {' and '.join(kinds)} files; choose with a pattern such as "
        message += f"'{folder}/*{kinds[0]}'"
        raise InputError(message)
    return sorted(readable, key=natural_order)
