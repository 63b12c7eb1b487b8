"""The two objectives of the learnability experiments, on embeddings and on logits.

    N-1   -(1/n) sum_i z_i . z'_i + decay ||W||_F^2        no negatives, no normalisation
    N-4   (1/n) sum_i BCE(p_i, [s_i = -1]) + decay ||W||_F^2 + head_decay ||F||^2

The published steps are on the sum over samples; here both are means.

References:
    Yang, Li, Jiang, Li, arXiv 2401.03214.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jssl.arithmetic import mean, working
from jssl.errors import InputError
from jssl.losses.linearized import linear_non_contrastive
from jssl.types import Array


def decayed_alignment(za: Array, zb: Array, weight: Array, *, decay: Any) -> Array:
    """Return N-1: the mean negative inner product of the two views, plus weight decay.

    Example:
        >>> import jax.numpy as jnp
        >>> float(decayed_alignment(jnp.eye(2), 3 * jnp.eye(2), jnp.ones((2, 4)), decay=0.5))
        1.0

    Args:
        za: (n, m) embeddings of the first views.
        zb: (n, m) embeddings of the second views.
        weight: (m, d) W.
        decay: alpha, >= 0; may be traced.

    Returns:
        Scalar in the dtype of the embeddings and the weight, at least float32.

    Raises:
        InputError: the embeddings are not two equal (n, m), or not real numbers.

    References:
        Yang et al., arXiv 2401.03214 (N-1).
    """
    (weight,) = working(weight=weight)
    return linear_non_contrastive(za, zb) + decay * jnp.sum(weight**2)


def decayed_cross_entropy(
    logits: Array, label: Array, weight: Array, head: Array, *, decay: Any, head_decay: Any = None
) -> Array:
    """Return N-4: the mean binary cross-entropy, plus the decay of both layers.

    Example:
        >>> import jax.numpy as jnp
        >>> zero = jnp.zeros(2)
        >>> value = decayed_cross_entropy(zero, jnp.array([-1, 1]), zero, zero, decay=0.1)
        >>> print(f"{value:.4f}")
        0.6931

    sigmoid(logit) is the probability of the label -1, as in the published code.

    Args:
        logits: (n,) or (n, 1).
        label: (n,) of -1 and 1.
        weight: (m, d) W.
        head: (m,) F.
        decay: beta, of W, >= 0; may be traced.
        head_decay: gamma, of F, >= 0; None for `decay`.

    Returns:
        Scalar in the dtype of the logits and the weights, at least float32.

    Raises:
        InputError: not one logit a label, or values that are not real numbers.

    References:
        Yang et al., arXiv 2401.03214 (N-4).
    """
    logits, weight, head = working(logits=logits, weight=weight, head=head)
    label = working(label=label)[0].astype(logits.dtype)
    if logits.size != label.size:
        message = f"give one logit a label; got {logits.shape} and {label.shape}"
        raise InputError(message)
    margin = jnp.reshape(logits, label.shape) * label
    of_head = decay if head_decay is None else head_decay
    fit = mean(jax.nn.softplus(margin))
    return fit + decay * jnp.sum(weight**2) + of_head * jnp.sum(head**2)
