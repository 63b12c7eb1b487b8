r"""Estimates of A0, C and B from augmented pairs, with error bars; a test of the bound L-9 on data.

With x = s + e, x' = s + e' and independent noise of equal law, d = x - x',

    A0 = E[x x'^T] symmetrised,   C = E[d d^T] / 2    (d d^T where x is clean),   B = A0 - f C.

Each is a mean over pairs, so the error of u^T B u is the spread over pairs of

    (u . x)(u . x') - f (u . d)^2 / 2

divided by sqrt(n): two products with the data, no d x d matrix. Eigenvalues of a sample are
more spread out than those of the population, by a share of about sqrt(d / n), and the largest are
optimistic. `held_out` evaluates each half of the pairs along the eigenvectors of the other half,
which is unbiased.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jssl.arithmetic import working
from jssl.data.checks import require_count, require_range
from jssl.data.pairs import check_pairs
from jssl.errors import InputError
from jssl.kernels.lanczos import largest
from jssl.losses.contrastive import info_nce
from jssl.manifolds.linalg import matmul
from jssl.types import Array, Pairs

Z = 3.9
"""Standard errors of a two-sided test at 1e-4."""

_LARGEST = float(jnp.finfo(jnp.float32).max)


class Estimate(NamedTuple):
    """Covariances of a sample of pairs, each with the standard error of every entry.

    Attributes:
        data: (d, d) A0.
        data_error: (d, d).
        augmentation: (d, d) C.
        augmentation_error: (d, d).
    """

    data: Array
    data_error: Array
    augmentation: Array
    augmentation_error: Array


class SignalSpectrum(NamedTuple):
    """The largest eigenvalues of B of a sample.

    Attributes:
        eigenvalues: (count,) of B of all pairs, descending.
        directions: (d, count) their eigenvectors.
        held_out: (count,) u^T B u on the half of the pairs that was not used to compute u.
        errors: (count,) standard errors of `held_out`.
    """

    eigenvalues: Array
    directions: Array
    held_out: Array
    errors: Array


class BoundCheck(NamedTuple):
    """L(W) - L(0) against its lower bound -Tr[W B W^T] on data, for any distribution.

    Attributes:
        excess: (k,) loss over its bound; negative only by rounding.
        violations: number of values below minus the rounding error, or NaN.
        quartic_ratio: (k,) excess over the quartic of Gaussian data: 1 for small W and Gaussian
            data, so its distance from 1 measures the error of the amplitudes of the landscape.
    """

    excess: Array
    violations: Array
    quartic_ratio: Array


def estimate_covariances(first: Array, second: Array, *, clean_first: bool = False) -> Estimate:
    """Return A0 and C of augmented pairs with the standard error of every entry.

    Example:
        >>> from jssl.data.toy import gaussian_pairs
        >>> pairs = gaussian_pairs(jax.random.key(0), 4000, [2.0, 1.0], [0.5, 0.0])
        >>> seen = estimate_covariances(pairs.first, pairs.second)
        >>> off = jnp.abs(seen.data - jnp.diag(jnp.array([2.0, 1.0])))
        >>> bool((off < 5 * seen.data_error).all())
        True

    Args:
        first: (n, d) first views; the samples themselves if `clean_first`.
        second: (n, d) second views.
        clean_first: whether only the second view is augmented.

    Returns:
        Estimate, of views centred by their common mean, or by that of clean samples.

    Raises:
        InputError: for shapes that do not match, fewer than two pairs, values that are not finite.
    """
    return _covariances(*_checked(first, second), clean_first=clean_first)


@partial(jax.jit, static_argnames="clean_first")
def _covariances(first: Array, second: Array, *, clean_first: bool) -> Estimate:
    first, second, difference = _centred(first, second, clean_first)
    if clean_first:
        data, data_error = _moment(first, first)
    else:
        data, data_error = _moment(first, second)
    noise, noise_error = _moment(difference, difference)
    share = 1.0 if clean_first else 0.5
    return Estimate(data, data_error, share * noise, share * noise_error)


def signal_spectrum(
    first: Array,
    second: Array,
    factor: Any,
    *,
    count: int | None = None,
    clean_first: bool = False,
    key: Array | None = None,
) -> SignalSpectrum:
    """Return the largest eigenvalues of B = A0 - factor C of a sample of pairs, with error bars.

    Example:
        >>> from jssl.data.toy import gaussian_pairs
        >>> pairs = gaussian_pairs(jax.random.key(0), 4000, [2.0, 1.0], [0.5, 4.0])
        >>> seen = signal_spectrum(pairs.first, pairs.second, 0.5)
        >>> exact = jnp.array([1.75, -1.0])
        >>> bool((jnp.abs(seen.held_out - exact) < 5 * seen.errors).all())
        True

    Args:
        first: (n, d) first views; the samples themselves if `clean_first`.
        second: (n, d) second views.
        factor: f, from `augmentation_factor(placement)`.
        count: number of eigenvalues; None for all d, densely, otherwise by Lanczos iteration on
            products with the data, which needs memory (n + count) d.
        clean_first: whether only the second view is augmented.
        key: of the start vector of the Lanczos iteration; None for a fixed one.

    Returns:
        SignalSpectrum.

    Raises:
        InputError: as `estimate_covariances`, for fewer than four pairs, count out of range or a
            factor that is not finite.
    """
    require_range("factor", factor, -_LARGEST, _LARGEST)
    first, second = _checked(first, second)
    n, d = first.shape
    if n < 4:
        message = f"held-out error bars need four pairs or more; got {n}"
        raise InputError(message)
    count = None if count is None else require_count("count", count, high=d)
    key = jax.random.key(0) if key is None else key
    return _signal_spectrum(first, second, factor, key, count=count, clean_first=clean_first)


@partial(jax.jit, static_argnames=("count", "clean_first"))
def _signal_spectrum(
    first: Array, second: Array, factor: Any, start: Array, *, count: int | None, clean_first: bool
) -> SignalSpectrum:
    first, second, difference = _centred(first, second, clean_first)
    weight = factor * (1.0 if clean_first else 0.5)
    other = first if clean_first else second
    values, directions = _top(first, other, difference, weight, count, start)
    half = len(first) // 2
    seen, squares = [], []
    for chosen, judged in ((slice(half), slice(half, None)), (slice(half, None), slice(half))):
        own = _top(first[chosen], other[chosen], difference[chosen], weight, count, start)[1]
        terms = matmul(first[judged], own) * matmul(other[judged], own)
        terms = terms - weight * matmul(difference[judged], own) ** 2
        seen.append(terms.mean(0))
        squares.append(terms.var(0, ddof=1) / len(terms))
    errors = jnp.sqrt(squares[0] + squares[1]) / 2
    return SignalSpectrum(values, directions, (seen[0] + seen[1]) / 2, errors)


@partial(jax.jit, static_argnames=("score",))
def check_bound(
    weights: Array,
    anchor: Array,
    positive: Array,
    negatives: Array,
    *,
    score: str = "euclidean",
    temperature: float = 1.0,
) -> BoundCheck:
    """Check L-9 on data: InfoNCE is never below its quadratic part, for any distribution.

    Example:
        >>> draws = jax.random.t(jax.random.key(0), 3.0, (3, 50, 2))
        >>> print(check_bound(jnp.ones((1, 1, 2)), *draws).violations)
        0

    So W = 0 is the global minimum exactly when lambda_max(B) <= weight decay: the
    prediction of complete collapse is exact. (The mean of an exponential is at least the
    exponential of the mean.)

    Args:
        weights: (k, m, d) weights to try.
        anchor: (n, d).
        positive: (n, d).
        negatives: (count, d), shared by all anchors.
        score: "euclidean" or "dot".
        temperature: > 0.

    Returns:
        BoundCheck.

    Raises:
        InputError: as `jssl.losses.info_nce`.
    """
    count = len(negatives)
    own, cross = (0.25, 0.5) if score == "euclidean" else (0.0, 0.5)

    def spread(z: Array) -> Array:
        return matmul(z.T, z) / len(z)

    def one(weight: Array) -> tuple[Array, Array, Array]:
        za, zb, zn = (matmul(x, weight.T) for x in (anchor, positive, negatives))
        loss = info_nce(
            za, zb, temperature=temperature, score=score, negatives=zn, include_positive=False
        )
        if score == "euclidean":
            align = jnp.mean(jnp.sum((za - zb) ** 2, 1)) / 2
            means = jnp.sum(za.mean(0) * zn.mean(0))
            apart = (jnp.mean(jnp.sum(za**2, 1)) + jnp.mean(jnp.sum(zn**2, 1))) / 2 - means
            linear = (align - apart) / temperature
        else:
            agree = jnp.mean(jnp.sum(za * zb, 1))
            linear = (jnp.sum(za.mean(0) * zn.mean(0)) - agree) / temperature
        of_anchor, of_negative = spread(za), spread(zn - zn.mean(0))
        quartic = own * jnp.sum(of_negative**2) + cross * jnp.sum(of_anchor * of_negative)
        return loss - jnp.log(float(count)) - linear, quartic / temperature**2, jnp.abs(linear)

    excess, quartic, size = jax.lax.map(one, weights)
    rounding = 100 * jnp.finfo(excess.dtype).eps * (size + jnp.log(count + 1.0))
    ratio = excess / jnp.where(quartic > 0, quartic, 1)
    return BoundCheck(excess, jnp.sum(~(excess >= -rounding)), ratio)


def _checked(first: Array, second: Array) -> tuple[Array, Array]:
    checked = check_pairs(Pairs(*working(first=first, second=second)))
    if checked.first.ndim != 2:
        message = f"views must be (n, d) features; got shape {checked.first.shape}, flatten them"
        raise InputError(message)
    return checked.first, checked.second


def _centred(first: Array, second: Array, clean_first: bool) -> tuple[Array, Array, Array]:
    mean = first.mean(0)
    if not clean_first:
        mean = (mean + second.mean(0)) / 2
    return first - mean, second - mean, first - second


@jax.jit
def _moment(a: Array, b: Array) -> tuple[Array, Array]:
    """Return the symmetrised moment of two samples (n, d) and the standard error of its entries."""
    n = len(a)
    cross = matmul(a.T, b) / n
    mean = (cross + cross.T) / 2
    mixed = matmul((a * b).T, a * b)
    squares = matmul((a**2).T, b**2)
    second = (squares + squares.T + 2 * mixed) / (4 * n)
    return mean, jnp.sqrt(jnp.maximum(second - mean**2, 0) / (n - 1))


@partial(jax.jit, static_argnames=("count",))
def _top(
    first: Array, other: Array, difference: Array, weight: Any, count: int | None, key: Array
) -> tuple[Array, Array]:
    n, d = first.shape

    def product(v: Array) -> Array:
        cross = matmul(first.T, matmul(other, v)) + matmul(other.T, matmul(first, v))
        return cross / (2 * n) - weight * matmul(difference.T, matmul(difference, v)) / n

    if count is None:
        values, vectors = jnp.linalg.eigh(product(jnp.eye(d, dtype=first.dtype)))
        return values[::-1], vectors[:, ::-1]
    width = min(d, count + 4)
    start = jax.random.normal(key, (d, width), first.dtype)
    tolerance = float(jnp.finfo(first.dtype).eps) ** 0.5
    ritz = largest(lambda v: v, product, start, dim=count, tolerance=tolerance)
    return ritz.eigenvalues, ritz.vectors
