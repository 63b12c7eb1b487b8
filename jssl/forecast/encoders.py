"""Encoders by the name of their kernel: linear, mlp-relu-3, conv-relu-2."""

import re
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jssl._compat import neural_tangents
from jssl.errors import InputError, unknown_name
from jssl.forecast.given_encoder import GivenEncoder
from jssl.forecast.own_encoder import OwnEncoder, read_encoder
from jssl.kernels.inputs import check_scale_of_inputs
from jssl.models import ACTIVATIONS, conv, linear, mlp
from jssl.models.dense_kernel import DenseKernel
from jssl.types import Array, Model

_ROWS = 256


class Kernels(NamedTuple):
    """Kernels of the encoder on all views, (2n, 2n).

    Attributes:
        gram: tangent kernel, symmetric.
        nngp: kernel of a random initial embedding; None where the start is given.
        own: encoder of the user; None without.
    """

    gram: np.ndarray
    nngp: np.ndarray | None
    own: OwnEncoder | None


def named_encoder(name: str, shape: tuple[int, ...]) -> Model:
    """Return the model of a kernel's name, for samples of a shape.

    Example:
        >>> named_encoder("linear", (8, 8, 1)).kernel is None
        False
        >>> named_encoder("mlp-rely-3", (64,))
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: unknown activation 'rely'; did you mean 'relu'? known: ...

    Args:
        name: `linear`; `mlp-<activation>-<hidden layers>`, mlp alone for mlp-relu-3; or
            `conv-<activation>-<layers>`, conv alone for conv-relu-2 (3 x 3, stride 2, then dense).
        shape: of one sample; conv needs (height, width, channels).

    Raises:
        InputError: for another name, samples of another shape, or conv without neural-tangents.
    """
    size = int(np.prod(shape))
    if name == "linear":
        return linear(size, 1)
    kind, activation, layers = parse_kernel(name, shape)
    if kind == "mlp":
        return mlp(size, 1, activation=activation, depth=layers)
    try:
        neural_tangents.load()
    except InputError as error:
        message = f"{error}; or use the kernel mlp-{activation}-{layers}, which needs nothing else"
        raise InputError(message) from error
    height, wide, channels = shape
    image = (height, wide, channels)
    return conv(image, 1, activation=activation, layers=layers, readout="flatten")


def parse_kernel(name: str, shape: tuple[int, ...]) -> tuple[str, str, int]:
    """Return the architecture, the activation and the number of layers of a kernel's name.

    Example:
        >>> parse_kernel("mlp", (8, 8))
        ('mlp', 'relu', 3)

    Raises:
        InputError: for an unknown name, or conv with samples that are not images.
    """
    short = {"mlp": "mlp-relu-3", "conv": "conv-relu-2"}.get(name, name)
    matched = re.fullmatch(r"(mlp|conv)-([a-z_]+)-([1-9][0-9]?)", short)
    if matched is None:
        message = (
            f"unknown kernel '{name}'; write linear, mlp-<activation>-<layers> such as mlp-relu-3,"
            " or conv-<activation>-<layers>, with 1 to 99 layers"
        )
        raise InputError(message)
    kind, activation, layers = matched.groups()
    if activation not in ACTIVATIONS:
        error = unknown_name("activation", activation, ACTIVATIONS)
        raise error
    if kind == "conv" and len(shape) != 3:
        message = f"conv needs images (height, width, channels); the samples are {shape}"
        raise InputError(message)
    return kind, activation, int(layers)


def grams(model: Model, views: Array) -> tuple[np.ndarray, np.ndarray]:
    """Return NNGP and NTK of all views, (2n, 2n) each, in blocks of rows.

    Example:
        >>> import jax.numpy as jnp
        >>> nngp, ntk = grams(named_encoder("linear", (2,)), jnp.eye(2))
        >>> nngp.tolist(), ntk.tolist()
        ([[0.5, 0.0], [0.0, 0.5]], [[1.0, 0.0], [0.0, 1.0]])

    Args:
        model: with a kernel.
        views: (2n, ...).
    """
    assert model.kernel is not None
    if isinstance(model.kernel, DenseKernel) and model.kernel.is_on_host(views):
        nngp, ntk = model.kernel.on_host(np.asarray(views).reshape(len(views), -1), None)
        return nngp, ntk
    size = len(views)
    both = np.empty((2, size, size), views.dtype)
    block = min(_ROWS, size)
    for start in range(0, size, block):
        at = min(start, size - block)  # one shape, one program
        for out, part in zip(both, model.kernel(views[at : at + block], views), strict=True):
            out[at : at + block] = part
    return both[0], both[1]


def kernels_of(encoder: GivenEncoder, views: Array, dim: int, decayed: bool) -> Kernels:
    """Return the kernels of an encoder, named or of the user, on all views (2n, ...).

    Raises:
        InputError: as the readers of encoders, and for a kernel's name beside another encoder.
    """
    own: OwnEncoder | None = None
    nngp: np.ndarray | None = None
    if encoder.torch is not None:
        own = encoder.torch.read(jnp.asarray(views), dim, decayed=decayed)
    elif encoder.apply is not None:
        inputs = jnp.asarray(views)
        own = read_encoder(encoder.apply, encoder.params, inputs, dim, decayed=decayed)
    elif encoder.gram is not None:
        own = encoder.gram.read(len(views), dim, decayed=decayed)
        nngp = own.gram if own.start is None else None
    if own is not None and encoder.named:
        message = (
            "kernel= names an encoder of jssl; leave it out, since apply=, torch= or gram= gives "
            "another encoder"
        )
        raise InputError(message)
    if own is not None:
        gram = own.gram
    else:
        model = named_encoder(encoder.kernel, views.shape[1:])
        check_scale_of_inputs(model, pairs=views)
        nngp, gram = grams(model, views)
    return Kernels((gram + gram.T) / 2, nngp, own)
