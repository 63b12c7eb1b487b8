r"""VICReg with squared variances, linear embedding: what grows first, what remains at the end.

    L = ||W Sigma W^T - I||_F^2 + beta tr(W Delta W^T),    Delta = 2 (Sigma - Gamma)
    dW/dt = -dL/dW = 4 (W M - W Sigma W^T W Sigma),         M = (1 - beta) Sigma + beta Gamma

for centred views with second moment Sigma and cross moment Gamma. tr(W Delta W^T) is the mean
squared distance of the two embeddings of a pair. Three results:

    small start     W grows along the eigenvectors of M, each like e^{4 mu_j t}
    final state     M v = tau Sigma v: the embedding's covariance ends with eigenvalues
                    max(0, tau_j), j <= d, and L = d - sum_j max(0, tau_j)^2
    commuting case  [Sigma, Gamma] = 0 and an aligned start: modes evolve by themselves, with
                    s_j^2 = 1 / (sigma_j^2 / mu_j + (s_j(0)^-2 - sigma_j^2 / mu_j) e^{-8 mu_j t})

Which modes are first (large mu) and which are kept (large tau) may differ: dimensions that are
learned early can be lost again. At beta = 1 the loss is the spectral contrastive one,
`stepwise.spectral`.

Symbols: mu = growth eigenvalues, sigma = eigenvalues of Sigma, t = learning rate x step. Derived
here, after Simon et al., ICML 2023, arXiv 2303.15438, and Bardes et al. (2022), arXiv 2105.04906.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jssl.data.checks import require_count
from jssl.errors import InputError
from jssl.theory.stepwise.spectral import saturation, whiten
from jssl.types import Array


class Moments(NamedTuple):
    """Second moments of centred pairs.

    Attributes:
        second: (m, m) Sigma = (X^T X + X'^T X') / 2n, positive semidefinite.
        cross: (m, m) Gamma = (X^T X' + X'^T X) / 2n, symmetric of any sign.
    """

    second: Array
    cross: Array


class VicregGrowth(NamedTuple):
    """How a small start grows.

    Attributes:
        rates: (m,) growth rates 4 mu_j of |W v_j|, descending; negative ones shrink.
        eigenvectors: (m, m) rows v_j, the eigenvectors of M.
    """

    rates: Array
    eigenvectors: Array


class VicregFinal(NamedTuple):
    """Where the flow ends.

    Attributes:
        weight: (d, m) a minimiser, up to a rotation of its outputs.
        eigenvalues: (d,) of the embedding's covariance W Sigma W^T, descending.
        loss: the loss there, the least there is.
    """

    weight: Array
    eigenvalues: Array
    loss: Array


def centred_moments(first: Array, second: Array) -> Moments:
    """Return Sigma and Gamma of pairs, each view centred by its own mean.

    Example:
        >>> views = jnp.array([[0.0], [2.0]])
        >>> [moment.item() for moment in centred_moments(views, views + 5)]
        [1.0, 1.0]

    Args:
        first: (n, m) first views.
        second: (n, m) second views, row i belonging to row i of `first`.

    Returns:
        Moments(second, cross).

    Raises:
        InputError: if the views differ in shape or are not matrices.
    """
    if np.ndim(first) != 2 or np.shape(first) != np.shape(second):
        shapes = f"{np.shape(first)} and {np.shape(second)}"
        message = f"both views must be (n, m) of one shape; got {shapes}"
        raise InputError(message)
    x, y = first - first.mean(0), second - second.mean(0)
    cross = _product(x.T, y)
    count = 2 * len(x)
    return Moments((_product(x.T, x) + _product(y.T, y)) / count, (cross + cross.T) / count)


def vicreg_matrix(second_moment: Array, cross_moment: Array, beta: Array | float) -> Array:
    """Return M = (1 - beta) Sigma + beta Gamma, the linear part of the flow.

    Example:
        >>> vicreg_matrix(jnp.eye(2), 0.5 * jnp.eye(2), 0.5).tolist()
        [[0.75, 0.0], [0.0, 0.75]]

    Args:
        second_moment: (..., m, m) Sigma.
        cross_moment: (..., m, m) Gamma.
        beta: weight of the invariance term, >= 0.
    """
    return (1 - beta) * second_moment + beta * cross_moment


def vicreg_growth(second_moment: Array, cross_moment: Array, beta: Array | float) -> VicregGrowth:
    """Return what a small start grows along, and how fast.

    Example:
        >>> sigma, gamma = jnp.diag(jnp.array([1.0, 2.0])), jnp.diag(jnp.array([0.75, 0.25]))
        >>> vicreg_growth(sigma, gamma, 1.0).rates.round(2).tolist()
        [3.0, 1.0]

    While ||W Sigma W^T|| << 1, W(t) v_j = e^{4 mu_j t} W(0) v_j.

    Args:
        second_moment: (m, m) Sigma.
        cross_moment: (m, m) Gamma.
        beta: weight of the invariance term, >= 0.
    """
    eigenvalues, columns = jnp.linalg.eigh(vicreg_matrix(second_moment, cross_moment, beta))
    return VicregGrowth(4 * eigenvalues[::-1], columns.T[::-1])


def vicreg_final(
    second_moment: Array, cross_moment: Array, beta: Array | float, dim: int
) -> VicregFinal:
    """Return the final state, reached from almost every start.

    Example:
        >>> sigma, gamma = jnp.diag(jnp.array([1.0, 2.0])), jnp.diag(jnp.array([0.75, 0.25]))
        >>> final = vicreg_final(sigma, gamma, 1.0, dim=2)
        >>> print(*(f"{value:.3f}" for value in final.eigenvalues), f"{final.loss:.3f}")
        0.750 0.125 1.422

    With Y = W Sigma^{1/2} and T = Sigma^{-1/2} M Sigma^{-1/2} the loss is
    ||Y^T Y - T||^2 - ||T||^2 + d, so the best Y^T Y is the top-d positive part of T (Eckart and
    Young), and W has the rows sqrt(max(0, tau_j)) v_j^T of M v = tau Sigma v, v^T Sigma v = 1.
    All other stationary points are strict saddles. Directions in which the data do not vary are
    left out; the flow leaves W unchanged there.

    Args:
        second_moment: (m, m) Sigma, positive semidefinite.
        cross_moment: (m, m) Gamma.
        beta: weight of the invariance term, >= 0.
        dim: embedding dimension d; beyond m the outputs are zero.

    Returns:
        Weight, covariance eigenvalues and loss.

    Raises:
        InputError: if dim is no positive whole number or the moments are not square of one size.
    """
    dim = require_count("dim", dim)
    whitening = whiten(second_moment, vicreg_matrix(second_moment, cross_moment, beta))
    ascending, columns = jnp.linalg.eigh(whitening.cross)
    kept = jnp.maximum(ascending[::-1][:dim], 0)
    rows = _product(columns.T[::-1][:dim], whitening.inverse_root)
    missing = dim - len(kept)
    eigenvalues = jnp.pad(kept, (0, missing))
    weight = jnp.pad(jnp.sqrt(kept)[:, None] * rows, ((0, missing), (0, 0)))
    return VicregFinal(weight, eigenvalues, dim - jnp.sum(eigenvalues**2))


def vicreg_scales(t: Array | float, start_scales: Array, variances: Array, growth: Array) -> Array:
    """Return s_j(t) where Sigma and Gamma commute and the start is aligned.

    Example:
        >>> start, variances, growth = jnp.full(2, 0.1), jnp.array([1.0, 2.0]), jnp.array([0.9, -1])
        >>> print(*(f"{scale:.3f}" for scale in vicreg_scales(1e30, start, variances, growth)))
        0.949 0.000

    W(0) = U diag(s_j(0)) V with common eigenvectors as rows of V stays of that form, with
    s_j^-2 = s_j(0)^-2 e^{-8 mu t} + sigma_j^2 (1 - e^{-8 mu t}) / mu. No exponent is ever
    positive here, so nothing overflows at any t. Limits: mu > 0: sqrt(mu) / sigma; mu < 0: 0.

    Args:
        t: (...) finite times >= 0.
        start_scales: (k,) scales at time 0, >= 0; their squares must not underflow.
        variances: (k,) eigenvalues sigma_j of Sigma.
        growth: (k,) eigenvalues mu_j of M on the same eigenvectors, of any sign.

    Returns:
        (..., k); the covariance of the embedding has the eigenvalues sigma_j s_j^2.
    """
    t = jnp.asarray(t)[..., None]
    exponent = 4 * jnp.abs(growth) * t
    decay, grows = jnp.exp(-exponent), growth > 0
    gained = (start_scales * variances) ** 2 * saturation(t, jnp.abs(growth))
    # A start of exactly zero leaves nothing below once the decay has underflowed.
    size = jnp.maximum(jnp.where(grows, decay**2, 1) + gained, jnp.finfo(decay.dtype).tiny)
    return start_scales * jnp.where(grows, 1, decay) / jnp.sqrt(size)


def _product(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision="highest")
