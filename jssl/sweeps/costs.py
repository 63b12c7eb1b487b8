"""What a program costs in time and memory: predicted from its trace, or measured.

    seconds a step = products / rate + other operations / rate + operations x launch / group

A prediction is rough and only used to choose between plans. Rates and compilations of earlier runs
replace it (`jssl.cached_facts`).
"""

import functools
import math
import os
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.cached_facts import add_facts, fact_name, read_facts
from jssl.errors import InputError
from jssl.simulation import objective
from jssl.single_use import CHEAP
from jssl.sweeps.axes import WIDTH
from jssl.sweeps.grid import MAX_WIDTH, Program, values_at
from jssl.sweeps.programs import Spec, calls, run_key, share
from jssl.sweeps.workload import (
    Machine,
    Workload,
    digest_of,
    lane_arguments,
    mesh_of,
    on_one_device,
    traced_program,
)
from jssl.types import Array, start_key

RATES = {"cpu": (6e10, 3e9, 3e-7), "gpu": (1e13, 1e12, 5e-6), "tpu": (1e13, 1e12, 5e-6)}
"""Assumed operations a second of products and of other work on a device, and seconds an operation
of a group of runs; those of the CPU were found on two cores, with `benchmarks/sweep.py`."""
COLD_COMPILE = (0.9, 0.0065)
"""Seconds to trace, lower and compile, for a program and for each of its equations: found there
(1.6, 2.4 and 7.0 s for 105, 182 and 939 equations; matrix inverses take longer)."""
CACHE_TRAFFIC = 16e6
"""Bytes that a group of runs may write in one step and still stay mostly in a core's cache."""
MEASURE_ABOVE = 120.0
"""Predicted seconds of a program's runs from which it is measured."""
MEASURE_SECONDS = 0.3
"""Duration at which a timed call aims."""


class Cost(NamedTuple):
    """What a run of a program costs.

    Attributes:
        step: seconds a training step of one run on one device.
        compile: seconds to compile, 0 where the program is cached.
        traffic: bytes that one step of one run writes, an upper bound of its working memory.
        state: bytes carried between steps.
        record: bytes that a run returns.
        micro: how many runs are best mapped together, if that was measured.
        devices: on how many devices the program may run; None for all.
    """

    step: float
    compile: float
    traffic: float
    state: float
    record: float
    micro: int | None = None
    devices: int | None = None


def cost_of(workload: Workload, program: Program) -> Cost:
    """Predict a program's cost, from facts of earlier runs where there are any."""
    cost = cost_of_trace(workload, program)
    known = read_facts(_rate_name(workload, program))
    compiled = read_facts(_compile_name(workload, program))
    return cost._replace(
        step=known.get("step", cost.step),
        compile=0.0 if compiled else cost.compile,
        micro=known.get("micro"),
    )


def cost_of_trace(workload: Workload, program: Program) -> Cost:
    """Predict a program's cost from its trace alone, the same in every process."""
    traced = traced_program(workload, program)
    products, other, each = RATES.get(workload.machine.platform, RATES["cpu"])
    work = traced.step
    alone = on_one_device(workload, program)
    wide = workload.machine.devices if workload.spec.parallel == "batch" and not alone else 1
    launched = work.operations * each / group_size(work.traffic)
    step = (work.products / products + work.other / other + launched) / wide
    base, an_equation = COLD_COMPILE
    cold = base + an_equation * (work.equations + traced.start.equations)
    return Cost(
        step=step,
        compile=cold,
        traffic=work.traffic / wide,
        state=traced.state,
        record=traced.record,
        devices=1 if alone else None,
    )


def group_size(traffic: float) -> int:
    """Return how many runs are mapped together so that they stay mostly in a core's cache.

    Example:
        >>> print(group_size(1e3), group_size(1e6), group_size(1e9))
        256 16 2

    Args:
        traffic: bytes that one step of one run writes.
    """
    return int(2 ** int(math.log2(min(max(2.0, CACHE_TRAFFIC / max(traffic, 1.0)), 256.0))))


def devices_of(cost: Cost, devices: int) -> int:
    """Return on how many of some devices a program runs.

    Example:
        >>> print(devices_of(Cost(1.0, 0.0, 0.0, 0.0, 0.0, devices=1), 8))
        1
    """
    return devices if cost.devices is None else min(devices, cost.devices)


def working_bytes(machine: Machine, cost: Cost, runs: int) -> float:
    """Return the bytes in which a device computes some runs at the same time."""
    copies = 1.0 if machine.platform == "cpu" else 1.5
    return copies * runs * (3 * cost.state + cost.traffic)


def group_in_memory(machine: Machine, program: Program, cost: Cost) -> int:
    """Return how many runs are mapped together on a device.

    Raises:
        InputError: where not even one run fits in its memory.
    """
    needed = working_bytes(machine, cost, 1) + cost.record
    if needed > machine.memory:
        named = ((name.removeprefix("max_"), value) for name, value in program.static)
        what = ", ".join(f"{name}={value}" for name, value in named) or "this problem"
        message = (
            f"one run of {what} needs about {needed / 1e9:.3g} GB and a device has "
            f"{machine.memory / 1e9:.3g} GB, {needed / machine.memory:.2g} times less: take a "
            "smaller width or batch, fewer record points, more memory, or parallel='batch' over "
            "more devices"
        )
        raise InputError(message)
    by_memory = max(1, int(machine.memory / needed))
    if machine.platform != "cpu":
        return by_memory
    return max(1, min(cost.micro or group_size(cost.traffic), by_memory))


def runs_in_a_call(
    machine: Machine, cost: Cost, micro: int, steps: int, chunk_seconds: float
) -> int:
    """Return how many runs a call may compute, by its duration and by the memory of the devices."""
    cpu = machine.platform == "cpu"
    devices = devices_of(cost, machine.devices)
    by_time = int(devices * chunk_seconds / max(cost.step * steps, 1e-9))
    spare = machine.memory - working_bytes(machine, cost, micro if cpu else 0)
    each = cost.record + (0 if cpu else working_bytes(machine, cost, 1))
    by_memory = devices * int(spare / max(2 * each, 1.0))
    return max(devices * micro if cpu else 1, min(by_time, by_memory))


def note_compiled(workload: Workload, program: Program) -> None:
    """Remember that a program is in the compilation cache."""
    add_facts(_compile_name(workload, program), compiled=True)


def note_rate(workload: Workload, program: Program, seconds: float) -> None:
    """Remember how many seconds a step of one run takes on one device."""
    add_facts(_rate_name(workload, program), step=seconds)


def measured(workload: Workload, program: Program, cost: Cost, micro: int) -> Cost | None:
    """Return a cost with the rate of the best of three group sizes; None for short programs.

    Only on the CPU, where the group size decides whether the arrays of a run stay in a core's
    cache, and only where the predicted time is long against a few compilations.

    Args:
        workload: what the sweep computes.
        program: one of its programs.
        cost: the predicted cost.
        micro: runs that are mapped together according to it.
    """
    if workload.machine.platform != "cpu" or workload.spec.parallel != "seed":
        return None
    steps = max(int(workload.grid.study.record_steps[-1]), 1)
    runs = program.points * workload.grid.seeds
    devices = devices_of(cost, workload.machine.devices)
    if runs * cost.step * steps / devices < MEASURE_ABOVE:
        return None
    sizes = sorted({max(1, micro // 2), micro, 2 * micro})
    rates = {size: _rate(workload, program, cost, size) for size in sizes}
    best = min(rates, key=rates.__getitem__)
    return cost._replace(micro=best, step=rates[best])


def padding_is_exact(
    spec: Spec,
    static: tuple[tuple[str, Any], ...],
    numbers: Mapping[str, Any],
    width: int,
    key: Array,
) -> bool:
    """Return whether a narrow net in wide arrays computes what it computes by itself.

    Compared are the loss at the start and the norm of its gradient: the loss differs where a model
    normalises across its channels, the gradient where padded neurons are not zero.

    Args:
        spec: what programs are made from.
        static: static fields of the padded program, `max_width` among them.
        numbers: traced fields of one point, without the width.
        width: the narrow width to try.
        key: the root key.
    """
    plain = {**{n: v for n, v in static if n != MAX_WIDTH}, WIDTH: width}

    def loss_and_slope(fields: Mapping[str, Any], key: Array) -> tuple[Array, Array]:
        problem = spec.make_problem(**fields)
        params = problem.model.init(start_key(key))
        draw = run_key(key, 0)
        value = objective(problem)
        with jax.default_matmul_precision(spec.precision):
            loss, slope = jax.value_and_grad(value)(params, problem.pairs(draw), draw)
        return loss, jnp.sum(jnp.stack([jnp.sum(g**2) for g in jax.tree.leaves(slope)]))

    def both(numbers: Any, live: Array, key: Array) -> Any:
        padded = {**dict(static), **numbers, WIDTH: live}
        return loss_and_slope({**plain, **numbers}, key), loss_and_slope(padded, key)

    arrays = {name: jnp.asarray(v, jnp.result_type(float)) for name, v in numbers.items()}
    arguments = (arrays, jnp.asarray(width, int), key)
    try:
        compiled = jax.jit(both).lower(*arguments).compile(CHEAP)
    except InputError:
        return False
    narrow, padded = compiled(*arguments)
    return bool(np.allclose(narrow, padded, rtol=1e-3, atol=0.0, equal_nan=True))


def can_be_padded(workload: Workload, program: Program) -> bool:
    """Return `padding_is_exact` at the first point of a padded program."""
    first = np.asarray([[p[0] for p in program.positions]])
    numbers = values_at(workload.grid, program.traced, first)
    width = int(numbers.pop(WIDTH)[0])
    fields = tuple((name, float(value[0])) for name, value in numbers.items())
    token = digest_of(workload, program)
    seed = workload.grid.study.seed
    return _padding_is_exact(workload.spec, program.static, fields, width, seed, token)


@functools.lru_cache(maxsize=256)
def _padding_is_exact(
    spec: Spec,
    static: tuple[tuple[str, Any], ...],
    fields: tuple[tuple[str, float], ...],
    width: int,
    seed: int,
    token: str,
) -> bool:
    """Return `padding_is_exact`, remembered in this process for what a program computes."""
    del token  # part of the cache's key
    key = jax.random.key(seed, impl="threefry2x32")
    return padding_is_exact(spec, static, dict(fields), width, key)


def _rate(workload: Workload, program: Program, cost: Cost, micro: int) -> float:
    """Return the seconds a step of one run on one device, the better of two timed calls."""
    mesh, steps = mesh_of(workload, program), workload.grid.study.record_steps
    lanes = micro * len(mesh.devices.flat)
    first = np.asarray([[p[0] for p in program.positions]] * lanes)
    seeds = np.arange(lanes, dtype=np.uint32)
    numbers, seeds = lane_arguments(workload, program, first, seeds, mesh)
    key = share(jax.random.key(workload.grid.study.seed, impl="threefry2x32"), mesh)
    token = digest_of(workload, program)
    call = calls(workload.spec, program.static, micro, mesh, token).whole

    def seconds(count: int) -> float:
        increments = np.zeros(len(steps), np.int32)
        increments[-1] = count
        started = time.perf_counter()
        jax.block_until_ready(call(numbers, seeds, key, share(increments, mesh)))
        return time.perf_counter() - started

    seconds(1)  # compiles
    fixed = min(seconds(1) for _ in range(2))
    guess = cost.step * micro
    count = 1 + max(1, min(int(steps[-1]), math.ceil(MEASURE_SECONDS / max(guess, 1e-9))))
    taken = min(seconds(count) for _ in range(2))
    return max(taken - fixed, 1e-9) / (count - 1) / micro


def _rate_name(workload: Workload, program: Program) -> str:
    spec = workload.spec
    return fact_name(
        "rate",
        digest_of(workload, program),
        program.static,
        program.traced,
        workload.settings["dtype"],
        spec.precision,
        spec.parallel,
        workload.machine.platform,
        workload.machine.devices,
        os.cpu_count(),
        *(("eigenbasis",) if program.static in dict(spec.bases) else ()),
    )


def _compile_name(workload: Workload, program: Program) -> str:
    grid = workload.grid
    rate = _rate_name(workload, program)
    return fact_name(rate, grid.shape, len(grid.study.record_steps), jax.__version__)
