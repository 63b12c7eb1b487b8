"""The flow from any full-rank start, and the same flow for frozen features.

    W' = -2 (C W - W W^T C W)                       any full-rank W_0
    F' = -2 F M (K - F^T F)                         F = W^T Phi, K = Phi^T Phi, W^T W = I

    W W^T = Y [I + T^T T + D N D]^{-1} Y^T,         Y = V [I; T(t)],  D = diag(e^{2 l_j t}),
                                                    N = A^{-T} (I - W_0^T W_0) A^{-1}
    F^T F = K^{1/2} W W^T K^{1/2}                   with C = K^{1/2} M K^{1/2}, W_0 = K^{-1/2} F_0^T

with V, l, A, T(t) of `constrained`. The paper's closed forms subtract numbers of size e^{-2Ct} and
have no correct digit from t of about 10 on; these formulas are accurate. From an orthonormal W_0
the first is the Grassmann flow.

Esser, Mukherjee, Ghoshdastidar 2023, arXiv 2309.02011, section 4; t = learning rate x step.
"""

import jax
import jax.numpy as jnp

from jssl.theory.grassmann.constrained import Tilt, flow_tilt, graph, tilt
from jssl.theory.grassmann.objective import kernel_root
from jssl.types import Array


def outer_product(objective: Array, weight: Array, time: Array) -> Array:
    """Return W W^T of the flow W' = -2 (C W - W W^T C W) from any full-rank start.

    Example:
        >>> c, w = jnp.diag(jnp.array([-1.0, 1.0])), jnp.array([[0.5], [0.5]])
        >>> print(outer_product(c, w, jnp.array([0.0, 20.0])).round(4))
        [[[0.25 0.25]
          [0.25 0.25]]
        <BLANKLINE>
         [[1.   0.  ]
          [0.   0.  ]]]

    Directions with negative eigenvalues grow to unit length, those with positive ones shrink to 0
    or, from a start longer than 1, blow up in finite time.

    Args:
        objective: C (d, d) symmetric.
        weight: W_0 (d, dim) of full rank, dim < d.
        time: (...) learning rate x step.

    Returns:
        (..., d, d); NaN from the time of a blow-up on.

    Raises:
        InputError: where W_0 is orthogonal to one of the bottom dim eigenvectors.

    References:
        Esser et al. 2023, arXiv 2309.02011, section 4, in a form that is accurate at all times.
    """
    return _outer_product(tilt(objective, weight), weight, time)


def frozen_gram(kernel: Array, pairing: Array, outputs: Array, time: Array) -> Array:
    """Return F^T F (N, N) of a net with only its last layer trained, with orthonormal columns.

    Example:
        >>> pairing = jnp.array([[0.0, -0.5], [-0.5, 0.0]])
        >>> gram = frozen_gram(jnp.eye(2), pairing, jnp.array([[1.0, 0.0]]), 30.0)
        >>> print(gram.round(4))
        [[0.5 0.5]
         [0.5 0.5]]

    The result depends on the features through their kernel only.

    Args:
        kernel: K (N, N) of the features, positive semi-definite; where it is singular (a point
            used twice), the flow is solved on its range.
        pairing: M (N, N) symmetric.
        outputs: F_0 = W_0^T Phi (dim, N), of full rank.
        time: (...) learning rate x step.

    Returns:
        (..., N, N).

    Raises:
        InputError: where F_0 is orthogonal to one of the bottom dim directions.

    References:
        Esser et al. 2023, arXiv 2309.02011, section 4, in a form that is accurate at all times.
    """
    root, inverse = kernel_root(kernel), kernel_root(kernel, inverse=True)
    objective = root @ pairing @ root
    # Directions outside the range of K are put on top of the spectrum, where the start has none.
    outside = jnp.eye(kernel.shape[-1], dtype=kernel.dtype) - root @ inverse
    objective += (1 + 2 * jnp.linalg.norm(objective)) * outside
    gram = outer_product((objective + objective.T) / 2, inverse @ outputs.T, time)
    return root @ gram @ root


@jax.jit
def supervised_outputs(kernel: Array, outputs: Array, targets: Array, time: Array) -> Array:
    """Return F(t) = Y + (F_0 - Y) e^{-Kt}, the linear dynamics of supervised training.

    Example:
        >>> start, target = jnp.zeros((1, 2)), jnp.ones((1, 2))
        >>> print(supervised_outputs(jnp.eye(2), start, target, 1.0).round(4))
        [[0.6321 0.6321]]

    Args:
        kernel: K (N, N).
        outputs: F_0 (dim, N).
        targets: Y (dim, N).
        time: (...) learning rate x step on L = ||F - Y||_F^2 / 2.

    Returns:
        (..., dim, N).

    References:
        Jacot et al. 2018, arXiv 1806.07572, for squared error and a frozen kernel.
    """
    eigenvalues, eigenvectors = jnp.linalg.eigh(kernel)
    decay = jnp.exp(-eigenvalues * jnp.asarray(time)[..., None])
    rest = (outputs - targets) @ eigenvectors * decay[..., None, :]
    return targets + rest @ eigenvectors.T


@jax.jit
def _outer_product(start: Tilt, weight: Array, time: Array) -> Array:
    dim = weight.shape[1]
    eye = jnp.eye(dim, dtype=weight.dtype)
    inverse = jnp.linalg.inv(start.coefficients)
    defect = inverse.T @ (eye - weight.T @ weight) @ inverse
    # D = S E with S = max(D, 1), E = min(D, 1): rows and columns divided by S stay bounded.
    logs = 2 * start.eigenvalues[:dim] * jnp.asarray(time)[..., None]
    shrink, bounded = jnp.exp(-jnp.maximum(logs, 0)), jnp.exp(jnp.minimum(logs, 0))
    columns = graph(flow_tilt(start, time)) * shrink[..., None, :]
    middle = columns.mT @ columns + bounded[..., :, None] * defect * bounded[..., None, :]
    factor = jnp.linalg.cholesky(middle)
    half = jax.lax.linalg.triangular_solve(factor, columns.mT, left_side=True, lower=True)
    half = start.eigenvectors @ half.mT
    return half @ half.mT
