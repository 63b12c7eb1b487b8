"""Paths in which `~` is the home folder."""

import os
from pathlib import Path

from jssl.errors import InputError


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
