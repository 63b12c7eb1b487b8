"""What decides the numbers of a sweep, as plain JSON, and where two sweeps differ in it."""

import json
from collections.abc import Mapping
from typing import Any

from jssl.sweeps.digests import plain
from jssl.sweeps.identity import differing_programs

TEXT = ("make_problem", "observe")
"""Settings that explain a difference between programs and are none by themselves."""


def as_json(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as they come back from a file.

    Example:
        >>> import numpy as np
        >>> as_json({"axes": {"width": np.array([8, 16])}, "zip": (("a", "b"),)})
        {'axes': {'width': [8, 16]}, 'zip': [['a', 'b']]}
    """

    def written(value: Any) -> Any:
        return value.tolist() if hasattr(value, "tolist") else plain(value)

    return json.loads(json.dumps(settings, default=written))


def differences(stored: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Return where two settings ask for other numbers, one line each; none where they do not.

    Example:
        >>> differences({"axes": {"width": [8]}}, {"axes": {"width": [16]}})
        ['axes.width: [8] in the store, [16] asked']

    What programs compute is compared where everything else is the same. Another name of a function
    is no difference by itself.
    """
    apart = (*TEXT, "programs", "jax")
    first, second = ({k: v for k, v in s.items() if k not in apart} for s in (stored, asked))
    found = _differences(first, second)
    if found:
        return found
    programs = differing_programs(stored.get("programs", []), asked.get("programs", []))
    if not programs:
        return []
    if stored.get("jax") != asked.get("jax"):
        versions = f"JAX {stored.get('jax')} in the store, JAX {asked.get('jax')} here"
        programs = [f"{versions}, and programs of two versions cannot be compared"]
    first, second = ({k: s.get(k) for k in TEXT} for s in (stored, asked))
    return _differences(first, second) + programs


def _differences(stored: Any, asked: Any, path: str = "") -> list[str]:
    if isinstance(stored, dict) and isinstance(asked, dict):
        found = []
        for key in sorted(stored.keys() | asked.keys()):
            inner = f"{path}.{key}" if path else key
            found += _differences(stored.get(key), asked.get(key), inner)
        return found
    if stored == asked:
        return []
    return [f"{path}: {_short(stored)} in the store, {_short(asked)} asked"]


def _short(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
