"""Networks of finite width: random ones of a named kernel, or the user's own."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.data.checks import require_count
from jssl.errors import InputError
from jssl.forecast.encoders import parse_kernel
from jssl.memory import free_memory, require_memory
from jssl.models import conv, mlp
from jssl.models.activations import activation as find_activation
from jssl.models.factors import dense_factors
from jssl.single_use import MATRIX_STEPS, compile_cheaply
from jssl.types import Array, Model, Params, start_key


class Networks(NamedTuple):
    """Networks of one architecture.

    Attributes:
        apply: `apply(params, x) -> z` (n, dim), a `TorchEncoder` or a `GramEncoder`.
        params: of each network; of a Gram matrix, the seed of each random start.
        width: hidden neurons, or channels; 0 for a network of the user.
        init: `init(key) -> params`, of which `params` are the first ones under the seed's keys;
            None for a network of the user.
        factors: `factors(params, x)` of a network of dense layers, as
            `jssl.models.factors.dense_factors`; None for other networks.
    """

    apply: Any
    params: tuple[Params, ...]
    width: int
    init: Callable[[Array], Params] | None = None
    factors: Callable[[Params, Array], Any] | None = None


def network(kernel: str, width: int, shape: tuple[int, ...], dim: int) -> Model:
    """Return the model of a kernel's name at a finite width, in float32.

    Example:
        >>> model = network("mlp-relu-2", 8, (4,), 3)
        >>> model.apply(model.init(jax.random.key(0)), jnp.ones((5, 4))).shape
        (5, 3)

    Args:
        kernel: `mlp-<activation>-<layers>` or `conv-<activation>-<layers>`.
        width: hidden neurons, or channels.
        shape: of one sample.
        dim: number of outputs.

    Raises:
        InputError: for the kernel linear, which has no width, and as `encoders.named_encoder`.
    """
    width = require_count("width", width, high=2**20)
    if kernel == "linear":
        message = "the kernel 'linear' has no width; drop width, or use a kernel such as mlp-relu-3"
        raise InputError(message)
    kind, activation, layers = parse_kernel(kernel, shape)
    if kind == "mlp":
        size = int(np.prod(shape))
        return mlp(size, dim, width=width, activation=activation, depth=layers, dtype=jnp.float32)
    height, wide, colours = shape
    return conv(
        (height, wide, colours),
        dim,
        channels=width,
        activation=activation,
        layers=layers,
        readout="flatten",
        dtype=jnp.float32,
    )  # fmt: skip


def random_networks(
    kernel: str, width: int, count: int, shape: tuple[int, ...], dim: int, seed: int
) -> Networks:
    """Return random networks of one width.

    Example:
        >>> len(random_networks("mlp-relu-1", 8, 3, (4,), 2, 0).params)
        3

    Network i is that of the run with key `fold_in(key(seed), i)`, so that a simulation with this
    key starts from the same parameters.

    Raises:
        InputError: as `network`, and where the parameters do not fit in the memory.
    """
    model = network(kernel, width, shape, dim)
    count = require_count("nets", count, high=1000)
    needed = partial(_bytes, kernel, count, shape, dim)
    if needed(width) > free_memory():
        most = _largest_width(needed, width, free_memory())
        remedy = f"take a width of at most {most:,}" if most else "take smaller samples"
        plural = "s" if count > 1 else ""
        what = f"a forecast of {count} network{plural} of width {width:,}"
        require_memory(what, needed(width), remedy)

    def start(seed: Array, i: Array) -> Params:
        return model.init(start_key(jax.random.fold_in(jax.random.key(seed), i)))

    compiled = compile_cheaply(start)
    params = tuple(compiled(np.uint32(seed), np.uint32(i)) for i in range(count))
    kind, activation, _ = parse_kernel(kernel, shape)
    factors = _factors(activation) if kind == "mlp" else None
    return Networks(model.apply, params, width, model.init, factors)


def _bytes(kernel: str, count: int, shape: tuple[int, ...], dim: int, width: int) -> float:
    """Return the bytes of the networks' parameters and of ten more copies for their kernels."""
    sizes: Any = jax.eval_shape(network(kernel, width, shape, dim).init, jax.random.key(0))
    one = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(sizes))
    return float((count + 10) * one)


def _largest_width(needed: Callable[[int], float], width: int, free: float) -> int:
    """Return the largest width below `width` that fits in free bytes, to two digits; 0 for none."""
    low, high = 0, width
    while high - low > max(low // 50, 1):
        middle = (low + high) // 2
        low, high = (middle, high) if needed(middle) <= free else (low, middle)
    unit = 10 ** max(len(str(low)) - 2, 0)
    return low // unit * unit


@cache
def _factors(activation: str) -> Callable[[Params, Array], Any]:
    """Return one program for all networks of an architecture."""
    phi = find_activation(activation)
    given = partial(dense_factors, function=phi.function, weight_std=phi.weight_std)
    return jax.jit(given, compiler_options=MATRIX_STEPS)
