"""Descent without a constraint: all outputs follow the same equation and become parallel.

    W' = -2 C W        W(t) = e^{-2Ct} W_0                      linear encoder
    F' = -2 F M K      F(t) = F_0 e^{-2tMK}                     frozen kernel K
    s_2 / s_1 ~ e^{-2 (l_2 - l_1) t}                            l_1 <= l_2 <= ... of C, or of M K

The norm diverges where l_1 < 0; descent at a fixed norm ||W||_F follows the same direction, since
W' = -2 (C W - tr(W^T C W) W / ||W||_F^2) only rescales W, and so collapses at the same rate.
Esser, Mukherjee, Ghoshdastidar 2023, arXiv 2309.02011, section 3; t = learning rate x step.
"""

import functools

import jax
import jax.numpy as jnp

from jssl.theory.grassmann.objective import kernel_root
from jssl.types import Array


@functools.partial(jax.jit, static_argnames="fixed_norm")
def naive_weight(
    objective: Array, weight: Array, time: Array, *, fixed_norm: bool = False
) -> Array:
    """Return W(t) = e^{-2Ct} W_0 of plain descent, or of descent at a fixed norm.

    Example:
        >>> c, w = jnp.diag(jnp.array([-1.0, 0.0])), jnp.eye(2)
        >>> print(naive_weight(c, w, 0.5 * jnp.log(2.0)).round(4))
        [[2. 0.]
         [0. 1.]]
        >>> print(naive_weight(c, w, 100.0, fixed_norm=True).round(4))
        [[1.4142 0.    ]
         [0.     0.    ]]

    Args:
        objective: C (d, d) symmetric.
        weight: W_0 (d, dim).
        time: (...) learning rate x step.
        fixed_norm: keep ||W||_F constant; the result then never overflows.

    Returns:
        (..., d, dim).

    References:
        Esser et al. 2023, arXiv 2309.02011, section 3.
    """
    eigenvalues, eigenvectors = jnp.linalg.eigh(objective)
    shift = eigenvalues[0] if fixed_norm else 0
    exponents = -2 * (eigenvalues - shift) * jnp.asarray(time)[..., None]
    now = eigenvectors @ (jnp.exp(exponents)[..., None] * (eigenvectors.T @ weight))
    return _to_norm(now, weight) if fixed_norm else now


@functools.partial(jax.jit, static_argnames="fixed_norm")
def naive_outputs(
    kernel: Array, pairing: Array, outputs: Array, time: Array, *, fixed_norm: bool = False
) -> Array:
    """Return F(t) = F_0 e^{-2tMK} of plain descent with a frozen kernel.

    Example:
        >>> pairing = jnp.array([[0.0, -0.5], [-0.5, 0.0]])
        >>> print(naive_outputs(jnp.eye(2), pairing, jnp.eye(2), 1.0).round(4))
        [[1.5431 1.1752]
         [1.1752 1.5431]]

    With K = R^2, e^{-2tMK} = I - 2t M R phi(-2t R M R) R, phi(x) = (e^x - 1) / x: symmetric, and
    no inverse of K.

    Args:
        kernel: K (N, N) of the net at its start, positive semi-definite.
        pairing: M (N, N) symmetric.
        outputs: F_0 (dim, N).
        time: (...) learning rate x step.
        fixed_norm: scale F(t) to the norm of F_0, which gives the direction of collapse and never
            overflows.

    Returns:
        (..., dim, N).

    References:
        Esser et al. 2023, arXiv 2309.02011, section 3.
    """
    root = kernel_root(kernel)
    eigenvalues, eigenvectors = jnp.linalg.eigh(root @ pairing @ root)
    time = jnp.asarray(time)[..., None]
    shift = 2 * jnp.minimum(eigenvalues[0], 0) * time if fixed_norm else jnp.zeros_like(time)
    growth = _phi(-2 * eigenvalues * time, shift)
    left, right = outputs @ pairing @ root @ eigenvectors, eigenvectors.T @ root
    change = -2 * time[..., None] * ((left * growth[..., None, :]) @ right)
    now = jnp.exp(shift)[..., None] * outputs + change
    return _to_norm(now, outputs) if fixed_norm else now


def collapse_rate(objective: Array) -> Array:
    """Return 2 (l_2 - l_1), the rate at which s_2 / s_1 decays per unit of t.

    Example:
        >>> print(collapse_rate(jnp.diag(jnp.array([3.0, -1.0, 0.5]))))
        3.0

    Args:
        objective: (..., d, d) C, or `kernel_objective(kernel, pairing)` for outputs.

    References:
        Esser et al. 2023, arXiv 2309.02011, section 3.
    """
    eigenvalues = jnp.linalg.eigvalsh(objective)
    return 2 * (eigenvalues[..., 1] - eigenvalues[..., 0])


def _to_norm(now: Array, start: Array) -> Array:
    return now * (jnp.linalg.norm(start) / jnp.linalg.norm(now, axis=(-2, -1), keepdims=True))


def _phi(x: Array, shift: Array) -> Array:
    """Return e^shift (e^x - 1) / x, where x + shift may be small though e^x overflows."""
    safe = jnp.where(x == 0, 1, x)
    growing = -jnp.exp(jnp.where(x > 0, x, 0) + shift) * jnp.expm1(-jnp.abs(x))
    falling = jnp.exp(shift) * jnp.expm1(-jnp.abs(x))
    return jnp.where(x == 0, jnp.exp(shift), jnp.where(x > 0, growing, falling) / safe)
