"""The share of a feature in the rows (N-5): by a projection, and row by row.

With A = [w1 ... wm], P = A (A^T A)^-1 A^T and P_j = ||P e_j||. Where two rows are nearly parallel,
as in the supervised model with w1 ~ -w2, P also contains the direction of their small difference
and P_j is not meaningful; the share |w . e_j| / |w| of each row is.
"""

import jax.numpy as jnp

from jssl.types import Array


def projections(weight: Array, features: int = 2) -> Array:
    """Return ||P e_j|| for the first features, P being the projector onto the span of the rows.

    Example:
        >>> import jax.numpy as jnp
        >>> print(projections(jnp.array([[1.0, 1.0, 0.0], [1.0, -1.0, 0.0]])).round(3))
        [1. 1.]

    Args:
        weight: (..., m, d), m <= d rows.
        features: how many of the first axes.

    Returns:
        (..., features), each in [0, 1]. Ill-conditioned for nearly parallel rows: see `shares`.

    References:
        Yang et al., arXiv 2401.03214, the metric of its experiments.
    """
    axes = jnp.linalg.svd(weight, full_matrices=False)[2]
    return jnp.linalg.norm(axes[..., :features], axis=-2)


def shares(weight: Array, features: int = 2) -> Array:
    """Return |w . e_j| / |w| of every row for the first features.

    Example:
        >>> import jax.numpy as jnp
        >>> print(shares(jnp.array([[3.0, 4.0, 0.0]])).round(3))
        [[0.6 0.8]]

    Args:
        weight: (..., m, d), no row zero.
        features: how many of the first axes.

    Returns:
        (..., m, features), each in [0, 1].
    """
    return jnp.abs(weight[..., :features]) / jnp.linalg.norm(weight, axis=-1, keepdims=True)
