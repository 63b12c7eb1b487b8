"""A valid study, and values that no key of it is made for."""

import datetime
import json
import math

HOSTILE = [
    True, False, 0, -1, 1, 2, 10**9, 10**12, 10**25, 2**31, 2**63, 1 << 20_000,
    0.0, -0.0, 0.5, 1.5, 1.0, -0.5, 1e-300, 1e300, 1e308, 5e-324, math.nan, math.inf, -math.inf,
    "", "a", " ", "a\nb", "\0", "\x1b[31m", "x" * 5000, "[bold]x[/bold]", "[/]", "$\\frac$", "$x$",
    "<script>", "../..", "a/b", "日本", "\u202e", "e\u0301", "None", "1", "nan", "linear:make",
    "os:getcwd", "os:path", "sys:exit", ":", "a:b:c",
    [], [[]], [1], [1, 2], [0.5], [1, 0.5], ["a"], [True], [1, "a"], [math.nan], [math.inf],
    [[1, 2], [3]], [{}], [10**9], [-1], [0], [1.0], [0.1, 0.1 + 1e-10], [1e-300, 1e300], [1, 1],
    list(range(50)), ["$x$", "[/]", "<b>"],
    {}, {"a": 1}, {"seed": 1}, {"make": 1}, {"a": {"b": []}},
    datetime.date(1979, 5, 27), datetime.datetime(1979, 5, 27, 7, 32), datetime.time(7, 32),
]  # fmt: skip


def valid(store):
    """Return the keys of a small study that runs in less than a second once compiled."""
    return {
        "store": str(store),
        "steps": 4,
        "record": 2,
        "seed": 1,
        "precision": "float32",
        "parallel": "seed",
        "zip": [],
        "static": [],
        "problem": {
            "data": "gaussian",
            "samples": 6,
            "features": 3,
            "noise": 0.3,
            "dim": 2,
            "model": "linear",
            "loss": "barlow_twins_linearized",
        },
        "axes": {"learning_rate": [0.01, 0.03], "seed": 2},
    }


def toml(data):
    """Return a table as TOML, every value inline."""
    return "".join(f"{_key(name)} = {_inline(value)}\n" for name, value in data.items())


def _key(name):
    return _text(str(name))


def _text(value):
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _inline(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(k)} = {_inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    if isinstance(value, int):
        return hex(value) if value > 10**30 else str(value)
    return _text(value) if isinstance(value, str) else getattr(value, "isoformat", value.__repr__)()
