"""Whether a store is as it was written: sealed files and checksums.

    jssl/checksums.json      sealed when the store is made: metadata, coordinates and the plan
    jssl/journal/CHUNK.json  sealed after a chunk's arrays were written: their files

A sealed file is one line of JSON with the SHA-256 of its own other facts:

    {"files": {"loss/c/0": "2c26...", ...}, "runs": 3, ..., "sha256": "9f86..."}

It is valid only if it is, byte for byte, what `sealed` writes of the facts in it. The SHA-256 of
other files are among the facts, so that a sealed file covers these too.

What was written when the store was made cannot be computed again, since the plan comes from
measurements: a store in which it differs is refused. A damaged chunk is computed again. Chunks
carry the CRC-32C of zarr as well, by which other readers notice damage.
"""

import errno
import hashlib
import json
import operator
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from jssl.errors import InputError
from jssl.paths import is_url
from jssl.sweeps.store.places import (
    cannot_read,
    checksum,
    failures,
    files_below,
    names_in,
    place_of,
    write_file,
    zarr_options,
)

INNER = "jssl"
"""The folder inside a store for the plan, the journal and checkpoints."""
SEALS = "checksums"
"""The sealed file of what was written when the store was made."""
GROWN = "grown"
"""The sealed file and the folder of a store that is growing, until all of it is in its place."""
REQUESTS = 32
"""Files of an object storage that are read at the same time."""
_SEAL = "sha256"
_ENTRY = re.compile(r"\d{4,}-\d{5,}-\d{6,}\.json")
_MISSING = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR}


def sealed(facts: Mapping[str, Any]) -> str:
    """Return facts as one line of JSON with their SHA-256.

    Example:
        >>> print(sealed({"runs": 3})[:40])
        {"runs": 3, "sha256": "0c7f3d48bdb7bfe68
    """
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return json.dumps({**facts, _SEAL: digest}, sort_keys=True) + "\n"


def unsealed(data: bytes) -> dict[str, Any]:
    """Return the facts that `sealed` wrote.

    Example:
        >>> unsealed(sealed({"runs": 3}).encode())
        {'runs': 3}

    Raises:
        ValueError: where a byte differs from what was written.
    """
    try:
        facts = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        facts = None
    if isinstance(facts, dict):
        facts.pop(_SEAL, None)
        if sealed(facts).encode() == data:
            return facts
    message = "the file is not as it was written"
    raise ValueError(message)


def write_entry(path: Path, text: str) -> None:
    """Write a sealed file in one step; a process that is killed meanwhile leaves the old one."""
    write_file(path, text.encode())


def checksums(folder: Path, within: Path) -> dict[str, str]:
    """Return {path relative to `folder`: SHA-256} of all files below `within`, on the disk."""
    files = list(files_below(within))
    return {path.relative_to(folder).as_posix(): checksum(path, flush=True) for path in files}


def each(folder: Path, function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """Return a function of each item, many at the same time where a store is in object storage."""
    if not is_url(folder):
        return [function(item) for item in items]
    with ThreadPoolExecutor(REQUESTS) as threads:
        return list(threads.map(function, items))


def sealed_facts(folder: Path, entry: Path) -> dict[str, Any] | None:
    """Return the facts of a sealed file, or None unless all files that it names are unchanged.

    Args:
        folder: to which the names of files are relative.
        entry: the sealed file; its name without the ending must be the fact `name`.
    """
    try:
        facts = unsealed(entry.read_bytes())
        files = facts.pop("files")
        if facts.pop("name") == entry.stem and all(
            checksum(folder / file) == expected for file, expected in files.items()
        ):
            return facts
    except (ValueError, KeyError):
        pass
    except failures(folder):
        pass
    return None


def seal_made(folder: Path) -> None:
    """Seal the checksum of every file of a store that has just been made."""
    files = checksums(folder, folder)
    made = {n: f for n, f in files.items() if n.endswith(".json") or "/c/" in n}
    facts = {"files": made, "name": SEALS}
    write_entry(folder / INNER / f"{SEALS}.json", sealed(facts))


def check_made(path: str | os.PathLike[str]) -> None:
    """Raise where metadata, coordinates or the plan of a store are not as they were written.

    Raises:
        InputError: with the first file that differs, or that cannot be read.
    """
    folder = place_of(path)
    seals = folder / INNER / f"{SEALS}.json"
    try:
        data = seals.read_bytes()
    except failures(path) as error:
        raise _unreadable(path, f"{INNER}/{SEALS}.json", error) from error
    try:
        files = unsealed(data)["files"]
    except (ValueError, KeyError) as error:
        raise _damaged(path, f"{INNER}/{SEALS}.json was altered") from error

    def check(file: str) -> None:
        try:
            found = checksum(folder / file)
        except failures(path) as error:
            raise _unreadable(path, file, error) from error
        if found != files[file]:
            raise _damaged(path, f"{file} was altered")

    each(folder, check, files)
    _entries(path)


def finished_names(path: str | os.PathLike[str]) -> set[str]:
    """Return the names of the chunks in the journal, without verifying their checksums."""
    try:
        return {entry.stem for entry in _entries(path)}
    except InputError:  # there is no store yet
        return set()


def finished_chunks(path: str | os.PathLike[str]) -> dict[str, dict[str, Any]]:
    """Return {name: facts} of the finished chunks whose checksums hold.

    Raises:
        InputError: where the journal is lost.
    """
    folder, entries = place_of(path), _entries(path)
    found = each(folder, lambda entry: sealed_facts(folder, entry), entries)
    return {e.stem: facts for e, facts in zip(entries, found, strict=True) if facts is not None}


def check_whole(path: str | os.PathLike[str]) -> None:
    """Raise where a store, or a chunk in it, is not as it was written.

    Files of chunks that are not finished have no entry in the journal yet; these are read, which
    checks the CRC-32C in them.

    Raises:
        InputError: with the file, or with the number of damaged chunks.
    """
    check_made(path)
    entries = _entries(path)
    damaged = len(entries) - len(finished_chunks(path))
    if damaged:
        message = (
            f"{damaged} of {len(entries)} chunks in '{path}' are damaged; rerun the same "
            "sweep to compute them again"
        )
        raise InputError(message)
    for name, array, index in _unsealed_chunks(place_of(path), entries):
        try:
            array.blocks[index]
        except Exception as error:  # a codec may raise anything on altered bytes
            message = (
                f"an unfinished chunk in '{path}' is damaged ({name}); rerun the same sweep to "
                "compute it again"
            )
            raise InputError(message) from error


def _entries(path: str | os.PathLike[str]) -> list[Path]:
    journal = place_of(path) / INNER / "journal"
    try:
        names = names_in(journal)
    except failures(path) as error:
        raise _unreadable(path, f"{INNER}/journal", error) from error
    return [journal / name for name in sorted(names) if _ENTRY.fullmatch(name)]


def _unsealed_chunks(folder: Path, entries: list[Path]) -> Iterator[tuple[str, Any, Any]]:
    """Yield (file, array, block index) of the chunks that no entry of the journal names."""
    known: set[str] = set(unsealed((folder / INNER / f"{SEALS}.json").read_bytes())["files"])
    for entry in entries:
        known |= set(unsealed(entry.read_bytes())["files"])
    import zarr

    options = zarr_options(folder)
    group = zarr.open_group(str(folder), mode="r", use_consolidated=False, **options)
    for name, array in group.arrays():
        for path in files_below(folder / name / "c"):
            file = path.relative_to(folder).as_posix()
            index = path.relative_to(folder / name / "c").parts
            if file in known or not all(part.isdecimal() for part in index):
                continue
            place = tuple(int(part) for part in index)
            inside = len(place) == array.ndim and all(map(operator.lt, place, array.cdata_shape))
            if inside:
                yield file, array, place


def _unreadable(path: str | os.PathLike[str], file: str, error: Exception) -> InputError:
    if isinstance(error, FileNotFoundError) or getattr(error, "errno", None) in _MISSING:
        return _damaged(path, f"{file} is missing")
    return cannot_read(path, error)


def _damaged(path: str | os.PathLike[str], what: str) -> InputError:
    return InputError(
        f"the store '{path}' is damaged: {what}; restore it from a copy, or run the sweep "
        "with another store"
    )
