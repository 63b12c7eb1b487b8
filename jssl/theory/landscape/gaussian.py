r"""InfoNCE of a linear encoder on Gaussian data, exactly, with infinitely many negatives (L-5).

    L(W) = Tr[W A_pos W^T] - (1/2) logdet(I + Kn) - (1/2) Tr[(I + Kn)^{-1} Ka] + decay ||W||_F^2

for the score -|z - z'|^2 / 2 and temperature 1; a temperature T divides W W^T by T in the first
three terms. Expanded to fourth order it is the landscape of `dictionary`. Where A0 and C commute
the modes decouple, and with p, a, n the eigenvalues of A_pos, cov(anchor), cov(negative),

    t = (sqrt(n^2 + 8 a (p + T decay)) - n) / (2 a),    w^2 = T (1/t - 1)_+ / n

is where dL/dw^2 = 0, t = 1 / (1 + n w^2 / T). The mode is lost where t >= 1, that is
B = (a + n)/2 - p <= T decay: the threshold of the quartic landscape is exact.
For the dot score, the quartic landscape of `dictionary` is already exact for Gaussian data.
"""

from typing import Any

import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

from jssl.manifolds.linalg import matmul
from jssl.theory.landscape.dictionary import Views
from jssl.types import Array

_POINTS = 1024


def gaussian_info_nce(
    weight: Array, views: Views, *, temperature: Any = 1.0, weight_decay: Any = 0.0
) -> Array:
    """Return the exact loss of weights (..., m, d), less log K; 0 at W = 0.

    Example:
        >>> from jssl.theory.landscape.dictionary import views
        >>> seen = views([1.0], 0.0)
        >>> print(gaussian_info_nce(jnp.ones((1, 1)), seen).round(4))  # -log(2)/2 - 1/4
        -0.5966

    Args:
        weight: (..., m, d).
        views: covariances of the pairs, from `jssl.theory.landscape.views`.
        temperature: > 0.
        weight_decay: multiplies ||W||_F^2.

    Returns:
        (...).

    References:
        arXiv 2210.00638 treats this loss to fourth order; the closed form is L-5 here.
    """

    def second_moment(spread: Array) -> Array:
        return matmul(matmul(weight, spread), weight.mT) / temperature

    of_anchor, of_negative = second_moment(views.anchor), second_moment(views.negative)
    eye = jnp.eye(weight.shape[-2], dtype=weight.dtype)
    inflated = eye + of_negative
    factor = jnp.linalg.cholesky(inflated)
    logdet = 2 * jnp.sum(jnp.log(jnp.diagonal(factor, axis1=-2, axis2=-1)), axis=-1)
    # Tr[(F F^T)^{-1} Ka] = <F^{-1} Ka, F^{-1}>: one triangular solve, no second factorisation.
    inverse = solve_triangular(factor, jnp.broadcast_to(eye, factor.shape), lower=True)
    shrunk = jnp.sum(matmul(inverse, of_anchor) * inverse, axis=(-2, -1))
    align = jnp.trace(second_moment(views.positive), axis1=-2, axis2=-1)
    spread = (logdet + shrunk) / 2
    return align - spread + weight_decay * jnp.sum(weight**2, axis=(-2, -1))


def gaussian_amplitudes(
    positive: Array,
    anchor: Array,
    negative: Array,
    *,
    temperature: Any = 1.0,
    weight_decay: Any = 0.0,
) -> Array:
    """Return w^2 of every mode at the exact minimum, as many outputs as modes.

    Example:
        >>> print(gaussian_amplitudes(jnp.array([0.975, 1.0]), jnp.ones(2), jnp.ones(2)).round(5))
        [0.01705 0.     ]

    Args:
        positive: (...) eigenvalues p of A_pos.
        anchor: (...) eigenvalues a of cov(anchor), > 0.
        negative: (...) eigenvalues n of cov(negative), > 0.
        temperature: > 0.
        weight_decay: >= 0.

    Returns:
        (...): infinite where nothing limits a mode (p = 0 without weight decay).
    """
    pull = positive + temperature * weight_decay
    free = pull <= 0
    # 4 pull / (...) is the root of a t^2 + n t = 2 pull without cancellation.
    inverse = (jnp.sqrt(negative**2 + 8 * anchor * pull) + negative) / (
        4 * jnp.where(free, 1, pull)
    )
    lost = inverse <= 1
    held = temperature * jnp.where(lost, 0, inverse - 1) / jnp.where(lost, 1, negative)
    return jnp.where(free, jnp.inf, held)


def gaussian_times(
    start_squares: Array,
    share: Array | float,
    positive: Array,
    anchor: Array,
    negative: Array,
    *,
    temperature: Any = 1.0,
    weight_decay: Any = 0.0,
) -> Array:
    """Return when w^2 of every mode reaches a share of its exact minimum, under the flow.

    Example:
        >>> parts = (jnp.array([x]) for x in (0.1, 1.1, 1.1))
        >>> half = gaussian_times(jnp.array([1e-6]), 0.5, *parts)
        >>> print(f"{half[0]:.2f}")  # the quartic landscape has 3.31
        5.36

    The modes decouple, so d log w^2 / dt = -4 dL/dw^2 (w^2), whose inverse is integrated over log
    w^2. Near zero the rate is 4 (B / T - decay), as in the quartic landscape. Under weak
    augmentation w^2 ends far above that of the quartic, and later.

    Args:
        start_squares: (...) w^2 at time 0, > 0.
        share: of the minimum, in (0, 1).
        positive: (...) eigenvalues p of A_pos.
        anchor: (...) eigenvalues a of cov(anchor), > 0.
        negative: (...) eigenvalues n of cov(negative), > 0.
        temperature: > 0.
        weight_decay: >= 0.

    Returns:
        (...): t = learning rate x step; 0 where the start is above the share, infinite where the
        mode is lost or its minimum is at infinity.
    """
    options = {"temperature": temperature, "weight_decay": weight_decay}
    end = gaussian_amplitudes(positive, anchor, negative, **options)
    reached = (end > 0) & jnp.isfinite(end)
    first = jnp.log(start_squares)
    last = jnp.maximum(jnp.log(share * jnp.where(reached, end, 1)), first)
    grid = first + (last - first) * jnp.linspace(0, 1, _POINTS)[(slice(None), *[None] * first.ndim)]
    size = 1 / (1 + negative * jnp.exp(grid) / temperature)
    slope = (positive - negative * size / 2 - anchor * size**2 / 2) / temperature + weight_decay
    falls = slope < 0
    time = jnp.where(falls, -1 / (4 * jnp.where(falls, slope, -1)), 0)
    return jnp.where(reached, jnp.trapezoid(time, grid, axis=0), jnp.inf)
