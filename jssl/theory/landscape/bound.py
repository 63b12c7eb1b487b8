"""The bound L-9, L(W) - L(0) >= -Tr[W B W^T], on data of any distribution.

Ziyin et al. 2023, arXiv 2210.00638, treat the loss of Gaussian data; the bound holds for all.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jssl.losses.contrastive import info_nce
from jssl.manifolds.linalg import matmul
from jssl.types import Array


class BoundCheck(NamedTuple):
    """L(W) - L(0) against its lower bound -Tr[W B W^T] on data, for any distribution.

    Attributes:
        excess: (k,) loss over its bound; negative only by rounding.
        violations: number of values below minus the rounding error, or NaN.
        quartic_ratio: (k,) excess over the quartic of Gaussian data: 1 for small W and Gaussian
            data, so its distance from 1 measures the error of the amplitudes of the landscape.
    """

    excess: Array
    violations: Array
    quartic_ratio: Array


@partial(jax.jit, static_argnames=("score",))
def check_bound(
    weights: Array,
    anchor: Array,
    positive: Array,
    negatives: Array,
    *,
    score: str = "euclidean",
    temperature: float = 1.0,
) -> BoundCheck:
    """Check L-9 on data: InfoNCE is never below its quadratic part, for any distribution.

    Example:
        >>> draws = jax.random.t(jax.random.key(0), 3.0, (3, 50, 2))
        >>> print(check_bound(jnp.ones((1, 1, 2)), *draws).violations)
        0

    So W = 0 is the global minimum exactly when lambda_max(B) <= weight decay: the
    prediction of complete collapse is exact. (The mean of an exponential is at least the
    exponential of the mean.)

    Args:
        weights: (k, m, d) weights to try.
        anchor: (n, d).
        positive: (n, d).
        negatives: (count, d), shared by all anchors.
        score: "euclidean" or "dot".
        temperature: > 0.

    Returns:
        BoundCheck.

    Raises:
        InputError: as `jssl.losses.info_nce`.
    """
    count = len(negatives)
    own, cross = (0.25, 0.5) if score == "euclidean" else (0.0, 0.5)

    def spread(z: Array) -> Array:
        return matmul(z.T, z) / len(z)

    def one(weight: Array) -> tuple[Array, Array, Array]:
        za, zb, zn = (matmul(x, weight.T) for x in (anchor, positive, negatives))
        loss = info_nce(
            za, zb, temperature=temperature, score=score, negatives=zn, include_positive=False
        )
        if score == "euclidean":
            align = jnp.mean(jnp.sum((za - zb) ** 2, 1)) / 2
            means = jnp.sum(za.mean(0) * zn.mean(0))
            apart = (jnp.mean(jnp.sum(za**2, 1)) + jnp.mean(jnp.sum(zn**2, 1))) / 2 - means
            linear = (align - apart) / temperature
        else:
            agree = jnp.mean(jnp.sum(za * zb, 1))
            linear = (jnp.sum(za.mean(0) * zn.mean(0)) - agree) / temperature
        of_anchor, of_negative = spread(za), spread(zn - zn.mean(0))
        quartic = own * jnp.sum(of_negative**2) + cross * jnp.sum(of_anchor * of_negative)
        return loss - jnp.log(float(count)) - linear, quartic / temperature**2, jnp.abs(linear)

    excess, quartic, size = jax.lax.map(one, weights)
    rounding = 100 * jnp.finfo(excess.dtype).eps * (size + jnp.log(count + 1.0))
    ratio = excess / jnp.where(quartic > 0, quartic, 1)
    return BoundCheck(excess, jnp.sum(~(excess >= -rounding)), ratio)
