"""The directions that an augmentation removes, for a linear encoder on the pairs.

A0 and C are estimated from the pairs. The eigenvalues of B = A0 - f C decide which directions a
loss learns; they are computed on held-out pairs. Ziyin et al. 2023, arXiv 2210.00638;
`jssl.theory.landscape`.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jssl.forecast.rules import Rule
from jssl.theory import landscape
from jssl.theory.landscape.estimate import Z
from jssl.theory.stepwise import decayed_levels

WIDEST = 512
_NEGLIGIBLE = 1e-6


class LostDimensions(NamedTuple):
    """Numbers of directions of the views that are kept and lost.

    Attributes:
        carried: number of directions of the views with more than 1e-6 of the largest variance.
        surviving: number of them above the threshold of weight decay on held-out pairs by 3.9
            standard errors.
        undecided: number of them within 3.9 standard errors of it.
        lost: number of the others, which augmentation or weight decay removes.
        rank: number of dimensions of a linear encoder with `dim` outputs at the minimum.
        factor: the multiple of this augmentation at which the first of `dim` dimensions is lost;
            below 1 if one is lost already, infinite under placements that lose none.
        reduced: the number of input dimensions, if they were reduced to 512, else 0.
        trust: how accurate the rank is, as `Landscape.rank_trust`.
        factors: (dim or fewer,) the multiple of this augmentation at which each dimension is lost,
            descending; below 1 for one that is lost already.
    """

    carried: int
    surviving: int
    undecided: int
    lost: int
    rank: int
    factor: float
    reduced: int
    trust: str
    factors: np.ndarray


def lost_dimensions(
    first: np.ndarray,
    second: np.ndarray,
    rule: Rule,
    dim: int,
    *,
    weight_decay: float,
    placement: str,
    clean_first: bool = False,
) -> LostDimensions:
    """Return how many directions of the views survive under a loss; inside `float64()`.

    Args:
        first: (n, ...) first views; the samples themselves if `clean_first`.
        second: (n, ...) second views.
        rule: of the loss.
        dim: number of outputs.
        weight_decay: >= 0.
        placement: of the augmentation.
        clean_first: whether augmentation acts on the second views alone.
    """
    a, b, wide = _reduced(first, second)
    factor = 0.0
    if rule.landscape == "info_nce_euclidean":
        factor = float(landscape.augmentation_factor(placement))
    signal = landscape.signal_spectrum(a, b, factor, clean_first=clean_first)
    covariances = landscape.estimate_covariances(a, b, clean_first=clean_first)
    values, vectors = np.linalg.eigh(np.asarray(covariances.data))
    push, learned = 1.0, dim
    if rule.off_diagonal < 1:
        end = decayed_levels(values, dim, rule.off_diagonal, weight_decay)
        push, learned = float(end.push), int(end.learned.sum())
    threshold = weight_decay / (rule.signal * push) if weight_decay else 0.0
    held, errors = np.asarray(signal.held_out), np.asarray(signal.errors)
    surviving = int((held - Z * errors > threshold).sum())
    undecided = int((np.abs(held - threshold) <= Z * errors).sum())
    data = vectors * np.maximum(values, 0) @ vectors.T  # sampling makes small ones negative
    options: dict[str, Any] = {}
    if rule.tempered:
        options = {"placement": placement, "temperature": 1 / rule.signal}
    minimum = landscape.from_loss(
        rule.landscape,
        jnp.asarray(data),
        covariances.augmentation,
        dim=dim,
        weight_decay=weight_decay,
        **options,
    )
    lifted = minimum.thresholds.augmentation
    factors = np.asarray([] if lifted is None else lifted)[:dim]
    rank = min(minimum.rank, learned)
    return LostDimensions(
        carried=a.shape[1],
        surviving=surviving,
        undecided=undecided,
        lost=a.shape[1] - surviving - undecided,
        rank=rank,
        factor=float(np.min(factors, initial=np.inf)),
        reduced=wide if wide > WIDEST else 0,
        trust=minimum.rank_trust,
        factors=factors,
    )


def _reduced(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Return both views (n, carried) in their principal axes, and their number of dimensions.

    Directions of negligible variance are left out. Views of more than 512 dimensions are first
    projected onto the span of 512 of them.
    """
    a, b = (x.reshape(len(x), -1) for x in (first, second))
    wide = a.shape[1]
    if wide > WIDEST:
        basis = np.linalg.qr(np.concatenate([a, b])[:: max(1, 2 * len(a) // WIDEST)][:WIDEST].T)[0]
        a, b = a @ basis, b @ basis
    pooled = np.concatenate([a, b])
    variance, axes = np.linalg.eigh(np.cov(pooled.T, bias=True).reshape(a.shape[1], -1))
    kept = variance > _NEGLIGIBLE * variance[-1]
    return a @ axes[:, kept], b @ axes[:, kept], wide
