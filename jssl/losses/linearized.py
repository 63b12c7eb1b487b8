r"""The losses that theory solves exactly: no normalisation, at most quartic in a linear encoder.

    Barlow Twins, C symmetrised      ||C - I||_F^2      C = (za^T zb + zb^T za) / 2n
    linear contrastive               (1/n) sum_i za_i . (negative_i - zb_i)
    linear non-contrastive           -(1/n) sum_i za_i . zb_i

The first is the linear model of arXiv 2303.15438. The other two, from arXiv 2309.02011, are
quadratic and unbounded below: without a constraint on the weights they collapse and diverge.
"""

import jax.numpy as jnp

from jssl.arithmetic import working
from jssl.losses.common import check_rows, prepare
from jssl.losses.decorrelation import redundancy_reduction
from jssl.types import Array


def barlow_twins_linearized(za: Array, zb: Array, *, redundancy: float | Array = 1.0) -> Array:
    r"""Barlow Twins on the symmetrised cross-moment, with neither centring nor batch norm.

    Example:
        >>> import jax.numpy as jnp
        >>> z = jnp.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
        >>> print(float(barlow_twins_linearized(z, z)), float(barlow_twins_linearized(0 * z, z)))
        0.0 2.0

    $$L = \sum_i (C_{ii} - 1)^2 + \lambda \sum_{i \ne j} C_{ij}^2, \qquad
    C = \frac{1}{2n} \sum_i (z_{a,i} z_{b,i}^T + z_{b,i} z_{a,i}^T)$$

    At lambda = 1 this is ||C - I||_F^2, invariant under rotations of the embedding; for z = W x
    its gradient is 4 (W Gamma W^T - I) W Gamma, and a small start learns one eigenvalue at a time.

    Args:
        za: (n, dim) embeddings of the first views.
        zb: (n, dim) embeddings of the second views.
        redundancy: weight lambda >= 0 of the off-diagonal terms; 1 in theory, .0051 in practice.

    Returns:
        The loss, a scalar in the dtype of the embeddings, at least float32.

    Raises:
        InputError: on unequal shapes or a negative number.

    References:
        arXiv 2303.15438, the linear model of its section 4.
    """
    za, zb, redundancy = prepare(za, zb, redundancy=redundancy)
    c = za.T @ (zb / len(za))
    return redundancy_reduction((c + c.T) / 2, redundancy)


def linear_contrastive(za: Array, zb: Array, *, negatives: Array | None = None) -> Array:
    r"""Linear contrastive loss: how much nearer the negatives are than the positives.

    Example:
        >>> import jax.numpy as jnp
        >>> z = jnp.array([[1.0, 0.0], [-1.0, 0.0]])
        >>> print(float(linear_contrastive(z, z)), float(linear_contrastive(z, z, negatives=z)))
        -2.0 0.0

    $$L = \frac1n \sum_i z_{a,i} \cdot (z^-_i - z_{b,i})$$

    For z = W^T x it is Tr(W^T C W), C = sym(sum_i x_i (x_i^- - x_i^+)^T) / n.

    Args:
        za: (n, dim) embeddings of the anchors.
        zb: (n, dim) embeddings of the positives.
        negatives: (n, dim) one negative for each anchor; None takes the mean of the other
            samples' second views (n >= 2).

    Returns:
        The loss, a scalar in the dtype of the embeddings, at least float32; unbounded below.

    Raises:
        InputError: on unequal shapes, or one pair without explicit negatives.

    References:
        arXiv 2309.02011, the contrastive loss of its section on SSL losses.
    """
    za, zb = prepare(za, zb, 2 if negatives is None else 1)
    if negatives is None:
        negatives = (jnp.sum(zb, axis=0) - zb) / (len(zb) - 1)
    else:
        negatives = working(negatives=negatives)[0].astype(za.dtype)
        check_rows("negatives", negatives, za, paired=True)
    return jnp.sum(za * ((negatives - zb) / len(za)))


def linear_non_contrastive(za: Array, zb: Array) -> Array:
    r"""Linear non-contrastive loss: minus the mean inner product of the two views.

    Example:
        >>> import jax.numpy as jnp
        >>> z = jnp.array([[1.0, 0.0], [0.0, 2.0]])
        >>> print(float(linear_non_contrastive(z, z)))
        -2.5

    $$L = -\frac1n \sum_i z_{a,i} \cdot z_{b,i}$$

    Args:
        za: (n, dim) embeddings of the first views.
        zb: (n, dim) embeddings of the second views.

    Returns:
        The loss, a scalar in the dtype of the embeddings, at least float32; unbounded below.

    Raises:
        InputError: on unequal shapes.

    References:
        arXiv 2309.02011, the non-contrastive loss of its section on SSL losses.
    """
    za, zb = prepare(za, zb)
    return -jnp.sum(za * (zb / len(za)))
