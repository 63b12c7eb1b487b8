"""What an augmentation takes away: the landscape of a linear encoder on the pairs themselves.

A0 and C are estimated from the pairs, B = A0 - f C says which directions a loss pulls up, and each
is read on held-out pairs. Ziyin et al. 2023, arXiv 2210.00638; `jssl.theory.landscape`.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jssl.forecast.rules import Rule
from jssl.forecast.steps import levels_once
from jssl.theory import landscape
from jssl.theory.landscape.estimate import Z

WIDEST = 512
_NEGLIGIBLE = 1e-6


class Lost(NamedTuple):
    """Directions of the data that views share, and those that they do not.

    Attributes:
        carried: directions of the views with more than 1e-6 of the largest variance.
        surviving: of them, those above the weight decay on held-out pairs by 3.9 standard errors.
        undecided: those within 3.9 standard errors of it.
        lost: the rest: augmentation or weight decay takes them away.
        rank: dimensions that a linear encoder of `dim` outputs keeps at the minimum.
        factor: the multiple of this augmentation at which the first of these `rank` dimensions is
            lost; infinite under placements that lose none.
        reduced: the number of input dimensions, if they were reduced to 512, else 0.
        trust: how far the rank holds, as `Landscape.rank_trust`.
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
) -> Lost:
    """Return what survives of the data's directions under a loss; inside `float64()`.

    Args:
        first: (n, ...) first views; the samples themselves if `clean_first`.
        second: (n, ...) second views.
        rule: of the loss.
        dim: number of outputs.
        weight_decay: >= 0.
        placement: of the augmentation.
        clean_first: whether augmentation acts on the second views alone.
    """
    a, b = (x.reshape(len(x), -1) for x in (first, second))
    wide = a.shape[1]
    if wide > WIDEST:
        basis = np.linalg.qr(np.concatenate([a, b])[:: max(1, 2 * len(a) // WIDEST)][:WIDEST].T)[0]
        a, b = a @ basis, b @ basis
    pooled = np.concatenate([a, b])
    variance, axes = np.linalg.eigh(np.cov(pooled.T, bias=True).reshape(a.shape[1], -1))
    kept = variance > _NEGLIGIBLE * variance[-1]
    a, b = a @ axes[:, kept], b @ axes[:, kept]
    carried = int(kept.sum())
    factor = 0.0
    if rule.landscape == "info_nce_euclidean":
        factor = float(landscape.augmentation_factor(placement))
    read = landscape.signal_spectrum(a, b, factor, clean_first=clean_first)
    seen = landscape.estimate_covariances(a, b, clean_first=clean_first)
    values, vectors = np.linalg.eigh(np.asarray(seen.data))
    push, learned = 1.0, dim
    if rule.off_diagonal < 1:
        end = levels_once(values, rule.off_diagonal, weight_decay, dim=dim)
        push, learned = float(end.push), int(end.learned.sum())
    bar = weight_decay / (rule.signal * push) if weight_decay else 0.0
    held, errors = np.asarray(read.held_out), np.asarray(read.errors)
    surviving = int((held - Z * errors > bar).sum())
    undecided = int((np.abs(held - bar) <= Z * errors).sum())
    data = vectors * np.maximum(values, 0) @ vectors.T  # sampling makes small ones negative
    options: dict[str, Any] = {}
    if rule.tempered:
        options = {"placement": placement, "temperature": 1 / rule.signal}
    found = landscape.from_loss(
        rule.landscape,
        jnp.asarray(data),
        seen.augmentation,
        dim=dim,
        weight_decay=weight_decay,
        **options,
    )
    lifted = found.thresholds.augmentation
    factors = np.asarray([] if lifted is None else lifted)[:dim]
    rank = min(found.rank, learned)
    return Lost(
        carried,
        surviving,
        undecided,
        carried - surviving - undecided,
        rank,
        float(np.min(factors[:rank], initial=np.inf)),
        wide if wide > WIDEST else 0,
        found.rank_trust,
        factors,
    )
