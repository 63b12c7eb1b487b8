"""The loss that a forecast is for, and the matrix C whose eigenvalues it forecasts.

Both are functions of the embeddings themselves, as trained networks have them; `reduced` gives the
leading terms in a few modes.
"""

from typing import Any

from jssl import losses
from jssl.forecast.finite import Reduction
from jssl.forecast.reduced import Loss
from jssl.forecast.rules import Rule
from jssl.types import Array


def training_loss(rule: Rule, own: Loss | None = None) -> Loss:
    """Return the loss that a forecast is for, as a function of two embeddings.

    Example:
        >>> from jssl.forecast.rules import RULES
        >>> import jax.numpy as jnp
        >>> z = jnp.array([[1.0], [-1.0]])
        >>> float(training_loss(RULES["barlow_twins"])(z, z))
        0.0

    It is the loss that the rule stands for, where that differs from the named one.

    Args:
        rule: of the loss.
        own: loss of the user, which is returned.
    """
    if own is not None:
        return own
    if rule.own_spread:
        loss = losses.get("barlow_twins_linearized", redundancy=rule.off_diagonal)
    elif rule.tempered:
        score = "dot" if rule.views_apart else "euclidean"
        return losses.get("info_nce", temperature=1 / rule.signal, score=score)
    else:
        loss = losses.get("vicreg_squared" if rule.centred else "spectral_contrastive")
    if not rule.centred:
        return loss

    def of_centred(za: Array, zb: Array) -> Array:
        return loss(za - za.mean(0), zb - zb.mean(0))

    return of_centred


def learned_moment(za: Any, zb: Any, reduction: Reduction) -> Any:
    """Return C (dim, dim) of the forecast's pairs, under the pairing of the loss's signal.

    Args:
        za: (n, dim) embeddings of the first views, of NumPy or JAX; with fresh views, draw by draw.
        zb: (n, dim) of the second views.
        reduction: pairing, centring and number of draws.
    """
    signal, draws, n = reduction.pairings.signal, reduction.draws, len(za)
    if reduction.rule.centred:
        za, zb = za - za.mean(0), zb - zb.mean(0)
    ma, mb = (z.reshape(draws, n // draws, -1).mean(0) for z in (za, zb))
    cross = ma.T @ mb
    total = signal.cross * (cross + cross.T) / 2 / len(ma)
    own = signal.first * za.T @ za + signal.second * zb.T @ zb
    return total + own / n
