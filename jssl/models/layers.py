"""One affine map in every parametrisation, and a stack of them.

With fan-in n, gain g = weight_std, bias_std b, start s (1 unless stated) and a net of width w:

    ntk         h = (g / sqrt(n)) W x + b B             W, B ~ N(0, s^2)
    standard    h = W x + B                             W ~ N(0, (s g)^2 / n),  B ~ N(0, (s b)^2)
    mup         h = (g sqrt(w / n) / r) W x + b sqrt(w) B / r     W, B ~ N(0, s^2 / w)

with r = sqrt(w) in the last layer and 1 elsewhere. The first two draw the same function from the
same key; they differ in how training moves it (Jacot et al., arXiv 1806.07572). The third starts
with outputs smaller by 1 / sqrt(w) and moves every neuron by order one under gradient descent at a
learning rate that does not depend on the width: it learns features and has no kernel limit (Yang
and Hu, arXiv 2011.14522, the abc-parametrisation for SGD). A bias exists only where bias_std is not
0.
"""

import itertools
import math
import numbers
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.errors import InputError, shown, unknown_name
from jssl.host_arithmetic import host_value
from jssl.models.width import cut, normals_at
from jssl.types import Array, Params

NO_LIMIT = {
    "standard": "in the standard parametrisation the NTK grows with width at a fixed learning "
    "rate; parametrisation='ntk' has a limit",
    "mup": "in mup the net learns features at every width, so its NTK moves and nothing is "
    "linear in the limit; parametrisation='ntk' has a limit",
}
"""Parametrisation -> why it has no infinite-width kernel."""

PARAMETRISATIONS = ("ntk", *NO_LIMIT)


class Affine(NamedTuple):
    """An affine map.

    Attributes:
        draws: (rows, columns) of the standard normals of its start: the weight's, the bias's.
        place: `place(normals) -> {"weight": ..., "bias": ...}`.
        finish: `finish(params, product) -> h`: scales the product W x (channels last) and adds
            the bias.
    """

    draws: tuple[tuple[int, int], ...]
    place: Callable[[Sequence[Array]], dict[str, Array]]
    finish: Callable[[dict[str, Array], Array], Array]

    def init(self, key: Array) -> dict[str, Array]:
        """Return the parameters at the start."""
        params: dict[str, Array] = start_all(Start(self), key)
        return params


class Start(NamedTuple):
    """A layer, and how its key follows from the net's: by `fold_in` with each number in turn."""

    layer: Affine
    path: tuple[int, ...] = ()


def affine(
    shape: Sequence[int],
    fan_in: Any,
    *,
    weight_std: Any,
    bias_std: Any = 0.0,
    start: Any = 1.0,
    parametrisation: str = "ntk",
    net_width: Any = 1,
    last: bool = False,
    live: tuple[Any, Any] = (None, None),
    dtype: Any = None,
) -> Affine:
    """Return an affine map with a weight of the given shape.

    Example:
        >>> import jax
        >>> layer = affine((4, 3), 3, weight_std=1.0)
        >>> layer.init(jax.random.key(0))["weight"].shape
        (4, 3)

    Args:
        shape: shape of the weight, (out, in) or (out, in, height, width).
        fan_in: number of inputs that a neuron sums; may be traced.
        weight_std: gain g; may be traced.
        bias_std: b; the number 0 for no bias.
        start: s, multiplies the initial weight and bias.
        parametrisation: "ntk", "standard" or "mup".
        net_width: w of the net, for "mup"; may be traced.
        last: whether this is the net's last layer, for "mup".
        live: live rows and columns where width is padding, None for all; may be traced.
        dtype: dtype of the parameters; None for JAX's default float.

    Raises:
        InputError: for a weight_std or start that is not above 0, or a negative bias_std.
    """
    for scale, least in ((weight_std, 1e-300), (start, 1e-300), (bias_std, 0)):
        check_scale(scale, least)
    biased = has_bias(bias_std)
    gains = weight_std / _root(fan_in), bias_std
    if parametrisation == "standard":
        sizes, factors = tuple(start * gain for gain in gains), None
    elif parametrisation == "ntk":
        sizes, factors = (start, start), gains
    else:
        root = _root(net_width)
        sizes = (start / root, start / root)
        factors = gains if last else tuple(gain * root for gain in gains)

    draws: tuple[tuple[int, int], ...] = ((shape[0], math.prod(shape[1:])),)
    draws += ((1, shape[0]),) if biased else ()

    def place(normals: Sequence[Array]) -> dict[str, Array]:
        weight = normals[0].reshape(shape)
        weight = weight.astype(jnp.result_type(float) if dtype is None else dtype)
        params = {"weight": cut(weight * cast_like(sizes[0], weight), *live)}
        if biased:
            bias = normals[1][0].astype(weight.dtype)
            params["bias"] = cut(bias * cast_like(sizes[1], bias), live[0])
        return params

    def finish(params: dict[str, Array], product: Array) -> Array:
        if factors is not None:
            product = product * cast_like(factors[0], product)
        if not biased:
            return product
        bias = params["bias"]
        return product + (bias if factors is None else bias * cast_like(factors[1], product))

    return Affine(draws, place, finish)


def dense_stack(
    in_dim: int,
    out_dim: int,
    *,
    width: Any,
    depth: int,
    function: Callable[[Array], Array],
    weight_std: Any,
    bias_std: Any,
    hidden_start: Any = 1.0,
    output_start: Any = 1.0,
    parametrisation: str,
    max_width: int | None,
    dtype: Any,
) -> tuple[Callable[[Array], Params], Callable[[Params, Array], Array]]:
    """Return `init` and `apply` of `depth` hidden dense layers and a linear readout.

    Arguments are those of `jssl.models.mlp`; `hidden_start` multiplies the start of every layer but
    the last, `output_start` that of the last. Params are a tuple of {"weight", "bias"}, one per
    layer.
    """
    check_at_least_one(in_dim=in_dim, out_dim=out_dim)
    if not isinstance(depth, numbers.Integral) or depth < 0:
        message = f"depth is a number of hidden layers, 0 or more; got {depth}"
        raise InputError(message)
    check_parametrisation(parametrisation)
    size, live_width = resolve_width(width, max_width)
    sizes = (in_dim, *[size] * depth, out_dim)
    live = (None, *[live_width] * depth, None)
    fans = (in_dim, *[width] * depth)
    starts = (*[hidden_start] * depth, output_start)
    lasts = (*[False] * depth, True)
    layers = [
        affine(
            (rows, columns),
            fan_in,
            weight_std=weight_std,
            bias_std=bias_std,
            start=start,
            parametrisation=parametrisation,
            net_width=width if depth else 1,
            last=last,
            live=(live_rows, live_columns),
            dtype=dtype,
        )
        for (columns, rows), (live_columns, live_rows), fan_in, start, last in zip(
            itertools.pairwise(sizes), itertools.pairwise(live), fans, starts, lasts, strict=True
        )
    ]

    def init(key: Array) -> Params:
        return init_layers(layers, key)

    def apply(params: Params, x: Array) -> Array:
        h = flatten(x, in_dim)
        for index, (layer, layer_params) in enumerate(zip(layers, params, strict=True)):
            h = layer.finish(layer_params, (function(h) if index else h) @ layer_params["weight"].T)
        return h

    return init, apply


def init_layers(layers: Sequence[Affine], key: Array) -> Params:
    """Return the parameters of all layers, layer k from `fold_in(key, k)`."""
    params: Params = start_all(tuple(Start(layer, (k,)) for k, layer in enumerate(layers)), key)
    return params


def start_all(starts: Any, key: Array) -> Any:
    """Return a tree of `Start` with each as its parameters, all normals drawn together.

    Normals k of a layer, the weight's and the bias's, are drawn from `fold_in(layer's key, k)`.

    Example:
        >>> import jax
        >>> head = Start(affine((4, 3), 3, weight_std=1.0))
        >>> start_all({"head": head}, jax.random.key(0))["head"]["weight"].shape
        (4, 3)
    """
    leaves, tree = jax.tree.flatten(starts, is_leaf=lambda leaf: isinstance(leaf, Start))
    paths = tuple((*path, k) for layer, path in leaves for k in range(len(layer.draws)))
    shapes = tuple(shape for layer, _ in leaves for shape in layer.draws)
    normals = iter(normals_at(key, paths, shapes))
    params = [layer.place([next(normals) for _ in layer.draws]) for layer, _ in leaves]
    return jax.tree.unflatten(tree, params)


def flatten(x: Array, in_dim: int) -> Array:
    """Return x of shape (n, ...) as (n, in_dim).

    Raises:
        InputError: if a sample does not have in_dim numbers.
    """
    if x.ndim < 2 or math.prod(x.shape[1:]) != in_dim:
        message = f"x must be (n, ...) with {in_dim} numbers per sample; got shape {x.shape}"
        raise InputError(message)
    return x.reshape(x.shape[0], in_dim)


def resolve_width(width: Any, max_width: int | None) -> tuple[int, Any]:
    """Return the width of the arrays, and the live width (None where nothing is padded).

    Raises:
        InputError: the width is traced without max_width, or does not lie in 1 ... max_width.
    """
    static = isinstance(width, numbers.Integral)
    if max_width is None:
        if not static:
            message = "width must be an integer; a traced width needs max_width, its upper bound"
            raise InputError(message)
        check_at_least_one(width=width)
        return int(width), None
    check_at_least_one(max_width=max_width)
    if static and not 1 <= width <= max_width:
        message = f"width must lie in 1 ... max_width = {max_width}; got {width}"
        raise InputError(message)
    return int(max_width), width


def check_at_least_one(**sizes: Any) -> None:
    """Raise InputError unless every named size is an integer of at least 1."""
    for name, size in sizes.items():
        if not isinstance(size, numbers.Integral) or size < 1:
            message = f"{name} must be an integer of at least 1; got {size}"
            raise InputError(message)


def check_scale(scale: Any, least: float) -> None:
    """Raise InputError unless the scale of a start is one number and, if known, at least that."""
    what = "above 0, where training never moves, and finite" if least else "0 or more, and finite"
    try:
        is_sound = np.shape(scale) == ()
        known = host_value(scale)
    except ValueError:  # lists of unequal lengths
        is_sound, known = False, None
    if known is not None:
        real = jnp.issubdtype(known.dtype, jnp.floating) or known.dtype.kind in "iu"
        is_sound = is_sound and real and bool(least <= known < math.inf)
    if not is_sound:
        message = f"the scale of a start must be a number {what}; got {shown(scale)}"
        raise InputError(message)


def check_parametrisation(name: str) -> None:
    """Raise InputError unless the parametrisation is known."""
    if name not in PARAMETRISATIONS:
        error = unknown_name("parametrisation", name, PARAMETRISATIONS)
        raise error


def has_bias(bias_std: Any) -> bool:
    """Return whether there is a bias; a traced bias_std always has one."""
    return not (isinstance(bias_std, numbers.Real) and bias_std == 0)


def cast_like(value: Any, like: Array) -> Array:
    """Return the value as an array of the other's dtype."""
    return jnp.asarray(value).astype(like.dtype)


def _root(fan_in: Any) -> Any:
    if isinstance(fan_in, numbers.Real):
        return math.sqrt(fan_in)
    # the root of an int32 is a float32, in float64 computations as well
    return jnp.sqrt(jnp.asarray(fan_in, jnp.result_type(float)))
