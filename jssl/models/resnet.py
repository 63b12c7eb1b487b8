r"""Residual networks (He et al.) with group, layer, batch or no normalisation.

    basic       h + norm(conv3x3(phi(norm(conv3x3(h)))))
    bottleneck  h + norm(conv1x1(phi(norm(conv3x3(phi(norm(conv1x1(h))))))))

then phi. The first block of every stage but the first halves the resolution (in its 3x3
convolution) and doubles the channels; its shortcut is a normalised 1x1 convolution. After the
last stage: the mean over positions and a dense layer. Weights start normal with variance 2 / fan-in
(standard parametrisation), norms at scale 1 and shift 0, the last norm of a block included.

`batch` uses the statistics of the given batch, in training and in testing. The network is then a
pure function in which the rows of z **depend on one another**, and has no tangent kernel between
single samples.

    ResNet-18  resnet((32, 32, 3), dim, blocks=(2, 2, 2, 2))
    ResNet-50  resnet((224, 224, 3), dim, blocks=(3, 4, 6, 3), block="bottleneck", stem="large")
"""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jssl.data.checks import require_name
from jssl.errors import InputError
from jssl.models.activations import Activation
from jssl.models.activations import activation as find_activation
from jssl.models.layers import Start, affine, cast_like, check_at_least_one, start_all
from jssl.models.patches import convolve
from jssl.types import Array, Model, Params

BLOCKS = {"basic": ((3, 1), (3, 1)), "bottleneck": ((1, 1), (3, 1), (1, 4))}
"""Name -> (filter size, channels over the stage's) of its convolutions."""
NORMS = ("batch", "group", "layer", "none")
STEMS = {"small": 3, "large": 7}
_EPSILON = 1e-5


class ResNet(NamedTuple):
    """A residual network and a function of its hidden layers.

    Attributes:
        model: Model(init, apply, None, reason): the encoder.
        stages: `stages(params, x) -> tuple` of (n, channels), the mean over positions after the
            stem and after every stage; the last is the input of the dense layer.
    """

    model: Model
    stages: Any


def resnet(image_shape: tuple[int, int, int], out_dim: int, **options: Any) -> Model:
    """Return a residual network on (n, height, width, channels) images.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> model = resnet((8, 8, 1), 2, blocks=(1, 1), channels=4)
        >>> params = jax.jit(model.init)(jax.random.key(0))
        >>> jax.jit(model.apply)(params, jnp.ones((5, 8, 8, 1))).shape
        (5, 2)

    Args:
        image_shape: (height, width, channels) of an image.
        out_dim: dimension of the embedding.
        options: of `resnet_with_stages`.

    Returns:
        Model without an infinite-width kernel; `no_kernel` gives the reason.

    Raises:
        InputError: as in `resnet_with_stages`.

    References:
        He, Zhang, Ren, Sun, arXiv 1512.03385.
    """
    return resnet_with_stages(image_shape, out_dim, **options).model


def resnet_with_stages(
    image_shape: tuple[int, int, int],
    out_dim: int,
    *,
    blocks: Sequence[int] = (2, 2, 2, 2),
    channels: int = 64,
    block: str = "basic",
    norm: str = "group",
    groups: int = 8,
    stem: str = "small",
    activation: str = "relu",
    output_scale: Any = 1.0,
    dtype: Any = None,
) -> ResNet:
    """Return a residual network together with a function of its hidden layers.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> net = resnet_with_stages((8, 8, 1), 2, blocks=(1, 1), channels=4)
        >>> hidden = net.stages(net.model.init(jax.random.key(0)), jnp.ones((5, 8, 8, 1)))
        >>> [h.shape for h in hidden]
        [(5, 4), (5, 4), (5, 8)]

    Args:
        image_shape: (height, width, channels) of an image.
        out_dim: dimension of the embedding.
        blocks: residual blocks in each stage.
        channels: of the stem and the first stage; doubled from stage to stage.
        block: "basic" or "bottleneck", whose output has four times the channels.
        norm: "group", "layer" (over positions and channels of a sample), "batch" (over samples and
            positions of the given batch: rows depend on one another) or "none".
        groups: of "group", at most; the greatest common divisor with the channels is taken.
        stem: "small", a 3x3 convolution for images of some 30 pixels, or "large", a 7x7 one of
            stride 2 and a 3x3 maximum of stride 2 after it.
        activation: a name in `jssl.models.ACTIVATIONS`.
        output_scale: multiplies the start of the dense layer, > 0; may be traced.
        dtype: dtype of the parameters; None for JAX's default float.

    Returns:
        ResNet(model, stages). Params are {"stem", "stages", "head"}.

    Raises:
        InputError: a size is out of range or a name unknown.

    References:
        He, Zhang, Ren, Sun, arXiv 1512.03385; group normalisation: Wu, He, arXiv 1803.08494.
    """
    _check_sizes(image_shape, blocks, out_dim=out_dim, channels=channels, groups=groups)
    require_name("block", block, BLOCKS)
    require_name("norm", norm, NORMS)
    require_name("stem", stem, STEMS)
    phi = find_activation(activation)
    net = _Net(tuple(image_shape), tuple(blocks), channels, block, norm, groups, stem, phi, dtype)
    features = channels * net.expansion * 2 ** (len(blocks) - 1)
    head = affine(
        (out_dim, features),
        features,
        weight_std=1.0,
        start=output_scale,
        parametrisation="standard",
        dtype=dtype,
    )

    def init(key: Array) -> Params:
        return start_all(_layers(net) | {"head": Start(head, (1,))}, key)

    def stages(params: Params, x: Array) -> tuple[Array, ...]:
        return _stages(net, params, x)

    def apply(params: Params, x: Array) -> Array:
        return head.finish(params["head"], stages(params, x)[-1] @ params["head"]["weight"].T)

    return ResNet(Model(init, apply, None, no_kernel(norm)), stages)


class _Net(NamedTuple):
    """The static choices of a network."""

    image_shape: tuple[int, ...]
    blocks: tuple[int, ...]
    channels: int
    block: str
    norm: str
    groups: int
    stem: str
    phi: Activation
    dtype: Any

    @property
    def expansion(self) -> int:
        """Channels of a block's output over those of its stage."""
        return BLOCKS[self.block][-1][1]


def _check_sizes(image_shape: Sequence[int], blocks: Sequence[int], **sizes: int) -> None:
    if len(image_shape) != 3:
        message = f"image_shape must be (height, width, channels); got {image_shape}"
        raise InputError(message)
    check_at_least_one(**sizes, stages=len(blocks))
    for count in (*image_shape, *blocks):
        check_at_least_one(sizes=count)


def _layers(net: _Net) -> dict[str, Any]:
    """Return the layers of the stem and the stages, and how the key of each is derived."""
    stages, inputs = [], net.channels
    for stage, count in enumerate(net.blocks):
        base, parts = net.channels * 2**stage, []
        for index in range(count):
            parts.append(_block_layers(net, (2 + stage, index), inputs, base))
            inputs = base * net.expansion
        stages.append(tuple(parts))
    first = _convolution(net, (0,), STEMS[net.stem], net.image_shape[2], net.channels)
    return {"stem": first, "stages": tuple(stages)}


def _block_layers(net: _Net, path: tuple[int, ...], inputs: int, base: int) -> dict[str, Any]:
    filters = BLOCKS[net.block]
    sizes = [inputs, *(base * factor for _, factor in filters)]
    ends = itertools.pairwise(sizes)
    layers: dict[str, Any] = {
        "body": tuple(
            _convolution(net, (*path, k), size, *pair)
            for k, ((size, _), pair) in enumerate(zip(filters, ends, strict=True))
        )
    }
    if inputs != sizes[-1]:
        layers["shortcut"] = _convolution(net, (*path, len(sizes)), 1, inputs, sizes[-1])
    return layers


def _convolution(net: _Net, path: tuple[int, ...], size: int, inputs: int, outputs: int) -> Start:
    """Return a convolution without a bias, with the scale and the shift of the norm after it."""
    layer = affine(
        (outputs, inputs, size, size),
        size * size * inputs,
        weight_std=net.phi.weight_std,
        parametrisation="standard",
        dtype=net.dtype,
    )

    def place(normals: Sequence[Array]) -> dict[str, Array]:
        params = layer.place(normals)
        if net.norm != "none":
            like = params["weight"].dtype
            params |= {"scale": jnp.ones(outputs, like), "shift": jnp.zeros(outputs, like)}
        return params

    return Start(layer._replace(place=place), path)


def _stages(net: _Net, params: Params, x: Array) -> tuple[Array, ...]:
    if x.ndim != 4 or x.shape[1:] != net.image_shape:
        message = f"x must be (n, {', '.join(map(str, net.image_shape))}) images; got {x.shape}"
        raise InputError(message)
    h = net.phi.function(_normed(net, params["stem"], x, 2 if net.stem == "large" else 1))
    if net.stem == "large":
        h = _max_pool(h)
    hidden = [h]
    for stage, parts in enumerate(params["stages"]):
        for index, part in enumerate(parts):
            h = _residual(net, part, h, 2 if stage and not index else 1)
        hidden.append(h)
    return tuple(jnp.mean(h, axis=(1, 2)) for h in hidden)


def _residual(net: _Net, params: dict[str, Any], h: Array, stride: int) -> Array:
    spatial = [size for size, _ in BLOCKS[net.block]].index(3)  # its convolution has the stride
    out, short = h, h
    for index, layer in enumerate(params["body"]):
        step = stride if index == spatial else 1
        out = _normed(net, layer, net.phi.function(out) if index else out, step)
    if "shortcut" in params:
        short = _normed(net, params["shortcut"], h, stride)
    return net.phi.function(short + out)


def _normed(net: _Net, params: dict[str, Array], h: Array, stride: int = 1) -> Array:
    h = convolve(h, params["weight"], stride)
    if net.norm == "none":
        return h
    return normalise(h, net.norm, net.groups) * params["scale"] + params["shift"]


def no_kernel(norm: str) -> str:
    """Return the reason why a residual network has no infinite-width kernel here."""
    if norm == "batch":
        return "batch normalisation makes the rows of a batch depend on one another"
    if norm == "none":
        return "its standard parametrisation has no kernel at a fixed learning rate"
    return f"{norm} normalisation has no kernel in neural-tangents"


def normalise(h: Array, norm: str, groups: int = 8) -> Array:
    """Return activations (n, height, width, channels) of mean 0 and variance 1.

    Example:
        >>> h = jax.random.normal(jax.random.key(0), (5, 4, 4, 6))
        >>> bool(jnp.allclose(normalise(h, "batch").mean((0, 1, 2)), 0, atol=1e-5))
        True

    Over samples and positions for "batch"; over positions and channels of a sample for "layer", and
    for "group" over as many equal groups of channels as `groups` and the channels allow.
    """
    n, height, width, channels = h.shape
    count = {"group": _common_divisor(groups, channels)}.get(norm, 1)
    split = h if norm == "batch" else h.reshape(n, height, width, count, channels // count)
    axes = (0, 1, 2) if norm == "batch" else (1, 2, 4)
    mean = jnp.mean(split, axes, keepdims=True)
    variance = jnp.mean((split - mean) ** 2, axes, keepdims=True)
    return ((split - mean) * jax.lax.rsqrt(variance + cast_like(_EPSILON, h))).reshape(h.shape)


def _common_divisor(groups: int, channels: int) -> int:
    return next(g for g in range(min(groups, channels), 0, -1) if channels % g == 0)


def _max_pool(h: Array) -> Array:
    lowest = jnp.array(-jnp.inf, h.dtype)
    return jax.lax.reduce_window(h, lowest, jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "SAME")
