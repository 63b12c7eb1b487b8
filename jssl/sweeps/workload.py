"""What a sweep computes, and where: its programs, what decides their numbers, and the devices.

The identity of a problem is a digest of what it computes, not of its text. A problem is traced
once, from (numbers, key) to its pairs, start, gradients, updates and records. Each part is the
slice of that trace that leads from the parts before it to its own outputs: primitives, shapes,
parameters, and constants by their bytes. Names, comments, memory addresses and the plan of a sweep
do not enter, so that the digest is the same in every process.
"""

import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jssl.devices import local_devices
from jssl.jaxprs.digests import Known, digest, digest_slice, without_addresses
from jssl.memory import free_memory
from jssl.optim.descent import learning_rate_at
from jssl.simulation import objective, observe_embeddings
from jssl.sweeps.grid import Grid, Program, split, values_at
from jssl.sweeps.programs import (
    Spec,
    Traced,
    make_jaxpr,
    number_shapes,
    place,
    problem_of,
    seed_mesh,
    trace,
)
from jssl.types import Array, start_key

PARTS = {
    "data": "other data",
    "start": "other initial parameters",
    "objective": "another model or loss",
    "optimiser": "another optimiser",
    "observables": "other observables",
}
"""Part of a problem -> how a difference in it is reported, in the order in which they depend."""
_TEXT = ("make_problem", "observe")
"""Settings that explain a difference between programs and make none by themselves."""


class Machine(NamedTuple):
    """Where a sweep runs.

    Attributes:
        platform: "cpu", "gpu" or "tpu".
        devices: number of devices of this process.
        memory: bytes that a device may use.
    """

    platform: str
    devices: int
    memory: float


class Workload(NamedTuple):
    """A grid, what its programs are made from, what decides their numbers, and where they run.

    Attributes:
        grid: all runs.
        spec: what programs are made from.
        settings: what decides the numbers, as plain JSON; a store with other settings is refused.
        machine: the devices.
        digests: (static, traced) of a program -> digest of what it computes, found so far.
    """

    grid: Grid
    spec: Spec
    settings: dict[str, Any]
    machine: Machine
    digests: dict[Any, str]


def make_workload(grid: Grid) -> Workload:
    """Trace the problem of every program and return what the sweep computes.

    Raises:
        InputError: where the problem cannot be traced.
    """
    study = grid.study
    observe = None if study.observe is None else _hashable(study.observe)
    spec = Spec(_hashable(study.make_problem), observe, study.precision, study.parallel)
    known: Known = {}
    listed, digests = [], {}
    for program in split(grid):
        parts = identity(spec, program.static, program.traced, known)
        at = ", ".join(f"{name}={without_addresses(value)}" for name, value in program.static)
        listed.append({"at": at, **parts})
        digests[program.static, program.traced] = digest(*parts.values())
    values = {name: list(field) for d in grid.dimensions for name, field in d.fields.items()}
    settings = {
        "axes": {name: values.get(name, given) for name, given in study.axes.items()},
        "points": study.points,
        "zip": study.zip,
        "static": study.static,
        "record_steps": study.record_steps.tolist(),
        "seed": study.seed,
        "dtype": jnp.result_type(float).name,
        "matrix products": study.precision,
        "make_problem": _described(study.make_problem),
        "observe": _described(study.observe),
        "programs": listed,
        "jax": jax.__version__,
    }
    return Workload(grid, spec, _as_json(settings), machine(study.memory), digests)


def machine(memory: float | None = None) -> Machine:
    """Return this process's devices and the memory that each may use.

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


def digest_of(workload: Workload, program: Program) -> str:
    """Return the digest of what a program computes; a padded one is traced when first asked for."""
    key = program.static, program.traced
    if key not in workload.digests:
        workload.digests[key] = digest(*identity(workload.spec, *key).values())
    return workload.digests[key]


def traced_program(workload: Workload, program: Program) -> Traced:
    """Return a program's work and shapes."""
    records = len(workload.grid.study.record_steps)
    token = digest_of(workload, program)
    return trace(workload.spec, program.static, program.traced, records, token)


def on_one_device(workload: Workload, program: Program) -> bool:
    """Return whether a program must run on one device, because it calls LAPACK.

    Under jaxlib 0.10, batched LAPACK calls on several CPU devices at the same time may deadlock.
    Other platforms decompose by their own libraries.
    """
    several = workload.machine.platform == "cpu" and workload.machine.devices > 1
    return several and traced_program(workload, program).lapack


def mesh_of(workload: Workload, program: Program) -> Mesh:
    """Return the devices that a program runs on."""
    devices = local_devices()[:1] if on_one_device(workload, program) else None
    return seed_mesh(devices, axis=workload.spec.parallel)


def lane_arguments(
    workload: Workload, program: Program, index: np.ndarray, seeds: np.ndarray, mesh: Mesh
) -> tuple[dict[str, Any], Any]:
    """Return the numbers and the seeds of some runs, on the devices of a mesh.

    Args:
        workload: what the sweep computes.
        program: one of its programs.
        index: (lanes, dimensions) positions of the points.
        seeds: (lanes,) uint32 indices of seeds.
        mesh: where the program runs.
    """
    dtype = jnp.result_type(float)
    numbers = {
        name: place(v if v.dtype.kind == "i" else v.astype(dtype), workload.spec, mesh)
        for name, v in values_at(workload.grid, program.traced, index).items()
    }
    return numbers, place(seeds, workload.spec, mesh)


def one_device_line(workload: Workload, programs: Sequence[Program]) -> str:
    """Return the line that says which programs run on one CPU device and why, or nothing."""
    alone = sum(on_one_device(workload, program) for program in programs)
    if not alone:
        return ""
    which = "the programs" if alone == len(programs) else f"{alone} programs"
    subject, they = f"{which} of this sweep run", "they call"
    if alone == 1:
        which = "the program" if len(programs) == 1 else "1 program"
        subject, they = f"{which} of this sweep runs", "it calls"
    return (
        f"{subject} on one of {workload.machine.devices} CPU devices, because {they} LAPACK (eigh, "
        "svd, qr, cholesky, solve), which may deadlock on several; observe "
        "jssl.EigenvaluesOf(matrix), or the matrix itself, to use all devices"
    )


def identity(
    spec: Spec,
    static: tuple[tuple[str, Any], ...],
    traced: tuple[str, ...],
    known: Known | None = None,
) -> dict[str, str]:
    """Return part -> digest of what a problem computes.

    Example:
        >>> import jssl, optax
        >>> from jssl.models import linear
        >>> def problem_of(size):
        ...     def make_problem(learning_rate):
        ...         pairs = jssl.Pairs(size * jnp.ones((4, 3)), jnp.ones((4, 3)))
        ...         loss = lambda za, zb: ((za - zb) ** 2).mean()
        ...         rule = optax.sgd(learning_rate)
        ...         return jssl.Problem(lambda key: pairs, linear(3, 2), loss, rule)
        ...     return make_problem
        >>> one, two = (identity(Spec(problem_of(s)), (), ("learning_rate",)) for s in (1.0, 2.0))
        >>> print([part for part in one if one[part] != two[part]])
        ['data']

    Args:
        spec: what programs are made from.
        static: static fields of the program.
        traced: fields that are numbers inside it.
        known: digests of arrays found so far, shared between the programs of one sweep.

    Raises:
        InputError: where the problem cannot be traced.
    """
    key = jax.eval_shape(lambda: jax.random.key(0, impl="threefry2x32"))
    step = jax.ShapeDtypeStruct((), jnp.int32)
    arguments = number_shapes(traced), key, step
    closed, shapes = make_jaxpr(functools.partial(_parts, spec, static), arguments, static, traced)
    known = {} if known is None else known
    named = {var: f"in{i}" for i, var in enumerate(closed.jaxpr.invars)}
    found, first = {}, 0
    for part, shape in zip(PARTS, shapes, strict=True):
        structure = jax.tree.structure(shape)
        count = len(jax.tree.leaves(shape))
        outputs = closed.jaxpr.outvars[first : first + count]
        first += count
        sliced = digest_slice(closed, named, outputs, known)
        found[part] = digest(without_addresses(structure), sliced)
        for i, var in enumerate(outputs):
            if not hasattr(var, "val"):  # a literal is written out wherever it is used
                named.setdefault(var, f"{part}{i}")
    return found


def differences(stored: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Return where two settings ask for other numbers, one line each.

    Example:
        >>> differences({"axes": {"width": [8]}}, {"axes": {"width": [16]}})
        ['axes.width: [8] in the store, [16] asked']

    The programs are compared where everything else is the same. Another name of a function is no
    difference by itself.
    """
    apart = (*_TEXT, "programs", "jax")
    first, second = ({k: v for k, v in s.items() if k not in apart} for s in (stored, asked))
    found = _differing_values(first, second)
    if found:
        return found
    programs = _differing_programs(stored.get("programs", []), asked.get("programs", []))
    if not programs:
        return []
    if stored.get("jax") != asked.get("jax"):
        versions = f"JAX {stored.get('jax')} in the store, JAX {asked.get('jax')} here"
        programs = [f"{versions}, and programs of two versions cannot be compared"]
    first, second = ({k: s.get(k) for k in _TEXT} for s in (stored, asked))
    return _differing_values(first, second) + programs


def _parts(
    spec: Spec,
    static: tuple[tuple[str, Any], ...],
    numbers: Mapping[str, Array],
    key: Array,
    step: Array,
) -> tuple[Any, ...]:
    """Return the outputs of every part of a problem, in the order of `PARTS`."""
    problem = problem_of(spec, static, numbers)
    observe = (spec.observe or observe_embeddings)(problem)
    params = jax.tree.map(jnp.asarray, problem.model.init(start_key(key)))
    with jax.default_matmul_precision(spec.precision):
        pairs = problem.pairs(key)
        slope = jax.value_and_grad(objective(problem))(params, pairs, key)
        state = problem.optimiser.init(params)
        updates = problem.optimiser.update(slope[1], state, params)
        rate = learning_rate_at(problem.optimiser, step)
        record = observe(params, pairs)
    return pairs, params, slope, (state, updates, rate), record


def _differing_programs(stored: Sequence[Any], asked: Sequence[Any]) -> list[str]:
    """Return in which parts two lists of programs differ, one line each.

    Example:
        >>> one = [{"at": "loss=vicreg", "data": "a"}, {"at": "loss=simsiam", "data": "a"}]
        >>> _differing_programs(one, [one[0], {"at": "loss=simsiam", "data": "b"}])
        ['other data at loss=simsiam']
    """
    lines = []
    if len(stored) != len(asked):
        return [f"{len(stored)} programs in the store, {len(asked)} asked"]
    for part, says in PARTS.items():
        differ = [b["at"] for a, b in zip(stored, asked, strict=True) if a.get(part) != b.get(part)]
        where = f" at {differ[0]}" if differ and len(differ) < len(asked) else ""
        more = f" and at {len(differ) - 1} more" if where and len(differ) > 1 else ""
        lines += [f"{says}{where}{more}"] if differ else []
    return lines


def _differing_values(stored: Any, asked: Any, path: str = "") -> list[str]:
    if isinstance(stored, dict) and isinstance(asked, dict):
        found = []
        for key in sorted(stored.keys() | asked.keys()):
            inner = f"{path}.{key}" if path else key
            found += _differing_values(stored.get(key), asked.get(key), inner)
        return found
    if stored == asked:
        return []
    texts = ["nothing" if value is None else str(value) for value in (stored, asked)]
    short = [text if len(text) <= 60 else f"{text[:57]}..." for text in texts]
    return [f"{path}: {short[0]} in the store, {short[1]} asked"]


def _described(function: Any) -> dict[str, Any]:
    """Return the name of a function and the arguments that are already filled in.

    Example:
        >>> _described(functools.partial(jnp.sum, axis=0))
        {'name': 'jax.numpy:sum', 'axis': '0'}
    """
    if function is None:
        return {"name": "default"}
    if isinstance(function, functools.partial):
        filled = {str(i): value for i, value in enumerate(function.args)} | function.keywords
        return _described(function.func) | {n: _short(value) for n, value in filled.items()}
    kind = type(function)
    module = getattr(function, "__module__", kind.__module__)
    name = getattr(function, "__qualname__", kind.__qualname__)
    return {"name": f"{module}:{name}"}


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray | jax.Array) and value.size > 8:
        return f"{value.dtype}{list(value.shape)} with digest {digest(np.asarray(value).tobytes())}"
    return without_addresses(value)


def _as_json(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as they come back from a file.

    Example:
        >>> _as_json({"axes": {"width": np.array([8, 16])}, "zip": (("a", "b"),)})
        {'axes': {'width': [8, 16]}, 'zip': [['a', 'b']]}
    """

    def written(value: Any) -> Any:
        return value.tolist() if hasattr(value, "tolist") else without_addresses(value)

    return json.loads(json.dumps(settings, default=written))


def _hashable(function: Any) -> Any:
    """Return a callable that can be a key of the programs' caches."""
    try:
        hash(function)
    except TypeError:
        return functools.partial(function)
    return function
