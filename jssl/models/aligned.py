"""Deep linear encoders with a linear predictor, from the aligned start that theory solves.

    W_a = w_0 U_a with orthogonal U_a,
    V = w_0 I (a predictor), or V = w_0 (U_L ... U_1)^T (the decoder of a masked autoencoder)

From this start every layer of a mode and its predictor stay equal to one number (Littwin et al.
2024, arXiv 2407.03475; Saxe et al. 2013, arXiv 1312.6120). Parameters are those of
`jssl.losses.distillation.target_model`, {"online", "predictor"} and "target" where it is averaged.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jssl.data.checks import require_count, require_layers, require_range
from jssl.errors import InputError
from jssl.host_arithmetic import host_value
from jssl.models.layers import flatten
from jssl.types import Array, Model, Params


def linear_stack(layers: Sequence[Params], x: Array) -> Array:
    """Return z = W_L ... W_1 x of layers {"weight": (out, in)}.

    Example:
        >>> layers = ({"weight": 2 * jnp.eye(2)}, {"weight": jnp.ones((1, 2))})
        >>> linear_stack(layers, jnp.eye(2)).tolist()
        [[2.0], [2.0]]

    Args:
        layers: W_1, ..., W_L, the first one next to the input.
        x: (n, ...) samples that flatten to the columns of W_1.
    """
    z = flatten(x, layers[0]["weight"].shape[1])
    for layer in layers:
        z = z @ layer["weight"].T
    return z


def linear_head(params: Params, z: Array) -> Array:
    """Return V z, a linear predictor or decoder with parameters {"weight": (out, in)}.

    Example:
        >>> linear_head({"weight": jnp.eye(2)[:1]}, jnp.eye(2)).tolist()
        [[1.0], [0.0]]
    """
    return z @ params["weight"].T


def aligned(
    in_dim: int,
    out_dim: int | None = None,
    *,
    depth: int = 1,
    start: Any = 0.05,
    predictor_start: Any = None,
    decoder: bool = False,
    averaged: bool = False,
    noise: Any = 0.0,
    dtype: Any = None,
) -> Model:
    """Return an encoder of `depth` linear layers and its predictor, from an aligned start.

    Example:
        >>> model = aligned(3, depth=2, start=0.1)
        >>> params = model.init(jax.random.key(0))
        >>> len(params["online"]), params["predictor"]["weight"].shape
        (2, (3, 3))
        >>> z = model.apply(params, jnp.eye(3))
        >>> bool(jnp.allclose(z @ z.T, 1e-4 * jnp.eye(3), atol=1e-8))
        True

    Its objective is `target_objective(linear_stack, linear_head, jepa)`, or, with a decoder,
    `reconstruction_objective(linear_stack, linear_head)`.

    Args:
        in_dim: m, numbers a sample.
        out_dim: d <= m, dimension of the embedding; None for m. Below m the first layer starts
            with orthonormal rows.
        depth: number of layers L, 1 to 256.
        start: w_0 > 0 of every layer; may be traced.
        predictor_start: v_0, the size of V at the start; None for w_0. May be traced.
        decoder: whether V is the decoder of a masked autoencoder, (m, d).
        averaged: whether there is an averaged target, equal to the encoder at the start.
        noise: >= 0; W_1 gets Gaussian entries of standard deviation noise x w_0 in addition.
        dtype: dtype of the parameters; None for JAX's default float.

    Returns:
        Model with params {"online": ({"weight"}, ...), "predictor": {"weight"}} and, if asked for,
        "target". `apply` is the encoder.

    Raises:
        InputError: for a size below 1, a depth out of range, out_dim above in_dim, or
            numbers out of range.
    """
    m = require_count("in_dim", in_dim)
    d = m if out_dim is None else require_count("out_dim", out_dim, high=m)
    depth = require_layers(depth)
    require_range("noise", noise, 0)
    for name, value in {"start": start, "predictor_start": predictor_start}.items():
        known = None if value is None else host_value(value)
        if known is not None and not (known.dtype.kind in "iuf" and 0 < known < jnp.inf):
            message = f"{name} must be positive and finite; got {value}"
            raise InputError(message)

    def init(key: Array) -> Params:
        kind = jnp.result_type(float) if dtype is None else jnp.dtype(dtype)
        scale = jnp.asarray(start, kind)
        of_predictor = scale if predictor_start is None else jnp.asarray(predictor_start, kind)
        turns = []
        for a in range(depth):
            square = jax.random.normal(jax.random.fold_in(key, a), (m if a == 0 else d,) * 2, kind)
            turns.append(jnp.linalg.qr(square)[0][:d])
        whole = turns[0]
        for turn in turns[1:]:
            whole = turn @ whole
        weights = [scale * turn for turn in turns]
        draws = jax.random.normal(jax.random.fold_in(key, depth), (d, m), kind)
        weights[0] = weights[0] + scale * jnp.asarray(noise, kind) * draws
        online = tuple({"weight": weight} for weight in weights)
        head = of_predictor * (whole.T if decoder else jnp.eye(d, dtype=kind))
        params = {"online": online, "predictor": {"weight": head}}
        return params | {"target": jax.tree.map(jnp.copy, online)} if averaged else params

    def apply(params: Params, x: Array) -> Array:
        return linear_stack(params["online"], x)

    return Model(init, apply, None, "a stop-gradient on the target leaves no kernel gradient flow")
