"""From what is asked to what will run: the grid and its plan."""

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jssl.memory import free_memory
from jssl.record_steps import checked_record_steps
from jssl.sweeps import identity, records
from jssl.sweeps.arguments import LAYOUT, SHARED, check_arguments
from jssl.sweeps.axes import WIDTH, Grid, Program, make_grid, split, values_at
from jssl.sweeps.digests import digest
from jssl.sweeps.padding import pads
from jssl.sweeps.plan import CHUNK_SECONDS, Cost, Machine, Plan, group_size, make_plan
from jssl.sweeps.programs import Spec, local_devices, seed_mesh
from jssl.sweeps.settings import as_json
from jssl.sweeps.tracing import Traced, trace

RATES = {"cpu": (6e10, 3e9, 3e-7), "gpu": (1e13, 1e12, 5e-6), "tpu": (1e13, 1e12, 5e-6)}
"""Assumed operations a second of products and of other work on a device, and seconds an operation
of a group of runs; on the CPU found on two cores, for the programs of `benchmarks/sweep.py`."""
COLD_COMPILE = (0.9, 0.0065)
"""Seconds to trace, lower and compile, for a program and for each of its equations: found there
(1.6, 2.4 and 7.0 s for 105, 182 and 939 equations; matrix inverses take longer)."""


class Request(NamedTuple):
    """What is asked for: the arguments of `jssl.sweep`."""

    make_problem: Callable[..., Any]
    axes: Mapping[str, Any]
    record_steps: Sequence[int] | np.ndarray
    observe: Any = None
    seed: int = 0
    points: Sequence[Mapping[str, Any]] | None = None
    zip: Sequence[Sequence[str]] = ()
    static: Sequence[str] = ()
    dims: Mapping[str, Sequence[str]] = {}
    precision: str = "highest"
    parallel: str = "seed"
    settings: Mapping[str, Any] = {}
    chunk_seconds: float = CHUNK_SECONDS
    seed_block: int | None = None
    segment: int | None = None
    memory: float | None = None
    point_by_point: bool = False


class Prepared(NamedTuple):
    """What will run.

    Attributes:
        spec: what programs are made from.
        grid: all runs.
        steps: record points.
        settings: what decides the numbers, as plain JSON; a store of others is refused.
        machine: where it runs.
        tokens: (static, traced) of a program -> digest of what it computes, found so far.
    """

    spec: Spec
    grid: Grid
    steps: np.ndarray
    settings: dict[str, Any]
    machine: Machine
    tokens: dict[Any, str]


def prepare(request: Request) -> Prepared:
    """Check a request.

    Raises:
        InputError: for anything that cannot run.
    """
    given = {k: getattr(request, k) for k in (*SHARED, *LAYOUT)}
    check_arguments(
        request.make_problem,
        request.record_steps,
        request.observe,
        request.dims,
        request.precision,
        request.points,
        {k: v for k, v in given.items() if v is not None},
    )
    steps = checked_record_steps(request.record_steps)
    grid = make_grid(
        request.make_problem,
        request.axes,
        points=request.points,
        zipped=request.zip,
        static=request.static,
        dtype=jnp.result_type(float),
    )
    make_problem, observe = _hashable(request.make_problem), _hashable(request.observe)
    spec = Spec(make_problem, observe, request.precision, request.parallel)
    listed, tokens = identity.of_programs(spec, split(grid))
    settings = {
        "axes": _plain_axes(request.axes, grid),
        "points": request.points,
        "zip": request.zip,
        "static": request.static,
        "record_steps": steps.tolist(),
        "seed": request.seed,
        "dtype": jnp.result_type(float).name,
        "matrix products": request.precision,
        **request.settings,
        "make_problem": identity.stated(request.make_problem),
        "observe": identity.stated(request.observe),
        "programs": listed,
        "jax": jax.__version__,
    }
    return Prepared(spec, grid, steps, as_json(settings), machine(request.memory), tokens)


def plan_of(
    prepared: Prepared,
    request: Request,
    measured: Mapping[Program, Mapping[str, Any]] | None = None,
) -> Plan:
    """Return the plan of what will run; nothing but the padding check is compiled.

    Args:
        prepared: what runs.
        request: how it may be cut.
        measured: program -> {"micro", "step"} that replace predictions.
    """
    known = measured or {}

    def cost(program: Program) -> Cost:
        return cost_of(prepared, program)._replace(**known.get(program, {}))

    steps = int(prepared.steps[-1])
    return make_plan(
        prepared.grid,
        prepared.machine._replace(devices=lane_devices(prepared)),
        cost,
        steps=max(steps, 1),
        records=len(prepared.steps),
        padding=lambda program: _padding(prepared, program, request.seed),
        chunk_seconds=request.chunk_seconds,
        seed_block=request.seed_block,
        segment=request.segment,
        point_by_point=request.point_by_point,
    )


def lane_devices(prepared: Prepared) -> int:
    """Return how many devices runs are split over: one where batches are sharded."""
    return prepared.machine.devices if prepared.spec.parallel == "seed" else 1


def on_one_device(prepared: Prepared, program: Program) -> bool:
    """Return whether a program must not run on several devices: LAPACK calls wait for each other.

    Under jaxlib 0.10, batched LAPACK calls on several CPU devices at the same time may wait for
    ever. Other platforms decompose by their own libraries.
    """
    several = prepared.machine.platform == "cpu" and prepared.machine.devices > 1
    return several and traced_program(prepared, program).lapack


def mesh_of(prepared: Prepared, program: Program) -> Mesh:
    """Return the devices that a program runs on."""
    devices = local_devices()[:1] if on_one_device(prepared, program) else None
    return seed_mesh(devices, axis=prepared.spec.parallel)


def one_device_line(prepared: Prepared, plan: Plan) -> str:
    """Return the line that says which programs run on one CPU device and why, or nothing."""
    alone = sum(on_one_device(prepared, x.program) for x in plan.layouts)
    if not alone:
        return ""
    which = "the programs" if alone == len(plan.layouts) else f"{alone} programs"
    subject, they = (f"{which} of this sweep run", "they call")
    if alone == 1:
        which = "the program" if len(plan.layouts) == 1 else "1 program"
        subject, they = (f"{which} of this sweep runs", "it calls")
    return (
        f"{subject} on one of {prepared.machine.devices} CPU devices, because {they} LAPACK (eigh, "
        "svd, qr, cholesky, solve), which may wait for ever on several; observe "
        "jssl.EigenvaluesOf(matrix), or the matrix itself, to use all devices"
    )


def machine(memory: float | None = None) -> Machine:
    """Return this process's devices and the memory each may use.

    Example:
        >>> machine().devices >= 1
        True

    Args:
        memory: bytes a device; None for 80 % of an accelerator's, or half of what is free here.
    """
    devices = local_devices()
    platform = {"cuda": "gpu", "rocm": "gpu"}.get(devices[0].platform, devices[0].platform)
    if memory is None:
        stats = devices[0].memory_stats() if platform != "cpu" else None
        memory = 0.8 * stats["bytes_limit"] if stats else free_memory() / 2 / len(devices)
    return Machine(platform, len(devices), memory)


def cost_of(prepared: Prepared, program: Program) -> Cost:
    """Predict a program's cost, from measurements of earlier runs where there are any."""
    traced = traced_program(prepared, program)
    products, other, each = RATES.get(prepared.machine.platform, RATES["cpu"])
    work = traced.step
    alone = on_one_device(prepared, program)
    wide = prepared.machine.devices if prepared.spec.parallel == "batch" and not alone else 1
    launched = work.operations * each / group_size(work.traffic)
    step = (work.products / products + work.other / other + launched) / wide
    known = records.load(rate_name(prepared, program))
    compiled = records.load(compile_name(prepared, program))
    base, an_equation = COLD_COMPILE
    cold = base + an_equation * (work.equations + traced.start.equations)
    return Cost(
        step=known.get("step", step),
        compile=0.0 if compiled else cold,
        traffic=work.traffic / wide,
        state=traced.state,
        record=traced.record,
        micro=known.get("micro"),
        devices=1 if alone else None,
    )


def traced_program(prepared: Prepared, program: Program) -> Traced:
    """Return what is known of a program from its trace."""
    token = token_of(prepared, program)
    return trace(prepared.spec, program.static, program.traced, len(prepared.steps), token)


def token_of(prepared: Prepared, program: Program) -> str:
    """Return the digest of what a program computes; a padded one is traced when first asked for."""
    key = program.static, program.traced
    if key not in prepared.tokens:
        parts = identity.identity(prepared.spec, *key)
        prepared.tokens[key] = digest(*parts.values())
    return prepared.tokens[key]


def rate_name(prepared: Prepared, program: Program) -> str:
    """Return the name under which a program's measured rate is kept."""
    spec = prepared.spec
    return records.digest(
        "rate",
        token_of(prepared, program),
        program.static,
        program.traced,
        prepared.settings["dtype"],
        spec.precision,
        spec.parallel,
        prepared.machine.platform,
        prepared.machine.devices,
        os.cpu_count(),
    )


def compile_name(prepared: Prepared, program: Program) -> str:
    """Return the name under which it is kept that a program was compiled."""
    return records.digest(
        rate_name(prepared, program), prepared.grid.shape, len(prepared.steps), jax.__version__
    )


def _padding(prepared: Prepared, program: Program, seed: int) -> bool:
    first = np.asarray([[p[0] for p in program.positions]])
    numbers = values_at(prepared.grid, program.traced, first)
    width = int(numbers.pop(WIDTH)[0])
    held = tuple((field, float(value[0])) for field, value in numbers.items())
    token = token_of(prepared, program)
    return pads(prepared.spec, program.static, held, width, seed, token)


def _hashable(function: Any) -> Any:
    """Return a callable that can be a key of the programs' caches."""
    try:
        hash(function)
    except TypeError:
        return functools.partial(function)
    return function


def _plain_axes(axes: Mapping[str, Any], grid: Grid) -> dict[str, Any]:
    values = {name: held for d in grid.dimensions for name, held in d.fields.items()}
    return {name: list(values[name]) if name in values else given for name, given in axes.items()}
