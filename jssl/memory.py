"""How much memory is free, and refusals by arithmetic before any is taken."""

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
