"""A small convolutional encoder with the infinite-width kernel of the same architecture.

    [3x3 convolution, stride 2, zero padding -> phi] x layers -> average or flatten -> dense

in the parametrisations of `jssl.models.layers`, the fan-in of a convolution being 9 channels.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from jssl.data.checks import require_name
from jssl.errors import InputError
from jssl.models import limits
from jssl.models.activations import activation as find_activation
from jssl.models.layers import (
    NO_LIMIT,
    Affine,
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
    require_name("readout", readout, ("average", "flatten"))
    phi = find_activation(activation)
    check_padding(activation, max_channels)
    gain = phi.weight_std if weight_std is None else weight_std
    size, live = resolve_width(channels, max_channels)
    positions = _positions((height, width), stride, layers) if readout == "flatten" else 1

    common = {
        "weight_std": gain,
        "bias_std": bias_std,
        "parametrisation": parametrisation,
        "net_width": channels,
        "dtype": dtype,
    }
    filters = _convolutions(size, colours, channels, live, layers, common)
    last = affine(
        (out_dim, size * positions),
        channels * positions,
        live=(None, None if live is None else live * positions),
        start=output_scale,
        last=True,
        **common,
    )

    def init(key: Array) -> Params:
        return init_layers([*filters, last], key)

    apply = _apply((height, width, colours), filters, last, phi.function, stride, readout)
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


def _apply(
    image_shape: tuple[int, int, int],
    filters: list[Affine],
    last: Affine,
    phi: Callable[[Array], Array],
    stride: int,
    readout: str,
) -> Callable[[Params, Array], Array]:
    """Return `apply` of the convolutions and the last layer."""
    height, width, colours = image_shape

    def apply(params: Params, x: Array) -> Array:
        if x.ndim != 4 or x.shape[1:] != image_shape:
            message = f"x must be (n, {height}, {width}, {colours}) images; got shape {x.shape}"
            raise InputError(message)
        h = x
        for layer, layer_params in zip(filters, params[:-1], strict=True):
            h = phi(layer.finish(layer_params, convolve(h, layer_params["weight"], stride)))
        features = _read_out(h, readout)
        return last.finish(params[-1], features @ params[-1]["weight"].T)

    return apply


def _convolutions(
    size: int, colours: int, channels: Any, live: Any, layers: int, common: dict[str, Any]
) -> list[Affine]:
    """Return the convolutions: from the colours of the image, then from `size` channels."""
    area = _FILTER**2
    shape = (size, colours, _FILTER, _FILTER)
    first = affine(shape, area * colours, live=(live, None), **common)
    shape = (size, size, _FILTER, _FILTER)
    hidden = affine(shape, area * channels, live=(live, live), **common)
    return [first, *[hidden] * (layers - 1)]


def _positions(sides: tuple[int, int], stride: int, layers: int) -> int:
    """Return the number of positions after the last convolution."""
    for _ in range(layers):
        sides = -(-sides[0] // stride), -(-sides[1] // stride)
    return sides[0] * sides[1]


def _read_out(h: Array, readout: str) -> Array:
    if readout == "average":
        return jnp.mean(h, axis=(1, 2))
    return jnp.moveaxis(h, -1, 1).reshape(h.shape[0], -1)


def _check_shape(image_shape: tuple[int, int, int]) -> tuple[int, int, int]:
    if len(image_shape) != 3:
        message = f"image_shape must be (height, width, channels); got {image_shape}"
        raise InputError(message)
    height, width, colours = image_shape
    check_at_least_one(height=height, width=width, colours=colours)
    return height, width, colours
