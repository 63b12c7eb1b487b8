r"""Gaussian expectations of tanh, sigmoid, softplus and silu, at any scale of their inputs.

The logistic function is a mean of normal distribution functions Phi (Andrews and Mallows 1974),

    sigmoid(x) = E_k Phi(x / 2k),    k of Kolmogorov's distribution,

and the Gaussian expectations of the four activations built on it are closed for every single k.
With u, v Gaussian of variances p, q and covariance c, and independent k, k',

    s, t = 4 k^2, 4 k'^2  (k^2, k'^2 for tanh),
    D = (p + s) (q + t) - c^2,    R = (2 / pi) arctan(c / sqrt(D)),    P = dR/dc = 2 / (pi sqrt(D)),
    h = s / (p + s) + t / (q + t),    M = p q - c^2 + h c^2,

    E[tanh tanh] = E R,                    E[sigmoid sigmoid] = E (1 + R) / 4,
    E[silu silu] = E [c (1 + R) + P M] / 4,
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

    def arctan(self) -> Array:
        """Return R."""
        part, _, inside, half = self._parts()
        return 2 / jnp.pi * jnp.where(inside, part, half - part)

    def one_and_arctan(self) -> Array:
        """Return 1 + R, without cancellation where R is near -1."""
        part, right, inside, half = self._parts()
        return 2 / jnp.pi * jnp.where(inside, right + part, (right + half) - part)

    def _parts(self) -> tuple[Array, Array, Array, Array]:
        """Return arctan of c / sqrt(D) or, beyond 1, of its inverse; pi / 2; which; +-pi / 2."""
        inside = jnp.abs(self.covariance) <= self.root
        over = jnp.where(inside, self.root, self.covariance)
        right = jnp.asarray(jnp.pi / 2, over.dtype)
        part = _arctan(jnp.where(inside, self.covariance, self.root) / over)
        return part, right, inside, jnp.where(self.covariance > 0, right, -right)


def _beyond_first(square: np.ndarray) -> np.ndarray:
    root = np.sqrt(square)
    return (np.arctan(root) - root) / (root * square)


# arctan(x) = x + x^3 p(x^2); terms of the Chebyshev series of p fall as (3 + sqrt(8))^-k.
_ARCTAN = (
    np.polynomial.Chebyshev.interpolate(_beyond_first, 16, domain=(0, 1))
    .convert(kind=np.polynomial.Polynomial)
    .coef.tolist()
)


def _arctan(x: Array) -> Array:
    """Return arctan(x), |x| <= 1, to 1e-13: faster on CPUs than XLA's, which is exact."""
    square, total = x * x, jnp.full_like(x, _ARCTAN[-1])
    for coefficient in _ARCTAN[-2::-1]:
        total = total * square + coefficient
    return x + x * square * total


def _softplus(a: _Term) -> Array:
    return a.root / (2 * jnp.pi) + a.covariance * a.one_and_arctan() / 4


def _silu(a: _Term) -> Array:
    middle = a.determinant + a.share * a.covariance**2
    return (a.covariance * a.one_and_arctan() + 2 / jnp.pi * middle / a.root) / 4


def _silu_slope(a: _Term) -> Array:
    middle = a.determinant + a.share * a.covariance**2
    bracket = 2 * a.share - 1 + middle / a.root**2
    return (a.one_and_arctan() + 2 / jnp.pi * a.covariance / a.root * bracket) / 4


def _mean(term: Callable[[_Term], Array], scale: float) -> Mean:
    """Return the mean of a term over k and k', with s = scale k^2."""

    def mean(covariance: Array, first: Array, second: Array) -> Array:
        nodes, weights = (jnp.asarray(a, covariance.dtype) for a in mixture())
        noise = scale * nodes**2
        size = jnp.abs(covariance)
        determinant = first * (second - size) + size * (first - size)  # exactly 0 at equal points
        determinant = jnp.where(determinant > 0, determinant, 0)

        def add(total: Array, pair: tuple[Array, Array, Array]) -> tuple[Array, None]:
            s, t, weight = pair
            root = jnp.sqrt(determinant + first * t + second * s + s * t)
            share = s / (first + s) + t / (second + t)
            value = term(_Term(covariance, determinant, root, share))
            return total + weight * value, None

        s, t = (jnp.ravel(a) for a in jnp.meshgrid(noise, noise, indexing="ij"))
        pairs = (s, t, jnp.ravel(jnp.outer(weights, weights)))
        return jax.lax.scan(add, jnp.zeros_like(covariance), pairs, unroll=4)[0]

    return mean


_SIGMOID = Dual(
    _mean(lambda a: a.one_and_arctan() / 4, 4.0), _mean(lambda a: 1 / (2 * jnp.pi * a.root), 4.0)
)

DUALS = {
    "sigmoid": _SIGMOID,
    "silu": Dual(_mean(_silu, 4.0), _mean(_silu_slope, 4.0)),
    "softplus": Dual(_mean(_softplus, 4.0), _SIGMOID.value),
    "tanh": Dual(
        _mean(lambda a: a.arctan(), 1.0),
        _mean(lambda a: 2 / (jnp.pi * a.root), 1.0),
    ),
}
"""Name -> its expectations."""


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
