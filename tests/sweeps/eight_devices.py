"""Run on eight forced CPU devices in a process of its own; prints what it found as JSON."""

import contextlib
import json
import re
import sys
import tempfile
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jssl
from jssl import losses
from jssl.devices import use_all_cores
from jssl.losses.registry import LOSSES
from jssl.simulation import objective
from jssl.sweeps import shard_batch
from jssl.sweeps.programs import Spec, calls, seed_mesh, share

COLLECTIVES = "all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter"


def sweeps(devices):
    from sweep_problems import linear_problem

    axes = {"learning_rate": [0.01, 0.02, 0.03], "seed": 16}
    result = jssl.sweep(linear_problem, axes, record_steps=[0, 2, 10], seed_block=16)
    return {"devices": devices, "eigenvalues": result.eigenvalues.values.tolist()}


def resumed(before, after):
    """Kill a sweep on some devices after a checkpoint, resume it on others; return both results."""
    from sweep_problems import linear_problem

    from jssl.sweeps import programs, workload
    from jssl.sweeps.run import run_chunks
    from jssl.sweeps.store import checkpoints

    axes = {"learning_rate": [0.01, 0.02, 0.03], "seed": 5}
    options = {"record_steps": [0, 2, 5, 9, 14], "segment": 2}
    write, written = checkpoints._write, []

    def dies(*arguments):
        write(*arguments)
        written.append(1)
        raise KeyboardInterrupt

    def on(count, folder, **patched):
        with pytest.MonkeyPatch.context() as patch:
            for module in (programs, workload):
                patch.setattr(module, "local_devices", lambda: jax.devices()[:count])
            patch.setitem(run_chunks.__kwdefaults__, "checkpoint_seconds", 0.0)
            for name, value in patched.items():
                patch.setattr(checkpoints, name, value)
            with contextlib.suppress(KeyboardInterrupt):
                return jssl.sweep(linear_problem, axes, store=folder, **options)

    with tempfile.TemporaryDirectory() as folder:
        on(before, f"{folder}/store", _write=dies)
        read, found = checkpoints._read, []
        result = on(after, f"{folder}/store", _read=lambda *a: found.append(read(*a)) or found[-1])
        whole = on(before, f"{folder}/whole")
        return {
            "written": len(written),
            "restored": sum(state is not None for state in found),
            "eigenvalues": result.eigenvalues.values.tolist(),
            "whole": whole.eigenvalues.values.tolist(),
        }


def decomposed():
    """Return what a sweep records and says whose own observable calls LAPACK."""
    from sweep_problems import linear_problem

    def observe(problem):
        return lambda params, _: {"values": jnp.linalg.svd(params["weight"], compute_uv=False)}

    axes = {"learning_rate": [0.01, 0.02, 0.03], "seed": 16}
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        result = jssl.sweep(linear_problem, axes, record_steps=[0, 2, 10], observe=observe)
    return {"values": result["values"].values.tolist(), "said": [str(w.message) for w in said]}


def text():
    from sweep_problems import linear_problem

    mesh = seed_mesh()
    call = calls(Spec(linear_problem), (), 2, mesh)
    lanes = {"learning_rate": jnp.full(32, 0.01)}, jnp.arange(32, dtype=jnp.uint32)
    key, increments = jax.random.key(0), np.array([0, 2], np.int32)
    return call.whole.lower(*lanes, share(key, mesh), share(increments, mesh)).compile().as_text()


def gradients():
    """Return for every loss how far its gradient under a sharded batch is from the plain one."""
    mesh = seed_mesh(axis="batch")
    model = jssl.models.linear(5, 4, scale=1.0)
    x, y, other = (jax.random.normal(jax.random.key(i), (16, 5)) for i in range(3))
    key, params = jax.random.key(0), model.init(jax.random.key(1))

    def of(name, split):
        needs = name in ("linear_contrastive",)
        pairs = jssl.Pairs(x, x + 0.5 * y, other if needs else None)
        problem = jssl.Problem(lambda key: pairs, model, losses.get(name), None)
        problem = shard_batch(problem, mesh) if split else problem
        value = objective(problem)
        return jax.grad(lambda p: value(p, problem.pairs(key), key))(params)["weight"]

    def every(split):
        compiled = jax.jit(lambda: {name: of(name, split) for name in LOSSES}).lower().compile()
        return compiled(), compiled.as_text()

    (whole, _), (parts, hlo) = every(False), every(True)
    off = {n: float(jnp.abs(parts[n] - whole[n]).max() / jnp.abs(whole[n]).max()) for n in LOSSES}
    return {"off": off, "collectives": len(re.findall(COLLECTIVES, hlo))}


def main():
    use_all_cores(8)
    found = sweeps(len(jax.devices()))
    found["resumed"] = {f"{a} on {b}": resumed(a, b) for a, b in ((2, 4), (1, 4), (4, 3))}
    found["decomposed"] = decomposed()
    found["sweep_collectives"] = re.findall(COLLECTIVES, text())
    with jax.enable_x64(True):
        found["gradients"] = gradients()
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
