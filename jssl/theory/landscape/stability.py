r"""The largest stable learning rate in a quartic landscape, computed from its modes.

    L = -Tr[W B W^T] + own Tr[Kn^2] + cross Tr[Ka Kn] + decay ||W||^2

with commuting B, Sa (anchor) and Sn (negative), eigenvalues b_j (decay subtracted), a_j and n_j. A
mode r that is learned has w_r^2 = b_r / (2 own n_r^2 + 2 cross a_r n_r). Curvatures there:

    4 b_r                                          of a learned mode
    (w_r^2 + w_j^2) q_rj                           of two learned modes, r != j
    w_r^2 q_rj - 2 b_j                             of output r along mode j that is not learned
    -2 b_j                                         of an output without a learned mode, b_j < 0

with q_rj = 4 own n_r n_j + 2 cross (a_r n_j + n_r a_j). The third includes directions that the
views do not share: they have no signal, but their variance can make descent unstable. The last is
the curvature at the start. Descent is stable below 2 / (the largest curvature).

The first three agree with the Hessian spectrum of `stationary` in the coordinates W; derived here.
"""

from typing import NamedTuple

import jax.numpy as jnp

from jssl.types import Array


class Crosstalk(NamedTuple):
    """Curvature that learned outputs cause along directions that are not learned.

    Attributes:
        anchor: largest coefficient of Sa in the curvature anchor Sa + negative Sn - 2 B.
        negative: largest coefficient of Sn.
    """

    anchor: Array
    negative: Array


def learned_curvature(
    signal: Array, anchor: Array, negative: Array, own: float, cross: float
) -> Array:
    """Return the largest curvature within the learned modes.

    Example:
        >>> one = jnp.ones(1)
        >>> learned_curvature(one, one, one, 0.25, 0.5).item()
        4.0

    Args:
        signal: (k,) b_j > 0 of the learned modes, decay subtracted.
        anchor: (k,) a_j >= 0.
        negative: (k,) n_j > 0.
        own: coefficient of Tr[Kn^2].
        cross: coefficient of Tr[Ka Kn].
    """
    square = _squares(signal, anchor, negative, own, cross)
    mixed = jnp.outer(anchor, negative)
    q = 4 * own * jnp.outer(negative, negative) + 2 * cross * (mixed + mixed.T)
    both = (square[:, None] + square) * q
    both = jnp.where(jnp.eye(len(signal), dtype=bool), 0, both)
    return jnp.maximum(4 * signal.max(initial=0), both.max(initial=0))


def crosstalk(signal: Array, anchor: Array, negative: Array, own: float, cross: float) -> Crosstalk:
    """Return the coefficients of the curvature along directions that are not learned.

    Example:
        >>> one = jnp.ones(1)  # w^2 = 1 / 1.5
        >>> [round(x.item(), 3) for x in crosstalk(one, one, one, 0.25, 0.5)]
        [0.667, 1.333]

    Each is the largest over the learned modes, so that the largest eigenvalue of anchor Sa +
    negative Sn - 2 B bounds the curvature from above. It is attained where one mode has both.

    Args:
        signal: (k,) b_j > 0 of the learned modes, decay subtracted.
        anchor: (k,) a_j >= 0.
        negative: (k,) n_j > 0.
        own: coefficient of Tr[Kn^2].
        cross: coefficient of Tr[Ka Kn].
    """
    square = _squares(signal, anchor, negative, own, cross)
    of_negative = square * (4 * own * negative + 2 * cross * anchor)
    return Crosstalk((2 * cross * square * negative).max(initial=0), of_negative.max(initial=0))


def _squares(signal: Array, anchor: Array, negative: Array, own: float, cross: float) -> Array:
    return signal / (2 * negative * (own * negative + cross * anchor))
