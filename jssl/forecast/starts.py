"""Initial amplitudes s_j(0) of the modes, of a random start or of a given encoder.

A random start has s_j(0)^2 = scale^2 v_j chi^2 with dim - j + 1 degrees of freedom and v_j the
variance of mode j given the modes before it. Where eigenvalues are close, the amplitudes are
corrected by `effective_modes`.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import digamma, polygamma

from jssl.forecast.encoders import Kernels
from jssl.forecast.modes import Modes
from jssl.forecast.steps import Ends
from jssl.theory.stepwise import effective_modes_of_starts

_START = 1e-3  # suggested initial over final amplitude of the first mode
_EXACT = 64  # number of modes up to which close eigenvalues of a given start are treated exactly
_DRAWS = 48
_CLOSE = 24  # number of modes up to which starts are drawn to correct for close eigenvalues
_APART = 2.0  # difference of log growth from which two modes count as separate


class Start(NamedTuple):
    """Initial amplitudes of the modes.

    Attributes:
        amplitudes: (k,) s_j(0).
        spread: (k,) standard deviation of log s_j(0)^2 over random starts; 0 for a given start.
        scale: factor of the encoder's initial embedding.
    """

    amplitudes: np.ndarray
    spread: np.ndarray
    scale: float


def start_of(
    modes: Modes,
    ends: Ends,
    kernels: Kernels,
    dim: int,
    scale: float | None,
    draws: np.random.Generator,
) -> Start:
    """Return the initial amplitudes: of the given encoder, or typical ones of a random start."""
    own, nngp = kernels.own, kernels.nngp
    if nngp is not None:
        unit, spread = random_start(modes.values, modes.vectors, dim, nngp)
        scale = _suggested_scale(ends, unit) if scale is None else float(scale)
        given = (unit, spread, scale, modes.vectors, nngp, dim, ends, draws)
        return Start(*drawn_amplitudes(*given), scale)
    assert own is not None
    start = own.start
    assert start is not None
    top = modes.vectors[:, : min(dim, len(modes.values))]
    unit = np.abs(np.diag(np.linalg.qr(start.T @ top)[1]))
    scale = _suggested_scale(ends, unit) if scale is None else float(scale)
    amplitudes = _own_amplitudes(start, own.rounding, modes.vectors, scale, ends, unit)
    return Start(amplitudes, np.zeros(len(unit)), scale)


def _suggested_scale(ends: Ends, unit: np.ndarray) -> float:
    """Return the scale at which the first mode starts at a thousandth of its final amplitude."""
    return float(_START * ends.scales[0] / unit[0])


def _own_amplitudes(
    start: np.ndarray,
    rounding: float,
    vectors: np.ndarray,
    scale: float,
    ends: Ends,
    unit: np.ndarray,
) -> np.ndarray:
    """Return s_j(0) of a given start; 0 where it does not exceed the rounding errors."""
    projection = start.T @ vectors
    k = len(unit)
    noise = 16 * len(projection) * rounding * np.linalg.norm(projection[:, :k], axis=0)
    many = k > _EXACT
    amplitudes = scale * unit if many else given_amplitudes(scale * projection, ends, k)
    return np.where(unit > noise, amplitudes, 0)


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


def drawn_amplitudes(
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
    QR alignment; it vanishes where eigenvalues are far apart. For many modes, no starts are drawn,
    and the spread of modes with close eigenvalues grows by 1 instead.
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
    ratio = np.log(given_amplitudes(starts, ends, k) / np.maximum(plain, 1e-300))
    width = spread**2 + np.var(2 * (ratio + np.log(plain)), 0) - np.var(2 * np.log(plain), 0)
    return scale * unit * np.exp(ratio.mean(0)), np.sqrt(np.maximum(width, spread**2 / 4))


def given_amplitudes(projection: np.ndarray, ends: Ends, count: int) -> np.ndarray:
    """Return s_j(0) (..., count) of starts (..., dim, modes), close eigenvalues included.

    A start of `effective_modes` rises at a time; s_j(0) is that of an independent mode of growth
    h_j that rises at the same time.
    """
    positive = ends.net > 0
    growth = np.where(positive, ends.net, 0) / 2
    unit = ends.scales * np.sqrt(np.where(positive, growth, 1))  # the end is 1 / sqrt(growth) there
    starts = (projection / np.where(positive, unit, 1)).reshape(-1, *projection.shape[-2:])
    first, rate = effective_modes_of_starts(starts, growth)
    rate = np.where(rate > 0, rate, 1)
    time = -(np.log(rate) + 2 * np.log(np.where(first > 0, first, 1))) / (8 * rate)
    k = first.shape[1]
    safe = np.where(positive, growth, 1)[:k]
    amplitudes = np.exp(-4 * safe * time) / np.sqrt(safe) * unit[:k]
    amplitudes = np.where(first > 0, amplitudes, 0)
    return amplitudes[:, :count].reshape(*projection.shape[:-2], -1)
