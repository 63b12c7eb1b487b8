"""Paths in which `~` is the home folder, and URLs of stores."""

import importlib.util
import os
from pathlib import Path

from jssl.errors import InputError, shown

_OF_FOLDERS = ("file://", "local://")
_EXTRA = "stores at URLs need fsspec: install jssl[cloud]"


def expanded(path: str | os.PathLike[str]) -> Path:
    """Return a path with a leading `~` or `~user` replaced by the home folder.

    Example:
        >>> expanded("~/runs") == Path.home() / "runs", expanded("runs/~").as_posix()
        (True, 'runs/~')

    Args:
        path: as given on the command line or in a call.

    Raises:
        InputError: where there is no such home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        message = f"no home folder is known for '{os.fspath(path)}'; write the path in full"
        raise InputError(message) from error


def is_url(path: str | os.PathLike[str]) -> bool:
    """Return whether a store is in object storage.

    Example:
        >>> is_url("s3://bucket/study"), is_url("runs/study"), is_url("file:///runs/study")
        (True, False, False)
    """
    text = str(path)
    return "://" in text and not text.startswith(_OF_FOLDERS)


def store_name(path: str | os.PathLike[str]) -> str:
    """Return the name under which a store is opened: a path with `~` expanded, or a URL.

    Example:
        >>> store_name("file:///runs/study"), store_name("memory://study/")
        ('/runs/study', 'memory://study')

    Raises:
        InputError: where nothing opens such a URL.
    """
    text = str(path)
    for scheme in _OF_FOLDERS:
        text = text.removeprefix(scheme)
    if not is_url(text):
        return str(expanded(text))
    scheme = text.partition("://")[0]
    try:
        import fsspec

        fsspec.get_filesystem_class(scheme)
    except ValueError as error:
        message = f"no file system opens {shown(text)}; use a folder, s3://, gs:// or memory://"
        raise InputError(message) from error
    except ImportError as error:
        reason = " ".join(str(error).split()).rstrip(".") or _EXTRA
        message = f"cannot open {shown(text)} ({reason})"
        raise InputError(message) from error
    if importlib.util.find_spec("upath") is None:
        raise InputError(_EXTRA)
    return text.rstrip("/")
