"""The two models of the learnability experiments: one nonlinear layer, and the same with a head.

    self-supervised   z = act(W x)                 without any further parameter
    supervised        logit = F . act(W x)         p = sigmoid(logit)

References:
    Yang, Li, Jiang, Li, arXiv 2401.03214 (the models of N-1 and N-4, with two rows).
"""

from typing import Any

import jax
import jax.numpy as jnp

from jssl.models.activations import activation as named
from jssl.models.layers import check_at_least_one
from jssl.types import Array, Model, Params

_NO_KERNEL = "its few rows start as N(0, 1), far from the infinite-width limit"


def one_layer(
    in_dim: int, rows: int = 2, *, activation: str = "sigmoid", dtype: Any = None
) -> Model:
    """Return z = act(W x) with any number of rows and no bias.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> model = one_layer(10)
        >>> params = model.init(jax.random.key(0))
        >>> model.apply(params, jnp.zeros((3, 10))).tolist()[0]
        [0.5, 0.5]

    Args:
        in_dim: dimension d of the samples.
        rows: m, the width and the dimension of the embedding.
        activation: a name in `jssl.models.activations`.
        dtype: of the parameters; None for JAX's default float.

    Returns:
        Model with params {"weight": (rows, in)}, which starts as N(0, 1).

    Raises:
        InputError: a size is not positive, or an unknown activation.
    """
    check_at_least_one(in_dim=in_dim, rows=rows)
    act = named(activation).function

    def init(key: Array) -> Params:
        return {"weight": jax.random.normal(key, (rows, in_dim), dtype)}

    def apply(params: Params, x: Array) -> Array:
        return act(x @ params["weight"].T)

    return Model(init, apply, no_kernel=_NO_KERNEL)


def two_layer(
    in_dim: int, rows: int = 2, *, activation: str = "sigmoid", dtype: Any = None
) -> Model:
    """Return the supervised model's logit, F . act(W x).

    Example:
        >>> import jax, jax.numpy as jnp
        >>> model = two_layer(10)
        >>> model.apply(model.init(jax.random.key(0)), jnp.ones((3, 10))).shape
        (3, 1)

    Args:
        in_dim: dimension d of the samples.
        rows: m, the width of the hidden layer.
        activation: a name in `jssl.models.activations`.
        dtype: of the parameters; None for JAX's default float.

    Returns:
        Model with params {"weight": (rows, in), "head": (rows,)}, both N(0, 1) at the start;
        apply gives (n, 1) logits.

    Raises:
        InputError: a size is not positive, or an unknown activation.
    """
    body = one_layer(in_dim, rows, activation=activation, dtype=dtype)

    def init(key: Array) -> Params:
        weight_key, head_key = jax.random.split(key)
        head = jax.random.normal(head_key, (rows,), dtype)
        return {**body.init(weight_key), "head": head}

    def apply(params: Params, x: Array) -> Array:
        return jnp.matmul(body.apply(params, x), params["head"][:, None])

    return Model(init, apply, no_kernel=_NO_KERNEL)
