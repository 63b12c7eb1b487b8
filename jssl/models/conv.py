"""A small convolutional encoder with the infinite-width kernel of the same architecture.

    [3x3 convolution, stride 2, zero padding -> phi] x layers -> average or flatten -> dense

in the parametrisations of `jssl.models.layers`, the fan-in of a convolution being 9 channels.
"""

from typing import Any

import jax.numpy as jnp

from jssl.errors import InputError, unknown_name
from jssl.models import limits
from jssl.models.activations import activation as find_activation
from jssl.models.layers import (
    NO_LIMIT,
    affine,
    check_at_least_one,
    check_parametrisation,
    init_layers,
    resolve_width,
)
from jssl.models.mlp import check_padding
from jssl.models.patches import convolve
from jssl.types import Array, Model, Params

_FILTER = 3


def conv(
    image_shape: tuple[int, int, int],
    out_dim: int,
    *,
    channels: Any = 32,
    layers: int = 2,
    stride: int = 2,
    readout: str = "average",
    activation: str = "relu",
    parametrisation: str = "ntk",
    weight_std: Any = None,
    bias_std: Any = 0.0,
    output_scale: Any = 1.0,
    max_channels: int | None = None,
    dtype: Any = None,
) -> Model:
    """Return a convolutional net on (n, height, width, channels) images.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> model = conv((8, 8, 3), 2, channels=4)
        >>> model.apply(model.init(jax.random.key(0)), jnp.ones((5, 8, 8, 3))).shape
        (5, 2)

    Channels are the width: starts are nested in them, and they may be padding. `output_scale` and
    the kernel are as in `jssl.models.mlp`. Under "average" the kernel correlates every pair of
    pixels and needs (height width)^2 numbers per pair of images: take blocks
    (`jssl.kernels.infinite.gram`).

    Args:
        image_shape: (height, width, channels) of an image.
        out_dim: dimension of the embedding.
        channels: channels of every hidden layer; may be traced where max_channels is given.
        layers: number of convolutions, at least 1.
        stride: stride of every convolution, at least 1.
        readout: "average" over positions, or "flatten", before the last dense layer.
        activation: a name in `jssl.models.ACTIVATIONS`.
        parametrisation: "ntk", "standard" or "mup".
        weight_std: gain of every layer; None for the activation's own. May be traced.
        bias_std: 0 for no biases; may be traced.
        output_scale: multiplies the last layer's start, > 0; may be traced.
        max_channels: channels of the arrays where channels are padding; needs phi(0) = 0.
        dtype: dtype of the parameters; None for JAX's default float.

    Returns:
        Model with params a tuple of {"weight"}: (out, in, 3, 3) for a convolution, (out, features)
        for the last, whose features have the channel as their slowest index.

    Raises:
        InputError: a size is out of range, a name unknown, or phi(0) != 0 under padding.

    References:
        Novak et al., arXiv 1810.05148; Arora et al., arXiv 1904.11955.
    """
    height, width, colours = _check_shape(image_shape)
    check_at_least_one(out_dim=out_dim, layers=layers, stride=stride)
    check_parametrisation(parametrisation)
    if readout not in ("average", "flatten"):
        error = unknown_name("readout", readout, ("average", "flatten"))
        raise error
    phi = find_activation(activation)
    check_padding(activation, max_channels)
    gain = phi.weight_std if weight_std is None else weight_std
    size, live = resolve_width(channels, max_channels)
    positions = 1
    if readout == "flatten":
        positions = _shrunk(height, stride, layers) * _shrunk(width, stride, layers)

    common = {
        "weight_std": gain,
        "bias_std": bias_std,
        "parametrisation": parametrisation,
        "net_width": channels,
    }
    area = _FILTER**2
    first = affine(
        (size, colours, _FILTER, _FILTER), area * colours, live=(live, None), dtype=dtype, **common
    )
    hidden = affine(
        (size, size, _FILTER, _FILTER), area * channels, live=(live, live), dtype=dtype, **common
    )
    last = affine(
        (out_dim, size * positions),
        channels * positions,
        live=(None, None if live is None else live * positions),
        start=output_scale,
        last=True,
        dtype=dtype,
        **common,
    )
    stack = [first, *[hidden] * (layers - 1), last]

    def init(key: Array) -> Params:
        return init_layers(stack, key)

    def apply(params: Params, x: Array) -> Array:
        if x.ndim != 4 or x.shape[1:] != (height, width, colours):
            message = f"x must be (n, {height}, {width}, {colours}) images; got shape {x.shape}"
            raise InputError(message)
        h = x
        for layer, layer_params in zip(stack[:-1], params[:-1], strict=True):
            moved = convolve(h, layer_params["weight"], stride)
            h = phi.function(layer.finish(layer_params, moved))
        if readout == "average":
            features = jnp.mean(h, axis=(1, 2))
        else:
            features = jnp.moveaxis(h, -1, 1).reshape(h.shape[0], -1)
        return last.finish(params[-1], features @ params[-1]["weight"].T)

    if parametrisation in NO_LIMIT:
        return Model(init, apply, None, NO_LIMIT[parametrisation])
    kernel = limits.conv(
        (height, width, colours),
        layers=layers,
        filter_size=_FILTER,
        stride=stride,
        readout=readout,
        activation=activation,
        weight_std=gain,
        bias_std=bias_std,
        output_scale=output_scale,
    )
    return Model(init, apply, kernel)


def _shrunk(size: int, stride: int, layers: int) -> int:
    for _ in range(layers):
        size = -(-size // stride)
    return size


def _check_shape(image_shape: tuple[int, int, int]) -> tuple[int, int, int]:
    if len(image_shape) != 3:
        message = f"image_shape must be (height, width, channels); got {image_shape}"
        raise InputError(message)
    height, width, colours = image_shape
    check_at_least_one(height=height, width=width, colours=colours)
    return height, width, colours
