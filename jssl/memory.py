"""How much memory and disk is free, and refusals by arithmetic before any memory is taken."""

import math
import os
import shutil
import sys
from pathlib import Path

from jssl.errors import InputError


def free_memory() -> float:
    """Return the bytes of memory that are free, or 4 GB if the system does not report it.

    Example:
        >>> free_memory() > 0
        True
    """
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found = next(line for line in lines if line.startswith("MemAvailable"))
        return 1024.0 * int(found.split()[1])
    except (OSError, StopIteration, ValueError):
        return 4e9


def require_memory(what: str, needed: float, remedy: str) -> None:
    """Raise where something does not fit into the free memory.

    Example:
        >>> require_memory("x.npz", 1e18, "take a subset")
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: x.npz needs 1e+09 GB of memory and ... GB are free; take a subset

    Args:
        what: what the message is about.
        needed: bytes.
        remedy: what to do.

    Raises:
        InputError: where fewer bytes are free.
    """
    free = free_memory()
    if needed > free:
        message = (
            f"{what} needs {needed / 1e9:.3g} GB of memory and {free / 1e9:.3g} GB are free; "
            f"{remedy}"
        )
        raise InputError(message)


def free_disk(path: str | os.PathLike[str]) -> float:
    """Return the free bytes of the disk on which a folder is or would be made; inf if unknown.

    Example:
        >>> free_disk("a/folder/that/is/not/there") > 0
        True
    """
    place = Path(path).absolute()
    try:
        existing = next(p for p in (place, *place.parents) if p.exists())
        return float(shutil.disk_usage(existing).free)
    except (OSError, StopIteration, ValueError):
        return math.inf


def peak_memory() -> int:
    """Return the peak resident bytes of this process, 0 where the system does not say.

    Example:
        >>> peak_memory() >= 0
        True
    """
    try:
        import resource
    except ImportError:  # Windows
        return 0

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
