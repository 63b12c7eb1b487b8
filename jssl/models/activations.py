"""Activations by name, with properties that padding and the infinite-width limit depend on."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jssl.errors import unknown_name
from jssl.types import Array


class Activation(NamedTuple):
    """An elementwise function and its two facts.

    Attributes:
        function: phi, elementwise.
        weight_std: the gain that a model takes when none is given.
        zero_at_zero: whether phi(0) = 0, so that the output of a padded neuron is 0.
    """

    function: Callable[[Array], Array]
    weight_std: float = 1.0
    zero_at_zero: bool = True


LEAK = 0.01
"""Slope of leaky_relu below 0."""


def _exact_gelu(x: Array) -> Array:
    return jax.nn.gelu(x, approximate=False)


def _leaky_relu(x: Array) -> Array:
    return jax.nn.leaky_relu(x, LEAK)


def _identity(x: Array) -> Array:
    return x


ACTIVATIONS = {
    "erf": Activation(jax.scipy.special.erf),
    "gelu": Activation(_exact_gelu),
    "leaky_relu": Activation(_leaky_relu, weight_std=math.sqrt(2 / (1 + LEAK**2))),
    "linear": Activation(_identity),
    "relu": Activation(jax.nn.relu, weight_std=math.sqrt(2.0)),
    "sigmoid": Activation(jax.nn.sigmoid, zero_at_zero=False),
    "silu": Activation(jax.nn.silu),
    "sin": Activation(jnp.sin),
    "softplus": Activation(jax.nn.softplus, zero_at_zero=False),
    "tanh": Activation(jnp.tanh),
}
"""Name -> activation.

weight_std preserves variances under relu and leaky_relu, and is 1 for the others.
"""


def activation(name: str) -> Activation:
    """Return the activation of that name.

    Example:
        >>> activation("tanh").zero_at_zero, activation("sigmoid").zero_at_zero
        (True, False)

    Raises:
        InputError: no activation has that name.
    """
    if not isinstance(name, str) or name not in ACTIVATIONS:
        error = unknown_name("activation", name, ACTIVATIONS)
        raise error
    return ACTIVATIONS[name]
