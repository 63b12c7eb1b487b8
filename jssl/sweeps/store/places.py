"""Places of stores: a folder, or a URL such as `s3://bucket/study` in object storage.

Both are paths with the methods of `pathlib`: universal-pathlib gives them to whatever fsspec opens.
A file of a folder is written beside its place, flushed to the disk and renamed; an object is put as
a whole. Either way a reader finds the old file or the new one.
"""

import contextlib
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from jssl.errors import InputError, printable
from jssl.paths import is_url


class StoreError(RuntimeError):
    """The store cannot take a result (full disk, lost folder); the message says what to do."""


def place_of(path: str | os.PathLike[str]) -> Path:
    """Return the path of a store: of `pathlib` for a folder, with the same methods for a URL."""
    if not is_url(path):
        return Path(path)
    from upath import UPath

    # Without a cache of listings, since other processes write as well.
    return cast(Path, UPath(str(path), use_listings_cache=False))


def write_file(path: Path, data: bytes) -> None:
    """Write a file in one step; a process that is killed meanwhile leaves the old one."""
    if is_url(path):
        path.write_bytes(data)
        return
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def checksum(path: Path, *, flush: bool = False) -> str:
    """Return the SHA-256 of a file; `flush` writes it to the disk first."""
    if is_url(path):
        return hashlib.sha256(path.read_bytes()).hexdigest()
    if flush:
        with path.open("r+b") as file:  # Windows flushes no file that is opened for reading
            os.fsync(file.fileno())
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def names_in(folder: Path) -> list[str]:
    """Return the names in a folder; none where object storage has nothing below it.

    Raises:
        OSError: where a folder of the disk cannot be read.
    """
    if not is_url(folder):
        return os.listdir(folder)
    try:
        return [path.name for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):  # folders are there with their objects only
        return []


def files_below(folder: Path) -> Iterator[Path]:
    """Yield all files below a folder, in the order of their names; none where it is missing."""
    try:
        found = sorted(folder.rglob("*"), key=str)
    except (FileNotFoundError, NotADirectoryError):
        return
    yield from (path for path in found if path.is_file())


def remove_tree(folder: Path) -> None:
    """Remove a folder and all below it, as far as that is possible."""
    if not is_url(folder):
        shutil.rmtree(folder, ignore_errors=True)
        return
    with contextlib.suppress(OSError):
        folder.fs.rm(folder.path, recursive=True)  # type: ignore[attr-defined]


def failures(place: str | os.PathLike[str]) -> tuple[type[Exception], ...]:
    """Return what a read or a write may raise: clients of object storage raise errors of theirs."""
    return (Exception,) if is_url(place) else (OSError,)


def reason_of(error: Exception) -> str:
    """Return why a read or a write failed, as a few words.

    Example:
        >>> print(reason_of(PermissionError(13, "Permission denied")))
        permission denied
    """
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    text = " ".join(printable(str(text)).split()).rstrip(".")
    return text[:1].lower() + text[1:200]


def cannot_read(path: str | os.PathLike[str], error: Exception) -> InputError:
    """Return the error for a store that exists and cannot be read."""
    remedy = "check its address and your credentials" if is_url(path) else "make it readable"
    return InputError(f"cannot read the store '{path}' ({reason_of(error)}); {remedy}")


def cannot_write(path: str | os.PathLike[str], error: Exception) -> InputError:
    """Return the error for a place in which no store can be made."""
    remedy = "check its address and your credentials" if is_url(path) else "choose another folder"
    return InputError(f"cannot write the store '{path}' ({reason_of(error)}); {remedy}")


def lost(folder: Path, error: Exception) -> StoreError:
    """Return the error for a store into which nothing can be written any more."""
    remedy = "reach it again" if is_url(folder) else "make it writable or free some space"
    return StoreError(
        f"cannot write into '{folder}' ({reason_of(error)}); finished chunks are kept: {remedy}, "
        "then rerun to resume"
    )


def zarr_options(place: Path) -> dict[str, Any]:
    """Return the options with which zarr opens a place."""
    return {"storage_options": {"use_listings_cache": False}} if is_url(place) else {}
