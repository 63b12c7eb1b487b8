r"""The gradient flow of an encoder of several linear layers, with its predictor (D-1 to D-3).

    R = T S_yx - V W S_x,                  T = W ("jepa"), an average of it, or I ("mae")
    dV/dt   = alpha R W^T - eta V
    dW_a/dt = (W_L ... W_{a+1})^T V^T R (W_{a-1} ... W_1)^T - eta W_a

This is descent on L = E|V W x - sg(T y)|^2 / 2 with T held constant; it is not the gradient of a
function, so no loss decreases along it. Balance is conserved up to decay (D-3):
W_{a+1}^T W_{a+1} - W_a W_a^T and V^T V / alpha - W_L W_L^T shrink as e^{-2 eta t}, for any moments.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp

from jssl.data.moments import Moments
from jssl.theory.distillation.objective import check_setting
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
        moments: arrays of the working dtype; they are not checked.
        objective: "jepa" or "mae".
        rate_ratio: alpha, the learning rate of the predictor over that of the layers.
        decay: eta >= 0 of every layer and the predictor.
        target_rate: beta of an averaged target.

    Raises:
        InputError: for an unknown objective or no layer.
    """
    check_setting(len(weights.layers), objective)
    layers, v = weights.layers, weights.predictor
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
        rate_ratio: alpha.

    Returns:
        W_2^T W_2 - W_1 W_1^T, ..., and V^T V / alpha - W_L W_L^T.
    """
    pairs = zip(weights.layers[1:], weights.layers[:-1], strict=True)
    between = tuple(above.T @ above - below @ below.T for above, below in pairs)
    last = weights.layers[-1]
    v = weights.predictor
    return (*between, v.T @ v / rate_ratio - last @ last.T)


def _product(layers: Sequence[Array], columns: int) -> Array:
    """Return W_L ... W_1, the identity of size `columns` for no layer."""
    if not layers:
        return jnp.eye(columns)
    total = layers[0]
    for layer in layers[1:]:
        total = layer @ total
    return total
