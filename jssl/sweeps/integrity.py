"""Whether a store is as it was written: every file that decides a number or a label.

    jssl/checksums.json      sealed when the store is made: metadata, coordinates and the plan
    jssl/journal/CHUNK.json  sealed after a chunk's arrays were written: their files

What was written when the store was made cannot be computed again, since the plan comes from
measurements: a store in which it differs is refused. A damaged chunk is computed again. Chunks
carry the CRC-32C of zarr as well, by which other readers notice damage.
"""

import errno
import operator
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zarr

from jssl.errors import InputError
from jssl.sweeps.journal import INNER, checksum, checksums, holds, sealed, unsealed, write_entry

SEALS = "checksums"
"""The sealed file of what was written when the store was made."""
_ENTRY = re.compile(r"\d{4,}-\d{5,}-\d{6,}\.json")
_MISSING = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR}


def seal_made(folder: Path) -> None:
    """Write down the checksum of every file of a store that has just been made."""
    facts = {"files": checksums(folder, folder), "name": SEALS}
    write_entry(folder / INNER / f"{SEALS}.json", sealed(facts))


def check_made(path: str | os.PathLike[str]) -> None:
    """Raise where metadata, coordinates or the plan of a store are not as they were written.

    Raises:
        InputError: with the first file that differs, or that cannot be read.
    """
    folder = Path(path)
    seals = folder / INNER / f"{SEALS}.json"
    try:
        files = unsealed(seals.read_bytes())["files"]
    except (ValueError, KeyError) as error:
        raise _damaged(path, f"{INNER}/{SEALS}.json was altered") from error
    except OSError as error:
        raise _unreadable(path, f"{INNER}/{SEALS}.json", error) from error
    for file, expected in files.items():
        try:
            found = checksum(folder / file)
        except OSError as error:
            raise _unreadable(path, file, error) from error
        if found != expected:
            raise _damaged(path, f"{file} was altered")
    _entries(path)


def finished_names(path: str | os.PathLike[str]) -> set[str]:
    """Return the names of the chunks in the journal; their checksums are not looked at."""
    try:
        return {entry.stem for entry in _entries(path)}
    except InputError:  # the store is not there yet
        return set()


def finished_facts(path: str | os.PathLike[str]) -> dict[str, dict[str, Any]]:
    """Return {name: facts} of the finished chunks that are as they were written.

    Raises:
        InputError: where the journal is lost.
    """
    found = ((entry.stem, holds(Path(path), entry)) for entry in _entries(path))
    return {name: facts for name, facts in found if facts is not None}


def check_whole(path: str | os.PathLike[str]) -> None:
    """Raise where a store, or a chunk in it, is not as it was written.

    Files of chunks that are not finished have no entry in the journal yet; these are read, which
    checks the CRC-32C in them.

    Raises:
        InputError: with the file, or with the number of damaged chunks.
    """
    check_made(path)
    entries = _entries(path)
    damaged = sum(holds(Path(path), entry) is None for entry in entries)
    if damaged:
        message = (
            f"{damaged} of {len(entries)} chunks in '{path}' are damaged; run the same sweep again "
            "to compute them anew"
        )
        raise InputError(message)
    for name, array, index in _unsealed_chunks(Path(path), entries):
        try:
            array.blocks[index]
        except Exception as error:  # whatever a codec raises on bytes that are not its own
            message = (
                f"an unfinished chunk in '{path}' is damaged ({name}); run the same sweep again to "
                "compute it anew"
            )
            raise InputError(message) from error


def cannot_read(path: str | os.PathLike[str], error: OSError) -> InputError:
    """Return the error for a store that is there and cannot be read."""
    reason = (error.strerror or "not readable").lower()
    return InputError(f"cannot read the store '{path}' ({reason}); make it readable")


def _entries(path: str | os.PathLike[str]) -> list[Path]:
    journal = Path(path) / INNER / "journal"
    try:
        names = os.listdir(journal)
    except OSError as error:
        raise _unreadable(path, f"{INNER}/journal", error) from error
    return [journal / name for name in sorted(names) if _ENTRY.fullmatch(name)]


def _unsealed_chunks(folder: Path, entries: list[Path]) -> Iterator[tuple[str, Any, Any]]:
    """Yield (file, array, block index) of the chunks that no entry of the journal names."""
    known: set[str] = set(unsealed((folder / INNER / f"{SEALS}.json").read_bytes())["files"])
    for entry in entries:
        known |= set(unsealed(entry.read_bytes())["files"])
    group = zarr.open_group(str(folder), mode="r", use_consolidated=False)
    for name, array in group.arrays():
        for path in sorted((folder / name / "c").rglob("*")):
            file = path.relative_to(folder).as_posix()
            index = path.relative_to(folder / name / "c").parts
            if file in known or not all(part.isdecimal() for part in index):
                continue
            place = tuple(int(part) for part in index)
            inside = len(place) == array.ndim and all(map(operator.lt, place, array.cdata_shape))
            if inside and path.is_file():
                yield file, array, place


def _unreadable(path: str | os.PathLike[str], file: str, error: OSError) -> InputError:
    if error.errno in _MISSING:
        return _damaged(path, f"{file} is missing")
    return cannot_read(path, error)


def _damaged(path: str | os.PathLike[str], what: str) -> InputError:
    return InputError(
        f"the store '{path}' is damaged: {what}; restore it from a copy, or run the sweep again "
        "into another folder"
    )
