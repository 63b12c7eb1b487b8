"""What was learned of programs on this machine: compile times and rates.

One small file a program, beside JAX's persistent compilation cache and only where that is on: it
tells the planner what is compiled already. A wrong record costs time, never a result.
"""

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

import jax

from jssl.report.html import write_atomically


def digest(*parts: Any) -> str:
    """Return a short name for anything that JSON or `str` can write."""
    text = json.dumps(parts, default=str, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def folder() -> Path | None:
    """Return where records are kept: in the compilation cache, or nowhere."""
    cache = getattr(jax.config, "jax_compilation_cache_dir", None)
    return Path(cache) / "jssl-programs" if cache else None


def load(name: str) -> dict[str, Any]:
    """Return the record of that name, empty if there is none that can be read."""
    where = folder()
    if where is None:
        return {}
    try:
        found = json.loads((where / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def update(name: str, **facts: Any) -> None:
    """Add facts to a record; silent where it cannot be written."""
    where = folder()
    if where is None:
        return
    with contextlib.suppress(OSError):
        where.mkdir(parents=True, exist_ok=True)
        write_atomically(where / f"{name}.json", json.dumps({**load(name), **facts}))
