"""Where the modes of an encoder start: typical of random starts, or of one that is given.

A random start has s_j(0)^2 = scale^2 v_j chi^2 with dim - j + 1 degrees of freedom, v_j being the
variance of mode j given the modes before it. Where eigenvalues are close, `effective_modes`
corrects that.
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import digamma, polygamma

from jssl.forecast.own_encoder import OwnEncoder
from jssl.forecast.steps import Ends
from jssl.single_use import compile_cheaply
from jssl.theory.stepwise import effective_modes
from jssl.types import Array

_DRAWS = 48
_CLOSE = 24  # modes up to which starts are drawn to correct for close eigenvalues
_EXACT = 64  # modes up to which the close ones of a given start are followed
_APART = 2.0  # growth of a mode over the next, in logarithms, that separates them


def start_of(
    values: np.ndarray,
    vectors: np.ndarray,
    dim: int,
    nngp: np.ndarray | None,
    start: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return s_j(0) of the encoder's own start, and the spread of log s_j(0)^2 over starts.

    Of an encoder that is given, the diagonal of R of its own start; else the typical one.
    """
    if start is None:
        assert nngp is not None
        return random_start(values, vectors, dim, nngp)
    top = vectors[:, : min(dim, len(values))]
    diagonal = np.abs(np.diag(np.linalg.qr(start.T @ top)[1]))
    return diagonal, np.zeros(len(diagonal))


def own_begins(
    own: OwnEncoder, vectors: np.ndarray, scale: float, ends: Ends, unit: np.ndarray
) -> np.ndarray:
    """Return s_j(0) of a given start; 0 where rounding is all that there is."""
    projection = own.start.T @ vectors
    k = len(unit)
    noise = 16 * len(projection) * own.rounding * np.linalg.norm(projection[:, :k], axis=0)
    many = k > _EXACT
    begins = scale * unit if many else given_begins(scale * projection, ends, k)
    return np.where(unit > noise, begins, 0)


def random_start(
    values: np.ndarray, vectors: np.ndarray, dim: int, nngp: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return typical s_j(0) of a random start of scale 1, and the spread of log s_j(0)^2.

    exp of the mean logarithm of a chi-square with dim - j + 1 degrees of freedom, times the
    variance of mode j given the modes before it: the squared diagonal of a Cholesky factor.

    Example:
        >>> scales, spread = random_start(np.ones(1), np.eye(1), 2, np.eye(1))
        >>> scales.round(3).tolist(), spread.round(3).tolist()  # chi^2 with 2: log 2 - .577
        ([1.06], [1.283])
    """
    top = vectors[:, : min(dim, len(values))]
    variance = np.diag(_factor(top, nngp)) ** 2
    half = (dim - np.arange(top.shape[1])) / 2
    return np.sqrt(2 * variance * np.exp(digamma(half))), np.sqrt(polygamma(1, half))


def _factor(vectors: np.ndarray, nngp: np.ndarray) -> np.ndarray:
    """Return the upper triangular R with R^T R = vectors^T nngp vectors, which may be singular."""
    energy, basis = np.linalg.eigh(vectors.T @ nngp @ vectors)
    root = np.sqrt(np.maximum(energy, 0))[:, None] * basis.T
    triangle = np.linalg.qr(root, mode="r")
    sign = np.where(np.diag(triangle) < 0, -1.0, 1.0)
    return sign[:, None] * triangle


def drawn_begins(
    unit: np.ndarray,
    spread: np.ndarray,
    scale: float,
    vectors: np.ndarray,
    nngp: np.ndarray,
    dim: int,
    ends: Ends,
    draws: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Return s_j(0) of a random start and the spread of log s_j(0)^2, close modes corrected.

    The correction is the mean, over random starts, of the logarithm of `effective_modes` over the
    QR alignment; it vanishes where eigenvalues are far apart. Of many modes none are drawn: the
    spread then grows by 1 for those that the next one is close to.
    """
    k = len(unit)
    growth = np.maximum(ends.net, 0) / 2
    time = np.maximum(-np.log(scale * unit / ends.scales[:k]), 0) / np.where(growth, growth, 1)[:k]
    gaps = time * np.abs(np.diff(np.append(growth, 0))[:k])
    close = (gaps < 2 * _APART) & (growth[:k] > 0)
    if len(ends.net) == k:
        close[-1] = False
    if not close.any():
        return scale * unit, spread
    if k > _CLOSE:
        return scale * unit, np.hypot(spread, 1.0 * (close | np.roll(close, 1)))
    shape = (_DRAWS, dim, vectors.shape[1])
    starts = scale * draws.normal(size=shape) @ _factor(vectors, nngp)
    plain = np.abs(np.diagonal(np.linalg.qr(starts[:, :, :k])[1], axis1=1, axis2=2))
    seen = np.log(given_begins(starts, ends, k) / np.maximum(plain, 1e-300))
    width = spread**2 + np.var(2 * (seen + np.log(plain)), 0) - np.var(2 * np.log(plain), 0)
    return scale * unit * np.exp(seen.mean(0)), np.sqrt(np.maximum(width, spread**2 / 4))


def given_begins(projection: np.ndarray, ends: Ends, count: int) -> np.ndarray:
    """Return s_j(0) (..., count) of starts (..., dim, modes), close eigenvalues included.

    A start of `effective_modes` rises at a time; s_j(0) is that of an independent mode of growth
    h_j that rises at the same time.
    """
    flat = projection.reshape(-1, *projection.shape[-2:])
    found = np.asarray(_given_begins(flat, np.maximum(ends.net, 0) / 2, ends.scales))
    return found[:, :count].reshape(*projection.shape[:-2], -1)


@compile_cheaply
def _given_begins(starts: Array, growth: Array, scales: Array) -> Array:
    """Return s_j(0) of starts (draws, dim, modes), of growths and ends (modes,)."""
    positive = growth > 0
    safe = jnp.where(positive, growth, 1)
    unit = scales * jnp.sqrt(safe)  # the end is 1 / sqrt(growth) there

    def one(start: Array) -> Array:
        begin, rate = effective_modes(start / jnp.where(positive, unit, 1), growth)
        rate = jnp.where(rate > 0, rate, 1)
        log = jnp.log(jnp.where(begin > 0, begin, 1))
        time = -(jnp.log(rate) + 2 * log) / (8 * rate)
        k = len(begin)
        begins = jnp.exp(-4 * safe[:k] * time) / jnp.sqrt(safe[:k]) * unit[:k]
        return jnp.where(begin > 0, begins, 0)

    return jax.vmap(one)(starts)
