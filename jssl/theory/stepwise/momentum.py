r"""The exact growth of a small mode under heavy ball, the momentum of most optimisers.

    u <- m u + gradient,   W <- W - e u

near zero takes s_{k+1} = (1 + m + h) s_k - m s_{k-1} with h = 4 e gamma_j, so that s grows by the
factor z a step, the larger root of z^2 - (1 + m + h) z + m = 0. It is faster than plain descent
by 1 / (1 - m) only for h much smaller than (1 - m)^2. Derived here; the flow is Simon et al. 2023,
arXiv 2303.15438.
"""

import jax.numpy as jnp

from jssl.types import Array


def momentum_growth(eigenvalues: Array, learning_rate: Array, momentum: Array) -> Array:
    """Return the growth log z of a small mode per step.

    Example:
        >>> growth = momentum_growth(jnp.array([1.0]), 0.025, jnp.array([0.0, 0.9]))
        >>> print(round(float(growth[1] / growth[0]), 2))  # not 10
        2.88

    Args:
        eigenvalues: (k,) gamma_j >= 0 of the contrastive kernel or the cross moment.
        learning_rate: e > 0, of `trace`-like momentum without dampening, as `optax.sgd`.
        momentum: m in [0, 1).

    Returns:
        (k,) log z; log(1 + 4 e gamma_j) for m = 0.
    """
    h = 4 * learning_rate * eigenvalues
    # z - 1 = (b + sqrt(b^2 + 4 h)) / 2 with b = m + h - 1, in a form without cancellation.
    b = momentum + h - 1
    root = jnp.sqrt(b**2 + 4 * h)
    above = jnp.where(b > 0, (b + root) / 2, 2 * h / (root - jnp.minimum(b, 0) + (root == 0)))
    return jnp.log1p(above)
