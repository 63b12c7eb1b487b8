"""Sealed files, which hold their own checksum, and a lock that ends with its process.

A sealed file is one line of JSON that holds the SHA-256 of its own other facts:

    {"files": {"loss/c/0": "2c26...", ...}, "runs": 3, ..., "sha256": "9f86..."}

It is read only if it is, byte for byte, what `sealed` writes of the facts in it. The SHA-256 of
other files are among the facts, so that a sealed file covers these too.
"""

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

INNER = "jssl"
"""The folder inside a store that holds the plan, the journal, claims and checkpoints."""
_SEAL = "sha256"
_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL}


@contextlib.contextmanager
def lock(path: Path) -> Iterator[bool]:
    """Hold a lock that ends with the process; give False where another process holds it.

    Where the file system has no locks, every process gets one: two of them then compute the same
    chunk and write the same bytes.

    Raises:
        OSError: where the file cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without flock the library would fall back to a file that outlives its process.
    held = FileLock(path, blocking=False, fallback_to_soft=False)
    try:
        held.acquire()
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
        held.release()


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
    """Write a file in one step; a process that dies on the way leaves the old one."""
    temporary = path.with_name(f".{path.name}")
    with temporary.open("wb") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def checksum(path: Path, *, flush: bool = False) -> str:
    """Return the SHA-256 of a file; `flush` first brings it to the disk."""
    if flush:
        with path.open("r+b") as file:  # Windows flushes no file that is opened for reading
            os.fsync(file.fileno())
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checksums(folder: Path, within: Path) -> dict[str, str]:
    """Return {path relative to `folder`: SHA-256} of all files below `within`, on the disk."""
    files = sorted(path for path in within.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): checksum(path, flush=True) for path in files}


def holds(folder: Path, entry: Path) -> dict[str, Any] | None:
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
