"""Digests of jaxprs and of their constants, equal in every process that traces the same program.

An equation is written as its primitive, its parameters and its operands; a variable as its index,
a constant as its bytes. Some parameters do not change what is computed and are left out: names of
functions, shardings, and rules of a differentiation that is already done.
"""

import dataclasses
import enum
import functools
import hashlib
import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import numpy as np

Known = dict[int, tuple[Any, str]]
"""id -> (array or jaxpr, its digest); the first entry keeps the id from being used again."""

IGNORED = {
    "bwd",
    "compiler_options_kvs",
    "ctx_mesh",
    "debug_info",
    "donated_invars",
    "fwd_jaxpr_thunk",
    "in_layouts",
    "in_shardings",
    "inline",
    "jvp_jaxpr_fun",
    "keep_unused",
    "name",
    "out_layouts",
    "out_shardings",
    "rule",
    "sharding",
}
"""Parameters of equations that do not change what is computed."""


def digest(*parts: Any) -> str:
    """Return a short digest of strings and bytes.

    Example:
        >>> digest("a", "b") == digest("a", "b") != digest("ab")
        True
    """
    found = hashlib.blake2b(digest_size=8)
    for part in parts:
        raw = part if isinstance(part, bytes) else str(part).encode()
        found.update(len(raw).to_bytes(8, "little") + raw)
    return found.hexdigest()


def without_addresses(value: Any) -> str:
    """Return `str(value)` without memory addresses.

    Example:
        >>> print(without_addresses(without_addresses), without_addresses(0.1))
        <function without_addresses> 0.1
    """
    return re.sub(r" at 0x[0-9a-fA-F]+", "", str(value))


def digest_slice(
    closed: Any, named: Mapping[Any, str], outputs: Iterable[Any], known: Known
) -> str:
    """Return the digest of what leads from named variables to some outputs of a closed jaxpr.

    Example:
        >>> import jax.numpy as jnp
        >>> def of(function):
        ...     closed = jax.make_jaxpr(function)(1.0)
        ...     named = {closed.jaxpr.invars[0]: "x"}
        ...     return digest_slice(closed, named, closed.jaxpr.outvars, {})
        >>> unused = lambda x: (jnp.cos(x), jnp.sin(x))[1]
        >>> of(jnp.sin) == of(unused) != of(jnp.cos)
        True

    Args:
        closed: the closed jaxpr.
        named: variable -> name, where the slice begins.
        outputs: variables or literals of the jaxpr.
        known: digests found so far.
    """
    outputs = list(outputs)
    wanted = {v for v in outputs if not hasattr(v, "val") and v not in named}
    kept = []
    for equation in reversed(closed.jaxpr.eqns):
        if any(v in wanted for v in equation.outvars):
            kept.append(equation)
            wanted |= {v for v in equation.invars if not hasattr(v, "val") and v not in named}
    constants = zip(closed.jaxpr.constvars, closed.consts, strict=True)
    names = {v: _array(value, known) for v, value in constants if v in wanted} | dict(named)
    return _written(reversed(kept), names, outputs, known)


def _closed(closed: Any, known: Known) -> str:
    names = {
        v: _array(value, known)
        for v, value in zip(closed.jaxpr.constvars, closed.consts, strict=True)
    }
    return _jaxpr(closed.jaxpr, names, known)


def _jaxpr(jaxpr: Any, names: Mapping[Any, str], known: Known) -> str:
    inputs = {v: f"in{i}" for i, v in enumerate([*jaxpr.constvars, *jaxpr.invars])}
    sizes = [_aval(v) for v in [*jaxpr.constvars, *jaxpr.invars]]
    return digest(*sizes, _written(jaxpr.eqns, {**inputs, **names}, jaxpr.outvars, known))


def _written(
    equations: Iterable[Any], names: Mapping[Any, str], outputs: Iterable[Any], known: Known
) -> str:
    names = dict(names)

    def operand(v: Any) -> str:
        return _literal(v, known) if hasattr(v, "val") else names[v] + _aval(v)

    lines = []
    for number, equation in enumerate(equations):
        params = [
            f"{name}={_value(value, known)}"
            for name, value in sorted(equation.params.items())
            if name not in IGNORED
        ]
        lines += [equation.primitive.name, *params, *map(operand, equation.invars)]
        for place, v in enumerate(equation.outvars):
            names[v] = f"{number}.{place}"
            lines.append(_aval(v))
    return digest(*lines, *map(operand, outputs))


def _aval(v: Any) -> str:
    return f":{getattr(v.aval, 'dtype', None)}{list(getattr(v.aval, 'shape', ()))}"


def _literal(v: Any, known: Known) -> str:
    dtype = getattr(v.aval, "dtype", None)
    if isinstance(v.val, jax.Array) or not isinstance(dtype, np.dtype):
        return _value(v.val, known)
    return _array(np.asarray(v.val, dtype), known)


def _array(value: Any, known: Known) -> str:
    """Return the digest of an array by its shape, dtype and bytes."""
    if id(value) in known:
        return known[id(value)][1]
    kind = str(value.dtype) if hasattr(value, "dtype") else ""
    plain_value = value
    if kind.startswith("key<"):
        plain_value = jax.random.key_data(value)
    raw = np.ascontiguousarray(plain_value)
    found = digest(kind, raw.dtype, list(np.shape(value)), raw.tobytes())
    if raw.size > 64:  # small ones are digested again
        known[id(value)] = value, found
    return found


def _value(value: Any, known: Known) -> str:
    """Return a parameter as text without addresses or an order that differs between processes."""
    if hasattr(value, "jaxpr") and hasattr(value, "consts"):
        value_digest = functools.partial(_closed, value, known)
        return _remembered(value, value_digest, known)
    if hasattr(value, "eqns"):
        return _remembered(value, functools.partial(_jaxpr, value, {}, known), known)
    if isinstance(value, np.generic):
        return _value(value.item(), known)
    if isinstance(value, np.ndarray | jax.Array):
        return _array(value, known)
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, Mapping):
        return str(sorted((without_addresses(k), _value(v, known)) for k, v in value.items()))
    if isinstance(value, tuple | list):
        return str([_value(item, known) for item in value])
    if isinstance(value, set | frozenset):
        return str(sorted(_value(item, known) for item in value))
    if isinstance(value, functools.partial):
        return _value((value.func, value.args, value.keywords), known)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [(f.name, getattr(value, f.name)) for f in dataclasses.fields(value)]
        return f"{type(value).__name__}{_value(fields, known)}"
    if inspect.isfunction(value):
        return _source(value)
    return without_addresses(value)


def _remembered(value: Any, compute: Any, known: Known) -> str:
    if id(value) not in known:
        known[id(value)] = value, compute()
    return known[id(value)][1]


@functools.lru_cache(maxsize=256)
def _source(function: Any) -> str:
    """Return the name and the digest of the source of a function that a primitive calls back."""
    name = f"{function.__module__}:{function.__qualname__}"
    try:
        return f"{name} {digest(inspect.getsource(function))}"
    except (OSError, TypeError):
        return name
