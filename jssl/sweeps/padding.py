"""Whether a narrow net in wide arrays computes what it computes by itself."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl.errors import InputError
from jssl.simulation import objective
from jssl.sweeps.axes import MAX_WIDTH, WIDTH
from jssl.sweeps.programs import Spec, run_key
from jssl.types import Array, start_key


@functools.lru_cache(maxsize=256)
def pads(
    spec: Spec,
    static: tuple[tuple[str, Any], ...],
    held: tuple[tuple[str, float], ...],
    width: int,
    seed: int,
    token: str,
) -> bool:
    """Return `padding_is_exact` of a point, remembered in this process.

    Args:
        spec: what programs are made from.
        static: static fields of the padded program.
        held: (field, value) of the traced fields, without the width.
        width: the narrow width to try.
        seed: the root seed.
        token: digest of what the padded program computes.
    """
    del token  # part of the cache's key
    key = jax.random.key(seed, impl="threefry2x32")
    return padding_is_exact(spec, static, dict(held), width, key)


def padding_is_exact(
    spec: Spec,
    static: tuple[tuple[str, Any], ...],
    numbers: Mapping[str, Any],
    width: int,
    key: Array,
) -> bool:
    """Return whether a padded program starts as the plain one does, and stays it.

    Compared are the loss at the start and the norm of its gradient: a model that normalises across
    its channels has another loss, and where padded neurons speak they have a gradient.

    Args:
        spec: what programs are made from.
        static: static fields of the padded program, `max_width` among them.
        numbers: traced fields of one point, without the width.
        width: the narrow width to try.
        key: the root key.
    """
    plain = {**{n: v for n, v in static if n != MAX_WIDTH}, WIDTH: width}

    def seen(fields: Mapping[str, Any], key: Array) -> tuple[Array, Array]:
        problem = spec.make_problem(**fields)
        params = problem.model.init(start_key(key))
        draw = run_key(key, 0)
        value = objective(problem)
        with jax.default_matmul_precision(spec.precision):
            loss, slope = jax.value_and_grad(value)(params, problem.pairs(draw), draw)
        return loss, jnp.sum(jnp.stack([jnp.sum(g**2) for g in jax.tree.leaves(slope)]))

    def both(numbers: Any, live: Array, key: Array) -> Any:
        padded = {**dict(static), **numbers, WIDTH: live}
        return seen({**plain, **numbers}, key), seen(padded, key)

    held = {name: jnp.asarray(v, jnp.result_type(float)) for name, v in numbers.items()}
    arguments = (held, jnp.int32(width), key)
    options: dict[str, Any] = {
        "xla_backend_optimization_level": 0,
        "xla_llvm_disable_expensive_passes": True,
    }
    try:
        compiled = jax.jit(both).lower(*arguments).compile(options)
    except InputError:
        return False
    narrow, padded = compiled(*arguments)
    return bool(np.allclose(narrow, padded, rtol=1e-3, atol=0.0, equal_nan=True))
