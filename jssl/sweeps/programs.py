"""The programs of a sweep: a run as a function of (numbers, seed), mapped and sharded.

    run(numbers, i) = scan of `advance` over the record points, from fold_in(key(root), i)

Runs are split over a mesh axis of all devices of this process and mapped in small groups on each:
nothing is exchanged between devices. For models too wide for one device the batch is sharded
instead, and the runs follow one another.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jssl.errors import InputError
from jssl.simulation import simulate_undecomposed
from jssl.sweeps.names import stored_names
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
    """

    make_problem: MakeProblem
    observe: MakeObserve | None = None
    precision: str = "highest"
    parallel: str = "seed"


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


def run_key(root: Array, index: Any) -> Array:
    """Return the key of run `index` under a root key: of these two and nothing else.

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


def local_devices() -> list[Any]:
    """Return the devices of this process that a sweep uses."""
    chosen = getattr(jax.config, "jax_default_device", None)
    platform = getattr(chosen, "platform", chosen)
    return jax.local_devices(backend=platform)


def shard_batch(problem: Problem, mesh: Mesh) -> Problem:
    """Return the problem with every batch split over the devices of a mesh.

    Example:
        >>> import jax.numpy as jnp, jssl
        >>> pairs = jssl.Pairs(jnp.ones((4, 1)), jnp.ones((4, 1)))
        >>> problem = jssl.Problem(lambda key: pairs, None, None, None)
        >>> split = shard_batch(problem, seed_mesh(axis="batch"))
        >>> print(jax.jit(split.pairs)(jax.random.key(0)).first.shape)
        (4, 1)

    The loss still is that of the whole batch, and so is its gradient: the compiler puts in the
    sums over devices.

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


def one_run(
    spec: Spec, static: tuple[tuple[str, Any], ...], mesh: Mesh | None = None
) -> tuple[Callable[..., State], Callable[..., Any]]:
    """Return `start(numbers, seed, key)` and `segment(numbers, state, increments)` of one run."""

    def simulation(numbers: Mapping[str, Array]) -> tuple[Problem, Any]:
        problem = spec.make_problem(**dict(static), **numbers)
        if not isinstance(problem, Problem):
            message = f"make_problem must return a jssl.Problem; got {type(problem).__name__}"
            raise InputError(message)
        if spec.parallel == "batch" and mesh is not None:
            problem = shard_batch(problem, mesh)
        see = None if spec.observe is None else spec.observe(problem)
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


@functools.lru_cache(maxsize=64)
def calls(
    spec: Spec, static: tuple[tuple[str, Any], ...], micro: int, mesh: Mesh, token: str = ""
) -> Calls:
    """Return the jitted functions that run many lanes of one program on a mesh.

    Args:
        spec: what the program is made from.
        static: static fields.
        micro: runs mapped together.
        mesh: the devices.
        token: digest of what the program computes (`jssl.sweeps.identity`), since the functions in
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
            return jax.jit(function)
        specs = (lanes, lanes, *(whole for _ in range(shared)))
        return jax.jit(
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
