r"""Gaussian expectations of an activation at every pair of inputs, as the dense kernels need them.

For u, v Gaussian of variances p, q and correlation 1 - gap,

    C = E[phi(u) phi(v)],    P = E[phi(u)^2],    Q = E[phi(v)^2],    slope = E[phi'(u) phi'(v)],

the covariance C of the activations is given by its own gap, 1 - C / sqrt(P Q). For relu, with
cos(angle) = 1 - gap (Cho and Saul 2009),

    gap' = gap - (sin(angle) - angle cos(angle)) / pi,    slope = (pi - angle) / (2 pi),

which keeps the digits of a small gap. The angle comes from the tangent of its half,
sqrt(gap / (2 - gap)), and one arctangent on [0, 1].

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


class Activated(NamedTuple):
    """Gap of the covariance of an activation, and expectation of its derivatives.

    Attributes:
        gap: (n1, n2) 1 - C / sqrt(P Q).
        slope: (n1, n2) E[phi'(u) phi'(v)].
    """

    gap: Any
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


def activate(name: str, gap: Any, first: Any, second: Any, after: tuple[Any, Any]) -> Activated:
    """Return the gap after an activation and the expectation of its derivatives.

    Example:
        >>> one = np.ones((1, 1))
        >>> found = activate("relu", one, one, one, (one, one))  # uncorrelated
        >>> found.gap.round(6).tolist(), found.slope.tolist()  # 1 - 1 / pi
        ([[0.68169]], [[0.25]])

    Args:
        name: of the activation.
        gap: (n1, n2) in [0, 2].
        first: (n1, 1) standard deviations.
        second: (1, n2).
        after: `root_mean_square` of both.
    """
    if name == "linear":
        return Activated(gap, namespace(gap).ones_like(gap))
    if name == "relu":
        return _relu(gap)
    if name == "leaky_relu":
        inner, share = _relu(gap), (1 - LEAK) ** 2
        mixed = (2 * LEAK * gap + share * inner.gap) / (1 + LEAK**2)
        return Activated(mixed, LEAK + share * inner.slope)
    if name == "sin":
        value, slope = _sin(gap, first, second)
    else:
        product = first * second
        value, slope = logistic.expectations(
            logistic.RULES[name],
            product * (1 - gap),
            product * product * (gap * (2 - gap)),
            first * first,
            second * second,
        )
    return Activated(gap_of(value, *after), slope)


def gap_of(covariance: Any, first: Any, second: Any) -> Any:
    """Return 1 - c / sqrt(p q) in [0, 2], 1 where p q = 0; the roots are given."""
    xp = namespace(covariance, first, second)
    size = first * second
    positive = size > 0
    return xp.clip(1 - covariance / xp.where(positive, size, 1), 0, 2)


def _relu(gap: Any) -> Activated:
    xp = namespace(gap)
    other = 2 - gap
    large = xp.maximum(gap, other)
    tangent = safe_root(xp.minimum(gap, other) / large)
    half = 2 * logistic.arctan(tangent)
    angle = xp.where(gap <= 1, half, np.pi - half)
    after = gap - (tangent * large - angle * (1 - gap)) / np.pi
    return Activated(xp.clip(after, 0, 2), (np.pi - angle) / (2 * np.pi))


def _sin(gap: Any, first: Any, second: Any) -> tuple[Any, Any]:
    """Return exp(-(p + q) / 2) times sinh and cosh of the covariance."""
    xp, product = namespace(gap, first, second), first * second
    difference = (first - second) ** 2
    near = xp.exp(-(difference + 2 * product * gap) / 2)
    far = xp.exp(-(difference + 2 * product * (2 - gap)) / 2)
    return (near - far) / 2, (near + far) / 2
