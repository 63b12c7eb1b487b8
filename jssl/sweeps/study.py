"""A study in a file: the arguments of `jssl.sweep` as TOML.

store = "runs/width-study"        # folder of the result
steps = 2000                      # the last step
record = 20                       # log-spaced record points after step 0, or a list of steps
seed = 0                          # root seed
precision = "float32"             # or "float64" (on the CPU)
shard = "seed"                    # or "batch": split every batch over the devices
zip = [["width", "learning_rate"]]     # axes that run together
static = []                       # floats that the problem needs as Python numbers

[problem]                         # what every point shares: `make = "module:function"` with
data = "digits"                   # its fixed arguments, or the fields of `jssl.sweeps.stated`
model = "mlp"

[axes]                            # field -> values; seed is a number of seeds
width = [32, 64, 128]
learning_rate = [0.03, 0.1]
seed = 64

[[points]]                        # explicit points, if wanted
[layout]                          # chunk_seconds, seed_block, segment, memory, if wanted
[until]                           # observable, half_width, relative, level, least: seeds are
                                  # added until its interval is tight; axes.seed is the most

An observable called like an axis is stored as NAME_value: `loss_value` beside an axis `loss`.
"""

import functools
import importlib
import inspect
import os
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jssl.errors import InputError, unknown_name
from jssl.paths import expanded
from jssl.simulation import log_spaced_steps
from jssl.sweeps.adaptive import Target, in_blocks
from jssl.sweeps.prepare import Request
from jssl.sweeps.stated import stated_problem
from jssl.sweeps.sweep import make_request

TOP = [
    "axes",
    "layout",
    "points",
    "precision",
    "problem",
    "record",
    "seed",
    "shard",
    "static",
    "steps",
    "store",
    "until",
    "zip",
]


class Study(NamedTuple):
    """What a file asks for.

    Attributes:
        request: the arguments of the sweep.
        store: folder of the result.
        precision: "float32" or "float64".
        until: when a point has enough seeds, or None for all of them.
    """

    request: Request
    store: str
    precision: str
    until: Target | None


def read_study(path: str | os.PathLike[str]) -> Study:
    """Read a study.

    Args:
        path: of the TOML file; the keys are in this module's docstring.

    Raises:
        InputError: for a file that is not there, malformed TOML (with line and column), an
            unknown key or a value of another type.
    """
    try:
        path = expanded(path)
        data = tomllib.loads(_text(path))
    except OSError as error:
        message = f"cannot read '{path}' ({(error.strerror or 'unreadable').lower()})"
        raise InputError(message) from error
    except tomllib.TOMLDecodeError as error:
        message = f"'{path}' is not valid TOML: {error}"
        raise InputError(message) from error
    for key in data:
        if key not in TOP:
            raise unknown_name(kind=f"key of '{path}'", name=key, known=TOP)
    for key, kind in (
        ("problem", dict), ("axes", dict), ("layout", dict), ("until", dict), ("points", list),
        ("store", str), ("zip", list), ("static", list),
    ):  # fmt: skip
        if not isinstance(data.get(key, kind()), kind):
            message = f"'{path}': {key} must be a {_WORDS[kind]}; got {data[key]!r}"
            raise InputError(message)
    for group in data.get("zip", []):
        if not isinstance(group, list):
            message = f"'{path}': zip must be a list of lists of axes; got {data['zip']!r}"
            raise InputError(message)
    _check_numbers(data)
    if not data.get("store"):
        message = f"'{path}' names no store: add a line such as store = \"runs/study\""
        raise InputError(message)
    precision = data.get("precision", "float32")
    if precision not in ("float32", "float64"):
        raise unknown_name(kind="precision", name=precision, known=("float32", "float64"))
    until, layout = _target(data.get("until")), data.get("layout", {})
    request = make_request(
        _make_problem(dict(data.get("problem", {})), Path(path).parent),
        data.get("axes", {}),
        _record_steps(path, data),
        seed=data.get("seed", 0),
        points=data.get("points"),
        zip=data.get("zip", ()),
        static=tuple(data.get("static", ())),
        shard=data.get("shard", "seed"),
        **(layout if until is None else in_blocks(until, layout)),
    )
    return Study(request, str(expanded(data["store"])), precision, until)


def _text(path: str | os.PathLike[str]) -> str:
    """Return the text of a UTF-8 file, with or without a byte order mark."""
    raw = Path(path).read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        message = f"'{path}' is not UTF-8 text (at line {line}, column {column}): save it as UTF-8"
        raise InputError(message) from error


_NUMBERS: dict[str, dict[str, tuple[Any, ...]]] = {
    "layout": {
        "chunk_seconds": (float, int),
        "memory": (float, int),
        "seed_block": (int,),
        "segment": (int,),
    },
    "until": {
        "half_width": (float, int),
        "relative": (float, int),
        "level": (float, int),
        "least": (int,),
    },
}
"""Table -> key -> types of its numbers, which are positive."""


def _check_numbers(data: Mapping[str, Any]) -> None:
    for name in data.get("layout", {}):
        if name not in _NUMBERS["layout"]:
            raise unknown_name(kind="key of [layout]", name=name, known=_NUMBERS["layout"])
    for table, known in _NUMBERS.items():
        for name, value in data.get(table, {}).items():
            kinds = known.get(name)
            if kinds and (isinstance(value, bool) or not isinstance(value, kinds) or value <= 0):
                what = "whole number of at least 1" if kinds == (int,) else "positive number"
                message = f"{name} of [{table}] must be a {what}; got {value!r}"
                raise InputError(message)
    if "make" not in data.get("problem", {}):
        rates = data.get("axes", {}).get("learning_rate", [])
        listed = [p.get("learning_rate") for p in data.get("points", []) if isinstance(p, dict)]
        for rate in [*(rates if isinstance(rates, list) else []), *listed]:
            if isinstance(rate, float | int) and rate <= 0:
                message = f"axis 'learning_rate' holds positive numbers; got {rate!r}"
                raise InputError(message)


def _target(until: Mapping[str, Any] | None) -> Target | None:
    if until is None:
        return None
    for name in until:
        if name not in Target._fields:
            raise unknown_name(kind="key of [until]", name=name, known=Target._fields)
    if "observable" not in until:
        message = "[until] needs observable, the name of what is measured"
        raise InputError(message)
    if not isinstance(until["observable"], str) or not isinstance(until.get("select", {}), dict):
        message = '[until] needs observable = "name", and select = { dimension = index } if any'
        raise InputError(message)
    return Target(**until)


_WORDS = {dict: "table", list: "list", str: "string"}


def _make_problem(fields: dict[str, Any], folder: Path) -> Callable[..., Any]:
    """Return the problem of `[problem]` with its fixed fields filled in."""
    place = fields.pop("make", None)
    make = stated_problem if place is None else _import(place, folder)
    parameters = inspect.signature(make).parameters
    if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        for name in fields:
            if name not in parameters:
                raise unknown_name(kind="field of [problem]", name=name, known=parameters)
    return functools.partial(make, **fields) if fields else make


def _import(place: Any, folder: Path) -> Callable[..., Any]:
    module, colon, name = str(place).partition(":")
    if not colon:
        message = f"problem.make must be 'module:function'; got {place!r}"
        raise InputError(message)
    sys.path.insert(0, str(folder.resolve()))
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception as error:  # whatever the user's module raises
        message = f"cannot import problem.make = '{place}' ({type(error).__name__}: {error})"
        raise InputError(message) from error
    finally:
        sys.path.remove(str(folder.resolve()))
    return found


def _record_steps(path: Any, data: Mapping[str, Any]) -> Any:
    record, steps = data.get("record", 20), data.get("steps")
    if isinstance(record, list):
        if steps is not None and [steps] != record[-1:]:
            message = (
                f"'{path}': record lists its own steps, up to {record[-1:]}, and steps = {steps}; "
                "leave steps out"
            )
            raise InputError(message)
        return record
    if isinstance(steps, int) and steps >= 1 and isinstance(record, int) and record >= 2:
        return log_spaced_steps(steps, record)
    message = (
        f"'{path}' needs steps, the last step, with record, a number of points of at least 2; or "
        f"record, a list of steps; got {steps=}, {record=}"
    )
    raise InputError(message)
