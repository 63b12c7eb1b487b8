r"""Classes of unequal size: which of them a linear encoder learns (L-15).

K orthogonal classes at +-r e_k with probability p_k have A0 = diag(a), a_k = p_k r^2, and each is a
separate mode. For 2 c4 = 1 (the dot score) and augmentation c_k along the class direction,

    q_k = (a_k - decay)_+ / (a_k + c_k)

is its variance in the embedding: 1 for every class, however rare, without augmentation and decay.
Augmentation reduces the variance of rare classes. Class k is lost under weight decay if p_k r^2 <=
decay, and under a Euclidean loss with one augmented side if c_k >= 2 p_k r^2. Classes at +r e_k
only have a nonzero mean. InfoNCE does not depend on it, so A0 = r^2 (diag p - p p^T) with K - 1
modes; the spectral loss and Barlow Twins do, so A0 = r^2 diag p.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jssl.data.checks import require_range
from jssl.errors import InputError
from jssl.host_arithmetic import host_value
from jssl.types import Array

_SMALLEST = float(jnp.finfo(jnp.float32).tiny)


def class_covariance(
    probabilities: Any, radius: Any = 1.0, *, one_sided: bool = False, centred: bool = True
) -> Array:
    """Return A0 (K, K) of orthogonal classes.

    Example:
        >>> print(class_covariance([0.75, 0.25], 2.0))
        [[3. 0.]
         [0. 1.]]
        >>> print(class_covariance([0.75, 0.25], one_sided=True))
        [[ 0.1875 -0.1875]
         [-0.1875  0.1875]]

    Args:
        probabilities: (K,) p > 0, sum 1.
        radius: r > 0.
        one_sided: classes at +r e_k; otherwise at +-r e_k with equal probability.
        centred: subtract the mean, as InfoNCE does; this matters for one-sided classes only.

    Raises:
        InputError: for probabilities that are not positive or do not sum to 1, or a radius that is
            not positive.
    """
    p = _probabilities(probabilities)
    require_range("radius", radius, _SMALLEST)
    second = jnp.diag(p)
    if one_sided and centred:
        second = second - jnp.outer(p, p)
    return radius**2 * second


def class_variances(
    probabilities: Any, radius: Any = 1.0, *, augmentation: Any = 0.0, weight_decay: Any = 0.0
) -> Array:
    """Return (K,) q_k, the variance of each class in the embedding under the dot score (2 c4 = 1).

    Example:
        >>> print(class_variances([0.9, 0.1], augmentation=0.1, weight_decay=0.05).round(3))
        [0.85 0.25]

    Args:
        probabilities: (K,) p > 0, sum 1, of classes at +-r e_k.
        radius: r > 0.
        augmentation: number or (K,) c_k >= 0, both views augmented.
        weight_decay: >= 0.

    Raises:
        InputError: as `class_covariance`, and for negative numbers.
    """
    require_range("radius", radius, _SMALLEST)
    require_range("augmentation", augmentation, 0)
    require_range("weight_decay", weight_decay, 0)
    strength = radius**2 * _probabilities(probabilities)
    return jnp.maximum(strength - weight_decay, 0) / (strength + augmentation)


def class_samples(
    key: Array, n: int, probabilities: Any, radius: Any = 1.0, *, one_sided: bool = False
) -> tuple[Array, Array]:
    """Draw samples (n, K) of the classes, and their labels (n,).

    Example:
        >>> x, labels = class_samples(jax.random.key(0), 5, [0.5, 0.5], one_sided=True)
        >>> bool((x.argmax(1) == labels).all())
        True
    """
    p = _probabilities(probabilities)
    of_class, of_side = jax.random.split(key)
    labels = jax.random.choice(of_class, len(p), (n,), p=p)
    x = radius * jax.nn.one_hot(labels, len(p), dtype=p.dtype)
    if not one_sided:
        x = x * jax.random.rademacher(of_side, (n, 1), p.dtype)
    return x, labels


def _probabilities(probabilities: Any) -> Array:
    p = jnp.asarray(probabilities)
    known = host_value(p)
    if p.ndim != 1 or (
        known is not None and not ((known > 0).all() and abs(known.sum() - 1) < 1e-5)
    ):
        message = f"probabilities must be (K,), positive, with sum 1; got {probabilities}"
        raise InputError(message)
    return p
