"""Output folders and files: checked before the computation, written completely or not at all."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from jssl import interrupts
from jssl.errors import InputError
from jssl.paths import expanded

REPORT = ("report.html", "report.json")
"""The files of a report."""


def writable_folder(out: str | os.PathLike[str]) -> Path:
    """Return the output folder if it can be created and written; nothing is created yet.

    Example:
        >>> writable_folder("/dev/null/sub")
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: cannot write into '/dev/null/sub' (not a directory); choose ...

    Args:
        out: the folder; `~` is the home folder.

    Raises:
        InputError: if it cannot be used.
    """
    if not os.fspath(out):
        message = "the output folder has an empty name; choose another one (--out)"
        raise InputError(message)
    folder = expanded(out)
    try:
        parents = (folder, *folder.absolute().parents)
        existing = next(path for path in parents if _exists(path))
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise _cannot_write(folder, error) from error
    return folder


def new_report_folder(out: str | os.PathLike[str], *, overwrite: bool) -> Path:
    """Return the folder of a report that is to be written, after the checks of `writable_folder`.

    Args:
        out: the folder; `~` is the home folder.
        overwrite: whether an earlier report in it may be replaced.

    Raises:
        InputError: if it cannot be used, or contains a report and `overwrite` is false.
    """
    folder = writable_folder(out)
    if not overwrite and any(os.path.lexists(folder / name) for name in REPORT):
        message = (
            f"'{folder}' already contains a report; pass overwrite=True (--overwrite) to replace "
            "it, or another folder (--out)"
        )
        raise InputError(message)
    return folder


def write_report_files(folder: Path, page: str, data: str) -> tuple[Path, Path]:
    """Write `report.html` and `report.json`: both, or neither where anything fails.

    Example:
        >>> with tempfile.TemporaryDirectory() as place:
        ...     paths = write_report_files(Path(place) / "new", "<p>", "{}")
        ...     print(*(path.name for path in paths))
        report.html report.json

    Args:
        folder: created if needed.
        page: the text of the page.
        data: the text of the JSON.

    Returns:
        The paths of the page and of the JSON.

    Raises:
        InputError: if the folder cannot be written, or the disk is full.
    """
    texts = dict(zip(REPORT, (page, data), strict=True))
    with interrupts.deferred():
        write_together(folder, texts)
        interrupts.outcome(f"{' and '.join(REPORT)} in {folder} are complete")
    html, json = (folder / name for name in REPORT)
    return html, json


def write_together(folder: Path, texts: Mapping[str, str]) -> None:
    """Write files: all are written to temporary files before the first one is moved to its place.

    Raises:
        InputError: if the folder cannot be written, or the disk is full; the folder is unchanged.
    """
    made: list[Path] = []
    beside: dict[Path, Path] = {}
    try:
        for place in reversed([folder, *folder.absolute().parents]):
            if not _exists(place):
                place.mkdir(exist_ok=True)
                made.append(place)
        for name, text in texts.items():
            if (folder / name).is_dir():
                message = f"'{folder / name}' is a folder; choose another folder (--out)"
                raise InputError(message)
            _write_beside(folder / name, text, beside)
        for place, temporary in beside.items():
            os.replace(temporary, place)
    except BaseException as error:
        for temporary in beside.values():
            with contextlib.suppress(OSError):
                temporary.unlink()
        for place in reversed(made):
            with contextlib.suppress(OSError):
                place.rmdir()
        if isinstance(error, OSError):
            raise _cannot_write(folder, error) from error
        raise


def write_atomically(path: Path, text: str) -> None:
    """Write a temporary file, flush it to the disk, and move it to its place in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside: dict[Path, Path] = {}
    try:
        _write_beside(path, text, beside)
        os.replace(beside[path], path)
    except BaseException:
        for temporary in beside.values():
            with contextlib.suppress(OSError):
                temporary.unlink()
        raise


def _write_beside(path: Path, text: str, beside: dict[Path, Path]) -> None:
    """Write and flush a temporary file in the same folder; add it to `beside` before writing."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    beside[path] = Path(temporary)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    umask = os.umask(0)
    os.umask(umask)
    os.chmod(temporary, 0o666 & ~umask)


def _exists(path: Path) -> bool:
    """Return whether a path exists; false where permissions hide it.

    Its parent is then used instead, and writing into that fails with the reason.
    """
    try:
        return path.exists()
    except PermissionError:
        return False


def _cannot_write(folder: Path, error: OSError) -> InputError:
    reason = (error.strerror or "not writable").lower()
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    remedy = "free some space, or choose another folder" if full else "choose a writable folder"
    return InputError(f"cannot write into '{folder}' ({reason}); {remedy} (--out)")
