"""Infinite-width kernels of the encoders.

Those of dense networks are computed here, in closed form (`jssl.models.recursion`). Those of
convolutional networks come from neural-tangents, built from the same definition, with the
expectations of tanh, sigmoid, softplus and silu of `jssl.models.logistic`.
"""

import numbers
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jssl._compat import neural_tangents
from jssl.arithmetic import unit_of, working
from jssl.errors import InputError
from jssl.models.activations import LEAK
from jssl.models.activations import activation as find_activation
from jssl.models.dense_kernel import DenseKernel
from jssl.models.layers import has_bias
from jssl.models.logistic import DUALS
from jssl.models.recursion import Gains, Network
from jssl.models.zonal import HOMOGENEOUS
from jssl.types import Array

Kernel = Callable[[Array, Array], tuple[Array, Array]]
"""`kernel(x1, x2) -> (nngp, ntk)`, each (n1, n2)."""

_ANALYTIC = {"erf": "Erf", "gelu": "Gelu", "linear": "Identity", "relu": "Relu", "sin": "Sin"}


@dataclass(frozen=True, eq=False)
class ConvKernel:
    """The function `kernel(x1, x2) -> (nngp, ntk)` of a convolutional network.

    Attributes:
        function: the same function.
        is_homogeneous: whether k(c x, d x') = c d k(x, x') for c, d > 0.
    """

    function: Kernel
    is_homogeneous: bool

    def __call__(self, x1: Array, x2: Array) -> tuple[Array, Array]:
        """Return NNGP and NTK, (n1, n2) each.

        neural-tangents adds small constants to squared lengths, so that a homogeneous kernel is
        computed of inputs of order 1.
        """
        if not self.is_homogeneous:
            return self.function(x1, x2)
        (x1, first), (x2, second) = (_in_units(x) for x in working(x1=x1, x2=x2))
        nngp, ntk = self.function(x1, x2)
        return nngp * first[:, None] * second, ntk * first[:, None] * second


def _in_units(x: Array) -> tuple[Array, Array]:
    """Return (n, ...) inputs of order 1, and the (n,) powers of 4 that they were divided by."""
    units = jax.lax.stop_gradient(unit_of(x, tuple(range(1, x.ndim))))
    return x / units.reshape(-1, *[1] * (x.ndim - 1)), units


def dense(
    in_dim: int,
    *,
    depth: int,
    activation: str,
    weight_std: Any,
    bias_std: Any,
    output_scale: Any,
) -> Kernel:
    """Return the kernel of `jssl.models.mlp` in NTK parametrisation; arguments as there."""
    network = Network(activation, depth, biased=has_bias(bias_std))
    gains = Gains(weight_std, bias=bias_std, output=output_scale)
    return DenseKernel(network, gains, in_dim)


def conv(
    image_shape: tuple[int, int, int],
    *,
    layers: int,
    filter_size: int,
    stride: int,
    readout: str,
    activation: str,
    weight_std: Any,
    bias_std: Any,
    output_scale: Any,
) -> Kernel:
    """Return the kernel of `jssl.models.conv` in NTK parametrisation; arguments as there."""

    def architecture(stax: Any) -> list[Any]:
        bias = bias_std if has_bias(bias_std) else None
        window, strides = (filter_size,) * 2, (stride,) * 2
        convolution = stax.Conv(1, window, strides, "SAME", weight_std, bias)
        pool = stax.GlobalAvgPool() if readout == "average" else stax.Flatten()
        body = [convolution, _nonlinearity(stax, activation)] * layers
        return [*body, pool, stax.Dense(1, weight_std, bias)]

    def check(x: Array) -> Array:
        if x.shape[1:] != tuple(image_shape):
            message = f"x must be (n, *{tuple(image_shape)}) images; got shape {x.shape}"
            raise InputError(message)
        return x

    function = _stax_kernel(architecture, check, output_scale)
    return ConvKernel(function, activation in HOMOGENEOUS and not has_bias(bias_std))


def residual(
    in_dim: int,
    *,
    blocks: int,
    activation: str,
    weight_std: Any,
    branch_std: Any,
    bias_std: Any,
    output_scale: Any,
) -> Kernel:
    """Return the kernel of `jssl.models.residual` in NTK parametrisation; arguments as there."""
    network = Network(activation, blocks, residual=True, biased=has_bias(bias_std))
    return DenseKernel(network, Gains(weight_std, branch_std, bias_std, output_scale), in_dim)


def _stax_kernel(
    layers: Callable[[Any], list[Any]], check: Callable[[Array], Array], output_scale: Any
) -> Kernel:
    def kernel(x1: Array, x2: Array) -> tuple[Array, Array]:
        x1, x2 = working(x1=x1, x2=x2)
        stax = neural_tangents.load().stax
        *_, function = stax.serial(*layers(stax))
        with warnings.catch_warnings():
            # sums of branches must be of independent ones: each ends in a separate dense layer
            warnings.filterwarnings("ignore", "`FanIn` layers assume independent inputs")
            inputs = (check(x) for x in (x1, x2))
            nngp, ntk = function(*inputs, ("nngp", "ntk"))
        if isinstance(output_scale, numbers.Real) and output_scale == 1:
            return nngp, ntk
        size = jnp.asarray(output_scale, nngp.dtype) ** 2
        return size * nngp, nngp + size * (ntk - nngp)

    return jax.jit(kernel)


def _nonlinearity(stax: Any, name: str) -> Any:
    if name == "leaky_relu":
        return stax.LeakyRelu(LEAK)
    if name in _ANALYTIC:
        return getattr(stax, _ANALYTIC[name])()
    return stax.Elementwise(find_activation(name).function, *DUALS[name])
