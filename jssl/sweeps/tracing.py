"""What is known of a program from its trace alone: work, memory, shapes, calls of LAPACK."""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jssl.eigenvalues import decomposed_shape
from jssl.errors import InputError
from jssl.lapack import calls_lapack
from jssl.sweeps.axes import WIDTH
from jssl.sweeps.cost import Work, tree_bytes, work_of
from jssl.sweeps.failures import failure
from jssl.sweeps.programs import Spec, one_run
from jssl.types import Array


class Traced(NamedTuple):
    """What is known of a program without compiling it.

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
        token: digest of what the program computes (`jssl.sweeps.identity`), since the functions in
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
        tree_bytes(state),
        tree_bytes(outputs),
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
            "static=(...), or keep it inside jax.numpy"
        )
        raise InputError(message) from error
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # whatever the user's functions raise
        raise failure(error, static, traced) from error


def number_shapes(traced: tuple[str, ...], *lead: int) -> dict[str, jax.ShapeDtypeStruct]:
    """Return the shapes of the traced fields: a padded width is int32, others are floats."""
    return {
        name: jax.ShapeDtypeStruct(lead, jnp.int32 if name == WIDTH else jnp.result_type(float))
        for name in traced
    }
