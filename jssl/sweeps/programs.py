"""The programs of a sweep: a run as a function of (numbers, seed), traced, mapped and sharded.

    run(numbers, i) = scan of `advance` over the record points, from fold_in(key(root), i)

Runs are split over a mesh axis of all devices of this process and mapped in small groups on each:
devices exchange nothing. For models too wide for one device the batch is sharded instead, and the
runs are computed one after another.
"""

import functools
import math
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jssl.devices import local_devices
from jssl.eigenbasis import Basis, in_eigenbasis
from jssl.eigenvalues import decomposed_shape
from jssl.errors import InputError, shown
from jssl.jaxprs.work import Work, work_of
from jssl.lapack import calls_lapack
from jssl.simulation import simulate_undecomposed
from jssl.single_use import compile_for_many_steps
from jssl.sweeps.arrays import stored_names
from jssl.sweeps.axes import WIDTH
from jssl.types import Array, Pairs, Params, Problem, State

MakeProblem = Callable[..., Problem]
MakeObserve = Callable[[Problem], Callable[[Params, Pairs], dict[str, Any]]]


class Spec(NamedTuple):
    """What a program is made from; hashable.

    Attributes:
        make_problem: called with the static and the traced fields.
        observe: `observe(problem)` gives the observables; None for loss and eigenvalues of C.
        precision: of matrix products.
        parallel: "seed" splits runs over the devices, "batch" the batch of every run.
        bases: (static fields, basis) of programs that are computed in an eigenbasis.
    """

    make_problem: MakeProblem
    observe: MakeObserve | None = None
    precision: str = "highest"
    parallel: str = "seed"
    bases: tuple[tuple[tuple[tuple[str, Any], ...], Basis], ...] = ()


class Calls(NamedTuple):
    """The jitted functions of a program.

    Attributes:
        whole: `whole(numbers, seeds, key, increments) -> outputs` from start to end.
        start: `start(numbers, seeds, key) -> state`.
        segment: `segment(numbers, state, increments) -> (state, outputs)`.
    """

    whole: Any
    start: Any
    segment: Any


class Traced(NamedTuple):
    """What the trace of a program says, without compiling it.

    Attributes:
        start: work of the start and of all records.
        step: work of one training step.
        state: bytes carried between steps.
        record: bytes that the program returns of one run, matrices included.
        shapes: observable -> shape and dtype of one run, record points first, once matrices are
            decomposed.
        lapack: whether the program calls LAPACK when it runs on the CPU.
    """

    start: Work
    step: Work
    state: int
    record: int
    shapes: Mapping[str, jax.ShapeDtypeStruct]
    lapack: bool


def run_key(root: Array, index: Any) -> Array:
    """Return the key of run `index`, which depends on the root key and the index only.

    Example:
        >>> root = jax.random.key(0)
        >>> bool(run_key(root, 3) == jax.random.fold_in(root, 3))
        True
    """
    return jax.random.fold_in(root, index)


def seed_mesh(devices: Any = None, *, axis: str = "seed") -> Mesh:
    """Return a mesh of one axis over this process's devices.

    Example:
        >>> print(seed_mesh().axis_names)
        ('seed',)

    Args:
        devices: which; None for all of this process, on the CPU inside `float64()`.
        axis: name of the axis.
    """
    devices = local_devices() if devices is None else devices
    return jax.make_mesh((len(devices),), (axis,), axis_types=(AxisType.Auto,), devices=devices)


def shard_batch(problem: Problem, mesh: Mesh) -> Problem:
    """Return the problem with every batch split over the devices of a mesh.

    Example:
        >>> import jax.numpy as jnp, jssl
        >>> pairs = jssl.Pairs(jnp.ones((4, 1)), jnp.ones((4, 1)))
        >>> problem = jssl.Problem(lambda key: pairs, None, None, None)
        >>> split = shard_batch(problem, seed_mesh(axis="batch"))
        >>> print(jax.jit(split.pairs)(jax.random.key(0)).first.shape)
        (4, 1)

    The loss and its gradient are those of the whole batch: the compiler inserts the sums over
    devices.

    Args:
        problem: any problem; the batch must be a multiple of the number of devices to be split
            evenly.
        mesh: a mesh of one axis.
    """
    (axis,) = mesh.axis_names

    def pairs(key: Array) -> Pairs:
        def split(x: Array) -> Array:
            sharding = NamedSharding(mesh, PartitionSpec(axis))
            return lax.with_sharding_constraint(x, sharding)

        return jax.tree.map(split, problem.pairs(key))

    return problem._replace(pairs=pairs)


def problem_of(
    spec: Spec, static: tuple[tuple[str, Any], ...], numbers: Mapping[str, Any]
) -> Problem:
    """Return the problem of a point.

    Raises:
        InputError: where `make_problem` returns something else.
    """
    problem = spec.make_problem(**dict(static), **numbers)
    if not isinstance(problem, Problem):
        message = f"make_problem must return a jssl.Problem; got {type(problem).__name__}"
        raise InputError(message)
    return problem


def one_run(
    spec: Spec, static: tuple[tuple[str, Any], ...], mesh: Mesh | None = None
) -> tuple[Callable[..., State], Callable[..., Any]]:
    """Return `start(numbers, seed, key)` and `segment(numbers, state, increments)` of one run."""

    def simulation(numbers: Mapping[str, Array]) -> tuple[Problem, Any]:
        problem = problem_of(spec, static, numbers)
        if spec.parallel == "batch" and mesh is not None:
            problem = shard_batch(problem, mesh)
        see = None if spec.observe is None else spec.observe(problem)
        basis = dict(spec.bases).get(static)
        if basis is not None:
            problem, see = in_eigenbasis(problem, basis, see)
        return problem, simulate_undecomposed(problem, see, precision=spec.precision)

    def start(numbers: Mapping[str, Array], seed: Array, key: Array) -> State:
        return simulation(numbers)[1].init(run_key(key, seed))

    def segment(numbers: Mapping[str, Array], state: State, increments: Array) -> Any:
        _, simulated = simulation(numbers)

        def to_next(state: State, increment: Array) -> tuple[State, tuple[Array, dict]]:
            state, record = simulated.advance(state, increment)
            return state, (state.t, record)

        state, (t, record) = lax.scan(to_next, state, increments)
        names = stored_names(record, {*dict(static), *numbers})
        named = {names[name]: value for name, value in record.items()}
        return state, {**named, "t": t, "first_bad_step": state.first_bad_step}

    return start, segment


KEPT_PROGRAMS = 16
"""Compiled programs that a process keeps, the most recent ones. A program of a linear encoder holds
about 240 memory mappings, one of a ResNet 850 to 2,000, and Linux ends a process at 65,530."""


@functools.lru_cache(maxsize=256)
def trace(
    spec: Spec,
    static: tuple[tuple[str, Any], ...],
    traced: tuple[str, ...],
    records: int,
    token: str,
) -> Traced:
    """Return a program's work and shapes, or say why it cannot be traced.

    Args:
        spec: what the program is made from.
        static: static fields.
        traced: fields that are numbers inside the program.
        records: number of record points.
        token: digest of what the program computes (`jssl.sweeps.workload`), since the functions in
            `spec` may compute something else than when they were traced before.

    Raises:
        InputError: where `make_problem` needs a traced number as a Python value, or fails.
    """
    del token  # part of the cache's key
    start, segment = one_run(spec, static)
    numbers = number_shapes(traced)
    key = jax.eval_shape(lambda: jax.random.key(0, impl="threefry2x32"))

    def run(numbers: Any, seed: Array, key: Array, increments: Array) -> Any:
        state = start(numbers, seed, key)
        return segment(numbers, state, increments)

    increments = jax.ShapeDtypeStruct((records,), jnp.int32)
    arguments = (numbers, jax.ShapeDtypeStruct((), jnp.uint32), key, increments)
    closed, (state, outputs) = make_jaxpr(run, arguments, static, traced)
    once, step = work_of(closed.jaxpr)
    return Traced(
        once,
        step,
        _tree_bytes(state),
        _tree_bytes(outputs),
        {name: decomposed_shape(value) for name, value in outputs.items()},
        calls_lapack(closed.jaxpr),
    )


def make_jaxpr(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    static: Iterable[tuple[str, Any]],
    traced: tuple[str, ...],
) -> tuple[Any, Any]:
    """Return the closed jaxpr of a function that calls `make_problem`, and its output's shapes.

    Raises:
        InputError: where `make_problem` needs a traced number as a Python value, or fails.
    """
    try:
        return jax.make_jaxpr(function, return_shape=True)(*arguments)
    except jax.errors.ConcretizationTypeError as error:
        names = ", ".join(f"'{name}'" for name in traced)
        message = (
            f"make_problem needs one of the traced axes {names} as a Python number; name it in "
            "static=(...), or use it in functions of jax.numpy only"
        )
        raise InputError(message) from error
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # whatever the user's functions raise
        raise _failure(error, static, traced) from error


def number_shapes(traced: tuple[str, ...], *lead: int) -> dict[str, jax.ShapeDtypeStruct]:
    """Return the shapes of the traced fields: a padded width is an integer, others are floats.

    The integer has 64 bits in float64 computations, where the root or the reciprocal of an int32
    would be a float32.
    """
    return {
        name: jax.ShapeDtypeStruct(lead, jnp.result_type(int if name == WIDTH else float))
        for name in traced
    }


@functools.lru_cache(maxsize=KEPT_PROGRAMS)
def calls(
    spec: Spec, static: tuple[tuple[str, Any], ...], micro: int, mesh: Mesh, token: str = ""
) -> Calls:
    """Return the jitted functions that run many lanes of one program on a mesh.

    Args:
        spec: what the program is made from.
        static: static fields.
        micro: runs mapped together.
        mesh: the devices.
        token: digest of what the program computes (`jssl.sweeps.workload`), since the functions in
            `spec` may compute something else than when they were last called.
    """
    del token  # part of the cache's key
    start, segment = one_run(spec, static, mesh)
    (axis,) = mesh.axis_names
    lanes, whole = PartitionSpec(axis), PartitionSpec()

    def mapped(function: Callable[..., Any], *arguments: Any) -> Any:
        count = jax.tree.leaves(arguments)[0].shape[0]
        if spec.parallel == "batch":
            return lax.map(lambda xs: function(*xs), arguments)
        if count == micro:
            return jax.vmap(function)(*arguments)
        return lax.map(lambda xs: function(*xs), arguments, batch_size=micro)

    def sharded(function: Callable[..., Any], shared: int) -> Any:
        if spec.parallel == "batch":
            return compile_for_many_steps(function)
        specs = (lanes, lanes, *(whole for _ in range(shared)))
        return compile_for_many_steps(
            jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=lanes, check_vma=False)
        )

    def run_whole(numbers: Any, seeds: Array, key: Array, increments: Array) -> Any:
        def one(numbers: Any, seed: Array) -> Any:
            return segment(numbers, start(numbers, seed, key), increments)[1]

        return mapped(one, numbers, seeds)

    def run_start(numbers: Any, seeds: Array, key: Array) -> Any:
        return mapped(lambda numbers, seed: start(numbers, seed, key), numbers, seeds)

    def run_segment(numbers: Any, state: State, increments: Array) -> Any:
        return mapped(lambda n, s: segment(n, s, increments), numbers, state)

    return Calls(sharded(run_whole, 2), sharded(run_start, 1), sharded(run_segment, 1))


def place(tree: Any, spec: Spec, mesh: Mesh) -> Any:
    """Put lanes (leading axes) on the devices of a mesh, or whole on each where batches split."""
    (axis,) = mesh.axis_names
    partition = PartitionSpec(axis) if spec.parallel == "seed" else PartitionSpec()
    return jax.device_put(tree, NamedSharding(mesh, partition))


def share(tree: Any, mesh: Mesh) -> Any:
    """Put the same values on every device of a mesh."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def _failure(
    error: BaseException, static: Iterable[tuple[str, Any]], traced: Iterable[str]
) -> InputError:
    """Return the one-line error for an exception of the user's functions.

    Example:
        >>> try:
        ...     [][0]
        ... except IndexError as error:
        ...     print(_failure(error, [("width", 8)], ["rate"]))
        the problem with width=8, rate traced cannot run: IndexError: list index out of range ...

    Args:
        error: what was raised.
        static: (field, value) pairs of the point.
        traced: its fields that are numbers inside the program.

    Returns:
        An InputError with the file and the line in which `error` was raised.
    """
    where = traceback.extract_tb(error.__traceback__)[-1]
    fixed = [f"{name}={shown(value)}" for name, value in static]
    fields = ", ".join([*fixed, *(f"{name} traced" for name in traced)])
    lines = str(error).strip().splitlines()
    return InputError(
        f"the problem{f' with {fields}' if fields else ''} cannot run: {type(error).__name__}: "
        f"{lines[0] if lines else 'no message'} (in {Path(where.filename).name}, line "
        f"{where.lineno}); correct it or the values of its fields"
    )


def _tree_bytes(tree: Any) -> int:
    """Return the bytes of a pytree of arrays or shapes; a typed key counts as 8."""
    return sum(
        math.prod(leaf.shape) * (leaf.dtype.itemsize if isinstance(leaf.dtype, np.dtype) else 8)
        for leaf in jax.tree.leaves(tree)
    )
