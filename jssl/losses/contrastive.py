r"""Contrastive losses: views of the same sample become similar, and different samples dissimilar.

    L_i = -log [ e^{s(a, p)/T} / (e^{s(a, p)/T} + sum_k e^{s(a, n_k)/T}) ]

with an anchor a, its positive p, negatives n_k, a score s and a temperature T. `info_nce` has
all of them as arguments; `nt_xent` (SimCLR, arXiv 2002.05709) and `decoupled_contrastive`
(arXiv 2110.06848) fix them. `spectral_contrastive` (arXiv 2106.04156) and `align_uniform`
(arXiv 2005.10242) replace the log-ratio by a quartic and by a pair potential.
"""

import jax
import jax.numpy as jnp

from jssl.arithmetic import mean, working
from jssl.losses.common import check_choice, check_rows, prepare, unit
from jssl.number_checks import require_flag
from jssl.types import Array

SCORES = ("cosine", "dot", "euclidean")
INFO_NCE_NEGATIVES = ("others", "views")
SPECTRAL_NEGATIVES = ("all", "others", "pooled")


def info_nce(
    za: Array,
    zb: Array,
    *,
    temperature: float | Array = 1.0,
    score: str = "dot",
    negatives: str | Array = "others",
    include_positive: bool = True,
    symmetric: bool = False,
) -> Array:
    r"""InfoNCE: the log-ratio loss with a choice of scores and negatives.

    Example:
        >>> import jax.numpy as jnp
        >>> z = jnp.array([[3.0, 0.0], [0.0, 3.0]])
        >>> print(round(float(info_nce(0 * z, z)), 4))  # log n: nothing is told apart
        0.6931
        >>> print(round(float(info_nce(z, z)), 4))
        0.0001

    $$L = -\frac1n \sum_i \log \frac{e^{s(z_{a,i}, z_{b,i})/T}}
    {e^{s(z_{a,i}, z_{b,i})/T} + \sum_k e^{s(z_{a,i}, z^-_k)/T}}$$

    The defaults take as denominator all n second views, the positive included once. Near zero,
    with both views centred, that is log n - tr C/T + tr(C_0 C_1)/(2 T^2) + ...

    Args:
        za: (n, dim) embeddings of the anchors.
        zb: (n, dim) embeddings of the positives.
        temperature: T, positive.
        score: `dot` z . z', `cosine`, or `euclidean` -|z - z'|^2 / 2 (static).
        negatives: `others`, the n - 1 second views of the other samples; `views`, both views of
            the other samples, 2 (n - 1); or an array (count, dim) that all anchors share.
        include_positive: whether the denominator includes the positive (static). Without it the
            loss is decoupled and can be negative.
        symmetric: whether the loss is averaged over both choices of the anchor's view (static).

    Returns:
        The loss, a scalar in the dtype of the embeddings, at least float32.

    Raises:
        InputError: on unequal shapes, one pair without explicit negatives, an unknown name, or a
            temperature that is not positive.

    References:
        arXiv 1807.03748, equation (4); `symmetric` as in arXiv 2103.00020; the choices of
        negatives as in arXiv 2210.00638.
    """
    from_batch = isinstance(negatives, str)
    za, zb, temperature = prepare(za, zb, 2 if from_batch else 1, temperature=temperature)
    include_positive = require_flag("include_positive", include_positive)
    symmetric = require_flag("symmetric", symmetric)
    check_choice("score", score, SCORES)
    explicit = None
    if from_batch:
        check_choice("negatives", negatives, INFO_NCE_NEGATIVES)
    else:
        explicit = working(negatives=negatives)[0].astype(za.dtype)
        check_rows("negatives", explicit, za)
    if score == "cosine":
        za, zb = unit(za), unit(zb)
        explicit = None if explicit is None else unit(explicit)

    def log_ratio(anchors: Array, positives: Array) -> Array:
        positive = jnp.sum(anchors * positives, axis=1)
        if explicit is not None:
            candidates, kept = explicit, None
        else:
            views = [positives, anchors][: 1 + (negatives == "views")]
            candidates = jnp.concatenate(views)
            kept = jnp.tile(~jnp.eye(len(anchors), dtype=bool), (1, len(views)))
        scores = anchors @ candidates.T
        if score == "euclidean":
            positive = -jnp.sum((anchors - positives) ** 2, axis=1) / 2
            scores = scores - _half_square(anchors)[:, None] - _half_square(candidates)
        gap = jax.nn.logsumexp((scores - positive[:, None]) / temperature, axis=1, where=kept)
        return mean(jax.nn.softplus(gap) if include_positive else gap)

    loss = log_ratio(za, zb)
    return (loss + log_ratio(zb, za)) / 2 if symmetric else loss


def nt_xent(za: Array, zb: Array, *, temperature: float | Array = 0.5) -> Array:
    r"""NT-Xent, the loss of SimCLR: cosine InfoNCE over all 2n views.

    Example:
        >>> import jax.numpy as jnp
        >>> z = jnp.array([[1.0, 0.0], [-1.0, 0.0]])
        >>> print(round(float(nt_xent(z, z, temperature=1.0)), 4))  # log(1 + 2 exp(-2))
        0.2395

    $$L = -\frac{1}{2n} \sum_{k=1}^{2n} \log \frac{e^{\cos(z_k, z_{p(k)})/T}}
    {\sum_{l \ne k} e^{\cos(z_k, z_l)/T}}$$

    where p(k) is the other view of the same sample: 2n - 2 negatives and the positive.

    Args:
        za: (n, dim) embeddings of the first views, n >= 2.
        zb: (n, dim) embeddings of the second views.
        temperature: T, positive.

    Returns:
        The loss, a scalar in the dtype of the embeddings, at least float32; it does not
        depend on the scale of each embedding.

    Raises:
        InputError: on unequal shapes, fewer than two pairs, or a temperature that is not positive.

    References:
        arXiv 2002.05709, equation (1) and Algorithm 1.
    """
    return info_nce(
        za, zb, temperature=temperature, score="cosine", negatives="views", symmetric=True
    )


def decoupled_contrastive(za: Array, zb: Array, *, temperature: float | Array = 0.1) -> Array:
    r"""Decoupled contrastive loss (DCL): NT-Xent without the positive in the denominator.

    Example:
        >>> import jax.numpy as jnp
        >>> z = jnp.array([[1.0, 0.0], [-1.0, 0.0]])
        >>> print(round(float(decoupled_contrastive(z, z, temperature=1.0)), 4))  # log 2 - 2
        -1.3069

    $$L = \frac{1}{2n} \sum_{k=1}^{2n} \Big[ -\cos(z_k, z_{p(k)})/T
    + \log \sum_{l \ne k, p(k)} e^{\cos(z_k, z_l)/T} \Big]$$

    Args:
        za: (n, dim) embeddings of the first views, n >= 2.
        zb: (n, dim) embeddings of the second views.
        temperature: T, positive.

    Returns:
        The loss, a scalar in the dtype of the embeddings, at least float32; it does not
        depend on the scale of each embedding.

    Raises:
        InputError: on unequal shapes, fewer than two pairs, or a temperature that is not positive.

    References:
        arXiv 2110.06848, the loss L_DC of its section 3, averaged over the 2n anchors.
    """
    return info_nce(
        za,
        zb,
        temperature=temperature,
        score="cosine",
        negatives="views",
        include_positive=False,
        symmetric=True,
    )


def spectral_contrastive(za: Array, zb: Array, *, negatives: str | Array = "pooled") -> Array:
    r"""Spectral contrastive loss: the low-rank factorisation of the augmentation graph.

    Example:
        >>> import jax.numpy as jnp
        >>> z = jnp.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
        >>> print(float(spectral_contrastive(z, z)))  # the minimum, -dim
        -2.0

    $$L = -2 E[z \cdot z^+] + E[(z \cdot z^-)^2]$$

    The second mean runs over
    - `pooled`: all (2n)^2 pairs of views: tr Sigma^2, Sigma the second moment of the 2n
      embeddings. Then `vicreg_squared` at invariance 1 is this loss + dim, exactly;
    - `all`: all n^2 pairs of a first and a second view: tr(C_0 C_1);
    - `others`: the n (n - 1) of them from different samples, the unbiased estimate;
    - an array (count, dim): all pairs of a first view and one of these.

    The first two cost n dim^2 and count self-pairs, a bias of order 1/n.

    Args:
        za: (n, dim) embeddings of the first views.
        zb: (n, dim) embeddings of the second views.
        negatives: which pairs are negative, as above.

    Returns:
        The loss, a scalar in the dtype of the embeddings, at least float32.

    Raises:
        InputError: on unequal shapes, an unknown name, or one pair with `others`.

    References:
        arXiv 2106.04156, the loss of its section 3.2.
    """
    from_batch = isinstance(negatives, str)
    za, zb = prepare(za, zb, 2 if from_batch and negatives == "others" else 1)
    if not from_batch:
        explicit = working(negatives=negatives)[0].astype(za.dtype)
        check_rows("negatives", explicit, za)
        repulsion = jnp.sum(_moment(za) * _moment(explicit))
    else:
        check_choice("negatives", negatives, SPECTRAL_NEGATIVES)
        if negatives == "pooled":
            repulsion = jnp.sum(_moment(jnp.concatenate([za, zb])) ** 2)
        elif negatives == "all":
            repulsion = jnp.sum(_moment(za) * _moment(zb))
        else:
            squares = jnp.where(jnp.eye(len(za), dtype=bool), 0, za @ zb.T) ** 2
            repulsion = jnp.sum(jnp.sum(squares / len(za), axis=1) / (len(za) - 1))
    return repulsion - 2 * jnp.sum(za * (zb / len(za)))


def align_uniform(
    za: Array,
    zb: Array,
    *,
    align_exponent: float | Array = 2.0,
    uniform_scale: float | Array = 2.0,
    weight: float | Array = 1.0,
) -> Array:
    r"""Alignment and uniformity on the unit sphere.

    Example:
        >>> import jax.numpy as jnp
        >>> z = jnp.array([[1.0, 0.0], [-1.0, 0.0]])
        >>> print(float(align_uniform(z, z)), float(align_uniform(z, -z)))
        -8.0 -4.0

    $$L = \frac1n \sum_i |u_{a,i} - u_{b,i}|^\alpha + \frac{\text{weight}}{2}
    \sum_{u \in \{u_a, u_b\}} \log \frac{2}{n(n-1)} \sum_{i < j} e^{-t |u_i - u_j|^2}$$

    with u = z/|z|, alpha = `align_exponent` and t = `uniform_scale`.

    Args:
        za: (n, dim) embeddings of the first views, n >= 2.
        zb: (n, dim) embeddings of the second views.
        align_exponent: alpha, positive; below 1 the gradient is unbounded at aligned pairs.
        uniform_scale: t, positive.
        weight: weight of uniformity, >= 0.

    Returns:
        The loss, a scalar in the dtype of the embeddings, at least float32; it does not
        depend on the scale of each embedding.

    Raises:
        InputError: on unequal shapes, fewer than two pairs, or a number out of range.

    References:
        arXiv 2005.10242, L_align and L_uniform of its section 4.1.
    """
    za, zb, align_exponent, uniform_scale, weight = prepare(
        za, zb, 2, align_exponent=align_exponent, uniform_scale=uniform_scale, weight=weight
    )
    za, zb = unit(za), unit(zb)
    square = jnp.sum((za - zb) ** 2, axis=1)
    agree = square == 0  # then distance and gradient are zero
    distance = jnp.where(agree, 0, jnp.where(agree, 1, square) ** (align_exponent / 2))

    def uniformity(u: Array) -> Array:
        halves = _half_square(u)
        squares = 2 * (halves[:, None] + halves - u @ u.T)
        others = ~jnp.eye(len(u), dtype=bool)
        logs = jax.nn.logsumexp(-uniform_scale * squares, axis=(0, 1), where=others)
        return logs - jnp.log(jnp.asarray(float(len(u) * (len(u) - 1)), u.dtype))

    return mean(distance) + weight * (uniformity(za) + uniformity(zb)) / 2


def _half_square(z: Array) -> Array:
    return jnp.sum(z**2, axis=1) / 2


def _moment(z: Array) -> Array:
    return z.T @ (z / len(z))
