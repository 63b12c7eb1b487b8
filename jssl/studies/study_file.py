"""A study in a file: the arguments of `jssl.sweep` as TOML.

store = "runs/width-study"        # folder or URL of the result
steps = 2000                      # the last step
record = 20                       # log-spaced record points after step 0, or a list of steps
seed = 0                          # root seed
precision = "float32"             # or "float64" (on the CPU)
parallel = "seed"                 # or "batch": split every batch over the devices
zip = [["width", "learning_rate"]]     # axes that run together
static = []                       # floats that the problem needs as Python numbers

[problem]                         # what every point shares: `make = "module:function"` with
data = "digits"                   # its fixed arguments, or those of `jssl.studies.NamedProblem`
model = "mlp"

[axes]                            # field -> values; seed is a number of seeds
width = [32, 64, 128]
learning_rate = [0.03, 0.1]
seed = 64

[[points]]                        # explicit points, if wanted
[layout]                          # chunk_seconds, seed_block, segment, memory, if wanted
[until]                           # observable, half_width, relative, level, least: seeds are
                                  # added until its interval is narrow; axes.seed is the limit

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
from typing import Any

import numpy as np

from jssl.errors import InputError, shown, unknown_name
from jssl.paths import expanded
from jssl.record_steps import log_spaced_steps
from jssl.studies.fields import TABLE_OF, check_fields
from jssl.studies.problem import named_problem
from jssl.studies.schema import StudyFile
from jssl.sweeps.study import Layout, Study, Target, Until, make_study
from jssl.value_checks import check_table

MOST_BYTES = 16_000_000
"""Greatest size of a study file."""


def read_study(path: str | os.PathLike[str]) -> Study:
    r"""Read a study, and check all of it that can be checked without tracing its problem.

    Example:
        >>> import tempfile
        >>> text = 'store = "runs/a"\nsteps = 100\n[axes]\nlearning_rate = [0.1]\nseed = 4'
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "study.toml"
        ...     _ = path.write_text(text)
        ...     study = read_study(path)
        >>> print(study.store, study.axes)
        runs/a {'learning_rate': [0.1], 'seed': 4}

    Args:
        path: of the TOML file; `jssl.studies.schema` describes its keys.

    Raises:
        InputError: for a file that does not exist, malformed TOML (with line and column), an
            unknown or misplaced key, or a value of another type or out of range.
    """
    path = expanded(path)
    data = _parsed(path)
    check_table(StudyFile, data, f"key of '{path}'", elsewhere=TABLE_OF)
    for struct, name in ((Layout, "layout"), (Until, "until")):
        if name in data:
            what, place = f"key of [{name}]", f" of [{name}]"
            check_table(struct, data[name], what, place=place, elsewhere=TABLE_OF)
    dtype = data.get("precision", "float32")
    check_fields(data, np.dtype(dtype))
    given = ("seed", "points", "zip", "static", "parallel", "store")
    return make_study(
        _make_problem(dict(data.get("problem", {})), Path(path).parent),
        data.get("axes", {}),
        _record_steps(data),
        dtype=dtype,
        until=Target(**data["until"]) if "until" in data else None,
        **{name: data[name] for name in given if name in data},
        **data.get("layout", {}),
    )


def _parsed(path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        return tomllib.loads(_text(path))
    except OSError as error:
        message = f"cannot read '{path}' ({(error.strerror or 'unreadable').lower()})"
        raise InputError(message) from error
    except InputError:
        raise
    except ValueError as error:  # TOMLDecodeError, and numbers of thousands of digits
        message = f"'{path}' is not valid TOML: {error}"
        raise InputError(message) from error
    except RecursionError as error:
        message = f"'{path}' is not valid TOML: its values are nested too deeply"
        raise InputError(message) from error


def _text(path: str | os.PathLike[str]) -> str:
    """Return the text of a UTF-8 file, with or without a byte order mark."""
    with open(path, "rb") as file:
        raw = file.read(MOST_BYTES + 1)
    if len(raw) > MOST_BYTES:
        message = f"'{path}' is larger than {MOST_BYTES / 1e6:.0f} MB, so it is not a study"
        raise InputError(message)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        message = f"'{path}' is not UTF-8 text (at line {line}, column {column}): save it as UTF-8"
        raise InputError(message) from error


def _make_problem(fields: dict[str, Any], folder: Path) -> Callable[..., Any]:
    """Return the problem of `[problem]` with its fixed fields filled in."""
    place = fields.pop("make", None)
    make = named_problem if place is None else _import(place, folder)
    try:
        parameters = inspect.signature(make).parameters
    except (TypeError, ValueError) as error:
        message = f"problem.make = '{place}' must be a function of named arguments"
        raise InputError(message) from error
    if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        for name in fields:
            if name not in parameters:
                raise unknown_name(kind="field of [problem]", name=name, known=parameters)
    return functools.partial(make, **fields) if fields else make


def _import(place: Any, folder: Path) -> Callable[..., Any]:
    module, colon, name = place.partition(":") if isinstance(place, str) else ("", "", "")
    if not (module and colon and name):
        message = f"problem.make must be 'module:function'; got {shown(place)}"
        raise InputError(message)
    sys.path.insert(0, str(folder.resolve()))
    try:
        found = getattr(importlib.import_module(module), name)
    except (Exception, SystemExit) as error:  # whatever the user's module raises
        message = f"cannot import problem.make = '{place}' ({type(error).__name__}: {error})"
        raise InputError(message) from error
    finally:
        sys.path.remove(str(folder.resolve()))
    return found


def _record_steps(data: Mapping[str, Any]) -> Any:
    record, steps = data.get("record", 20), data.get("steps")
    if isinstance(record, list):
        if steps is not None and steps != record[-1]:
            message = (
                f"record lists its own steps, up to {record[-1]}, and steps = {steps}; leave steps "
                "out"
            )
            raise InputError(message)
        return record
    if steps is None:
        message = (
            "a study needs steps, the last step, with record, a number of points; or record, a "
            "list of steps"
        )
        raise InputError(message)
    return log_spaced_steps(steps, record)
