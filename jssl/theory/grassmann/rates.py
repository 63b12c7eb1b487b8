"""The optimum of L = Tr(W^T C W) over W^T W = I, and how fast descent approaches it.

All follow from the eigenvalues l of C, ascending (Esser, Mukherjee, Ghoshdastidar 2023, arXiv
2309.02011, section 4).
"""

import jax.numpy as jnp

from jssl.data.checks import require_count, require_name
from jssl.types import Array


def optimal_loss(objective: Array, dim: int) -> Array:
    """Return the smallest L over orthonormal W, the sum of the dim smallest eigenvalues of C.

    Example:
        >>> print(optimal_loss(jnp.diag(jnp.array([3.0, -1.0, 0.5])), 2))
        -0.5
    """
    return jnp.linalg.eigvalsh(objective)[..., : require_count("dim", dim)].sum(-1)


def convergence_rate(objective: Array, dim: int) -> Array:
    """Return 2 (l_{dim+1} - l_dim): sin of the largest angle decays as e^{-rate t}.

    Example:
        >>> print(convergence_rate(jnp.diag(jnp.array([3.0, -1.0, 0.5])), 1))
        3.0

    Retracted gradient descent contracts by 1 - learning_rate rate a step near the optimum.

    Args:
        objective: C (..., d, d) symmetric.
        dim: columns of W, below d.

    References:
        Esser et al. 2023, arXiv 2309.02011, section 4.
    """
    dim = require_count("dim", dim, high=objective.shape[-1] - 1)
    eigenvalues = jnp.linalg.eigvalsh(objective)
    return 2 * (eigenvalues[..., dim] - eigenvalues[..., dim - 1])


def stable_learning_rate(objective: Array) -> Array:
    """Return 1 / (l_d - l_1), below which descent is stable at its optimum for every dim.

    Example:
        >>> print(stable_learning_rate(jnp.diag(jnp.array([3.0, -1.0]))))
        0.25

    Mode (i, j) of T contracts by 1 - 2 learning_rate (l_i - l_j) a step, at least -1.
    """
    eigenvalues = jnp.linalg.eigvalsh(objective)
    return 1 / (eigenvalues[..., -1] - eigenvalues[..., 0])


def depth_multiplier(depth: int, metric: str = "euclidean") -> float:
    """Return how much faster the end-to-end map of a deep linear net moves than one layer.

    Example:
        >>> print(depth_multiplier(3), depth_multiplier(3, "canonical"))
        2.0 3.0

    W = W_1 ... W_L with square orthogonal hidden layers follows the flow with t times L in the
    canonical metric and (L + 1) / 2 in the Euclidean one, where a square layer moves half as fast.

    Args:
        depth: L, the number of layers, the last being (d, dim).
        metric: `euclidean` or `canonical`, of the Stiefel manifold of every layer.

    References:
        Esser et al. 2023, arXiv 2309.02011, section 4, with both metrics.
    """
    require_name("metric", metric, ("canonical", "euclidean"))
    depth = require_count("depth", depth)
    return float(depth) if metric == "canonical" else (depth + 1) / 2
