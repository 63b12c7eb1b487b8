r"""The derivative of a network of dense layers by its weights, as products of factors.

With a_l(x) the input of layer l times its gain, and h_l = W_l a_l + b B_l,

    d f_k(x) / d W_l = s_lk(x) a_l(x)^T,    s_lk(x) = d f_k(x) / d h_l

so that the tangent kernel is sum_l (s_lk(x) . s_lm(y)) (a_l(x) . a_l(y) + b^2), which needs far
fewer products than gradients of the size of the parameters (Jacot et al. 2018, arXiv 1806.07572).
In the last hidden layer and in the readout, s_lk(x)_n is a number of (k, n) times one of (x, n).
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jssl.models.layers import flatten
from jssl.types import Array, Params


class LayerFactors(NamedTuple):
    """The factors of a layer.

    Attributes:
        inputs: (rows, columns) a_l(x), and b for a bias.
        signals: (dim, rows, neurons) s_lk(x); with a readout, (rows, neurons) the factor of it.
        readout: (dim, neurons) the factor that does not depend on x, or None.
    """

    inputs: Array
    signals: Array
    readout: Array | None = None


def dense_factors(
    params: Params,
    x: Array,
    *,
    function: Callable[[Array], Array],
    weight_std: float,
    bias_std: float = 0.0,
) -> tuple[LayerFactors, ...]:
    """Return the factors of every layer of a `jssl.models.mlp` in NTK parametrisation.

    Example:
        >>> from jssl.models import mlp
        >>> model = mlp(3, 2, width=16, depth=2, activation="tanh")
        >>> params, x = model.init(jax.random.key(0)), jnp.ones((5, 3))
        >>> first, second, last = dense_factors(params, x, function=jnp.tanh, weight_std=1.0)
        >>> first.signals.shape, second.signals.shape, second.readout.shape, last.inputs.shape
        ((2, 5, 16), (5, 16), (2, 16), (5, 16))

    Args:
        params: of the network, whose width is not padded.
        x: (rows, ...).
        function: the activation.
        weight_std: gain of every layer.
        bias_std: of every layer; 0 for none.
    """
    flat = flatten(x, params[0]["weight"].shape[1])
    rows, dim = len(flat), len(params[-1]["weight"])
    deep = len(params) - 2  # layers below the last hidden one

    def forward(shifts: list[Array]) -> tuple[Array, list[Array]]:
        """Return the last hidden layer, with shifts added to those below, and all inputs."""
        h, inputs = flat, []
        for index, layer in enumerate(params):
            weight = layer["weight"]
            a = (function(h) if index else h) * (weight_std / math.sqrt(weight.shape[1]))
            before, h = h, a @ weight.T
            if "bias" in layer:
                h = h + bias_std * layer["bias"]
                a = jnp.pad(a, ((0, 0), (0, 1)), constant_values=bias_std)
            h = h + shifts[index] if index < deep else h
            inputs.append(a)
        return before, inputs

    shifts = [
        jnp.zeros((rows, len(layer["weight"])), flat.dtype) for layer in params[: max(deep, 0)]
    ]
    hidden, backward, inputs = jax.vjp(forward, shifts, has_aux=True)
    last = LayerFactors(
        inputs[-1], jnp.ones((rows, dim), flat.dtype), jnp.eye(dim, dtype=flat.dtype)
    )
    if len(params) == 1:
        return (last,)
    slopes = jax.jvp(function, (hidden,), (jnp.ones_like(hidden),))[1]
    weight = params[-1]["weight"]
    readout = weight * (weight_std / math.sqrt(weight.shape[1]))
    signals = jax.vmap(lambda of_output: backward(slopes * of_output)[0])(readout)
    below = [LayerFactors(*pair) for pair in zip(inputs[:deep], signals, strict=True)]
    return (*below, LayerFactors(inputs[-2], slopes, readout), last)
