"""A dense residual net with the infinite-width kernel of the same architecture.

    h_0 = (g / sqrt(in)) W x + b B,    h_{k+1} = h_k + (c / sqrt(width)) V_k phi(h_k) + b B_k,
    z = (g / sqrt(width)) W' phi(h_last) + b B'

in NTK parametrisation, with no normalisation: batch statistics have no infinite-width kernel.
"""

import math
from typing import Any

from jssl.models import limits
from jssl.models.activations import activation as find_activation
from jssl.models.layers import (
    NO_LIMIT,
    affine,
    check_at_least_one,
    check_parametrisation,
    flatten,
    init_layers,
    resolve_width,
)
from jssl.models.mlp import check_padding
from jssl.types import Array, Model, Params


def residual(
    in_dim: int,
    out_dim: int,
    *,
    width: Any = 256,
    blocks: int = 2,
    activation: str = "relu",
    parametrisation: str = "ntk",
    weight_std: Any = None,
    branch_std: Any = None,
    bias_std: Any = 0.0,
    output_scale: Any = 1.0,
    max_width: int | None = None,
    dtype: Any = None,
) -> Model:
    """Return a multilayer perceptron with skip connections.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> model = residual(3, 2, width=16)
        >>> model.apply(model.init(jax.random.key(0)), jnp.ones((5, 3))).shape
        (5, 2)

    Starts are nested in the width, which may be padding, as in `jssl.models.mlp`; `output_scale`
    and the kernel are as there.

    Args:
        in_dim: numbers per sample; x may be (n, in) or (n, ...) that flattens to it.
        out_dim: dimension of the embedding.
        width: hidden width; may be traced where max_width is given.
        blocks: number of residual blocks, at least 1.
        activation: a name in `jssl.models.ACTIVATIONS`.
        parametrisation: "ntk", "standard" or "mup".
        weight_std: gain g of the first and the last layer; None for the activation's own.
        branch_std: gain c of the branches; None for g / sqrt(blocks), so that the variance at the
            last block is of order one for any number of blocks.
        bias_std: 0 for no biases; may be traced.
        output_scale: multiplies the last layer's start, > 0; may be traced.
        max_width: width of the arrays where width is padding; needs phi(0) = 0.
        dtype: dtype of the parameters; None for JAX's default float.

    Returns:
        Model with params a tuple of {"weight": (rows, columns)}, with "bias" where bias_std is not
        0: the first layer, the branches, the last layer.

    Raises:
        InputError: a size is out of range, a name unknown, or phi(0) != 0 under padding.

    References:
        Huang, Wang, Tao, Zhao, arXiv 2002.06262 (NTK of residual nets).
    """
    check_at_least_one(in_dim=in_dim, out_dim=out_dim, blocks=blocks)
    check_parametrisation(parametrisation)
    check_padding(activation, max_width)
    phi = find_activation(activation)
    gain = phi.weight_std if weight_std is None else weight_std
    branch_gain = gain / math.sqrt(blocks) if branch_std is None else branch_std
    size, live = resolve_width(width, max_width)
    common = {
        "bias_std": bias_std,
        "parametrisation": parametrisation,
        "net_width": width,
        "dtype": dtype,
    }
    first = affine((size, in_dim), in_dim, weight_std=gain, live=(live, None), **common)
    branch = affine((size, size), width, weight_std=branch_gain, live=(live, live), **common)
    last = affine(
        (out_dim, size),
        width,
        weight_std=gain,
        start=output_scale,
        last=True,
        live=(None, live),
        **common,
    )
    layers = [first, *[branch] * blocks, last]

    def init(key: Array) -> Params:
        return init_layers(layers, key)

    def apply(params: Params, x: Array) -> Array:
        h = first.finish(params[0], flatten(x, in_dim) @ params[0]["weight"].T)
        for layer in params[1:-1]:
            h = h + branch.finish(layer, phi.function(h) @ layer["weight"].T)
        return last.finish(params[-1], phi.function(h) @ params[-1]["weight"].T)

    if parametrisation in NO_LIMIT:
        return Model(init, apply, None, NO_LIMIT[parametrisation])
    kernel = limits.residual(
        in_dim,
        blocks=blocks,
        activation=activation,
        weight_std=gain,
        branch_std=branch_gain,
        bias_std=bias_std,
        output_scale=output_scale,
    )
    return Model(init, apply, kernel)
