r"""Gaussian expectations of the activations built on the normal and the logistic distribution.

The logistic function is a mean of normal distribution functions Phi (Andrews and Mallows 1974),

    sigmoid(x) = E_k Phi(x / 2k),    k of Kolmogorov's distribution,

and the Gaussian expectations of the activations built on it are closed for every single k. With u,
v Gaussian of variances p, q and covariance c, and independent k, k',

    s, t = 4 k^2, 4 k'^2  (k^2, k'^2 for tanh; 1/2 for erf and 1 for gelu, both without a mean),
    D = (p + s) (q + t) - c^2,    R = (2 / pi) arctan(c / sqrt(D)),    P = dR/dc = 2 / (pi sqrt(D)),
    h = s / (p + s) + t / (q + t),    M = p q - c^2 + h c^2,

    E[tanh tanh] = E R,  the same for erf,    E[sigmoid sigmoid] = E (1 + R) / 4,
    E[silu silu] = E [c (1 + R) + P M] / 4,  the same for gelu,
    E[softplus softplus] = E [sqrt(D) + c (1 + R) pi / 2] / (2 pi),

the expectations of their derivatives are the derivatives with respect to c (Price's theorem). A
Gauss rule over log k of TERMS nodes leaves a relative error below 1e-9, at standard deviations of
u and v from 1e-3 to 1e3 and every correlation. Terms are positive, so nothing cancels, and the
kernels are positive semi-definite.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.models.correlation import namespace
from jssl.types import Array

TERMS = 10
"""Nodes of the rule over k: a pair of inputs costs TERMS^2 arctangents."""

Mean = Callable[[Array, Array, Array], Array]
"""`mean(covariance, variance of u, variance of v) -> expectation`, scalars."""


class Dual(NamedTuple):
    """Gaussian expectations of an activation.

    Attributes:
        value: E[phi(u) phi(v)].
        slope: E[phi'(u) phi'(v)].
    """

    value: Mean
    slope: Mean


class _Term(NamedTuple):
    covariance: Array  # c
    determinant: Array  # p q - c^2
    root: Array  # sqrt(D)
    share: Array  # h
    noise: Array  # s t

    def arctan(self) -> Array:
        """Return R."""
        part, _, inside, half = self._parts()
        return 2 / np.pi * namespace(part).where(inside, part, half - part)

    def one_and_arctan(self) -> Array:
        """Return 1 + R, without cancellation where R is near -1."""
        part, right, inside, half = self._parts()
        return 2 / np.pi * namespace(part).where(inside, right + part, (right + half) - part)

    def _parts(self) -> tuple[Array, Array, Array, Array]:
        """Return arctan of c / sqrt(D) or, beyond 1, of its inverse; pi / 2; which; +-pi / 2."""
        xp = namespace(self.covariance, self.root)
        inside = xp.abs(self.covariance) <= self.root
        over = xp.where(inside, self.root, self.covariance)
        right = xp.asarray(np.pi / 2, over.dtype)
        part = arctan(xp.where(inside, self.covariance, self.root) / over)
        return part, right, inside, xp.where(self.covariance > 0, right, -right)


def _beyond_first(square: np.ndarray) -> np.ndarray:
    root = np.sqrt(square)
    return (np.arctan(root) - root) / (root * square)


def _arctan_series(terms: int) -> list[float]:
    """Return p of arctan(x) = x + x^3 p(x^2); its Chebyshev terms fall as (3 + sqrt(8))^-k."""
    series = np.polynomial.Chebyshev.interpolate(_beyond_first, terms - 1, domain=(0, 1))
    return series.convert(kind=np.polynomial.Polynomial).coef.tolist()


_ARCTAN = {64: _arctan_series(17), 32: _arctan_series(8)}


def arctan(x: Any) -> Any:
    """Return the arctangent of |x| <= 1 to 1e-13, or 1e-7 in float32: faster on CPUs than XLA's."""
    if isinstance(x, np.ndarray):
        return np.arctan(x)
    series = _ARCTAN[64 if jnp.finfo(x.dtype).bits > 32 else 32]
    square, total = x * x, jnp.full_like(x, series[-1])
    for coefficient in series[-2::-1]:
        total = total * square + coefficient
    return x + x * square * total


def _softplus(a: _Term) -> Array:
    return a.root / (2 * np.pi) + a.covariance * a.one_and_arctan() / 4


def _silu(a: _Term) -> Array:
    middle = a.determinant + a.share * a.covariance**2
    return (a.covariance * a.one_and_arctan() + 2 / np.pi * middle / a.root) / 4


def _silu_slope(a: _Term) -> Array:
    # 2 h - 1 + M / D, in positive terms
    bracket = a.share + a.noise / a.root**2
    return (a.one_and_arctan() + 2 / np.pi * a.covariance / a.root * bracket) / 4


class Rule(NamedTuple):
    """An activation's two expectations for single s and t, and the values that these take.

    Attributes:
        value: of E[phi(u) phi(v)].
        slope: of E[phi'(u) phi'(v)].
        noise: s and t; None for the mixture.
        scale: s = scale k^2 in the mixture.
    """

    value: Callable[[_Term], Array]
    slope: Callable[[_Term], Array]
    noise: float | None = None
    scale: float = 4.0

    def nodes(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the values of s and their weights."""
        if self.noise is not None:
            return np.array([self.noise]), np.ones(1)
        nodes, weights = mixture()
        return self.scale * nodes**2, weights


_TANH = (lambda a: a.arctan(), lambda a: 2 / (np.pi * a.root))
_SIGMOID = (lambda a: a.one_and_arctan() / 4, lambda a: 1 / (2 * np.pi * a.root))

RULES = {
    "erf": Rule(*_TANH, noise=0.5),
    "gelu": Rule(_silu, _silu_slope, noise=1.0),
    "sigmoid": Rule(*_SIGMOID),
    "silu": Rule(_silu, _silu_slope),
    "softplus": Rule(_softplus, _SIGMOID[0]),
    "tanh": Rule(*_TANH, scale=1.0),
}
"""Name -> its rule."""


def expectations(
    rule: Rule, covariance: Any, determinant: Any, first: Any, second: Any
) -> tuple[Any, Any]:
    """Return E[phi(u) phi(v)] and E[phi'(u) phi'(v)], in NumPy for NumPy arrays.

    Example:
        >>> one, zero = np.ones(1), np.zeros(1)
        >>> value, slope = expectations(RULES["erf"], one, zero, one, one)
        >>> np.round([value[0], slope[0]], 6).tolist()  # (2 / pi) arcsin(2 / 3), 4 / (pi sqrt(5))
        [0.464559, 0.56941]

    Args:
        rule: of the activation.
        covariance: c, (n1, n2).
        determinant: p q - c^2 >= 0, (n1, n2).
        first: p, (n1, 1) or alike.
        second: q, (1, n2) or alike.
    """
    xp = namespace(covariance, determinant, first, second)
    nodes, weights = (a.astype(covariance.dtype) for a in rule.nodes())

    def terms(s: Any, t: Any) -> tuple[Any, Any]:
        root = xp.sqrt(determinant + first * t + second * s + s * t)
        share = s / (first + s) + t / (second + t)
        term = _Term(covariance, determinant, root, share, s * t)
        return rule.value(term), rule.slope(term)

    if len(nodes) == 1:
        return terms(nodes[0], nodes[0])
    s, t = (np.ravel(a) for a in np.meshgrid(nodes, nodes, indexing="ij"))
    triples = (s, t, np.ravel(np.outer(weights, weights)))
    totals = xp.zeros_like(covariance), xp.zeros_like(covariance)
    if xp is np:
        for s_, t_, weight in zip(*triples, strict=True):
            for total, part in zip(totals, terms(s_, t_), strict=True):
                total += weight * part
        return totals

    def add(totals: tuple[Any, Any], triple: tuple[Array, ...]) -> tuple[Any, None]:
        s_, t_, weight = triple
        value, slope = terms(s_, t_)
        return (totals[0] + weight * value, totals[1] + weight * slope), None

    arrays = tuple(jnp.asarray(a) for a in triples)
    found: tuple[Any, Any] = jax.lax.scan(add, totals, arrays, unroll=4)[0]
    return found


def _dual(rule: Rule) -> Dual:
    """Return the expectations as functions of the covariance and the variances alone."""

    def both(covariance: Array, first: Array, second: Array) -> tuple[Array, Array]:
        size = jnp.abs(covariance)
        determinant = first * (second - size) + size * (first - size)  # exactly 0 at equal points
        determinant = jnp.where(determinant > 0, determinant, 0)
        return expectations(rule, covariance, determinant, first, second)

    return Dual(lambda *a: both(*a)[0], lambda *a: both(*a)[1])


DUALS = {name: _dual(RULES[name]) for name in ("sigmoid", "silu", "softplus", "tanh")}
"""Name -> its expectations, of those that neural-tangents does not have."""


@functools.cache
def mixture() -> tuple[np.ndarray, np.ndarray]:
    """Return nodes k and weights of the mean over Kolmogorov's distribution.

    Example:
        >>> import scipy.special
        >>> k, weights = mixture()
        >>> round(float(weights @ scipy.special.ndtr(3.0 / (2 * k))), 7)  # 1 / (1 + exp(-3))
        0.9525741

    The Gauss rule for log k, from the distribution on a grid fine enough for float64.

    Returns:
        Two arrays (TERMS,); the weights are positive with sum 1.

    References:
        Andrews and Mallows, J. R. Statist. Soc. B 36 (1974) 99; Monahan and Stefanski, Handbook of
        the Logistic Distribution (1992), for approximations with few terms.
    """
    import scipy.stats  # takes half a second, so only where a kernel is used

    logs = np.linspace(np.log(0.1), np.log(6.0), 1001)
    density = scipy.stats.kstwobign.pdf(np.exp(logs)) * np.exp(logs)
    root = np.sqrt(density / density.sum())
    basis: Any = np.polynomial.chebyshev.chebvander(np.linspace(-1, 1, len(logs)), TERMS - 1)
    orthonormal = np.linalg.qr(basis * root[:, None])[0]
    nodes, vectors = np.linalg.eigh(orthonormal.T @ (logs[:, None] * orthonormal))
    return np.exp(nodes), vectors[0] ** 2
