"""A short measurement before a long sweep: how many runs to map together, and at what rate.

Only where the predicted time is long against the few compilations that it costs, and only on the
CPU, where the group decides whether a run's arrays stay in a core's cache.
"""

import math
import time
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl.sweeps.axes import Program, values_at
from jssl.sweeps.plan import Layout, Plan, devices_of
from jssl.sweeps.prepare import Prepared, mesh_of, token_of
from jssl.sweeps.programs import calls, place, share

MEASURE_ABOVE = 120.0
"""Predicted seconds of a program's runs from which it is measured."""
SECONDS = 0.3
"""Aim of one timed call."""


def measure(prepared: Prepared, plan: Plan, seed: int) -> dict[Program, dict[str, Any]]:
    """Return program -> {"micro", "step"} of the best of three group sizes, long programs only.

    Args:
        prepared: what runs.
        plan: a plan from predictions.
        seed: the root seed.
    """
    if prepared.machine.platform != "cpu" or prepared.spec.parallel != "seed":
        return {}
    steps = max(int(prepared.steps[-1]), 1)
    found = {}
    for layout in plan.layouts:
        runs = layout.program.points * prepared.grid.seeds
        devices = devices_of(layout.cost, plan.devices)
        if runs * layout.cost.step * steps / devices >= MEASURE_ABOVE:
            sizes = sorted({max(1, layout.micro // 2), layout.micro, 2 * layout.micro})
            rates = {size: _rate(prepared, layout, size, seed) for size in sizes}
            best = min(rates, key=rates.__getitem__)
            found[layout.program] = {"micro": best, "step": rates[best]}
    return found


def _rate(prepared: Prepared, layout: Layout, micro: int, seed: int) -> float:
    """Return the seconds a step of one run on one device, the better of two timed calls."""
    mesh = mesh_of(prepared, layout.program)
    lanes = micro * len(mesh.devices.flat)
    first = np.asarray([[p[0] for p in layout.program.positions]] * lanes)
    dtype = jnp.result_type(float)
    numbers: Mapping[str, Any] = {
        name: place(v if v.dtype == np.int32 else v.astype(dtype), prepared.spec, mesh)
        for name, v in values_at(prepared.grid, layout.program.traced, first).items()
    }
    seeds = place(np.arange(lanes, dtype=np.uint32), prepared.spec, mesh)
    key = share(jax.random.key(seed, impl="threefry2x32"), mesh)
    token = token_of(prepared, layout.program)
    call = calls(prepared.spec, layout.program.static, micro, mesh, token).whole

    def seconds(steps: int) -> float:
        increments = np.zeros(len(prepared.steps), np.int32)
        increments[-1] = steps
        started = time.perf_counter()
        jax.block_until_ready(call(numbers, seeds, key, share(increments, mesh)))
        return time.perf_counter() - started

    seconds(1)  # compiles
    fixed = min(seconds(1) for _ in range(2))
    guess = layout.cost.step * micro
    steps = 1 + max(1, min(int(prepared.steps[-1]), math.ceil(SECONDS / max(guess, 1e-9))))
    taken = min(seconds(steps) for _ in range(2))
    return max(taken - fixed, 1e-9) / (steps - 1) / micro
