r"""Gaussian expectations of an activation at every pair of inputs, as the dense kernels need them.

For u, v Gaussian of variances p, q and correlation r, given as its gaps 1 - r and 1 + r,

    C = E[phi(u) phi(v)],    P = E[phi(u)^2],    Q = E[phi(v)^2],    slope = E[phi'(u) phi'(v)],

the covariance C of the activations is given by gaps as well, 1 -+ C / sqrt(P Q). For relu, with
cos(angle) = r and gap = 1 - r (Cho and Saul 2009),

    gap' = gap - (sin(angle) - angle cos(angle)) / pi,    slope = (pi - angle) / (2 pi),

which keeps the digits of a small gap. The angle comes from the tangent of its half,
sqrt((1 - r) / (1 + r)), and one arctangent on [0, 1].

References:
    Cho and Saul, NIPS 2009; Williams, NIPS 1997 (erf); Tsuchida, Pearce, van der Heide, Roosta,
    Gallagher, arXiv 2002.08517 (gelu); `jssl.models.logistic`.
"""

from typing import Any, NamedTuple

import numpy as np

from jssl.models import logistic
from jssl.models.activations import LEAK
from jssl.models.correlation import namespace, safe_root

NUMPY_COST = {"linear": 2, "leaky_relu": 45, "relu": 40, "sin": 80, "erf": 60, "gelu": 80}
"""Name -> nanoseconds of NumPy for a pair of inputs in a layer; 5,000 for those not named."""


class Gaps(NamedTuple):
    """Both gaps of a correlation r, in [0, 2]; their sum is 2, and the smaller has its digits.

    Attributes:
        equal: (n1, n2) 1 - r, 0 for equal inputs.
        opposite: (n1, n2) 1 + r, 0 for opposite inputs.
    """

    equal: Any
    opposite: Any


class Activated(NamedTuple):
    """Gaps of the covariance of an activation, and expectation of its derivatives.

    Attributes:
        gaps: (n1, n2) 1 - C / sqrt(P Q) and 1 + C / sqrt(P Q).
        slope: (n1, n2) E[phi'(u) phi'(v)].
    """

    gaps: Gaps
    slope: Any


def root_mean_square(name: str, root: Any) -> Any:
    """Return sqrt(E[phi(u)^2]) for u of standard deviation `root`.

    Example:
        >>> root_mean_square("relu", np.array([2.0])).round(6).tolist()
        [1.414214]

    Args:
        name: of the activation.
        root: (n,) standard deviations.
    """
    if name == "linear":
        return root
    if name == "relu":
        return root / np.sqrt(2)
    if name == "leaky_relu":
        return root * np.sqrt((1 + LEAK**2) / 2)
    square = root * root
    if name == "sin":
        return safe_root(-namespace(root).expm1(-2 * square) / 2)
    zero = namespace(root).zeros_like(root)
    return safe_root(logistic.expectations(logistic.RULES[name], square, zero, square, square)[0])


def activate(name: str, gaps: Gaps, first: Any, second: Any, after: tuple[Any, Any]) -> Activated:
    """Return the gaps after an activation and the expectation of its derivatives.

    Example:
        >>> one = np.ones((1, 1))
        >>> found = activate("relu", Gaps(one, one), one, one, (one, one))  # uncorrelated
        >>> found.gaps.equal.round(6).tolist(), found.slope.tolist()  # 1 - 1 / pi
        ([[0.68169]], [[0.25]])

    Args:
        name: of the activation.
        gaps: (n1, n2) of the correlation of u and v.
        first: (n1, 1) standard deviations.
        second: (1, n2).
        after: `root_mean_square` of both.
    """
    gap = gaps.equal
    if name == "linear":
        return Activated(gaps, namespace(gap).ones_like(gap))
    if name == "relu":
        return _relu(gaps)
    if name == "leaky_relu":
        inner, share = _relu(gaps), (1 - LEAK) ** 2
        mixed = (2 * LEAK * gap + share * inner.gaps.equal) / (1 + LEAK**2)
        return Activated(_with_opposite(mixed), LEAK + share * inner.slope)
    if name == "sin":
        value, slope = _sin(gaps, first, second)
    else:
        product = first * second
        value, slope = logistic.expectations(
            logistic.RULES[name],
            product * (1 - gap),
            product * product * (gap * gaps.opposite),
            first * first,
            second * second,
        )
    return Activated(_with_opposite(gap_of(value, *after)), slope)


def gap_of(covariance: Any, first: Any, second: Any) -> Any:
    """Return 1 - c / sqrt(p q) in [0, 2], 1 where p q = 0; the roots are given."""
    xp = namespace(covariance, first, second)
    size = first * second
    positive = size > 0
    return xp.clip(1 - covariance / xp.where(positive, size, 1), 0, 2)


def _with_opposite(gap: Any) -> Gaps:
    return Gaps(gap, 2 - gap)


def _relu(gaps: Gaps) -> Activated:
    gap, xp = gaps.equal, namespace(*gaps)
    large = xp.maximum(*gaps)
    tangent = safe_root(xp.minimum(*gaps) / large)
    small = 2 * logistic.arctan(tangent)
    is_near, rest = gap <= 1, np.pi - small
    angle, supplement = xp.where(is_near, small, rest), xp.where(is_near, rest, small)
    after = gap - (tangent * large - angle * (1 - gap)) / np.pi
    return Activated(_with_opposite(xp.clip(after, 0, 2)), supplement / (2 * np.pi))


def _sin(gaps: Gaps, first: Any, second: Any) -> tuple[Any, Any]:
    """Return exp(-(p + q) / 2) times sinh and cosh of the covariance."""
    xp, product = namespace(*gaps, first, second), first * second
    difference = (first - second) ** 2
    near = xp.exp(-(difference + 2 * product * gaps.equal) / 2)
    far = xp.exp(-(difference + 2 * product * gaps.opposite) / 2)
    covariance = product * (1 - gaps.equal)
    # near - far, without cancellation where the covariance is small
    apart = -xp.expm1(-2 * xp.abs(covariance)) * xp.maximum(near, far)
    return xp.copysign(apart, covariance) / 2, (near + far) / 2
