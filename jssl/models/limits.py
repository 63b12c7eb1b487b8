"""Infinite-width kernels of the encoders, built by neural-tangents from the same definition.

For h' = (g / sqrt(n)) W phi(h) + b B, with h Gaussian of covariance K (Jacot et al., 1806.07572):

    K' = g^2 E[phi(u) phi(v)] + b^2,    NTK' = K' + g^2 NTK E[phi'(u) phi'(v)].

neural-tangents knows both expectations for erf, relu, gelu, sin. The other activations take
quadrature in one dimension: with h_k the orthonormal Hermite polynomials, rho the correlation of u
and v, and a_k(q) = E[phi(sqrt(q) z) h_k(z)] (Mehler's expansion),

    E[phi(u) phi(v)] = sum_k a_k(q_u) a_k(q_v) rho^k,  k < TERMS,

a_k by the trapezoid rule, whose error for analytic phi falls as exp(-2 pi distance of the nearest
pole / spacing). Of E[tanh'(u) tanh'(v)] 5e-14 is lost at rho = 1 and unit variance, 5e-8 at
standard deviation 2 and 7e-4 at 4; up to |rho| = .9 nothing is (1e-13). A pair costs TERMS
multiplications, where Gauss-Hermite quadrature in the plane costs degree^2 evaluations of phi for
2e-6 at degree 100.
"""

import functools
import numbers
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl._compat import neural_tangents
from jssl.arithmetic import working
from jssl.errors import InputError
from jssl.models.activations import activation as find_activation
from jssl.models.layers import flatten, has_bias
from jssl.types import Array

Kernel = Callable[[Array, Array], tuple[Array, Array]]
"""`kernel(x1, x2) -> (nngp, ntk)`, each (n1, n2)."""

TERMS = 200
"""Terms of the Hermite expansion."""

_NODES, _REACH = 521, 13.0

_ANALYTIC = {"erf": "Erf", "gelu": "Gelu", "linear": "Identity", "relu": "Relu", "sin": "Sin"}


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

    def layers(stax: Any) -> list[Any]:
        affine = stax.Dense(1, weight_std, _bias(bias_std))
        return [affine, *[_nonlinearity(stax, activation), affine] * depth]

    return _kernel(layers, lambda x: flatten(x, in_dim), output_scale)


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
        bias = _bias(bias_std)
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

    return _kernel(architecture, check, output_scale)


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

    def layers(stax: Any) -> list[Any]:
        affine = stax.Dense(1, weight_std, _bias(bias_std))
        phi = _nonlinearity(stax, activation)
        branch = stax.serial(phi, stax.Dense(1, branch_std, _bias(bias_std)))
        skip = stax.serial(stax.FanOut(2), stax.parallel(stax.Identity(), branch), stax.FanInSum())
        return [affine, *[skip] * blocks, phi, affine]

    return _kernel(layers, lambda x: flatten(x, in_dim), output_scale)


def expectation(function: Callable[[Array], Array]) -> Callable[[Array, Array, Array], Array]:
    """Return (covariance, variance of u, variance of v) -> E[function(u) function(v)].

    Example:
        >>> import jax.numpy as jnp
        >>> mean = expectation(lambda u: u**3)
        >>> round(float(mean(jnp.float32(0.5), jnp.float32(1.0), jnp.float32(1.0))), 4)
        5.25

    (9 c + 6 c^3 at unit variances.) Under nested vmap the coefficients are computed once a point,
    not once a pair. Scalars in, scalar out; smooth functions only.
    """
    nodes, table = _hermite(TERMS)

    def mean(covariance: Array, first: Array, second: Array) -> Array:
        def coefficients(variance: Array) -> Array:
            values = function(jnp.sqrt(variance) * jnp.asarray(nodes, variance.dtype))
            return jnp.matmul(jnp.asarray(table, values.dtype), values, precision="highest")

        product = first * second
        safe = jnp.where(product > 0, product, 1.0)
        correlation = jnp.clip(covariance / jnp.sqrt(safe), -1.0, 1.0)

        def horner(total: Array, pair: tuple[Array, Array]) -> tuple[Array, None]:
            return total * correlation + pair[0] * pair[1], None

        pairs = (coefficients(first), coefficients(second))
        return jax.lax.scan(horner, jnp.zeros_like(correlation), pairs, reverse=True, unroll=8)[0]

    return mean


@functools.cache
def _hermite(terms: int) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes z_i and the (terms, nodes) table h_k(z_i) w_i of the standard normal weight."""
    nodes, spacing = np.linspace(-_REACH, _REACH, _NODES, retstep=True)
    root = np.sqrt(spacing * np.exp(-(nodes**2) / 2) / np.sqrt(2 * np.pi))
    rows = [root, nodes * root]
    for k in range(1, terms - 1):
        rows.append((nodes * rows[k] - np.sqrt(k) * rows[k - 1]) / np.sqrt(k + 1))
    return nodes, np.stack(rows) * root


def _kernel(
    layers: Callable[[Any], list[Any]], check: Callable[[Array], Array], output_scale: Any
) -> Kernel:
    def kernel(x1: Array, x2: Array) -> tuple[Array, Array]:
        x1, x2 = working(x1=x1, x2=x2)
        stax = neural_tangents.load().stax
        *_, function = stax.serial(*layers(stax))
        with warnings.catch_warnings():
            # sums of branches must be of independent ones: each ends in a dense layer of its own
            warnings.filterwarnings("ignore", "`FanIn` layers assume independent inputs")
            nngp, ntk = function(check(x1), check(x2), ("nngp", "ntk"))
        if isinstance(output_scale, numbers.Real) and output_scale == 1:
            return nngp, ntk
        size = jnp.asarray(output_scale, nngp.dtype) ** 2
        return size * nngp, nngp + size * (ntk - nngp)

    return jax.jit(kernel)


def _nonlinearity(stax: Any, name: str) -> Any:
    if name in _ANALYTIC:
        return getattr(stax, _ANALYTIC[name])()
    function = find_activation(name).function
    slope = jnp.vectorize(jax.grad(function))
    return stax.Elementwise(function, expectation(function), expectation(slope))


def _bias(bias_std: Any) -> Any:
    return bias_std if has_bias(bias_std) else None
