"""How far a trained net is from its kernel limit, and how such distances fall with the width.

    function     ||F - F_limit|| / ||F_limit||         over all points, at each time
    subspace     root mean squared sine of the angles between the column spaces of F and F_limit
    half times   T_j / T_j,limit - 1                   T_j: eigenvalue j of C first at half its last

A finite tangent kernel fluctuates about its limit by width^-1/2, and so do all three; its motion in
training is of order 1 / width (Dyer, Gur-Ari, arXiv 1909.11304).
"""

from typing import Any, NamedTuple

import numpy as np

from jssl.diagnostics.steps import half_times
from jssl.errors import InputError
from jssl.host_arithmetic import ROUNDING, host_float64


class WidthDistance(NamedTuple):
    """Distance of a run from its kernel limit.

    Attributes:
        function: (points,) relative distance of the embeddings.
        subspace: (points,) 0 for the same subspace, 1 for orthogonal ones; NaN where the columns of
            one depend on each other.
        half_times: (dim,) relative delay of every mode, signed; NaN where one is not learned.
    """

    function: np.ndarray
    subspace: np.ndarray
    half_times: np.ndarray


class Exponent(NamedTuple):
    """A power of the width, from paired seeds.

    Attributes:
        exponent: mean slope of log value against log width.
        error: its standard error over seeds.
        half_width: half width of its 95 % interval (Student's t).
    """

    exponent: float
    error: float
    half_width: float


def distance_to_limit(t: Any, embeddings: Any, limit: Any, pairs: int) -> WidthDistance:
    """Return how far a trained net's embeddings are from those of its kernel limit.

    Example:
        >>> t = np.linspace(0, 1, 5)
        >>> z = t[:, None, None] * np.ones((2, 1))  # one pair, one dimension
        >>> distance = distance_to_limit(t, 1.1 * z, z, pairs=1)
        >>> print(distance.function[1:].round(3), distance.half_times)
        [0.1 0.1 0.1 0.1] [0.]

    Host side: NumPy in and out, computed in float64, for a run with plain gradient descent of your
    own net. NaN where a value is not finite, or where the limit is zero.

    Args:
        t: (points,) increasing times or steps.
        embeddings: (points, 2n + q, dim) of the net: first views, second views, other points.
        limit: the same of the limit, from `jssl.theory.width.descend` or `.embeddings`, from the
            same start.
        pairs: n.

    Returns:
        WidthDistance.

    Raises:
        InputError: for shapes that do not fit, or values that are not real numbers.
    """
    net, kernel = host_float64("embeddings", embeddings), host_float64("limit", limit)
    t = host_float64("t", t)
    fits = net.shape == kernel.shape and net.ndim == 3 and net.size
    if not fits or not 0 < 2 * pairs <= net.shape[1] or t.shape != net.shape[:1]:
        message = (
            "times must be (points,) and both embeddings (points, 2 pairs + others, dim); "
            f"got {t.shape}, {net.shape} and {kernel.shape} for {pairs} pairs"
        )
        raise InputError(message)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        size = np.linalg.norm(kernel, axis=(1, 2))
        apart = np.linalg.norm(net - kernel, axis=(1, 2))
        of_net, of_kernel = (np.asarray(half_times(t, _spectrum(z, pairs))) for z in (net, kernel))
        return WidthDistance(apart / size, _sines(net, kernel), of_net / of_kernel - 1)


def paired_exponent(widths: Any, values: Any) -> Exponent:
    """Return the exponent of positive values in the width, from seeds that all widths share.

    Example:
        >>> widths = np.array([64, 256, 1024])
        >>> fit = paired_exponent(widths, np.array([2.0, 3.0]) / widths[:, None])
        >>> print(round(fit.exponent, 6), fit.error < 1e-12)
        -1.0 True

    Starts are nested (`jssl.models.width`), so a line is fitted for each seed. The standard error
    is that of the mean of these slopes, and holds even though the widths of a seed are correlated.

    Args:
        widths: (n,) positive, two or more that differ.
        values: (n, seeds) positive, two seeds or more.

    Raises:
        InputError: for shapes that do not fit, or widths or values that are not positive and
            finite.
    """
    widths, values = host_float64("widths", widths), host_float64("values", values)
    fits = values.ndim == 2 and widths.shape == values.shape[:1]
    if not fits or values.shape[1] < 2 or len(np.unique(widths)) < 2:
        message = (
            "widths must be (n,) with two different ones, and values positive, (n, seeds) with two "
            f"seeds or more; got {widths.shape} and {values.shape}"
        )
        raise InputError(message)
    for name, seen in (("widths", widths), ("values", values)):
        if not ((seen > 0) & np.isfinite(seen)).all():
            message = f"{name} must be positive and finite; drop the others"
            raise InputError(message)
    from scipy.special import stdtrit  # slow to import

    slopes = np.polyfit(np.log(widths), np.log(values), 1)[0]
    error = float(slopes.std(ddof=1) / np.sqrt(len(slopes)))
    return Exponent(float(slopes.mean()), error, float(stdtrit(len(slopes) - 1, 0.975)) * error)


def _spectrum(z: np.ndarray, pairs: int) -> np.ndarray:
    za, zb = z[:, :pairs], z[:, pairs : 2 * pairs]
    c = np.einsum("tni,tnj->tij", za, zb) / pairs
    finite = np.isfinite(c).all(axis=(1, 2))
    values = np.full(c.shape[:2], np.nan)
    values[finite] = np.linalg.eigvalsh((c + np.swapaxes(c, 1, 2))[finite] / 2)[:, ::-1]
    return values


def _sines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the root mean squared sine of the angles; NaN where columns depend on each other."""
    qa, qb = _basis(a), _basis(b)
    rest = qa - qb @ (np.swapaxes(qb, 1, 2) @ qa)
    return np.sqrt((rest**2).sum(axis=(1, 2)) / a.shape[2])


def _basis(z: np.ndarray) -> np.ndarray:
    basis, upper = np.linalg.qr(z)
    if upper.shape[1] != upper.shape[2]:  # fewer points than dimensions
        return np.full(z.shape, np.nan)
    left = np.abs(np.diagonal(upper, axis1=1, axis2=2))
    floor = ROUNDING * np.finfo(float).eps * np.linalg.norm(z, axis=1)
    independent = (left > floor).all(axis=1)
    return np.where(independent[:, None, None], basis, np.nan)
