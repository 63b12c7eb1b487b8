"""The loss as a function of the coordinates B of the embeddings in the leading modes.

Z = sum_j q_j B_j with q_j the function of mode j, scaled to q_j^T A q_j = 1 under the signal's
pairing A. The named losses are those of `jssl.forecast.rules`; a loss of the user is evaluated at
the embeddings themselves.
"""

from collections.abc import Callable

import numpy as np

from jssl.forecast.modes import Modes, functions_of
from jssl.forecast.rules import Rule
from jssl.forecast.steps import LossPairings
from jssl.theory.finite_width import embedding_loss, linearised_loss, quartic_loss
from jssl.theory.finite_width.flow import ReducedLoss
from jssl.theory.landscape.pairing import Pairing
from jssl.types import Array

Loss = Callable[[Array, Array], Array]


def reduced_loss(
    gram: np.ndarray, modes: Modes, rule: Rule, pairings: LossPairings, own: Loss | None = None
) -> ReducedLoss:
    """Return the loss of the coordinates B (modes, dim).

    Example:
        >>> from jssl.forecast.rules import RULES
        >>> from jssl.forecast.steps import loss_pairings
        >>> modes = Modes(np.ones(1), np.ones((2, 1)) / 2, np.ones(1), np.zeros(1))
        >>> rule = RULES["barlow_twins_linearized"]
        >>> pairings = loss_pairings(rule, "augmented-augmented-augmented", False)
        >>> float(reduced_loss(np.ones((2, 2)), modes, rule, pairings)(np.ones((1, 1))))
        0.0

    Args:
        gram: (2n, 2n).
        modes: of the signal's pairing.
        rule: of the loss.
        pairings: of the loss.
        own: `loss(za, zb)` of the user; None for the rule.
    """
    root = np.sqrt(modes.values)
    if own is not None:
        both = functions_of(gram, modes.vectors, False) / root
        return embedding_loss(own, *both)
    if rule.own_spread:
        return linearised_loss(rule.off_diagonal)
    anchors = functions_of(gram, modes.vectors, pairings.anchor_centred) / root
    negatives = functions_of(gram, modes.vectors, rule.centred) / root
    anchor, negative = _moments(anchors, pairings.anchor), _moments(negatives, pairings.negative)
    return quartic_loss(rule.signal, rule.own, rule.quartic - rule.own, anchor, negative)


def _moments(both: np.ndarray, pairing: Pairing) -> np.ndarray:
    """Return Q^T A Q (modes, modes) of functions (2, n, modes) under a pairing."""
    first, second = both
    cross = first.T @ second
    total = pairing.cross * (cross + cross.T) / 2
    total = total + pairing.first * first.T @ first + pairing.second * second.T @ second
    return total / len(first)
