"""Facts about programs of earlier runs, in small files beside JAX's compilation cache.

There are none where the cache is off. A wrong fact costs time; it changes how a sweep divides and
pads its runs, and with it results by rounding at most.
"""

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

import jax

from jssl.report.files import write_atomically


def fact_name(*parts: Any) -> str:
    """Return a short name for anything that JSON or `str` can write.

    Example:
        >>> fact_name("rate", 2) == fact_name("rate", 2) != fact_name("rate", 3)
        True
    """
    text = json.dumps(parts, default=str, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def read_facts(name: str) -> dict[str, Any]:
    """Return the facts under a name, empty if there is no file that can be read."""
    folder = _folder()
    if folder is None:
        return {}
    try:
        found = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def add_facts(name: str, **facts: Any) -> None:
    """Add facts under a name; do nothing where the file cannot be written."""
    folder = _folder()
    if folder is None:
        return
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / f"{name}.json", json.dumps({**read_facts(name), **facts}))


def _folder() -> Path | None:
    cache = getattr(jax.config, "jax_compilation_cache_dir", None)
    return Path(cache) / "jssl-programs" if cache else None
