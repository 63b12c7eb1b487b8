"""Whether a store is as it was written: sealed files, checksums, locks, and the errors of a disk.

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

import contextlib
import errno
import hashlib
import json
import operator
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import zarr
from filelock import FileLock, Timeout

from jssl.errors import InputError

INNER = "jssl"
"""The folder inside a store for the plan, the journal, claims and checkpoints."""
SEALS = "checksums"
"""The sealed file of what was written when the store was made."""
_SEAL = "sha256"
_ENTRY = re.compile(r"\d{4,}-\d{5,}-\d{6,}\.json")
_MISSING = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR}
_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL}


class StoreError(RuntimeError):
    """The store cannot take a result (full disk, lost folder); the message says what to do."""


@contextlib.contextmanager
def lock(path: Path) -> Iterator[bool]:
    """Hold a lock until the process ends at the latest; give False where another process has it.

    Where the file system has no locks, every process gets one: two of them may then compute the
    same chunk and write the same bytes.

    Raises:
        OSError: where the file cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without flock the library would fall back to a file that outlives its process.
    file_lock = FileLock(path, blocking=False, fallback_to_soft=False)
    try:
        file_lock.acquire()
    except Timeout:
        yield False
        return
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    try:
        yield True
    finally:
        with contextlib.suppress(OSError):  # Windows removes it with the release
            path.unlink()
        file_lock.release()


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
    """Write a file in one step; a process that is killed meanwhile leaves the old one."""
    temporary = path.with_name(f".{path.name}")
    with temporary.open("wb") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def checksum(path: Path, *, flush: bool = False) -> str:
    """Return the SHA-256 of a file; `flush` writes it to the disk first."""
    if flush:
        with path.open("r+b") as file:  # Windows flushes no file that is opened for reading
            os.fsync(file.fileno())
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checksums(folder: Path, within: Path) -> dict[str, str]:
    """Return {path relative to `folder`: SHA-256} of all files below `within`, on the disk."""
    files = sorted(path for path in within.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): checksum(path, flush=True) for path in files}


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
    except (OSError, ValueError, KeyError):
        pass
    return None


def seal_made(folder: Path) -> None:
    """Seal the checksum of every file of a store that has just been made."""
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
    found = ((entry.stem, sealed_facts(Path(path), entry)) for entry in _entries(path))
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
    damaged = sum(sealed_facts(Path(path), entry) is None for entry in entries)
    if damaged:
        message = (
            f"{damaged} of {len(entries)} chunks in '{path}' are damaged; rerun the same "
            "sweep to compute them again"
        )
        raise InputError(message)
    for name, array, index in _unsealed_chunks(Path(path), entries):
        try:
            array.blocks[index]
        except Exception as error:  # a codec may raise anything on altered bytes
            message = (
                f"an unfinished chunk in '{path}' is damaged ({name}); rerun the same sweep to "
                "compute it again"
            )
            raise InputError(message) from error


def cannot_read(path: str | os.PathLike[str], error: OSError) -> InputError:
    """Return the error for a store that exists and cannot be read."""
    reason = (error.strerror or "not readable").lower()
    return InputError(f"cannot read the store '{path}' ({reason}); make it readable")


def cannot_write(path: str | os.PathLike[str], error: OSError) -> InputError:
    """Return the error for a folder in which no store can be made."""
    reason = (error.strerror or "not writable").lower()
    return InputError(f"cannot write the store '{path}' ({reason}); choose another folder")


def lost(folder: Path, error: OSError) -> StoreError:
    """Return the error for a store into which nothing can be written any more."""
    reason = (error.strerror or str(error)).lower()
    return StoreError(
        f"cannot write into '{folder}' ({reason}); finished chunks are kept: make it writable or "
        "free some space, then rerun to resume"
    )


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
        f"the store '{path}' is damaged: {what}; restore it from a copy, or run the sweep "
        "with another store"
    )
