r"""Contrastive loss with hard negatives: bounds, when the simplex of classes is a minimum, rates.

With C classes, temperature T, c = C / ((C - 1) T) and negatives weighted by exp(beta f . f_i), the
least loss is log(1 + q e^(-c)) for every hardness beta; it is attained by one point a class with
inner products -1/(C - 1), the simplex (I-37). Hardness makes the way there faster (I-42), and
without labels and with a gradient through the weights it makes the simplex unstable (I-40).

References:
    Jiang, Nguyen, Aeron, Ishwar, arXiv 2311.05139, for I-37; the rest is derived here.
"""

import math

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binom

from jssl.data.checks import require_count
from jssl.errors import InputError
from jssl.memory import require_memory
from jssl.number_checks import require_flag, require_number

_CLASSES = 2**31 - 1
_NEGATIVES = 10_000_000
_LARGEST = 1e100  # hardness, temperature and weight of negatives


def class_frame(classes: int) -> np.ndarray:
    """Return the simplex: (C, C - 1) unit vectors with inner products -1/(C - 1).

    Example:
        >>> frame = class_frame(3)
        >>> print((frame @ frame.T).round(3)[0])
        [ 1.  -0.5 -0.5]
    """
    _check(classes)
    require_memory(f"the simplex of {classes:,} classes", 40.0 * classes**2, "take fewer classes")
    centred = np.eye(classes) - 1 / classes
    values, vectors = np.linalg.eigh(centred)
    frame = vectors[:, values > 0.5]
    return frame / np.linalg.norm(frame, axis=1, keepdims=True)


def supervised_bound(
    classes: int, *, temperature: float = 1.0, negative_weight: float = 1.0
) -> float:
    """Return log(1 + q e^(-c)), the least supervised loss for every hardness (I-37).

    Example:
        >>> round(supervised_bound(4), 8)
        0.23396253

    Args:
        classes: C >= 2; the simplex needs C - 1 dimensions.
        temperature: T > 0.
        negative_weight: q >= 0.
    """
    negative_weight = require_number("negative_weight", negative_weight, low=0, high=_LARGEST)
    return math.log1p(negative_weight * math.exp(-_gap(classes, temperature)))


def unsupervised_bound(
    classes: int, negatives: int, *, temperature: float = 1.0, negative_weight: float = 1.0
) -> float:
    """Return the least loss with k negatives of any class, which collide with the anchor's (I-39).

    Example:
        >>> round(unsupervised_bound(3, 2), 6)
        0.378625

    For positives that are independent of the anchor given the class.

    Args:
        classes: C >= 2.
        negatives: k from 1 to 10,000,000.
        temperature: T > 0.
        negative_weight: q >= 0.
    """
    return frame_loss(classes, negatives, temperature=temperature, negative_weight=negative_weight)


def frame_loss(
    classes: int,
    negatives: int,
    *,
    hardness: float = 0.0,
    temperature: float = 1.0,
    negative_weight: float = 1.0,
) -> float:
    """Return the unsupervised loss at the simplex with negatives sampled by hardness (I-40).

    Example:
        >>> round(frame_loss(3, 2, hardness=2.0), 8)
        0.65354636

    Args:
        classes: C >= 2.
        negatives: k from 1 to 10,000,000.
        hardness: beta >= 0.
        temperature: T > 0.
        negative_weight: q >= 0.
    """
    gap = _gap(classes, temperature)
    negatives = require_count("negatives", negatives, high=_NEGATIVES)
    hardness = require_number("hardness", hardness, low=0, high=_LARGEST)
    negative_weight = require_number("negative_weight", negative_weight, low=0, high=_LARGEST)
    same = np.arange(negatives + 1)
    chance = binom.pmf(same, negatives, _collision(classes, hardness))
    load = (same + (negatives - same) * math.exp(-gap)) / negatives
    return float(chance @ np.log1p(negative_weight * load))


def collision_share(classes: int, per_class: int) -> float:
    """Return the share of the negatives that have the anchor's class, in a finite set (I-39).

    Example:
        >>> round(collision_share(10, 5), 4)
        0.0816

    Args:
        classes: C >= 2.
        per_class: n >= 1 samples of each class, drawn without the anchor.
    """
    _check(classes)
    per_class = require_count("per_class", per_class, high=_CLASSES)
    return (per_class - 1) / (per_class * classes - 1)


def critical_hardness(classes: int, *, temperature: float = 1.0) -> float:
    """Return beta above which the simplex of unit vectors is no minimum in the unit ball (I-40).

    Example:
        >>> print(round(critical_hardness(8), 4), round(critical_hardness(4), 4))
        1.252 0.752

    For the unsupervised loss with infinitely many negatives and a gradient through the weights.
    There negatives of other classes are attracted, so that shorter vectors have a lower loss. With
    normalised vectors the simplex stays a minimum above it; with fixed weights it stays stationary.

    Args:
        classes: C >= 2.
        temperature: T > 0; below about 1/700 the result is less than the least float64, and 0.
    """
    gap = _gap(classes, temperature)

    def excess(log_hardness: float) -> float:
        hardness = math.exp(log_hardness)
        log_share = -math.log1p((classes - 1) * math.exp(-hardness * classes / (classes - 1)))
        return log_share + log_gain + log_hardness

    log_gain = gap + math.log(-math.expm1(-gap)) + math.log(temperature)
    low = -log_gain  # the share is 1 there at most
    high = low + math.log(classes)
    return float(math.exp(brentq(excess, low, high, xtol=1e-14, rtol=1e-14)))


def relaxation_rate(
    classes: int,
    *,
    hardness: float = 0.0,
    temperature: float = 1.0,
    negative_weight: float = 1.0,
    weight_gradient: bool = False,
) -> float:
    r"""Return the rate at which unequal angles of the simplex relax (I-42).

    Example:
        >>> plain, hard = relaxation_rate(5), relaxation_rate(5, hardness=5.0)
        >>> print(round(plain, 6), round(hard / plain, 6))
        0.055675 6.0

    $$\frac{4 P \kappa}{T^2 (C - 1)^2}, \qquad P = \frac{q e^{-c}}{1 + q e^{-c}}$$

    with kappa = 1 + beta T for fixed weights and 1 + 2 beta T with their gradient. For free unit
    vectors and the loss averaged over anchors; this is what hardness adds under normalisation.

    Args:
        classes: C >= 4, so that there are unequal angles.
        hardness: beta >= 0.
        temperature: T > 0.
        negative_weight: q > 0.
        weight_gradient: whether the weights are differentiated.
    """
    negative_weight = require_number("negative_weight", negative_weight, low=0, high=_LARGEST)
    odds = negative_weight * math.exp(-_gap(classes, temperature))
    hardness = require_number("hardness", hardness, low=0, high=_LARGEST)
    weight_gradient = require_flag("weight_gradient", weight_gradient)
    factor = 1 + (2 if weight_gradient else 1) * hardness * temperature
    if classes < 4:
        message = "need at least 4 classes: fewer classes have no unequal angles"
        raise InputError(message)
    return 4 * odds / (1 + odds) * factor / (temperature * (classes - 1)) ** 2


def _collision(classes: int, hardness: float) -> float:
    return 1 / (1 + (classes - 1) * math.exp(-hardness * classes / (classes - 1)))


def _gap(classes: int, temperature: float) -> float:
    _check(classes)
    temperature = require_number("temperature", temperature, above=0)
    temperature = require_number("temperature", temperature, low=1 / _LARGEST, high=_LARGEST)
    return classes / ((classes - 1) * temperature)


def _check(classes: int) -> None:
    require_count("classes", require_count("classes", classes, low=2), low=2, high=_CLASSES)
