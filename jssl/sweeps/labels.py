"""The labels of a result: its arrays and their dimensions, coordinates with units, attributes."""

import functools
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from jssl.errors import InputError, unknown_name
from jssl.sweeps.names import check_dimensions, own_dimensions
from jssl.sweeps.plan import Plan
from jssl.sweeps.prepare import Prepared, Request, traced_program
from jssl.sweeps.variables import NOT_RUN, Variable, stored_dtype


def variables_of(prepared: Prepared, plan: Plan, request: Request) -> dict[str, Variable]:
    """Return the arrays of the result; where programs differ in size, the largest.

    Raises:
        InputError: where programs differ in what they observe.
    """
    grid = prepared.grid
    lead = (*(d.name for d in grid.dimensions), "seed")
    shapes = [traced_program(prepared, x.program).shapes for x in plan.layouts]
    if any(set(s) != set(shapes[0]) for s in shapes):
        message = "programs observe different things: return the same names at every point"
        raise InputError(message)
    found = {}
    taken = {*lead, "step", *(name for d in grid.dimensions for name in d.fields)}
    _check_dims(request.dims, shapes[0])
    for name in sorted(shapes[0]):
        if name in taken:
            message = f"an observable cannot be called '{name}', which is a dimension; rename it"
            raise InputError(message)
        tails = [s[name].shape for s in shapes]
        if len({len(t) for t in tails}) != 1:
            message = f"observable '{name}' has another number of axes at some points"
            raise InputError(message)
        tail = tuple(max(sizes) for sizes in zip(*tails, strict=True))
        dtype = np.result_type(*(stored_dtype(s[name].dtype) for s in shapes))
        if len(set(tails)) > 1 and dtype.kind not in "fc":
            dtype = np.dtype(float)
        own: tuple[str, ...] = ()
        if name != "first_bad_step":
            given = request.dims.get(name, request.dims.get(name.removesuffix("_value")))
            own = ("step", *own_dimensions(name, given, len(tail) - 1, taken))
        found[name] = Variable((*lead, *own), (*grid.shape, *tail), dtype, _attributes(name))
    check_dimensions({name: (v.dims, v.shape) for name, v in found.items()})
    return found


def coordinates_of(prepared: Prepared, variables: Mapping[str, Variable]) -> dict[str, Any]:
    """Return the coordinates: values of the axes, seeds, steps and modes."""
    found: dict[str, Any] = {}
    for dimension in prepared.grid.dimensions:
        for name, values in dimension.fields.items():
            found[name] = (dimension.name, _coordinate(values), {"long_name": name})
    found["seed"] = ("seed", np.arange(prepared.grid.seeds), {"long_name": "seed index"})
    found["step"] = ("step", prepared.steps, {"long_name": "training step", "units": "steps"})
    modes = {n for v in variables.values() for n in zip(v.dims, v.shape, strict=True)}
    for name, size in modes:
        if name in ("mode", "mode_value") and name not in found:
            found[name] = (name, np.arange(1, size + 1), {"long_name": "mode, largest first"})
    return found


def attributes_of(prepared: Prepared) -> dict[str, Any]:
    """Return what a result depends on: settings, versions, revision, device, precision."""
    from jssl.report.html import environment

    held = environment()
    return {
        "title": "jssl sweep",
        "settings": prepared.settings,
        "versions": {k: v for k, v in held.items() if k not in ("devices", "cores", "system")},
        "device": f"{held['devices']}, {held['system']}",
        "precision": f"{prepared.settings['dtype']}, products {prepared.spec.precision}",
        "git_revision": _revision(),
    }


def _check_dims(dims: Mapping[str, Sequence[str]], observed: Iterable[str]) -> None:
    known = {name for stored in observed for name in (stored, stored.removesuffix("_value"))}
    for name in dims:
        if name not in known:
            raise unknown_name(kind="observable in dims", name=name, known=observed)


def _attributes(name: str) -> dict[str, str]:
    known = {
        "eigenvalues": {"long_name": "eigenvalues of the cross-correlation C"},
        "first_bad_step": {
            "long_name": "first step whose loss or parameters were not finite; "
            f"-1 none, {NOT_RUN} not run"
        },
        "loss": {"long_name": "loss on the pairs of the next step"},
        "loss_value": {"long_name": "loss on the pairs of the next step"},
        "t": {"long_name": "effective time", "units": "learning rate x step"},
    }
    return known.get(name, {"long_name": name})


def _coordinate(values: Sequence[Any]) -> np.ndarray:
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        return np.asarray(values)
    return np.asarray([str(v) for v in values], dtype=object)


@functools.cache
def _revision() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return "none"
    return done.stdout.strip() or "none"
