"""A study meets its store: there is none yet, or one to resume, or one that has to grow."""

import functools
import os
import subprocess
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jssl.errors import InputError, unknown_name
from jssl.sweeps import store as stores
from jssl.sweeps.arrays import Variable, coordinates_of
from jssl.sweeps.growth import Growth, find_growth, kept_pieces
from jssl.sweeps.plan import Plan, from_json, make_plan, to_json
from jssl.sweeps.store import Result
from jssl.sweeps.store.growing import finish_growing, grow
from jssl.sweeps.study import Target
from jssl.sweeps.workload import Workload, differences


class Opened(NamedTuple):
    """A study with its plan, and with its store where that is there.

    Attributes:
        plan: of the study.
        result: the store; None where it is not made yet, or has not grown yet.
        growth: how the store lies in the study, where it has to grow.
        create: makes the store, or makes it grow, where that is needed; returns the plan in it and
            the place of the result.
    """

    plan: Plan
    result: Result | None
    growth: Growth | None
    create: Callable[[], tuple[Plan, Result]]


def open_study(
    workload: Workload, *, workers: int = 0, measure: bool = True, **costs: Any
) -> Opened:
    """Return the plan and the place of the result: those of the store where there is one.

    Args:
        workload: what the study computes.
        workers: of a cluster, each of which gets several chunks; 0 for this process.
        measure: whether long programs are timed before a plan is chosen.
        **costs: `cost_of` of `jssl.sweeps.plan.from_json`.

    Raises:
        InputError: for a store with other settings, or a folder that cannot be written.
    """
    grid, study = workload.grid, workload.grid.study
    store = study.store
    growth, stored = None, None
    if store is not None and _is_store(store):
        finish_growing(store)
        attributes, stored = stores.read_plan(store)
        growth = _growth(workload, attributes.get("settings", {}))
        if growth is None:
            result = stores.in_store(store)
            if study.until is not None:
                check_observable(study.until, result.dataset().data_vars)
            plan = from_json(workload, stored, **costs)
            return Opened(plan, result, None, lambda: (plan, result))
    plan, variables = make_plan(workload, measure=measure and not workers, pieces=4 * workers)
    check_observable(study.until, variables)
    coordinates = coordinates_of(grid.dimensions, grid.seeds, study.record_steps, variables)
    pieces = to_json(plan), (*plan.blocks, plan.seed_block)

    def create() -> tuple[Plan, Result]:
        made = (variables, coordinates, _attributes(workload))
        if store is None:
            return plan, stores.in_memory(*made)
        if growth is not None:
            grow(store, (*made, *pieces), kept_pieces(growth, plan, stored or {}, variables))
        elif not stores.create(store, *made, *pieces):  # another process made it meanwhile
            return open_study(workload).create()
        return plan, stores.in_store(store)

    return Opened(plan, None, growth, create)


def _is_store(store: str) -> bool:
    """Return whether there is a store; raise where something else is there."""
    if stores.is_store(store):
        return True
    if not stores.is_free(store):
        message = f"'{store}' exists and is not the store of a sweep; name another store"
        raise InputError(message)
    return False


def _growth(workload: Workload, settings: Mapping[str, Any]) -> Growth | None:
    """Return how a store lies in a larger study; None where it has the same settings.

    Raises:
        InputError: for a store with other settings.
    """
    found = differences(settings, workload.settings)
    if not found:
        return None
    growth = find_growth(workload, settings)
    if not isinstance(growth, str):
        return growth
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    reasons = growth or f"{'; '.join(found[:3])}{more}"
    message = (
        f"the store '{workload.grid.study.store}' was written with other settings ({reasons}); "
        "name another store"
    )
    raise InputError(message)


def check_observable(target: Target | None, variables: Mapping[Any, Variable | Any]) -> None:
    """Raise unless a target names an observable and an index along each of its dimensions.

    Args:
        target: when a point has enough seeds; None is always right.
        variables: the arrays of the result, with `dims` and `shape`.
    """
    if target is None:
        return
    observed = {name: v for name, v in variables.items() if "step" in v.dims}
    if target.observable not in observed:
        raise unknown_name(kind="observable", name=target.observable, known=observed)
    variable = observed[target.observable]
    sizes = dict(zip(variable.dims, variable.shape, strict=True))
    further = set(sizes) - {*variables["first_bad_step"].dims, "step"}
    for name, index in target.select.items():
        if name not in further:
            kind = f"dimension of '{target.observable}'"
            raise unknown_name(kind=kind, name=name, known=further)
        if not -sizes[name] <= index < sizes[name]:
            message = f"select.{name} must be from 0 to {sizes[name] - 1}; got {index}"
            raise InputError(message)
    left = further - {*target.select}
    if left:
        message = f"'{target.observable}' has dimensions {sorted(left)}: select an index of each"
        raise InputError(message)


def _attributes(workload: Workload) -> dict[str, Any]:
    """Return what a result depends on: settings, versions, revision, device, precision."""
    from jssl.report.html import environment

    facts = environment()
    until = workload.grid.study.until
    return {
        "title": "jssl sweep",
        "settings": workload.settings,
        "versions": {k: v for k, v in facts.items() if k not in ("devices", "cores", "system")},
        "device": f"{facts['devices']}, {facts['system']}",
        "precision": f"{workload.settings['dtype']}, products {workload.spec.precision}",
        "git_revision": _revision(os.getcwd()),
        **({} if until is None else {"until": {**until._asdict(), "select": dict(until.select)}}),
    }


@functools.cache
def _revision(folder: str) -> str:
    """Return the git revision of a folder, "none" outside repositories."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return "none"
    return done.stdout.strip() or "none"
