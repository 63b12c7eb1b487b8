"""Multilayer perceptrons with the infinite-width kernel of the same architecture.

    h_1 = (g / sqrt(in)) W_1 x + b B_1,    h_{k+1} = (g / sqrt(width)) W_{k+1} phi(h_k) + b B_{k+1}

in NTK parametrisation, z the last h; g = weight_std in every layer, b = bias_std.
"""

from typing import Any

from jssl.errors import InputError
from jssl.models import limits
from jssl.models.activations import activation as find_activation
from jssl.models.layers import NO_LIMIT, dense_stack
from jssl.types import Model


def mlp(
    in_dim: int,
    out_dim: int,
    *,
    width: Any = 256,
    depth: int = 2,
    activation: str = "tanh",
    parametrisation: str = "ntk",
    weight_std: Any = None,
    bias_std: Any = 0.0,
    output_scale: Any = 1.0,
    max_width: int | None = None,
    dtype: Any = None,
) -> Model:
    """Return a multilayer perceptron.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> model = mlp(3, 2, width=16, activation="relu")
        >>> model.apply(model.init(jax.random.key(0)), jnp.ones((5, 3))).shape
        (5, 2)

    `output_scale` multiplies the last layer's initial weight and bias, and thereby the initial
    function. It also reduces the share of the hidden layers in the NTK,

        NNGP = s^2 NNGP_1,    NTK = NNGP_1 + s^2 (NTK_1 - NNGP_1),

    where 1 marks the kernels of s = 1 and NNGP_1 is the last layer's share; `kernel` returns
    exactly these, that is the NTK at the start. For a small start under an unchanged NTK, wrap the
    model of output_scale 1 in `jssl.models.centred`.

    Starts are nested (`jssl.models.width`): the net of width 128 is the first 128 neurons of the
    net of width 256 from the same key, except for the factors 1 / sqrt(fan-in).

    Args:
        in_dim: numbers per sample; x may be (n, in) or (n, height, width, channels).
        out_dim: dimension of the embedding.
        width: hidden width; may be traced where max_width is given.
        depth: number of hidden layers, 0 or more.
        activation: a name in `jssl.models.ACTIVATIONS`.
        parametrisation: "ntk"; "standard" (the same initial function with the factors inside the
            weights) and "mup" (features move at every width; the start is smaller by
            1 / sqrt(width)), which have no kernel limit at a fixed learning rate.
        weight_std: gain g of every layer, the last included; None for the activation's own,
            sqrt(2) for relu and 1 for the others. May be traced.
        bias_std: b, 0 for no biases; may be traced.
        output_scale: s, > 0; may be traced.
        max_width: width of the arrays where width is padding; needs phi(0) = 0.
        dtype: dtype of the parameters; None for JAX's default float. Draws are in float32, so
            both precisions share one start.

    Returns:
        Model with params a tuple of {"weight": (rows, columns)}, with "bias": (rows,) where
        bias_std is not 0.

    Raises:
        InputError: a size is out of range, a name unknown, or phi(0) != 0 under padding.

    References:
        Jacot, Gabriel, Hongler, arXiv 1806.07572, theorem 1; Lee et al., arXiv 1711.00165.
    """
    phi = find_activation(activation)
    check_padding(activation, max_width)
    gain = phi.weight_std if weight_std is None else weight_std
    init, apply = dense_stack(
        in_dim,
        out_dim,
        width=width,
        depth=depth,
        function=phi.function,
        weight_std=gain,
        bias_std=bias_std,
        output_start=output_scale,
        parametrisation=parametrisation,
        max_width=max_width,
        dtype=dtype,
    )
    if parametrisation in NO_LIMIT:
        return Model(init, apply, None, NO_LIMIT[parametrisation])
    kernel = limits.dense(
        in_dim,
        depth=depth,
        activation=activation,
        weight_std=gain,
        bias_std=bias_std,
        output_scale=output_scale,
    )
    return Model(init, apply, kernel)


def check_padding(activation: str, max_width: int | None) -> None:
    """Raise InputError if the outputs of padded neurons would not be 0."""
    if max_width is not None and not find_activation(activation).zero_at_zero:
        message = f"{activation}(0) is not 0, so width cannot be padding; leave max_width out"
        raise InputError(message)
