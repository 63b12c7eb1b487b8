r"""Estimates of A0, C and B from augmented pairs, with error bars.

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
import numpy as np

from jssl.arithmetic import working
from jssl.data.checks import require_count, require_range
from jssl.data.pairs import check_pairs
from jssl.errors import InputError
from jssl.kernels.lanczos import largest
from jssl.manifolds.linalg import matmul
from jssl.models.correlation import namespace
from jssl.types import Array, Pairs

Z = 3.9
"""Standard errors of a two-sided test at 1e-4."""

_HOST = (np.float32, np.float64)
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
    first, second = _checked(first, second)
    function = _covariances if namespace(first, second) is np else _jitted_covariances
    return function(first, second, clean_first=clean_first)


def _covariances(first: Array, second: Array, *, clean_first: bool) -> Estimate:
    first, second, difference = _centred(first, second, clean_first)
    if clean_first:
        data, data_error = _moment(first, first)
    else:
        data, data_error = _moment(first, second)
    noise, noise_error = _moment(difference, difference)
    share = 1.0 if clean_first else 0.5
    return Estimate(data, data_error, share * noise, share * noise_error)


_jitted_covariances = partial(jax.jit, static_argnames="clean_first")(_covariances)


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
    if count is None and namespace(first, second) is np:
        return _signal_spectrum(first, second, factor, None, count=None, clean_first=clean_first)
    key = jax.random.key(0) if key is None else key
    return _jitted_spectrum(first, second, factor, key, count=count, clean_first=clean_first)


def _signal_spectrum(
    first: Array,
    second: Array,
    factor: Any,
    start: Array | None,
    *,
    count: int | None,
    clean_first: bool,
) -> SignalSpectrum:
    first, second, difference = _centred(first, second, clean_first)
    weight = factor * (1.0 if clean_first else 0.5)
    other = first if clean_first else second
    values, directions = _top(first, other, difference, weight, count, start)
    half = len(first) // 2
    seen, squares = [], []
    for chosen, judged in ((slice(half), slice(half, None)), (slice(half, None), slice(half))):
        own = _top(first[chosen], other[chosen], difference[chosen], weight, count, start)[1]
        terms = _matmul(first[judged], own) * _matmul(other[judged], own)
        terms = terms - weight * _matmul(difference[judged], own) ** 2
        seen.append(terms.mean(0))
        squares.append(terms.var(0, ddof=1) / len(terms))
    errors = (squares[0] + squares[1]) ** 0.5 / 2
    return SignalSpectrum(values, directions, (seen[0] + seen[1]) / 2, errors)


_jitted_spectrum = partial(jax.jit, static_argnames=("count", "clean_first"))(_signal_spectrum)


def _checked(first: Array, second: Array) -> tuple[Array, Array]:
    """Return checked views: NumPy arrays stay on the host, where nothing is compiled for them."""
    if not all(isinstance(x, np.ndarray) and x.dtype in _HOST for x in (first, second)):
        first, second = working(first=first, second=second)
    checked = check_pairs(Pairs(first, second))
    if checked.first.ndim != 2:
        message = f"views must be (n, d) features; got shape {checked.first.shape}, flatten them"
        raise InputError(message)
    return checked.first, checked.second


def _matmul(a: Array, b: Array) -> Array:
    return a @ b if namespace(a, b) is np else matmul(a, b)


def _centred(first: Array, second: Array, clean_first: bool) -> tuple[Array, Array, Array]:
    mean = first.mean(0)
    if not clean_first:
        mean = (mean + second.mean(0)) / 2
    return first - mean, second - mean, first - second


def _moment(a: Array, b: Array) -> tuple[Array, Array]:
    """Return the symmetrised moment of two samples (n, d) and the standard error of its entries."""
    n = len(a)
    cross = _matmul(a.T, b) / n
    mean = (cross + cross.T) / 2
    mixed = _matmul((a * b).T, a * b)
    squares = _matmul((a**2).T, b**2)
    second = (squares + squares.T + 2 * mixed) / (4 * n)
    xp = namespace(a, b)
    return mean, xp.sqrt(xp.maximum(second - mean**2, 0) / (n - 1))


def _top(
    first: Array, other: Array, difference: Array, weight: Any, count: int | None, key: Any
) -> tuple[Array, Array]:
    n, d = first.shape
    xp = namespace(first, other)

    def product(v: Array) -> Array:
        cross = _matmul(first.T, _matmul(other, v)) + _matmul(other.T, _matmul(first, v))
        return cross / (2 * n) - weight * _matmul(difference.T, _matmul(difference, v)) / n

    if count is None:
        values, vectors = xp.linalg.eigh(product(xp.eye(d, dtype=first.dtype)))
        return values[::-1], vectors[:, ::-1]
    width = min(d, count + 4)
    start = jax.random.normal(key, (d, width), first.dtype)
    tolerance = float(jnp.finfo(first.dtype).eps) ** 0.5
    ritz = largest(lambda v: v, product, start, dim=count, tolerance=tolerance)
    return ritz.eigenvalues, ritz.vectors
