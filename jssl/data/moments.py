"""Second moments of two views, context and target, and pairs that have given moments.

    S_x = E[x x^T],   S_yx = E[y x^T],   S_y = E[y y^T]

A linear encoder under a quadratic loss depends on its data through these alone.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jssl.data.pairs import check_pairs, flatten
from jssl.errors import InputError
from jssl.types import Pairs


class Moments(NamedTuple):
    """Second moments of context x and target y.

    Attributes:
        context: (m, m) S_x, positive semi-definite.
        cross: (m, m) S_yx.
        target: (m, m) S_y, or None where it is not known.
    """

    context: np.ndarray
    cross: np.ndarray
    target: np.ndarray | None = None


def pair_moments(pairs: Pairs) -> Moments:
    """Return the moments of pairs whose loss is averaged over both directions.

    Example:
        >>> moments = pair_moments(Pairs(np.eye(2), np.eye(2)[::-1].copy()))
        >>> moments.context.tolist(), moments.cross.tolist()
        ([[0.5, 0.0], [0.0, 0.5]], [[0.0, 0.5], [0.5, 0.0]])

    Each view is the context once and the target once, so S_x = S_y is the mean of the second
    moments of both views and S_yx is the symmetrised cross moment. Nothing is centred.

    Args:
        pairs: n pairs of any shape; samples are flattened to m features.

    Raises:
        InputError: for pairs that do not match or are not finite.
    """
    first, second = (np.asarray(x, float) for x in flatten(check_pairs(pairs))[:2])
    own = (first.T @ first + second.T @ second) / (2 * len(first))
    cross = second.T @ first / len(first)
    return Moments(own, (cross + cross.T) / 2, own)


def pairs_with_moments(moments: Moments) -> Pairs:
    """Return 2m pairs (context, target) whose sample moments are exactly the given ones.

    Example:
        >>> pairs = pairs_with_moments(Moments(np.eye(1), np.eye(1) / 2, np.eye(1)))
        >>> print((pairs.first.T @ pairs.second / 2).round(6))
        [[0.5]]

    Training a linear encoder on them is training on the population, without sampling noise.

    Args:
        moments: all three; [[S_x, S_yx^T], [S_yx, S_y]] is positive semi-definite.

    Returns:
        Pairs of shape (2m, m) in JAX's default float.

    Raises:
        InputError: without a target moment, for shapes that do not match, or for moments that no
            two views have together.
    """
    if moments.target is None:
        message = "pairs need the target moment as well; pass Moments(context, cross, target)"
        raise InputError(message)
    context, cross, target = (np.asarray(x, float) for x in moments)
    m = len(context)
    if not context.shape == cross.shape == target.shape == (m, m):
        message = (
            f"the moments must all be (m, m); got {context.shape}, {cross.shape} and {target.shape}"
        )
        raise InputError(message)
    values, vectors = np.linalg.eigh(np.block([[context, cross.T], [cross, target]]))
    if not values[0] >= -1e-9 * values[-1]:
        message = (
            "no two views have these moments together: their joint moment must be positive "
            f"semi-definite, and its least eigenvalue is {values[0]:.3g}"
        )
        raise InputError(message)
    rows = np.sqrt(2 * m * np.maximum(values, 0))[:, None] * vectors.T
    return Pairs(jnp.asarray(rows[:, :m]), jnp.asarray(rows[:, m:]))
