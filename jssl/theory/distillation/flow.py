r"""The gradient flow of an encoder of several linear layers, with its predictor (D-1 to D-3).

    R = T S_yx - V W S_x,                  T = W ("jepa"), an average of it, or I ("mae")
    dV/dt   = alpha R W^T - eta V
    dW_a/dt = (W_L ... W_{a+1})^T V^T R (W_{a-1} ... W_1)^T - eta W_a

This is descent on L = E|V W x - sg(T y)|^2 / 2 with T held constant; it is not the gradient of a
function, so no loss decreases along it. Balance is conserved up to decay (D-3):
W_{a+1}^T W_{a+1} - W_a W_a^T and V^T V / alpha - W_L W_L^T shrink as e^{-2 eta t}, for any moments.
"""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp

from jssl.data.moments import Moments, require_moments
from jssl.errors import InputError, shown
from jssl.theory.distillation.objective import (
    check_setting,
    require_not_negative,
    require_positive,
)
from jssl.types import Array


class Weights(NamedTuple):
    """Weights of an encoder and its predictor.

    Attributes:
        layers: W_1, ..., W_L, the first one next to the input; the last has d rows.
        predictor: V, (d, d) for "jepa" and (m, d), the decoder, for "mae".
        target: layers of an averaged target, or None.
    """

    layers: tuple[Array, ...]
    predictor: Array
    target: tuple[Array, ...] | None = None


def velocity(
    weights: Weights,
    moments: Moments,
    *,
    objective: str = "jepa",
    rate_ratio: Any = 1.0,
    decay: Any = 0.0,
    target_rate: Any = 0.0,
) -> Weights:
    """Return the time derivative of all weights (D-2, D-31).

    Example:
        >>> moments = Moments(jnp.eye(1), 0.5 * jnp.eye(1))
        >>> moving = velocity(Weights((jnp.full((1, 1), 0.1),), jnp.full((1, 1), 0.1)), moments)
        >>> print(moving.predictor)  # w^2 (lambda - s w)
        [[0.004]]

    Args:
        weights: of the encoder, the predictor and, if there is one, the averaged target.
        moments: arrays of the working dtype; their values are not checked.
        objective: "jepa" or "mae".
        rate_ratio: alpha > 0, the learning rate of the predictor over that of the layers.
        decay: eta >= 0 of every layer and the predictor.
        target_rate: beta >= 0 of an averaged target.

    Raises:
        InputError: for an unknown objective, numbers out of range, no layer, or shapes that do not
            fit together.
    """
    layers, v = _checked(weights)
    check_setting(len(layers), objective)
    require_positive(rate_ratio=rate_ratio)
    require_not_negative(decay=decay, target_rate=target_rate)
    _require_moments(moments, layers[0].shape[1])
    rows = layers[0].shape[1] if objective == "mae" else layers[-1].shape[0]
    if v.shape[0] != rows:
        message = (
            f"the predictor of {objective} must be {(rows, layers[-1].shape[0])} for layers of "
            f"these shapes; got {v.shape}"
        )
        raise InputError(message)
    w = _product(layers, layers[0].shape[1])
    if objective == "mae":
        target = jnp.eye(w.shape[1], dtype=w.dtype)
    else:
        target = w if weights.target is None else _product(weights.target, w.shape[1])
    rest = target @ moments.cross - v @ w @ moments.context
    of_encoder = v.T @ rest
    moved = []
    for a, layer in enumerate(layers):
        above = _product(layers[a + 1 :], layer.shape[0])
        below = _product(layers[:a], layers[0].shape[1])
        moved.append(above.T @ of_encoder @ below.T - decay * layer)
    average = None
    if weights.target is not None:
        pairs = zip(layers, weights.target, strict=True)
        average = tuple(target_rate * (online - slow) for online, slow in pairs)
    return Weights(tuple(moved), rate_ratio * rest @ w.T - decay * v, average)


def balance(weights: Weights, *, rate_ratio: Any = 1.0) -> tuple[Array, ...]:
    """Return the conserved differences of neighbouring layers, zero for a balanced start (D-3).

    Example:
        >>> eye = jnp.eye(2)
        >>> print([float(jnp.abs(x).max()) for x in balance(Weights((eye, eye), 2 * eye))])
        [0.0, 3.0]

    Args:
        weights: of the encoder and the predictor.
        rate_ratio: alpha > 0.

    Returns:
        W_2^T W_2 - W_1 W_1^T, ..., and V^T V / alpha - W_L W_L^T.

    Raises:
        InputError: for no layer, shapes that do not fit together, or a ratio that is not positive.
    """
    layers, v = _checked(weights)
    require_positive(rate_ratio=rate_ratio)
    pairs = zip(layers[1:], layers[:-1], strict=True)
    between = tuple(above.T @ above - below @ below.T for above, below in pairs)
    last = layers[-1]
    return (*between, v.T @ v / rate_ratio - last @ last.T)


def _checked(weights: Any) -> tuple[tuple[Array, ...], Array]:
    """Return layers and predictor, after checking that their shapes fit together."""
    if not all(hasattr(weights, name) for name in Weights._fields):
        message = f"weights must be Weights(layers, predictor); got {shown(weights)}"
        raise InputError(message)
    layers = _chain("layers", weights.layers)
    (v,) = _chain("predictor", (weights.predictor,))
    if v.shape[1] != layers[-1].shape[0]:
        message = (
            f"the predictor must have {layers[-1].shape[0]} columns, as many as the last layer has "
            f"rows; got shape {v.shape}"
        )
        raise InputError(message)
    if weights.target is not None:
        shapes = [x.shape for x in _chain("target", weights.target)]
        if shapes != [x.shape for x in layers]:
            message = f"the target must have the shapes of the layers; got {shown(shapes)}"
            raise InputError(message)
    return layers, v


def _chain(name: str, layers: Any) -> tuple[Array, ...]:
    """Return matrices of which each takes what the one before gives."""
    if not isinstance(layers, tuple | list) or not layers:
        message = f"{name} must be a tuple of one matrix or more; got {shown(layers)}"
        raise InputError(message)
    for matrix in layers:
        real = getattr(matrix, "dtype", None) is not None and matrix.dtype.kind not in "cOSUbmM"
        if not real or matrix.ndim != 2 or not matrix.size:
            message = f"{name} must be matrices of real numbers; got {shown(matrix)}"
            raise InputError(message)
    for below, above in itertools.pairwise(layers):
        if above.shape[1] != below.shape[0]:
            message = f"{name} do not fit together: {below.shape} is followed by {above.shape}"
            raise InputError(message)
    return tuple(layers)


def _require_moments(moments: Any, inputs: int) -> None:
    require_moments(moments)
    for name, matrix in (("context", moments.context), ("cross", moments.cross)):
        (matrix,) = _chain(name, (matrix,))
        if matrix.shape != (inputs, inputs):
            message = (
                f"{name} must be {(inputs, inputs)}, as the first layer has {inputs} columns; got "
                f"{matrix.shape}"
            )
            raise InputError(message)


def _product(layers: Sequence[Array], columns: int) -> Array:
    """Return W_L ... W_1, the identity of size `columns` for no layer."""
    if not layers:
        return jnp.eye(columns)
    total = layers[0]
    for layer in layers[1:]:
        total = layer @ total
    return total
