"""Which programs of a sweep are computed in the eigenbasis of the cross moment of their pairs.

Those of linear encoders on fixed pairs under a loss of C (`jssl.eigenbasis`), where the predicted
time is long against the trial that decides it. The choice is part of the plan, and of a store.
"""

import functools
from collections.abc import Iterable
from typing import Any

import jax
import numpy as np

from jssl.eigenbasis import Basis, agrees, basis_of, is_quadratic
from jssl.errors import InputError
from jssl.sweeps.axes import WIDTH
from jssl.sweeps.costs import cost_of_trace
from jssl.sweeps.grid import Program, values_at
from jssl.sweeps.programs import Spec, make_jaxpr, number_shapes, problem_of
from jssl.sweeps.workload import Workload, digest_of, traced_program

WORTH = 5.0
"""Predicted seconds of a program's runs from which the eigenbasis is tried."""


def with_bases(workload: Workload, programs: Iterable[Program]) -> Workload:
    """Return a workload that computes the long ones of some programs in an eigenbasis, if it may.

    Args:
        workload: without bases.
        programs: of its plan.
    """
    chosen = {}
    split = workload.spec.parallel == "seed"
    programs = [p for p in programs if is_long(workload, p)] if split else []
    for program in programs:
        basis = None if WIDTH in program.traced else _tried(workload, program)
        if basis is not None:
            chosen[program.static] = basis
    reduced = with_known(workload, chosen)
    less = {
        program.static: chosen[program.static]
        for program in programs
        if program.static in chosen
        and traced_program(reduced, program).step.products
        < traced_program(workload, program).step.products
    }
    return with_known(workload, less)


def is_long(workload: Workload, program: Program) -> bool:
    """Return whether the runs of a program last so long that an eigenbasis is tried.

    The basis changes how numbers are rounded. The choice depends on the study alone, therefore: not
    on rates of earlier runs, nor on the number of devices.
    """
    steps = max(int(workload.grid.study.record_steps[-1]), 1)
    runs = program.points * workload.grid.seeds
    return runs * steps * cost_of_trace(workload, program).step >= WORTH


def with_stored(workload: Workload, programs: Iterable[Program]) -> Workload:
    """Return a workload that computes some programs in the eigenbasis, as a stored plan says.

    Raises:
        InputError: where the pairs of a program have none.
    """
    chosen = {}
    for program in programs:
        fields = _first_numbers(workload, program)
        basis = basis_of(problem_of(workload.spec, program.static, dict(fields)))
        if basis is None:
            message = "the pairs of this sweep are no longer fixed; name another store"
            raise InputError(message)
        chosen[program.static] = _with_form(basis, workload.spec, program.static, fields)
    return with_known(workload, chosen)


def with_known(workload: Workload, chosen: dict[Any, Basis]) -> Workload:
    """Return a workload with the given bases: static fields of a program -> its basis."""
    if not chosen:
        return workload
    return workload._replace(spec=workload.spec._replace(bases=tuple(chosen.items())))


def in_basis(workload: Workload, program: Program) -> bool:
    """Return whether a program is computed in an eigenbasis."""
    return program.static in dict(workload.spec.bases)


def _tried(workload: Workload, program: Program) -> Basis | None:
    token = digest_of(workload, program)
    fields = _first_numbers(workload, program)
    return _basis_of(workload.spec, program.static, program.traced, fields, token)


@functools.lru_cache(maxsize=64)
def _basis_of(
    spec: Spec,
    static: tuple[tuple[str, Any], ...],
    traced: tuple[str, ...],
    fields: tuple[tuple[str, float], ...],
    token: str,
) -> Basis | None:
    """Return the basis of a program that may be computed in it, remembered in this process."""
    del token  # part of the cache's key
    problem = problem_of(spec, static, dict(fields))
    basis = basis_of(problem)
    if basis is None or _pairs_depend_on_numbers(spec, static, traced):
        return None
    return _with_form(basis, spec, static, fields) if agrees(problem, basis) else None


def _with_form(
    basis: Basis,
    spec: Spec,
    static: tuple[tuple[str, Any], ...],
    fields: tuple[tuple[str, float], ...],
) -> Basis:
    """Return the basis, which knows whether the loss is quadratic in each entry of C alone.

    It is tried at the first numbers and at others, since an exponent among them may be 2 by chance.
    """
    other = {name: 0.73 * value if value else 0.37 for name, value in fields}
    try:
        both = [problem_of(spec, static, numbers) for numbers in (dict(fields), other)]
    except Exception:  # whatever make_problem raises for numbers that it was not asked for
        return basis
    quadratic = all(map(is_quadratic, both))
    return Basis(basis.values, basis.vectors, quadratic=quadratic)


def _first_numbers(workload: Workload, program: Program) -> tuple[tuple[str, float], ...]:
    first = np.asarray([[p[0] for p in program.positions]])
    numbers = values_at(workload.grid, program.traced, first)
    return tuple((name, float(value[0])) for name, value in numbers.items())


def _pairs_depend_on_numbers(
    spec: Spec, static: tuple[tuple[str, Any], ...], traced: tuple[str, ...]
) -> bool:
    """Return whether the pairs of a program change with its traced fields, as far as is seen."""
    key = jax.eval_shape(lambda: jax.random.key(0, impl="threefry2x32"))

    def pairs(numbers: Any, key: Any) -> Any:
        return problem_of(spec, static, numbers).pairs(key)[:2]

    closed, _ = make_jaxpr(pairs, (number_shapes(traced), key), static, traced)
    jaxpr = closed.jaxpr
    moving = set(jaxpr.invars)
    for equation in jaxpr.eqns:
        if any(not hasattr(v, "val") and v in moving for v in equation.invars):
            moving |= set(equation.outvars)
    return any(not hasattr(v, "val") and v in moving for v in jaxpr.outvars)
