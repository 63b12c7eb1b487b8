"""The fewest pairs with a given cross moment.

A linear model under a loss of C = W Gamma W^T depends on its data through Gamma only, so pairs
with the same Gamma give the same training (Simon et al. 2023, arXiv 2303.15438).
"""

import jax.numpy as jnp
import numpy as np

from jssl.data.checks import require_count
from jssl.data.pairs import cross_moment
from jssl.types import Array, Pairs


def compress(pairs: Pairs, *, rank: int | None = None) -> Pairs:
    """Return the fewest pairs with the same cross moment.

    Example:
        >>> import jax
        >>> x = jax.random.normal(jax.random.key(0), (100, 3))
        >>> pairs = Pairs(x, x[::-1])
        >>> small = compress(pairs)
        >>> same = jnp.allclose(cross_moment(small), cross_moment(pairs), atol=1e-5)
        >>> small.first.shape, bool(same)
        ((3, 3), True)

    With Gamma = sum_j g_j v_j v_j^T of rank r: x_j = sqrt(|g_j| r) v_j and x'_j = sign(g_j) x_j.
    A linear model trained on them under a loss that depends on its data through Gamma only
    (linearised Barlow Twins) has the same training; under another loss or model it has not.

    Args:
        pairs: n pairs of any shape; samples are flattened to m features.
        rank: number of modes kept, the largest |g_j| first, static; None for all above the
            rounding error of Gamma, which works outside jit only.

    Returns:
        max(rank, 2) pairs of shape (m,), |g_j| descending; pairs beyond the rank are zero.

    Raises:
        InputError: for a rank outside [1, m].

    References:
        Simon et al. 2023, arXiv 2303.15438, section 4, for Gamma; the reduction is this library's.
    """
    values, vectors = jnp.linalg.eigh(cross_moment(pairs))
    order = jnp.argsort(-jnp.abs(values))
    values, vectors = values[order], vectors[:, order]
    if rank is None:
        sizes = np.abs(np.asarray(values))
        rank = int((sizes > sizes[0] * len(sizes) * jnp.finfo(values.dtype).eps).sum())
    else:
        rank = require_count("rank", rank, high=len(values))
    return from_modes(values[:rank], vectors[:, :rank], jnp.eye(max(rank, 2), rank))


def from_modes(eigenvalues: Array, vectors: Array, mixing: Array) -> Pairs:
    """Return pairs with Gamma = V diag(g) V^T: X = sqrt(n) Q |G|^{1/2} V^T, X' with sign(G) in it.

    Example:
        >>> pairs = from_modes(jnp.array([4.0, -1.0]), jnp.eye(2), jnp.eye(2))
        >>> bool(jnp.allclose(cross_moment(pairs), jnp.diag(jnp.array([4.0, -1.0]))))
        True

    Args:
        eigenvalues: (r,) g, of any sign.
        vectors: (m, r) orthonormal columns V.
        mixing: (n, r) orthonormal columns Q.

    Returns:
        n pairs of m features.
    """
    scores = mixing.astype(eigenvalues.dtype) * jnp.sqrt(jnp.abs(eigenvalues) * len(mixing))
    first = jnp.matmul(scores, vectors.T, precision="highest")
    second = jnp.matmul(scores * jnp.sign(eigenvalues), vectors.T, precision="highest")
    return Pairs(first, second)
