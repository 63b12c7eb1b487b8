"""From what is asked to what will run: the grid and its plan."""

import functools
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.errors import InputError, unknown_name
from jssl.memory import free_memory
from jssl.simulation import checked_record_steps
from jssl.sweeps import records
from jssl.sweeps.axes import WIDTH, Grid, Program, make_grid, values_at
from jssl.sweeps.plan import CHUNK_SECONDS, Cost, Machine, Plan, group_size, make_plan
from jssl.sweeps.programs import Spec, local_devices, padding_is_exact, trace

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
    shard: str = "seed"
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
    """

    spec: Spec
    grid: Grid
    steps: np.ndarray
    settings: dict[str, Any]
    machine: Machine


def prepare(request: Request) -> Prepared:
    """Check a request.

    Raises:
        InputError: for anything that cannot run.
    """
    steps = checked_record_steps(request.record_steps)
    whole = isinstance(request.seed, int | np.integer) and not isinstance(request.seed, bool)
    if not whole or not 0 <= request.seed < 2**32:
        message = f"seed must be a whole number between 0 and 2**32 - 1; got {request.seed!r}"
        raise InputError(message)
    if request.shard not in ("seed", "batch"):
        raise unknown_name(kind="shard", name=request.shard, known=("seed", "batch"))
    grid = make_grid(
        request.make_problem,
        request.axes,
        points=request.points,
        zipped=request.zip,
        static=request.static,
    )
    spec = Spec(request.make_problem, request.observe, request.precision, request.shard)
    settings = {
        "axes": request.axes,
        "points": request.points,
        "zip": request.zip,
        "static": request.static,
        "record_steps": steps.tolist(),
        "seed": request.seed,
        "make_problem": records.identity(request.make_problem),
        "observe": records.identity(request.observe),
        "dtype": jnp.result_type(float).name,
        "matrix products": request.precision,
        **request.settings,
    }
    return Prepared(
        spec, grid, steps, json.loads(json.dumps(settings, default=_plain)), machine(request.memory)
    )


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
    return prepared.machine.devices if prepared.spec.shard == "seed" else 1


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
    wide = prepared.machine.devices if prepared.spec.shard == "batch" else 1
    launched = work.operations * each / group_size(work.traffic)
    step = (work.products / products + work.other / other + launched) / wide
    known = records.load(rate_name(prepared, program))
    compiled = records.load(compile_name(prepared, program))
    base, an_equation = COLD_COMPILE
    cold = base + an_equation * (work.equations + traced.start.equations)
    record = sum(int(np.prod(s.shape)) * s.dtype.itemsize for s in traced.shapes.values())
    return Cost(
        step=known.get("step", step),
        compile=0.0 if compiled else cold,
        traffic=work.traffic / wide,
        state=traced.state,
        record=record,
        micro=known.get("micro"),
    )


def traced_program(prepared: Prepared, program: Program) -> Any:
    """Return a program's work and shapes."""
    x64 = jnp.result_type(float) == jnp.float64
    return trace(prepared.spec, program.static, program.traced, len(prepared.steps), x64)


def rate_name(prepared: Prepared, program: Program) -> str:
    """Return the name under which a program's measured rate is kept."""
    spec = prepared.spec
    return records.digest(
        "rate",
        records.identity(spec.make_problem),
        records.identity(spec.observe),
        program.static,
        program.traced,
        prepared.settings["dtype"],
        spec.precision,
        spec.shard,
        prepared.machine.platform,
        prepared.machine.devices,
        os.cpu_count(),
    )


def compile_name(prepared: Prepared, program: Program) -> str:
    """Return the name under which it is kept that a program was compiled."""
    return records.digest(
        rate_name(prepared, program), prepared.grid.shape, len(prepared.steps), jax.__version__
    )


def differences(stored: Any, asked: Any, path: str = "") -> list[str]:
    """Return where two settings differ, one line each.

    Example:
        >>> differences({"axes": {"width": [8]}}, {"axes": {"width": [16]}})
        ['axes.width: [8] in the store, [16] asked']
    """
    if isinstance(stored, dict) and isinstance(asked, dict):
        found = []
        for key in sorted(stored.keys() | asked.keys()):
            inner = f"{path}.{key}" if path else key
            found += differences(stored.get(key), asked.get(key), inner)
        return found
    if stored == asked or (path.endswith(".source") and not (stored and asked)):
        return []
    return [f"{path}: {_short(stored)} in the store, {_short(asked)} asked"]


def _padding(prepared: Prepared, program: Program, seed: int) -> bool:
    first = np.asarray([[p[0] for p in program.positions]])
    numbers = values_at(prepared.grid, program.traced, first)
    width = int(numbers.pop(WIDTH)[0])
    held = tuple((field, float(value[0])) for field, value in numbers.items())
    x64 = jnp.result_type(float) == jnp.float64
    return _pads(prepared.spec, program.static, held, width, seed, x64)


@functools.lru_cache(maxsize=256)
def _pads(
    spec: Spec,
    static: tuple[tuple[str, Any], ...],
    held: tuple[tuple[str, float], ...],
    width: int,
    seed: int,
    x64: bool,
) -> bool:
    # Not kept between processes: the same source may close over another model.
    del x64  # part of the cache's key
    key = jax.random.key(seed, impl="threefry2x32")
    return padding_is_exact(spec, static, dict(held), width, key)


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _short(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
