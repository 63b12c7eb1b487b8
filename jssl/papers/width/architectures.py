"""The networks that are compared with their infinite-width kernel, and their data."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp

from jssl.models import conv, mlp, residual
from jssl.papers.outcome import Settings
from jssl.papers.sets import LABELS, image_sets
from jssl.papers.width.samples import clear_pairs, image_pairs
from jssl.types import Array, Model, Pairs

COUNT, DIM, INPUTS, IMAGE = 10, 2, 8, (4, 4, 1)
"""Pairs, embedding dimension, inputs of dense networks, and shape of an image."""


class Architecture(NamedTuple):
    """A family of networks of different widths.

    Attributes:
        description: noun phrase for the statements of claims.
        build: `build(width, max_width) -> Model`; with max_width, weights are padded to it.
        widths: increasing.
        data: pairs, and unseen points.
    """

    description: str
    build: Callable[[Any, int | None], Model]
    widths: tuple[int, ...]
    data: tuple[Pairs, Array]


def architectures(settings: Settings) -> dict[str, Architecture]:
    """Return the architectures of a scale by name.

    At `quick` there are two widths, because a width between two others adds nothing to the error of
    an exponent, and many seeds.
    """
    wide, deep = {
        "quick": ((32, 512), (16, 256)),
        "paper": ((64, 256, 1024, 4096), (32, 128, 512)),
        "large": ((64, 256, 1024, 4096, 16384), (64, 256, 1024, 4096)),
    }[settings.scale]
    quick = settings.scale == "quick"
    data = clear_pairs(settings, COUNT, (INPUTS,))

    def dense(
        activation: str, depth: int, data: tuple[Pairs, Array] = data, where: str = ""
    ) -> Architecture:
        layers = "layer" if depth == 1 else "layers"
        inputs = data[0].first.shape[1]
        options = {"depth": depth, "activation": activation, "dtype": jnp.float64}
        return Architecture(
            f"an MLP with {depth} hidden {activation} {layers}{where}",
            lambda size, padded: mlp(inputs, DIM, width=size, max_width=padded, **options),
            wide if depth == 1 else deep,
            data,
        )

    blocks = {"blocks": 1 if quick else 2, "activation": "erf", "dtype": jnp.float64}
    layers = {"layers": 1 if quick else 2, "activation": "relu", "dtype": jnp.float64}
    if quick:
        nets = {"MLP-1-tanh": dense("tanh", 1), "MLP-2-erf": dense("erf", 2)}
    else:
        nets = {
            f"MLP-{depth}-{name}": dense(name, depth)
            for name in ("tanh", "relu", "erf")
            for depth in (1, 2, 3, 4)
        }
        for name in image_sets(settings.scale)[0]:
            images = image_pairs(settings, COUNT, name)
            nets[f"MLP-1-tanh-{name}"] = dense("tanh", 1, images, f" on {LABELS[name]}")
    nets["conv"] = Architecture(
        "a convolutional network",
        lambda size, padded: conv(IMAGE, DIM, channels=size, max_channels=padded, **layers),
        {"quick": (16, 256), "paper": (16, 64, 256)}.get(settings.scale, deep),
        clear_pairs(settings, COUNT, IMAGE),
    )
    nets["residual"] = Architecture(
        "a residual network",
        lambda size, padded: residual(INPUTS, DIM, width=size, max_width=padded, **blocks),
        deep,
        data,
    )
    return nets
