"""What makes a chunk finished: a lock that dies with its process, an entry with checksums."""

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def lock(path: Path) -> Iterator[bool]:
    """Hold a lock that dies with the process; give False where another process holds it.

    Where the file system knows no locks everybody gets one: two processes then compute the same
    chunk and write the same bytes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError:
            pass
        yield True
        path.unlink(missing_ok=True)


def write_entry(path: Path, text: str) -> None:
    """Write a journal entry in one step; what a death leaves behind, the next write takes over."""
    temporary = path.with_name(f".{path.name}")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def checksum(path: Path, *, flush: bool = False) -> str:
    """Return the SHA-256 of a file; `flush` first brings it to the disk."""
    with path.open("rb") as file:
        if flush:
            os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()


def holds(folder: Path, entry: Path) -> dict[str, Any] | None:
    """Return the facts of a journal entry whose files are all there as they were written."""
    try:
        facts = json.loads(entry.read_text(encoding="utf-8"))
        files = facts.pop("files")
        if all(checksum(folder / file) == expected for file, expected in files.items()):
            return facts
    except (OSError, ValueError, KeyError):
        pass
    return None
