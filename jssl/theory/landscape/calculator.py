"""The landscape of a given loss: which dimensions survive and which collapse.

`from_loss` and `from_moments` combine the other modules, state how accurate each result is, and
minimise numerically where no closed form exists. They check values, so they run outside jit.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl.data.checks import require_count
from jssl.errors import InputError
from jssl.theory.landscape import stationary
from jssl.theory.landscape.bounded import require_minimum
from jssl.theory.landscape.dictionary import (
    SIMCLR,
    Form,
    decayed_signal,
    energy,
    form,
    general_form,
)
from jssl.theory.landscape.minimiser import minimise
from jssl.theory.landscape.result import EXACT, GAUSSIAN, LEADING, Landscape, Minima
from jssl.theory.landscape.thresholds import (
    Thresholds,
    augmentation_thresholds,
    decay_thresholds,
)
from jssl.types import Array


def from_loss(
    loss: str,
    data_cov: Any,
    augmentation_cov: Any = 0.0,
    *,
    dim: int,
    placement: str = SIMCLR,
    temperature: float = 1.0,
    negatives: float = math.inf,
    weight_decay: float = 0.0,
    alignment: float = 1.0,
    invariance: float = 1.0,
) -> Landscape:
    """Return the landscape of a loss on data and an augmentation of given covariances.

    Example:
        >>> seen = from_loss(
        ...     "info_nce_euclidean", [1.0, 0.4], 1.2, placement="clean-augmented-clean", dim=2
        ... )
        >>> print(seen.rank, seen.thresholds.augmentation.round(1), seen.rank_trust)
        1 [1.7 0.7] exact for Gaussian data
        >>> [(mask.astype(int).tolist(), seen.saddle_index(mask)) for mask in seen.masks()]
        [([0, 0], 2), ([1, 0], 0)]

    Args:
        loss: a name in `jssl.theory.landscape.LOSSES`.
        data_cov: A0, (d,) variances or (d, d).
        augmentation_cov: C, a number, (d,) or (d, d).
        dim: number of outputs m.
        placement: a name in `jssl.theory.landscape.PLACEMENTS`.
        temperature: > 0.
        negatives: number of negatives for each anchor; may be infinite.
        weight_decay: >= 0, multiplies ||W||_F^2.
        alignment: weight of the positive term of info_nce_euclidean.
        invariance: weight of vicreg_squared.

    Returns:
        Landscape.

    Raises:
        InputError: as `jssl.theory.landscape.form`, for dim below 1, and for a loss without a
            minimum, with the direction along which it decreases.

    References:
        Ziyin et al., ICLR 2023, arXiv 2210.00638.
    """
    require_count("dim", dim)
    options: dict[str, Any] = {
        "placement": placement,
        "temperature": temperature,
        "negatives": negatives,
        "alignment": alignment,
        "invariance": invariance,
    }
    stated = form(loss, data_cov, augmentation_cov, weight_decay=weight_decay, **options)
    none = np.zeros_like(np.asarray(stated.data))
    clean = form(loss, data_cov, none, weight_decay=weight_decay, **options)
    lost = np.asarray(clean.signal) - np.asarray(stated.signal)
    kept = np.asarray(decayed_signal(clean))
    rounding = 100 * len(kept) * np.finfo(kept.dtype).eps * np.abs(np.asarray(stated.anchor)).max()
    grows = bool(np.diagonal(lost).max() > rounding)  # a multiple of C, so of one sign
    lifted = augmentation_thresholds(kept, lost if grows else 0 * lost)
    caveats, trust, rank_trust = [], EXACT, EXACT
    if loss.startswith("info_nce"):
        trust = GAUSSIAN if loss == "info_nce_dot" else LEADING
        rank_trust = GAUSSIAN
        if negatives != math.inf:
            trust = rank_trust = LEADING
            caveats.append(
                "With finitely many negatives, only the threshold of complete collapse is exact."
            )
    return _gather(stated, dim, lifted, trust, rank_trust, caveats)


def from_moments(
    signal: Any, covariance: Any, quartic: Any = 0.75, *, dim: int, weight_decay: Any = 0.0
) -> Landscape:
    """Return the landscape -Tr[W (B - decay) W^T] + c4 Tr[(W Sigma W^T)^2] of given matrices.

    Example:
        >>> from_moments([1.0, 0.5, -0.5], [1.0, 1.0, 1.0], dim=3, weight_decay=0.7).rank
        1

    Args:
        signal: B, (d,) or (d, d) symmetric, of any sign.
        covariance: Sigma, (d,) or (d, d), positive semi-definite.
        quartic: c4 > 0.
        dim: number of outputs m.
        weight_decay: >= 0.

    Raises:
        InputError: for matrices that do not fit, numbers out of range, and a loss without a
            minimum, with the direction along which it decreases.
    """
    require_count("dim", dim)
    stated = general_form(signal, covariance, quartic, weight_decay=weight_decay)
    return _gather(stated, dim, None, EXACT, EXACT, [])


def _gather(
    stated: Form,
    dim: int,
    lifted: Array | None,
    trust: str,
    rank_trust: str,
    caveats: list[str],
) -> Landscape:
    require_minimum(stated)
    thresholds = Thresholds(decay_thresholds(stated), lifted)
    if float(stated.own + stated.cross) == 0:
        return _without_quartic(stated, dim, thresholds, caveats)
    modes = stationary.decouple(stated)
    if modes is None:
        caveats.append(
            "The covariances of anchor and negatives do not commute; the minimum was found by "
            "numerical minimisation."
        )
        minima, rank = _search(stated, dim)
        return Landscape(stated, dim, None, rank, thresholds, minima, trust, LEADING, (*caveats,))
    if modes.outside:
        caveats.append(
            f"Sigma is singular: the result is restricted to its range, and {modes.outside} of "
            f"{len(modes.basis)} dimensions are left out."
        )
    mask = stationary.minimum_mask(modes, dim)
    single = np.array_equal(stated.anchor, stated.negative)
    isolated = single or dim >= int((np.asarray(modes.strength) > 0).sum())
    if not isolated:
        caveats.append("With two covariances and few outputs, there may be other local minima.")
    if modes.flat:
        isolated = False
        caveats.append(
            f"The loss does not depend on {modes.flat} dimensions: they keep their initial "
            "weights, which are 0 in the minimum given here."
        )
    minima = Minima(
        mask,
        stationary.squared_amplitudes(modes, mask),
        stationary.stationary_gram(modes, mask),
        stationary.stationary_weight(modes, mask, dim),
        jnp.asarray(np.asarray(stationary.stationary_loss(modes, mask)) + stated.offset * dim),
        isolated,
    )
    rank = int(mask.sum())
    return Landscape(stated, dim, modes, rank, thresholds, minima, trust, rank_trust, (*caveats,))


def _without_quartic(
    stated: Form, dim: int, thresholds: Thresholds, caveats: list[str]
) -> Landscape:
    signal = decayed_signal(stated)
    values = np.asarray(jnp.linalg.eigvalsh(signal))
    small = len(values) * np.finfo(values.dtype).eps * np.abs(values).max()
    flat = int((values >= -small).sum())
    zero = jnp.zeros_like(signal)
    if flat:
        caveats.append(
            f"The loss has no term against collapse. It does not depend on {flat} dimensions that "
            "are not augmented; these keep their initial weights."
        )
    minima = Minima(None, None, zero, zero[:1].repeat(dim, 0), jnp.sum(zero), flat == 0)
    return Landscape(stated, dim, None, 0, thresholds, minima, EXACT, EXACT, (*caveats,))


def _search(stated: Form, dim: int, starts: int = 8) -> tuple[Minima, int]:
    size = len(stated.signal)
    draws = jax.random.normal(jax.random.key(0), (starts, dim, size), stated.signal.dtype)
    scale = jnp.trace(stated.negative) / size
    scaled = 0.3 * draws / jnp.sqrt(size * scale)
    ends = jax.vmap(lambda w: minimise(_loss, w, stated, steps=2000, tolerance=1e-9))(scaled)
    if bool(ends.diverged.any()):
        message = (
            "the loss has no minimum: minimisation fell below -1e12, or met values that are not "
            "finite; add weight decay or augmentation"
        )
        raise InputError(message)
    best = jnp.argmin(ends.value)
    weight = ends.point[best]
    gram = weight.T @ weight
    spread = jnp.linalg.eigvalsh(gram * scale)
    rank = int((spread > 1e-4 * jnp.maximum(spread[-1], 1e-4)).sum())
    return Minima(None, None, gram, weight, ends.value[best], dim >= size), rank


def _loss(weight: Array, stated: Form) -> Array:
    return energy(stated, weight)
