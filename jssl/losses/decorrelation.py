r"""Losses of second moments: the views become similar and the coordinates uncorrelated.

    Barlow Twins          sum_i (C_ii - 1)^2 + redundancy sum_{i != j} C_ij^2
    VICReg                invariance |za - zb|^2 + variance hinge(std) + covariance (off-diagonal)^2
    squared VICReg        ||Sigma - I||_F^2 + invariance (1/n) sum_i |za_i - zb_i|^2

C is the cross-correlation of the two views, Sigma the second moment of all 2n embeddings.
Barlow Twins: arXiv 2103.03230. VICReg: arXiv 2105.04906. Squared VICReg is the smooth form whose
dynamics can be solved (`jssl.theory.stepwise`).
"""

import jax
import jax.numpy as jnp

from jssl.arithmetic import centred, mean
from jssl.losses.common import prepare
from jssl.number_checks import require_flag
from jssl.types import Array


def barlow_twins(
    za: Array,
    zb: Array,
    *,
    redundancy: float | Array = 0.0051,
    batch_norm: bool = True,
    epsilon: float | Array = 1e-5,
) -> Array:
    r"""Barlow Twins: the cross-correlation of the views should be the identity.

    Example:
        >>> import jax.numpy as jnp
        >>> z = jnp.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
        >>> print(round(float(barlow_twins(z, z)), 6), round(float(barlow_twins(z, -z)), 2))
        0.0 8.0

    $$L = \sum_i (C_{ii} - 1)^2 + \lambda \sum_{i \ne j} C_{ij}^2, \qquad
    C = \frac1n \hat z_a^T \hat z_b, \quad
    \hat z = (z - \bar z) / \sqrt{\mathrm{var}(z) + \epsilon}$$

    with the mean and the population variance of each coordinate over the batch. Without batch
    norm C = za^T zb / n, neither centred nor symmetrised: with A = (C - C^T)/2 this is
    `barlow_twins_linearized` (which symmetrises C) plus lambda ||A||_F^2, equal in expectation
    when the views are exchangeable.

    Args:
        za: (n, dim) embeddings of the first views, n >= 2.
        zb: (n, dim) embeddings of the second views.
        redundancy: weight lambda >= 0 of the off-diagonal terms.
        batch_norm: whether embeddings are standardised over the batch (static).
        epsilon: added to the variance, >= 0, as batch norm does; the paper's equation has 0,
            for which the loss of a constant coordinate is undefined. Set it below the squared
            scale of small embeddings: a standard deviation of 1e-6 has no effect at the default.

    Returns:
        The loss, a scalar in the dtype of the embeddings, at least float32.

    Raises:
        InputError: on unequal shapes, fewer than two pairs, or a negative number.

    References:
        arXiv 2103.03230, equations (1) and (2); `redundancy` from its section 3.
    """
    za, zb, redundancy, epsilon = prepare(za, zb, 2, redundancy=redundancy, epsilon=epsilon)
    if require_flag("batch_norm", batch_norm):
        za, zb = (_standardise(z, epsilon) for z in (za, zb))
    return redundancy_reduction(za.T @ (zb / len(za)), redundancy)


def vicreg(
    za: Array,
    zb: Array,
    *,
    invariance: float | Array = 25.0,
    variance: float | Array = 25.0,
    covariance: float | Array = 1.0,
    epsilon: float | Array = 1e-4,
    target_std: float | Array = 1.0,
) -> Array:
    r"""VICReg: mean squared distance, a hinge on the standard deviation, covariances to zero.

    Example:
        >>> import jax.numpy as jnp
        >>> z = jnp.array([[2.0, 2.0], [2.0, -2.0], [-2.0, 2.0], [-2.0, -2.0]])
        >>> print(float(vicreg(z, z)), float(vicreg(z, z + 1.0)), float(vicreg(0 * z, 0 * z)))
        0.0 25.0 49.5

    $$L = \frac{\text{invariance}}{n d} \sum_i |z_{a,i} - z_{b,i}|^2 + \sum_{z \in \{z_a, z_b\}}
    \Big[ \frac{\text{variance}}{d} \sum_j \big(s - \sqrt{\mathrm{var}(z^j) + \epsilon}\big)_+
    + \frac{\text{covariance}}{d} \sum_{i \ne j} \mathrm{cov}(z)_{ij}^2 \Big]$$

    with unbiased (1/(n - 1)) variances and covariances and s = `target_std`. This is the paper's
    Algorithm 1. Its equation (5) sums the squared distance over the d coordinates instead
    (`invariance` times d); the authors' released training code halves the variance term
    (`variance=12.5`).

    Args:
        za: (n, dim) embeddings of the first views, n >= 2.
        zb: (n, dim) embeddings of the second views.
        invariance: weight of the distance, >= 0.
        variance: weight of the hinge, >= 0.
        covariance: weight of the off-diagonal covariances, >= 0.
        epsilon: added to the variance, >= 0; at 0 a constant coordinate has no gradient.
        target_std: target of the standard deviation in the hinge, positive.

    Returns:
        The loss, a scalar in the dtype of the embeddings, at least float32.

    Raises:
        InputError: on unequal shapes, fewer than two pairs, or a number out of range.

    References:
        arXiv 2105.04906, equations (1) to (6) and Algorithm 1.
    """
    za, zb, invariance, variance, covariance, epsilon, target_std = prepare(
        za,
        zb,
        2,
        invariance=invariance,
        variance=variance,
        covariance=covariance,
        epsilon=epsilon,
        target_std=target_std,
    )

    def spread(z: Array) -> Array:
        z = centred(z)
        cov = z.T @ (z / (len(z) - 1))
        hinge = jnp.maximum(target_std - jnp.sqrt(jnp.diagonal(cov) + epsilon), 0)
        return variance * mean(hinge) + covariance * jnp.sum(_off(cov) ** 2) / z.shape[1]

    return invariance * mean((za - zb) ** 2) + spread(za) + spread(zb)


def vicreg_squared(
    za: Array, zb: Array, *, invariance: float | Array = 1.0, centre: bool = False
) -> Array:
    r"""VICReg with a squared penalty on the whole covariance: smooth, and exactly solvable.

    Example:
        >>> import jax.numpy as jnp
        >>> z = jnp.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
        >>> print(float(vicreg_squared(z, z)), float(vicreg_squared(0 * z, 0 * z)))
        0.0 2.0

    $$L = \|\Sigma - I\|_F^2 + \frac{\beta}{n} \sum_i |z_{a,i} - z_{b,i}|^2, \qquad
    \Sigma = \frac{1}{2n} (z_a^T z_a + z_b^T z_b)$$

    For z = W x the second term is beta tr(W Delta W^T) with Delta = 2 (Sigma_x - Gamma_x). At
    beta = 1 the loss is `spectral_contrastive` (pooled negatives) + dim, exactly.

    Args:
        za: (n, dim) embeddings of the first views.
        zb: (n, dim) embeddings of the second views.
        invariance: weight beta >= 0 of the distance.
        centre: whether the mean of all 2n embeddings is taken out of Sigma (static). The theory
            is written for centred data, where both are the same. Without centring, the formula
            uses second moments.

    Returns:
        The loss, a scalar in the dtype of the embeddings, at least float32.

    Raises:
        InputError: on unequal shapes or a negative number.

    References:
        arXiv 2105.04906 for VICReg; the smooth form follows arXiv 2303.15438 (its linear model).
    """
    za, zb, invariance = prepare(za, zb, invariance=invariance)
    distance = jnp.sum((za - zb) ** 2 / len(za))
    z = jnp.concatenate([za, zb])
    if require_flag("centre", centre):
        z = centred(z)
    sigma = z.T @ (z / len(z))
    return jnp.sum((sigma - jnp.eye(len(sigma), dtype=z.dtype)) ** 2) + invariance * distance


def redundancy_reduction(c: Array, redundancy: float | Array) -> Array:
    """Return sum_i (C_ii - 1)^2 + redundancy sum_{i != j} C_ij^2 of a (dim, dim) correlation C."""
    return jnp.sum((jnp.diagonal(c) - 1) ** 2) + redundancy * jnp.sum(_off(c) ** 2)


def _off(c: Array) -> Array:
    return jnp.where(jnp.eye(len(c), dtype=bool), 0, c)


def _standardise(z: Array, epsilon: Array) -> Array:
    """Return (z - mean) / sqrt(variance + epsilon), from squares that cannot leave the dtype.

    Numerator and root are divided by the same constant, which does not change the quotient.
    """
    z = centred(z)
    size = jnp.maximum(jnp.max(jnp.abs(z), axis=0), jnp.sqrt(epsilon))
    size = jax.lax.stop_gradient(jnp.where(size == 0, 1, size))
    scaled = z / size
    return scaled / jnp.sqrt(mean(scaled**2, 0) + epsilon / size / size)
