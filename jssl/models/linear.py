"""Linear encoders, shallow and deep: z = W x and z = W_L ... W_1 x.

The kernel of the shallow encoder is exact at any width. For the deep one, in NTK parametrisation
with L layers that start as N(0, s^2),

    NNGP = s^{2L} x1 x2^T / in,        NTK = L s^{2(L-1)} x1 x2^T / in.
"""

from typing import Any

import jax.numpy as jnp

from jssl.arithmetic import working
from jssl.models.layers import NO_LIMIT, affine, check_at_least_one, dense_stack, flatten
from jssl.types import Array, Model, Params


def linear(
    in_dim: int, out_dim: int, *, scale: Any = 1.0, bias: bool = False, dtype: Any = None
) -> Model:
    """Return z = W x (+ b), the model of the theories, without factors.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> model = linear(3, 2, scale=1e-3)
        >>> params = model.init(jax.random.key(0))
        >>> bool(jnp.all(model.apply(params, jnp.eye(3)) == params["weight"].T))
        True
        >>> nngp, ntk = model.kernel(jnp.eye(3), jnp.eye(3))
        >>> ntk.tolist()[0]
        [1.0, 0.0, 0.0]

    W starts as N(0, scale^2 / in), b at 0. Each output's covariance over starts is
    (scale^2 / in) x1 x2^T. The NTK is x1 x2^T, plus 1 with a bias, and does not depend on the
    scale. For another start, use `model._replace(init=...)` with an `init` that returns
    {"weight": (out, in)}.

    Args:
        in_dim: numbers per sample; x may be (n, in) or (n, ...) that flattens to it.
        out_dim: dimension of the embedding.
        scale: size of the start, > 0; may be traced.
        bias: whether there is a bias.
        dtype: dtype of the parameters; None for JAX's default float.

    Returns:
        Model with params {"weight": (out, in)} and, with bias=True, "bias": (out,).

    Raises:
        InputError: a size is not positive, or x does not flatten to in_dim.
    """
    check_at_least_one(in_dim=in_dim, out_dim=out_dim)
    layer = affine(
        (out_dim, in_dim), in_dim, weight_std=scale, parametrisation="standard", dtype=dtype
    )

    def init(key: Array) -> Params:
        params = layer.init(key)
        if bias:
            params["bias"] = jnp.zeros(out_dim, params["weight"].dtype)
        return params

    def apply(params: Params, x: Array) -> Array:
        z = flatten(x, in_dim) @ params["weight"].T
        return z + params["bias"] if bias else z

    def kernel(x1: Array, x2: Array) -> tuple[Array, Array]:
        gram = _gram(x1, x2, in_dim)
        return jnp.asarray(scale, gram.dtype) ** 2 / in_dim * gram, gram + 1.0 if bias else gram

    return Model(init, apply, kernel)


def deep_linear(
    in_dim: int,
    out_dim: int,
    *,
    width: Any = 64,
    depth: int = 1,
    scale: Any = 1.0,
    parametrisation: str = "standard",
    max_width: int | None = None,
    dtype: Any = None,
) -> Model:
    """Return z = W_L ... W_1 x with L = depth + 1 weights.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> model = deep_linear(3, 2, width=8, depth=2)
        >>> [layer["weight"].shape for layer in model.init(jax.random.key(0))]
        [(8, 3), (8, 8), (2, 8)]
        >>> model.apply(model.init(jax.random.key(0)), jnp.ones((5, 3))).shape
        (5, 2)

    Every weight starts as N(0, scale^2 / fan-in) in the standard parametrisation, which is the
    plain product, or as N(0, scale^2) behind factors 1 / sqrt(fan-in) in the NTK parametrisation.
    The start is proportional to scale^L.

    Args:
        in_dim: numbers per sample.
        out_dim: dimension of the embedding.
        width: hidden width; may be traced where max_width is given.
        depth: number of hidden layers, 0 or more.
        scale: size of every layer's start, > 0; may be traced.
        parametrisation: "standard", "ntk" or "mup".
        max_width: width of the arrays where width is padding (see `jssl.models.width`).
        dtype: dtype of the parameters; None for JAX's default float.

    Returns:
        Model with params a tuple of {"weight": (rows, columns)}; it has a kernel in the NTK
        parametrisation.

    Raises:
        InputError: a size is out of range, or a name unknown.

    References:
        Saxe, McClelland, Ganguli, arXiv 1312.6120; Jacot et al., arXiv 1806.07572.
    """
    gain, start = (scale, 1.0) if parametrisation == "standard" else (1.0, scale)
    init, apply = dense_stack(
        in_dim,
        out_dim,
        width=width,
        depth=depth,
        function=lambda h: h,
        weight_std=gain,
        bias_std=0.0,
        hidden_start=start,
        output_start=start,
        parametrisation=parametrisation,
        max_width=max_width,
        dtype=dtype,
    )
    if parametrisation in NO_LIMIT:
        return Model(init, apply, None, NO_LIMIT[parametrisation])

    def kernel(x1: Array, x2: Array) -> tuple[Array, Array]:
        gram = _gram(x1, x2, in_dim) / in_dim
        size = jnp.asarray(scale, gram.dtype) ** 2
        return size ** (depth + 1) * gram, (depth + 1) * size**depth * gram

    return Model(init, apply, kernel)


def _gram(x1: Array, x2: Array, in_dim: int) -> Array:
    x1, x2 = working(x1=x1, x2=x2)
    return flatten(x1, in_dim) @ flatten(x2, in_dim).T
