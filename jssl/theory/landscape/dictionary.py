r"""The quartic landscape of a loss, a score and a placement of the augmentation.

    L(W) = -Tr[W (B - decay I) W^T] + own Tr[Kn^2] + cross Tr[Ka Kn] + offset m     (L-1, L-3)
    Ka = W cov(anchor) W^T,   Kn = W cov(negative) W^T

With one covariance Sigma for both, the quartic is c4 Tr[(W Sigma W^T)^2], c4 = own + cross. Data x
of covariance A0, additive augmentation e of covariance C, all centred:

    InfoNCE, score -|z - z'|^2 / 2     B = A_neg - A_pos,       own = 1/4, cross = 1/2
    InfoNCE, score z . z'              B = A0,                  own = 0,   cross = 1/2
    spectral contrastive               B = 2 A0,                own = 0,   cross = 1
    Barlow Twins, linearised           B = 2 A0, Sigma = A0,    own = 1
    SimSiam, linear, ||W^T W||^2 / 2   B = A0,   Sigma = I,     own = 1/2
    squared VICReg                     B = 2 (A0 + (1 - invariance) C), Sigma = A0 + C, own = 1
    no negatives                       B = -A_pos,              no quartic

A_pos and A_neg are half the second moments of (anchor - positive) and (anchor - negative). A
temperature T divides B by T and the quartic by T^2; K negatives in addition to the positive
multiply B by K / (K + 1). After Ziyin, Lubana, Ueda, Tanaka, ICLR 2023, arXiv 2210.00638, with
derivations of our own.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.data.checks import require_name, require_range
from jssl.errors import InputError
from jssl.host_arithmetic import host_value
from jssl.manifolds.linalg import matmul
from jssl.theory.landscape.covariances import covariance, known_covariance, known_symmetric
from jssl.types import Array

SIMCLR = "augmented-augmented-augmented"

PLACEMENTS: dict[str, tuple[bool, bool, bool, bool]] = {
    SIMCLR: (True, True, True, True),
    "clean-augmented-clean": (False, True, False, False),
    "clean-augmented-augmented": (False, True, False, True),
    "augmented-augmented-clean": (True, True, True, False),
    "augmented-augmented-both_clean": (True, True, False, False),
}
"""anchor-positive-negatives: whether augmentation acts on the anchor and the positive of a positive
pair, and on the anchor and the negative of a negative pair. They differ for the anchor in
`both_clean` alone, where both sides of a negative pair are clean."""

LOSSES = (
    "barlow_twins_linearized",
    "info_nce_dot",
    "info_nce_euclidean",
    "no_negatives",
    "simsiam_linear",
    "spectral_contrastive",
    "vicreg_squared",
)

_NOT_THIS_FORM = {
    "vicreg": "its hinge is not smooth; take vicreg_squared",
    "barlow_twins": "batch norm divides by the spread; take barlow_twins_linearized",
    "byol_regression": "a stopped gradient has no potential",
    "simsiam": "a stopped gradient has no potential; take simsiam_linear",
    "nt_xent": "the cosine does not depend on scale; use info_nce_euclidean, or "
    "`hard_normalised_loss`",
}

_SMALLEST, _LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)


class Views(NamedTuple):
    """Covariances of the pairs that a loss compares.

    Attributes:
        positive: (d, d) A_pos, half the second moment of anchor - positive, times the alignment.
        anchor: (d, d) covariance of the anchor of a negative pair.
        negative: (d, d) covariance of the negatives.
    """

    positive: Array
    anchor: Array
    negative: Array


class Form(NamedTuple):
    """A quartic landscape, the equation at the top of this file.

    Attributes:
        signal: (d, d) B, symmetric, of any sign, before weight decay.
        anchor: (d, d) covariance in Ka.
        negative: (d, d) covariance in Kn.
        own: coefficient of Tr[Kn^2], >= 0.
        cross: coefficient of Tr[Ka Kn], >= 0.
        decay: weight decay, decay ||W||_F^2.
        data: (d, d) A0; W A0 W^T is what `jssl.run` observes as C.
        offset: constant of the loss for each output dimension.
    """

    signal: Array
    anchor: Array
    negative: Array
    own: Any
    cross: Any
    decay: Any
    data: Array
    offset: float = 0.0


def views(
    data_cov: Any, augmentation_cov: Any, placement: str = SIMCLR, *, alignment: Any = 1.0
) -> Views:
    """Return the covariances of positive and negative pairs under a placement.

    Example:
        >>> seen = views([1.0, 0.5], 0.2, "clean-augmented-clean")
        >>> print(jnp.diag(seen.positive), jnp.diag(seen.negative))
        [0.1 0.1] [1.  0.5]

    Args:
        data_cov: A0, (d,) variances or (d, d).
        augmentation_cov: C, a number, (d,) or (d, d).
        placement: a name in `PLACEMENTS`.
        alignment: weight of the positive term, >= 0.

    Returns:
        Views.

    Raises:
        InputError: for covariances that are not symmetric or not positive semi-definite, an
            unknown placement, a negative alignment.
    """
    require_name("placement", placement, PLACEMENTS)
    require_range("alignment", alignment, 0, _LARGEST)
    data = known_covariance("data_cov", data_cov)
    noise = known_covariance("augmentation_cov", augmentation_cov, len(data))
    seen = _views(data, noise, placement, alignment)
    dtype = jax.dtypes.canonicalize_dtype(data.dtype)
    return Views(*(jnp.asarray(matrix, dtype) for matrix in seen))


def _views(data: Any, noise: Any, placement: str, alignment: Any) -> Views:
    of_anchor, of_positive, of_paired, of_negative = PLACEMENTS[placement]
    positive = alignment * (of_anchor + of_positive) / 2 * noise
    return Views(positive, data + of_paired * noise, data + of_negative * noise)


def form(
    loss: str,
    data_cov: Any,
    augmentation_cov: Any = 0.0,
    *,
    placement: str = SIMCLR,
    temperature: Any = 1.0,
    negatives: float = math.inf,
    weight_decay: Any = 0.0,
    alignment: Any = 1.0,
    invariance: Any = 1.0,
) -> Form:
    """Return the quartic landscape of a loss.

    Example:
        >>> seen = form("info_nce_euclidean", [1.0], 0.5, placement="clean-augmented-clean")
        >>> print(seen.signal, seen.negative, seen.own + seen.cross)
        [[0.75]] [[1.]] 0.75

    Args:
        loss: a name in `LOSSES`.
        data_cov: A0, (d,) variances or (d, d), of centred data; a loss on classes that are not
            centred takes their second moment if it is spectral_contrastive or Barlow Twins.
        augmentation_cov: C, a number, (d,) or (d, d).
        placement: a name in `PLACEMENTS`.
        temperature: > 0, of InfoNCE.
        negatives: K for each anchor, with the positive in the denominator; infinite for many, or
            for a loss without the positive there. For finite K only the thresholds are correct.
        weight_decay: >= 0, multiplies ||W||_F^2.
        alignment: weight of the positive term of info_nce_euclidean, >= 0.
        invariance: weight of vicreg_squared, >= 0.

    Returns:
        Form.

    Raises:
        InputError: for an unknown loss or one without such a landscape, as `views`, and for
            numbers out of range.

    References:
        arXiv 2210.00638; L-1 to L-4 of this library's notes.
    """
    if loss in _NOT_THIS_FORM:
        message = f"{loss} has no landscape of this form: {_NOT_THIS_FORM[loss]}"
        raise InputError(message)
    require_name("loss", loss, LOSSES)
    require_name("placement", placement, PLACEMENTS)
    require_range("alignment", alignment, 0, _LARGEST)
    require_range("weight_decay", weight_decay, 0, _LARGEST)
    require_range("negatives", negatives, 1)
    require_range("invariance", invariance, 0, _LARGEST)
    known = host_value(temperature)
    if known is not None and not ((known > 0) & (known <= _LARGEST)).all():
        message = f"temperature must be positive and finite; got {temperature}"
        raise InputError(message)
    known = host_value(alignment)
    if loss != "info_nce_euclidean" and (known is None or known != 1):
        message = f"alignment belongs to info_nce_euclidean; {loss} has no such argument"
        raise InputError(message)
    if loss == "vicreg_squared" and placement != SIMCLR:
        message = f"vicreg_squared has both views augmented; placement must be {SIMCLR!r}"
        raise InputError(message)
    data = known_covariance("data_cov", data_cov)
    noise = known_covariance("augmentation_cov", augmentation_cov, len(data))
    seen = _views(data, noise, placement, alignment)
    share = 1.0 if negatives == math.inf else negatives / (negatives + 1)
    rate, square = share / temperature, 1 / temperature**2
    parts: tuple[Any, ...] = {
        "info_nce_euclidean": lambda: (
            rate * ((seen.anchor + seen.negative) / 2 - seen.positive),
            *(seen.anchor, seen.negative, square / 4, square / 2, 0.0),
        ),
        "info_nce_dot": lambda: (rate * data, seen.anchor, seen.negative, 0.0, square / 2, 0.0),
        "spectral_contrastive": lambda: (2 * data, seen.anchor, seen.negative, 0.0, 1.0, 0.0),
        "barlow_twins_linearized": lambda: (2 * data, data, data, 1.0, 0.0, 1.0),
        "simsiam_linear": lambda: (data, *[np.eye(len(data), dtype=data.dtype)] * 2, 0.5, 0, 0.0),
        "vicreg_squared": lambda: (
            2 * (data + (1 - invariance) * noise),
            *(data + noise, data + noise, 1.0, 0.0, 1.0),
        ),
        "no_negatives": lambda: (-seen.positive / temperature, data, data, 0.0, 0.0, 0.0),
    }[loss]()
    *matrices, own, cross, offset = parts
    dtype = jax.dtypes.canonicalize_dtype(data.dtype)
    signal, anchor, negative, of_data = (jnp.asarray(x, dtype) for x in (*matrices, data))
    return Form(signal, anchor, negative, own, cross, weight_decay, of_data, offset)


def general_form(
    signal: Any, covariance_: Any, quartic: Any = 0.75, *, weight_decay: Any = 0.0
) -> Form:
    """Return the landscape -Tr[W (B - decay) W^T] + c4 Tr[(W Sigma W^T)^2] of given matrices.

    Example:
        >>> print(general_form([1.0, -0.5], [1.0, 2.0]).signal)
        [[ 1.   0. ]
         [ 0.  -0.5]]

    Args:
        signal: B, (d,) or (d, d) symmetric, of any sign.
        covariance_: Sigma, (d,) or (d, d), positive semi-definite.
        quartic: c4 > 0.
        weight_decay: >= 0.

    Raises:
        InputError: for matrices that do not fit and numbers out of range.
    """
    require_range("weight_decay", weight_decay, 0, _LARGEST)
    require_range("quartic", quartic, _SMALLEST, _LARGEST)
    spread = covariance("covariance", covariance_)
    signal = jnp.asarray(known_symmetric("signal", signal, len(spread)))
    return Form(signal, spread, spread, quartic, 0.0, weight_decay, spread)


def energy(form: Form, weight: Array) -> Array:
    """Return the loss of weights (..., m, d) in the quartic landscape.

    Example:
        >>> landscape = form("info_nce_dot", [1.0])
        >>> print(energy(landscape, jnp.ones((1, 1))))
        -0.5
    """
    decayed = decayed_signal(form)
    of_anchor, of_negative = (
        matmul(matmul(weight, spread), weight.mT) for spread in (form.anchor, form.negative)
    )
    quadratic = jnp.sum(matmul(weight, decayed) * weight, axis=(-2, -1))
    own = jnp.sum(of_negative**2, axis=(-2, -1))
    cross = jnp.sum(of_anchor * of_negative, axis=(-2, -1))
    return form.own * own + form.cross * cross - quadratic + form.offset * weight.shape[-2]


def decayed_signal(form: Form) -> Array:
    """Return B - decay I."""
    decay = host_value(form.decay)
    if decay is not None and not decay.any():
        return form.signal
    return form.signal - form.decay * np.eye(len(form.signal), dtype=form.signal.dtype)
