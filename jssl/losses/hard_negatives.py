r"""Contrastive loss with hard negatives: the nearest negatives count most.

    l = log(1 + q N exp(-s+ / T)),   N = sum_j p_j exp(s_j / T),   p_j ~ exp(beta s_j)

s+ is the score of the positive and s_j that of negative j. beta is the hardness; beta = 0 is the
plain loss with the mean over negatives. Robinson et al., arXiv 2010.04592; Jiang et al.,
arXiv 2311.05139.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp

from jssl.arithmetic import mean, working
from jssl.errors import InputError
from jssl.losses.common import check_choice, check_rows, check_targets, prepare, unit
from jssl.number_checks import require_flag
from jssl.types import Array

HARD_NEGATIVES = ("others", "views")
HARD_SCORES = ("cosine", "dot")


def hard_info_nce(
    za: Array,
    zb: Array,
    *,
    hardness: float | Array = 1.0,
    temperature: float | Array = 0.5,
    negative_weight: float | Array = 1.0,
    weight_gradient: bool = False,
    negatives: str | Array = "others",
    score: str = "cosine",
    targets: tuple[Array, Array] | None = None,
) -> Array:
    r"""InfoNCE whose negatives are weighted by how near they are.

    Example:
        >>> import jax.numpy as jnp
        >>> z = jnp.array([[1.0, 0.0], [-0.5, 0.75**0.5], [-0.5, -(0.75**0.5)]])
        >>> print(round(float(hard_info_nce(z, z, temperature=1.0)), 6))  # log(1 + exp(-3/2))
        0.201413

    $$L = \frac1n \sum_i \log\Big(1 + q \sum_j p_{ij} e^{(s_{ij} - s_i^+)/T}\Big), \qquad
    p_{ij} = \frac{e^{\beta s_{ij}}}{\sum_k e^{\beta s_{ik}}}$$

    The gradient with respect to $s_{ij}$ is $P \pi_{ij} / T$ with fixed weights and
    $P [(\beta + 1/T) \pi_{ij} - \beta p_{ij}]$ with the gradient through the weights, where
    $\pi_{ij} \sim e^{(\beta + 1/T) s_{ij}}$: the latter attracts the easiest negatives.

    Args:
        za: (n, dim) embeddings of the anchors.
        zb: (n, dim) embeddings of the positives.
        hardness: beta >= 0; it is not divided by the temperature.
        temperature: T > 0.
        negative_weight: q >= 0; 1 in the authors' code. With the sum over k negatives in the place
            of their mean, as in `info_nce`, it is k.
        weight_gradient: whether the weights p are differentiated (static). The authors' code
            samples negatives by p, without a gradient.
        negatives: `others`, the second views of the other samples; `views`, both views of the
            other samples; or an array (count, dim) that all anchors share.
        score: `cosine` or `dot` (static).
        targets: (target_a, target_b), embeddings of both views whose scores give the weights; None
            takes (za, zb).

    Returns:
        The loss, a scalar in the dtype of the embeddings, at least float32.

    Raises:
        InputError: on unequal shapes, one pair without explicit negatives, an unknown name, or a
            number out of range.

    References:
        arXiv 2010.04592, equation (4), without its correction for false negatives; arXiv
        2311.05139.
    """
    from_batch = isinstance(negatives, str)
    za, zb, beta, temperature, q = prepare(
        za,
        zb,
        2 if from_batch else 1,
        hardness=hardness,
        temperature=temperature,
        negative_weight=negative_weight,
    )
    check_choice("score", score, HARD_SCORES)
    weight_gradient = require_flag("weight_gradient", weight_gradient)
    explicit = None
    if from_batch:
        check_choice("negatives", negatives, HARD_NEGATIVES)
    else:
        explicit = working(negatives=negatives)[0].astype(za.dtype)
        check_rows("negatives", explicit, za)
        if not len(explicit):
            message = f"negatives must hold at least one row; got shape {explicit.shape}"
            raise InputError(message)

    def scored(za: Array, zb: Array) -> tuple[Array, Array]:
        """Return the scores of positives (n, 1) and negatives (n, count)."""
        views = [zb, za][: 1 + (negatives == "views" if from_batch else 0)]
        candidates = jnp.concatenate(views) if explicit is None else explicit
        if score == "cosine":
            za, zb, candidates = unit(za), unit(zb), unit(candidates)
        return jnp.sum(za * zb, axis=1, keepdims=True), za @ candidates.T

    positive, scores = scored(za, zb)
    weights = scores
    if targets is not None:
        fixed = [rows.astype(za.dtype) for rows in _two(targets)]
        for name, rows in zip(("target_a", "target_b"), fixed, strict=True):
            check_rows(name, rows, za, paired=True)
        weights = scored(*fixed)[1]
    kept = None
    if explicit is None:
        kept = jnp.tile(~jnp.eye(len(za), dtype=bool), (1, scores.shape[1] // len(za)))
    weights = beta * weights
    weights = weights - jax.nn.logsumexp(weights, axis=1, where=kept, keepdims=True)
    if not weight_gradient:
        weights = jax.lax.stop_gradient(weights)
    gap = jax.nn.logsumexp(weights + (scores - positive) / temperature, axis=1, where=kept)
    return mean(_log_of_one_plus(q, gap))


def _log_of_one_plus(q: Array, gap: Array) -> Array:
    """Return log(1 + q exp(gap)); its slope in q at q = 0 is exp(gap), not infinity times 0."""
    none = q == 0
    most = math.log(jnp.finfo(gap.dtype).max) - 1
    plain = jax.nn.softplus(jnp.log(jnp.where(none, 1, q)) + gap)
    return jnp.where(none, q * jnp.exp(jnp.minimum(gap, most)), plain)


def _two(targets: Any) -> tuple[Array, ...]:
    first, second = check_targets(targets)
    return working(target_a=first, target_b=second)
