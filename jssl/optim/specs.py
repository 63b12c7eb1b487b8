"""One manifold for all parameters, or a prefix pytree of them with None for free parameters."""

import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jssl.errors import InputError
from jssl.manifolds.base import Manifold
from jssl.types import Array, Model, Params

ManifoldTree = Any
"""A `Manifold`, or a prefix pytree of them with None for free parameters."""

OFF_MANIFOLD = 1e-3
OFF_MANIFOLD_HALF = 5e-2
"""Largest ||X^T X - I||_F of a start, and of one stored in 16 bits."""


def map_manifold(
    constrained: Callable[..., Array],
    free: Callable[..., Array],
    manifold: ManifoldTree,
    *trees: Params,
) -> Params:
    """Map `constrained(spec, *leaves)` over leaves with a manifold, `free(*leaves)` over others.

    Example:
        >>> from jssl.manifolds import Stiefel
        >>> tree = {"w": jnp.ones((3, 2)), "b": jnp.ones(2)}
        >>> print(map_manifold(lambda s, x: s.col_axis, jnp.sum, {"w": Stiefel(), "b": None}, tree))
        {'b': Array(2., dtype=float32), 'w': -1}

    Args:
        constrained: called with the spec and one leaf of every tree.
        free: called with one leaf of every tree.
        manifold: a spec, or a prefix pytree of specs and None.
        trees: pytrees of one structure.
    """
    specs: list[Manifold | None] = []
    jax.tree.map(
        lambda spec, part: specs.extend([spec] * len(jax.tree.leaves(part))),
        manifold,
        trees[0],
        is_leaf=lambda spec: spec is None,
    )
    remaining = iter(specs)

    def one(*leaves: Array) -> Array:
        spec = next(remaining)
        return free(*leaves) if spec is None else constrained(spec, *leaves)

    return jax.tree.map(one, *trees)


def check_start(manifold: ManifoldTree, params: Params) -> None:
    """Raise an error if parameters are not on their manifold; warn if they are stored in 16 bits.

    Values are looked at where they are concrete, shapes always.

    Raises:
        InputError: for wrong shapes, or a point off the manifold; it names `orthonormalize`.
    """
    map_manifold(_check_leaf, lambda leaf: leaf, manifold, params)


def require_params(params: Params) -> None:
    """Raise an InputError, a ValueError as in optax, where `update` was called without params."""
    if params is None:
        message = "a Riemannian link needs the parameters; call update(updates, state, params)"
        raise InputError(message)


def orthonormalize(params: Params, manifold: ManifoldTree) -> Params:
    """Return parameters moved to the nearest point of their manifold: the start of a run.

    Example:
        >>> from jssl.manifolds import Stiefel
        >>> print(orthonormalize({"w": jnp.full((4, 1), 7.0)}, Stiefel())["w"].T.round(4))
        [[0.5 0.5 0.5 0.5]]

    Args:
        params: any pytree.
        manifold: a spec, or a prefix pytree of specs and None.
    """
    return map_manifold(lambda spec, x: spec.orthonormalize(x), lambda x: x, manifold, params)


def orthonormal_start(model: Model, manifold: ManifoldTree) -> Model:
    """Return the model with its initial parameters moved to their manifold.

    Example:
        >>> from jssl.manifolds import Stiefel
        >>> from jssl.models.linear import linear
        >>> rows = Stiefel(row_axis=-1, col_axis=-2)
        >>> model = orthonormal_start(linear(5, 2), rows)
        >>> print(manifold_error(model.init(jax.random.key(0)), rows) < 1e-5)
        True

    A weight that started Gaussian, rotation-invariant, starts uniformly distributed. The kernel of
    the model is that of free weights, so it is dropped.

    Args:
        model: any model.
        manifold: a spec, or a prefix pytree of specs and None.
    """

    def init(key: Array) -> Params:
        return orthonormalize(model.init(key), manifold)

    reason = "orthonormal weights have no infinite-width kernel"
    return Model(init, model.apply, None, reason)


def manifold_error(params: Params, manifold: ManifoldTree) -> Array:
    """Return the largest ||X^T X - I||_F over all constrained matrices.

    Example:
        >>> from jssl.manifolds import Stiefel
        >>> print(manifold_error({"w": jnp.eye(2), "b": jnp.ones(3)}, {"w": Stiefel(), "b": None}))
        0.0

    Args:
        params: any pytree.
        manifold: a spec, or a prefix pytree of specs and None.
    """
    errors = map_manifold(
        lambda spec, x: spec.error(x).max(initial=0.0), lambda _: jnp.zeros(()), manifold, params
    )
    return jax.tree.reduce(jnp.maximum, errors, jnp.zeros(()))


def _check_leaf(spec: Manifold, x: Array) -> Array:
    half = jnp.asarray(x).dtype.itemsize < 4
    if half:
        message = (
            f"parameters stored as {x.dtype} can only stay within about 3e-3 of the manifold; keep "
            "float32 masters and cast where they are used"
        )
        warnings.warn(message, stacklevel=2)
    error = spec.host_error(x)
    if error is not None and not error <= (OFF_MANIFOLD_HALF if half else OFF_MANIFOLD):
        message = (
            f"parameters of shape {x.shape} are {error:.2g} off {spec}; start from "
            "jssl.optim.orthonormalize(params, manifold)"
        )
        raise InputError(message)
    return x
