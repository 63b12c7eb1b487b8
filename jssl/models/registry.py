"""The encoders by name."""

from collections.abc import Callable
from typing import Any

from jssl.errors import unknown_name
from jssl.models.conv import conv
from jssl.models.linear import deep_linear, linear
from jssl.models.mlp import mlp
from jssl.models.one_layer import one_layer
from jssl.models.residual import residual
from jssl.models.resnet import resnet
from jssl.types import Model

MODELS: dict[str, Callable[..., Model]] = {
    "conv": conv,
    "deep_linear": deep_linear,
    "linear": linear,
    "mlp": mlp,
    "one_layer": one_layer,
    "residual": residual,
    "resnet": resnet,
}
"""Name -> factory (input size, out_dim, ...) -> Model."""


def get(name: str, *sizes: Any, **options: Any) -> Model:
    """Return the model of that name, built with the given arguments.

    Example:
        >>> import jax
        >>> get("linear", 3, 2).init(jax.random.key(0))["weight"].shape
        (2, 3)
        >>> get("mpl", 3, 2)
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: unknown model 'mpl'; did you mean 'mlp'? known: conv, ...

    Args:
        name: a key of `MODELS`.
        sizes: positional arguments of the factory.
        options: its keyword arguments.

    Raises:
        InputError: no model has that name.
    """
    if name not in MODELS:
        error = unknown_name("model", name, MODELS)
        raise error
    return MODELS[name](*sizes, **options)
