"""A function of the user: its parameters without leaves that are no arrays, its samples' dtype.

Forecasts are computed in float64. A function in JAX is called as its owner calls it: with the
samples in float64 where it takes them, and else in the dtype of its parameters, which
convolutions, scans and other operations need that do not mix dtypes.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl.forecast.own_encoder import Apply
from jssl.types import Array, Params


def without_other_leaves(apply: Apply, params: Params) -> tuple[Apply, Params]:
    """Return a function of the leaves of `params` that are arrays; all others are held fixed.

    Example:
        >>> given = {"weight": jnp.ones((2, 3)), "activation": jnp.tanh}
        >>> apply, arrays = without_other_leaves(
        ...     lambda p, x: p["activation"](x @ p["weight"].T), given
        ... )
        >>> [leaf.shape for leaf in arrays], apply(arrays, jnp.zeros((1, 3))).tolist()
        ([(2, 3)], [[0.0, 0.0]])

    Modules of Equinox have activations among their leaves.

    Args:
        apply: `apply(params, x) -> z`.
        params: any pytree; returned unchanged where all leaves are arrays.
    """
    leaves, tree = jax.tree.flatten(params)
    arrays = [isinstance(leaf, jax.Array | np.ndarray | np.generic) for leaf in leaves]
    if all(arrays):
        return apply, params

    def of_arrays(held: list[Array], x: Array) -> Array:
        values = iter(held)
        merged = [next(values) if a else leaf for a, leaf in zip(arrays, leaves, strict=True)]
        return apply(jax.tree.unflatten(tree, merged), x)

    return of_arrays, [leaf for a, leaf in zip(arrays, leaves, strict=True) if a]


def in_own_dtype(apply: Apply, params: Params, views: Any) -> Apply:
    """Return the function, whose samples are cast to the dtype of `params` where it needs that.

    Example:
        >>> from jssl.precision import float64
        >>> with float64():
        ...     weight, x = np.ones(3, np.float32), np.ones(3)
        ...     print(in_own_dtype(jnp.add, weight, x) is jnp.add)
        ...     print(in_own_dtype(jax.lax.add, weight, x)(weight, x).dtype)  # takes one dtype
        True
        float32

    Args:
        apply: `apply(params, x) -> z`.
        params: any pytree of arrays.
        views: (2n, ...) samples of the forecast.
    """
    floating = [leaf.dtype for leaf in jax.tree.leaves(params) if _is_floating(leaf)]
    dtype = jnp.result_type(*floating) if floating else views.dtype
    if dtype == views.dtype or _runs(apply, params, views):
        return apply

    def cast(params: Params, x: Array) -> Array:
        return apply(params, jnp.asarray(x).astype(dtype))

    return cast


def in_32_bits(params: Params) -> Params:
    """Return parameters whose floating leaves have 32 bits or more.

    Example:
        >>> [x.dtype.name for x in in_32_bits([jnp.ones(2, jnp.bfloat16), jnp.arange(2)])]
        ['float32', 'int32']

    In 16 bits, the first updates of a small start are rounded away.
    """

    def one(leaf: Array) -> Array:
        few = _is_floating(leaf) and jnp.finfo(leaf.dtype).bits < 32
        return jnp.asarray(leaf, jnp.float32) if few else leaf

    return jax.tree.map(one, params)


def _is_floating(leaf: Any) -> bool:
    return bool(jnp.issubdtype(leaf.dtype, jnp.floating))


def _runs(apply: Apply, params: Params, views: Any) -> bool:
    try:
        jax.eval_shape(apply, params, jnp.asarray(views))
    except Exception:
        return False
    return True
