"""Agreement of subspaces: which dimensions two embeddings share.

overlap = ||P_A P_B||_F^2 / d,   P the projector on the row space of a (d, n) embedding.
"""

import jax.numpy as jnp

from jssl.types import Array


def subspace_overlap(a: Array, b: Array) -> Array:
    """Return the agreement of the column spaces of two matrices, between 0 and 1.

    Example:
        >>> print(subspace_overlap(jnp.eye(4)[:, :2], jnp.eye(4)[:, 1:3]))
        0.5

    ||P_A P_B||_F^2 / d with P the orthogonal projectors, d the number of columns: the mean squared
    cosine of the principal angles. Two random d-dimensional subspaces of R^n agree by d/n.

    Args:
        a: (n, d) embeddings of n points (or d directions in R^n), of full column rank.
        b: (n, d) likewise.

    References:
        Simon et al. 2023, arXiv 2303.15438, section on the NTK after training.
    """
    qa, qb = jnp.linalg.qr(a)[0], jnp.linalg.qr(b)[0]
    return jnp.sum((qa.T @ qb) ** 2) / a.shape[-1]
