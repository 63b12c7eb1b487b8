"""The identity of a problem: a digest of what it computes, not of its text.

A problem is traced once, from (numbers, key) to its pairs, start, gradients, updates and records.
Each part is the slice of that trace that leads from the parts before it to its own outputs:
primitives, shapes, parameters, and constants by their bytes. Names, comments, memory addresses and
the layout of a sweep do not enter, so that the digest is the same in every process.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl.errors import InputError
from jssl.optim.descent import learning_rate_at
from jssl.simulation import objective, observe_embeddings
from jssl.sweeps.digests import Known, digest, digest_slice, plain
from jssl.sweeps.programs import Spec
from jssl.sweeps.tracing import make_jaxpr, number_shapes
from jssl.types import Array, Problem, start_key

PARTS = {
    "data": "other data",
    "start": "other initial parameters",
    "objective": "another model or loss",
    "optimiser": "another optimiser",
    "observables": "other observables",
}
"""Part of a problem -> how a difference in it is stated, in the order in which they depend."""


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
    compute = _parts_of(spec, static)
    key = jax.eval_shape(lambda: jax.random.key(0, impl="threefry2x32"))
    step = jax.ShapeDtypeStruct((), jnp.int32)
    closed, shapes = make_jaxpr(compute, (number_shapes(traced), key, step), static, traced)
    known = {} if known is None else known
    named = {var: f"in{i}" for i, var in enumerate(closed.jaxpr.invars)}
    found, first = {}, 0
    for part, shape in zip(PARTS, shapes, strict=True):
        structure = jax.tree.structure(shape)
        count = len(jax.tree.leaves(shape))
        outputs = closed.jaxpr.outvars[first : first + count]
        first += count
        found[part] = digest(plain(structure), digest_slice(closed, named, outputs, known))
        for i, var in enumerate(outputs):
            if not hasattr(var, "val"):  # a literal is written out wherever it is used
                named.setdefault(var, f"{part}{i}")
    return found


def _parts_of(spec: Spec, static: tuple[tuple[str, Any], ...]) -> Any:
    """Return `compute(numbers, key, step) -> outputs of every part`, in the order of `PARTS`."""

    def compute(numbers: Mapping[str, Array], key: Array, step: Array) -> tuple[Any, ...]:
        problem = spec.make_problem(**dict(static), **numbers)
        if not isinstance(problem, Problem):
            message = f"make_problem must return a jssl.Problem; got {type(problem).__name__}"
            raise InputError(message)
        see = (spec.observe or observe_embeddings)(problem)
        params = jax.tree.map(jnp.asarray, problem.model.init(start_key(key)))
        with jax.default_matmul_precision(spec.precision):
            pairs = problem.pairs(key)
            slope = jax.value_and_grad(objective(problem))(params, pairs, key)
            state = problem.optimiser.init(params)
            updates = problem.optimiser.update(slope[1], state, params)
            rate = learning_rate_at(problem.optimiser, step)
            record = see(params, pairs)
        return pairs, params, slope, (state, updates, rate), record

    return compute


def of_programs(spec: Spec, programs: Sequence[Any]) -> tuple[list[dict[str, str]], dict[Any, str]]:
    """Return the identity of every program, for the settings, and {(static, traced): digest}."""
    known: Known = {}
    listed, tokens = [], {}
    for program in programs:
        parts = identity(spec, program.static, program.traced, known)
        at = ", ".join(f"{name}={plain(value)}" for name, value in program.static)
        listed.append({"at": at, **parts})
        tokens[program.static, program.traced] = digest(*parts.values())
    return listed, tokens


def stated(function: Any) -> dict[str, Any]:
    """Return what is written about a function: its name, and the arguments already filled in.

    Example:
        >>> stated(functools.partial(jnp.sum, axis=0))
        {'name': 'jax.numpy:sum', 'axis': '0'}
    """
    if function is None:
        return {"name": "default"}
    if isinstance(function, functools.partial):
        filled = {str(i): value for i, value in enumerate(function.args)} | function.keywords
        short = {name: _short(value) for name, value in filled.items()}
        return stated(function.func) | short
    kind = type(function)
    module = getattr(function, "__module__", kind.__module__)
    name = getattr(function, "__qualname__", kind.__qualname__)
    return {"name": f"{module}:{name}"}


def differing_programs(stored: Sequence[Any], asked: Sequence[Any]) -> list[str]:
    """Return in which parts two lists of programs differ, one line each.

    Example:
        >>> one = [{"at": "loss=vicreg", "data": "a"}, {"at": "loss=simsiam", "data": "a"}]
        >>> differing_programs(one, [one[0], {"at": "loss=simsiam", "data": "b"}])
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


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray | jax.Array) and value.size > 8:
        return f"{value.dtype}{list(value.shape)} with digest {digest(np.asarray(value).tobytes())}"
    return plain(value)
