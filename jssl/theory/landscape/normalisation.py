r"""Normalisation excludes complete collapse, unless the encoder has a bias (L-12 to L-14).

    -Tr[V S V^T] + c4 Tr[(V V^T)^2] + kappa E(|W x + b|^2 - 1)^2,    x ~ N(0, Sigma)

and a score that does not depend on b. With q_i the variances of the embedding along its modes, T =
sum q_i,

    E = sum(-s_i q_i + c4 q_i^2) + kappa [(T + |b|^2 - 1)^2 + 2 sum q_i^2 + 4 |b|^2 q_m].

Without a bias, the minimum is a water-filling solution on the top m modes,

    q_i = (s_i + 2 kappa - 2 kappa T)_+ / (2 (c4 + 2 kappa)).                            (L-12)

With a bias, it is the lowest of three candidates (L-13):

    orthogonal   q_i = (s_i)_+ / (2 (c4 + 2 kappa)) on the top m - 1, q_m = 0, |b|^2 = 1 - T > 0
    none         b = 0 and (L-12)
    along        |b|^2 = 1 - T - 2 q_m, 2 c4 q_m + 4 kappa |b|^2 = s_m,
                 q_i = (s_i + 4 kappa q_m)_+ / (2 (c4 + 2 kappa)) for i < m

In the first, one output is used for the bias, and normalisation no longer supports any mode.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.data.checks import require_count, require_range
from jssl.errors import InputError
from jssl.manifolds.linalg import matmul
from jssl.types import Array

CANDIDATES = ("orthogonal", "none", "along")

_SMALLEST, _LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)


class Filled(NamedTuple):
    """The minimum of one candidate, or of all.

    Attributes:
        variances: (dim,) q, descending strengths; the last is the mode along the bias.
        bias_square: |b|^2.
        energy: E there; infinite where the candidate does not exist.
        candidate: index in `CANDIDATES`.
    """

    variances: Array
    bias_square: Array
    energy: Array
    candidate: Array


def normalised_energy(
    variances: Array, bias_square: Any, strengths: Array, *, quartic: Any, kappa: Any
) -> Array:
    """Return E of variances (..., m) with the bias along the last of them.

    Example:
        >>> print(normalised_energy(jnp.zeros(2), 1.0, jnp.ones(2), quartic=0.5, kappa=3.0))
        0.0
    """
    total = variances.sum(-1)
    plain = jnp.sum((quartic * variances - strengths) * variances, -1)
    spread = 2 * jnp.sum(variances**2, -1) + 4 * bias_square * variances[..., -1]
    return plain + kappa * ((total + bias_square - 1) ** 2 + spread)


def soft_normalisation(strengths: Array, dim: int, *, quartic: Any, kappa: Any) -> Array:
    """Return (dim,) variances of the modes at the minimum without a bias.

    Example:
        >>> print(soft_normalisation(jnp.array([-0.5, -1.0]), 2, quartic=0.5, kappa=0.5).round(3))
        [0.125 0.   ]

    Complete collapse is impossible once 2 kappa > -s_max. Where T < 1, modes of negative strength
    are learned, too; where T > 1, those with 0 < s_i < 2 kappa (T - 1) are lost.

    Args:
        strengths: (r,) s of the modes, in any order.
        dim: number of outputs m, static.
        quartic: c4 > 0.
        kappa: weight of the normalisation, >= 0.

    Returns:
        (dim,): the strongest modes first, 0 where there are fewer modes than outputs.

    Raises:
        InputError: for dim below 1, kappa below 0, a quartic that is not positive, and strengths
            that are not finite.
    """
    return _unbiased(_top(strengths, dim, quartic, kappa), dim, quartic, kappa)


def biased_minima(strengths: Array, dim: int, *, quartic: Any, kappa: Any) -> Filled:
    """Return the three candidates of the minimum with a bias, in the order of `CANDIDATES`.

    Example:
        >>> found = biased_minima(jnp.array([0.5, -0.2]), 2, quartic=0.5, kappa=1.0)
        >>> print(CANDIDATES[int(found.energy.argmin())], found.bias_square.round(2))
        orthogonal [0.9 0.  0. ]

    Args:
        strengths: (r,) s of the modes, in any order.
        dim: number of outputs m, static.
        quartic: c4 > 0.
        kappa: weight of the normalisation, > 0.

    Returns:
        Filled of arrays (3, ...). Two of the candidates may be local minima at the same time.

    Raises:
        InputError: as `soft_normalisation`.
    """
    return _biased(_top(strengths, dim, quartic, kappa), dim, quartic, kappa)


def biased_minimum(strengths: Array, dim: int, *, quartic: Any, kappa: Any) -> Filled:
    """Return the global minimum with a bias, the lowest of `biased_minima`.

    Example:
        >>> found = biased_minimum(jnp.array([0.5, -0.2]), 2, quartic=0.5, kappa=0.01)
        >>> print(CANDIDATES[int(found.candidate)], found.variances.round(2))
        orthogonal [0.48 0.  ]

    Args:
        strengths: (r,) s of the modes, in any order.
        dim: number of outputs m, static.
        quartic: c4 > 0.
        kappa: weight of the normalisation, > 0.

    Raises:
        InputError: as `soft_normalisation`.
    """
    found = biased_minima(strengths, dim, quartic=quartic, kappa=kappa)
    best = jnp.argmin(found.energy)
    return Filled(*(field[best] for field in found))


def hard_normalised_loss(
    weight: Array, bias: Array, signal: Array, *, temperature: Any = 1.0
) -> Array:
    """Return -Tr[W~ B W~^T] / T, the loss of z = (W x + b) / |W x + b| for W small compared with b.

    Example:
        >>> bias = jnp.array([0.0, 2.0])
        >>> print(hard_normalised_loss(jnp.eye(2), bias, jnp.eye(2)))
        -0.25

    W~ = (I - b b^T / |b|^2) W / |b|: the direction of the bias is lost, the scale of W is free. A
    mean of the data acts like a bias.

    Args:
        weight: (m, d).
        bias: (m,), not zero.
        signal: (d, d) B of the Euclidean score.
        temperature: > 0.

    References:
        L-14.
    """
    square = jnp.sum(bias**2)
    seen = (weight - jnp.outer(bias, bias @ weight) / square) / jnp.sqrt(square)
    return -jnp.sum(matmul(seen, signal) * seen) / temperature


def _top(strengths: Array, dim: int, quartic: Any, kappa: Any) -> Array:
    require_range("kappa", kappa, 0, _LARGEST)
    require_range("quartic", quartic, _SMALLEST, _LARGEST)
    strengths = jnp.asarray(strengths)
    if strengths.ndim != 1 or not strengths.size:
        message = f"strengths must be (r,) with at least one mode; got shape {strengths.shape}"
        raise InputError(message)
    require_range("strengths", strengths, -_LARGEST, _LARGEST)
    # Comparisons drop NaN, so where values are traced it is spread to all modes here.
    top = jnp.sort(strengths)[::-1][: require_count("dim", dim)]
    return jnp.where(jnp.isfinite(strengths).all(), top, jnp.nan)


@partial(jax.jit, static_argnames="dim")
def _unbiased(top: Array, dim: int, quartic: Any, kappa: Any) -> Array:
    # k modes share T = sum_{i <= k} (s_i + 2 kappa (1 - T)) / (2 (c4 + 2 kappa)).
    count = jnp.arange(1, len(top) + 1)
    width = 2 * (quartic + 2 * kappa)
    totals = (jnp.cumsum(top) + 2 * kappa * count) / (width + 2 * kappa * count)
    filled = (top + 2 * kappa * (1 - totals[:, None])) / width
    held = jnp.sum(jnp.diagonal(filled) > 0)
    row = filled[jnp.maximum(held - 1, 0)]
    chosen = jnp.where((jnp.arange(len(top)) >= held) & ~jnp.isnan(row), 0, row)
    return jnp.zeros(dim, top.dtype).at[: len(top)].set(chosen)


@partial(jax.jit, static_argnames="dim")
def _biased(top: Array, dim: int, quartic: Any, kappa: Any) -> Filled:
    padded = jnp.concatenate([top, jnp.zeros(dim - len(top), top.dtype)])
    width = 2 * (quartic + 2 * kappa)
    zero = jnp.zeros((), top.dtype)

    def energy(variances: Array, bias_square: Array, exists: Any) -> Array:
        value = normalised_energy(variances, bias_square, padded, quartic=quartic, kappa=kappa)
        return jnp.where(exists, value, jnp.inf)

    orthogonal = (jnp.maximum(padded, 0) / width).at[-1].set(0)
    left = 1 - orthogonal.sum()
    none = _unbiased(top, dim, quartic, kappa)
    along, bias_square, exists = _along(padded, quartic, kappa, width, fits=len(top) == dim)
    variances = jnp.stack([orthogonal, none, along])
    squares = jnp.stack([jnp.maximum(left, 0), zero, bias_square])
    there = jnp.stack([left > 0, left == left, exists])
    energies = jnp.stack(
        [energy(q, b, e) for q, b, e in zip(variances, squares, there, strict=True)]
    )
    return Filled(variances, squares, energies, jnp.arange(3))


def _along(
    strengths: Array, quartic: Any, kappa: Any, width: Any, *, fits: bool
) -> tuple[Array, Array, Array]:
    """Return the variances, |b|^2 and whether they exist, for the best number of nonzero modes."""
    others, last = strengths[:-1], strengths[-1]
    count = jnp.arange(len(others) + 1)
    strength = jnp.concatenate([jnp.zeros(1, strengths.dtype), jnp.cumsum(others)])
    # k others held: T = q + (sum s_i + 4 kappa k q) / width; then one linear equation for q.
    slope = 2 * quartic - 12 * kappa - 16 * kappa**2 * count / width
    level = last - 4 * kappa * (1 - strength / width)
    own = level / jnp.where(slope == 0, jnp.inf, slope)
    held = jnp.maximum(others + 4 * kappa * own[:, None], 0) / width
    consistent = (held > 0).sum(1) == count
    bias_square = 1 - held.sum(1) - 3 * own
    exists = consistent & (own > 0) & (bias_square > 0) & fits
    variances = jnp.concatenate([held, own[:, None]], axis=1)
    squares = jnp.where(exists, bias_square, 0)
    energies = normalised_energy(variances, squares, strengths, quartic=quartic, kappa=kappa)
    best = jnp.argmin(jnp.where(exists, energies, jnp.inf))
    return jnp.where(exists[best], variances[best], 0), squares[best], exists[best]
