r"""How many dimensions a spectrum fills, without a threshold.

    entropy rank          exp(-sum_j p_j log p_j),   p = values / their sum
    RankMe                the entropy rank of the singular values of Z, not centred
    participation ratio   (sum_j eigenvalue_j)^2 / sum_j eigenvalue_j^2
    alpha-ReQ             the slope of eigenvalue_j ~ j^-alpha

All are 0 (alpha: NaN) for a spectrum of zeros, which is complete collapse, and map over leading
axes. From a covariance's eigenvalues the singular values are their square roots, up to a factor
that no rank sees: `entropy_rank(sqrt(eigenvalues))`.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jssl.data.checks import require_count
from jssl.types import Array


class PowerLaw(NamedTuple):
    """A power law fitted to a spectrum.

    Attributes:
        exponent: (...) alpha of eigenvalue_j ~ j^-alpha; NaN with fewer than two eigenvalues.
        fit: (...) R^2 of the fit in logarithms, 1 for a power law, low where it is none.
    """

    exponent: Array
    fit: Array


@jax.jit
def entropy_rank(values: Array) -> Array:
    """Return exp of the entropy of non-negative values (..., k) scaled to sum 1; 0 if all are 0.

    Example:
        >>> print(entropy_rank(jnp.array([[2.0, 2.0, 0.0], [0.0, 0.0, 0.0]])).round(3))
        [2. 0.]

    Between 1 (one value holds all) and k (all equal). Take singular values for the effective rank
    of Roy and Vetterli 2007, which is RankMe's.
    """
    total = values.sum(-1, keepdims=True)
    p = values / jnp.where(total > 0, total, 1)
    entropy = -jnp.sum(jnp.where(p > 0, p * jnp.log(jnp.where(p > 0, p, 1)), 0), -1)
    return jnp.where(total[..., 0] > 0, jnp.exp(entropy), 0)


@jax.jit
def participation_ratio(eigenvalues: Array) -> Array:
    """Return (sum eigenvalues)^2 / sum eigenvalues^2 of a covariance, (..., k) -> (...).

    Example:
        >>> print(participation_ratio(jnp.array([1.0, 1.0, 0.0])))
        2.0

    Between 1 and the number of eigenvalues; dominated by the large ones, so it is at most the
    entropy rank of the same values. 0 for a spectrum of zeros.
    """
    largest = jnp.max(jnp.abs(eigenvalues), -1, keepdims=True)
    scaled = eigenvalues / jnp.where(largest > 0, largest, 1)
    squares = jnp.sum(scaled**2, -1)
    return jnp.sum(scaled, -1) ** 2 / jnp.where(squares > 0, squares, 1)


@jax.jit
def rankme(z: Array) -> Array:
    """Return RankMe of embeddings: the entropy rank of their singular values, not centred.

    Example:
        >>> print(rankme(jnp.eye(4)), rankme(jnp.ones((4, 3))).round(4))
        4.0 1.0

    Between 1 and min(n, dim), high is good: over runs of one method it ranks encoders as linear
    probes do. Nothing is centred, so a constant embedding has 1, its least value; the centred
    `effective_rank` has 0 there. The paper's 1e-7 inside the logarithm is left out.

    Args:
        z: (..., n, dim) embeddings.

    References:
        Garrido, Balestriero, Najman, LeCun 2023, arXiv 2210.02885, eq. 1-2.
    """
    return entropy_rank(jnp.linalg.svd(z, compute_uv=False))


def alpha_req(eigenvalues: Array, *, first: int = 1, last: int | None = None) -> PowerLaw:
    """Return the decay exponent of a covariance's spectrum, eigenvalue_j ~ j^-alpha.

    Example:
        >>> law = alpha_req(jnp.arange(1.0, 65.0) ** -1.5)
        >>> print(f"{law.exponent:.3f} {law.fit:.3f}")
        1.500 1.000

    Least squares of log eigenvalue_j on log j with weights 1/j, so that every octave counts alike.
    Near 1 is good; far above 1 few dimensions carry everything, far below 1 the spectrum is flat
    as noise is. Eigenvalues below rounding error take no part.

    Args:
        eigenvalues: (..., k) of a covariance, descending.
        first: index of the first eigenvalue used, from 1, static.
        last: index of the last; None for all.

    Raises:
        InputError: for a range that does not lie in 1 ... k.

    References:
        Agrawal, Mondal, Ghosh, Richards 2022, alpha-ReQ, NeurIPS 35; the weights are those of
        Stringer et al. 2019, Nature 571.
    """
    count = eigenvalues.shape[-1]
    last = require_count("last", count if last is None else last, high=count)
    first = require_count("first", first, high=last)
    return _power_law(eigenvalues, first, last)


@partial(jax.jit, static_argnames=("first", "last"))
def _power_law(eigenvalues: Array, first: int, last: int) -> PowerLaw:
    values = eigenvalues[..., first - 1 : last]
    index = jnp.arange(first, last + 1, dtype=values.dtype)
    floor = eigenvalues.shape[-1] * jnp.finfo(values.dtype).eps * eigenvalues.max(-1, keepdims=True)
    used = values > jnp.maximum(floor, 0)
    weight = used / index
    total = jnp.maximum(weight.sum(-1, keepdims=True), jnp.finfo(values.dtype).tiny)
    x, y = jnp.log(index), jnp.log(jnp.where(used, values, 1))
    x = x - (weight * x).sum(-1, keepdims=True) / total
    y = y - (weight * y).sum(-1, keepdims=True) / total
    spread, mixed, own = (jnp.sum(weight * a, -1) for a in (x * x, x * y, y * y))
    enough = used.sum(-1) >= 2
    slope = jnp.where(enough, mixed / jnp.where(enough, spread, 1), jnp.nan)
    flat = own <= 0
    fit = jnp.where(flat, 1, slope * mixed / jnp.where(flat, 1, own))
    return PowerLaw(-slope, jnp.where(enough, fit, jnp.nan))
